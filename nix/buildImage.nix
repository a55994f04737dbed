/**
  Build an OCI image.

  The result is an OCI image layout whose layers are recipes: the bytes of a layer are made when
  the image is copied. The store paths that the strings in `config` mention are in the image, with
  everything that they refer to. Text without Nix's string context does not count: what
  `builtins.unsafeDiscardStringContext` gives, or a file that was read.

  Warnings, such as of a rule in `perms` that matches nothing, are in the build log: `nix build -L`, or
  `nix log`.

  # Inputs

  `name` (string)
  : The name of the image, with or without a registry. It is lower-cased.

  `tag` (string; default: `null`)
  : The tag. `null` takes the first of `tags`, and without any the hash part of the image's store path.

  `tags` (list of strings; default: `[ ]`)
  : More tags: `copyToRegistry` pushes under all of them at once, and `copyToDockerDaemon`, `copyToPodman` and
    `copyToContainerd` give the image all of these names.

  `config` (attribute set; default: `{ }`)
  : The [configuration](https://github.com/opencontainers/image-spec/blob/main/config.md) as the OCI
    image specification describes it: `Entrypoint`, `Cmd`, `Env`, `User`, `WorkingDir`, .. Known keys
    may be in any case, unknown ones are kept. The store paths in its strings are in the image.

  `copyToRoot` (derivation, path, string, or a list of them; default: `null`)
  : Their content goes to `/`, and what they refer to goes to its place in the store. Use
    `pkgs.buildEnv` to put parts of packages together.

    A path in `copyToRoot` is at `/` and not in the store, unless something still needs it there:
    `config` mentions it, or another store path of the image refers to it. Then it is in both places.

  `contents` (as `copyToRoot`; default: `null`)
  : The former name of `copyToRoot`. It warns.

  `system` (attribute set; default: `null`)
  : The arguments of a `baseSystem` that goes to `/`, such as `{ users.app.uid = 1000; }`.

  `layers` (list of layers; default: `[ ]`)
  : Layers of `buildLayer`, the lowest first. What they hold is not repeated.

  `maxLayers` (positive integer; default: `null`)
  : How many layers to make at most, besides those in `layers`; the layers of `fromImage` count, but
    one is always made. `null` makes as many as are worth the requests that they cost, and an image of at most
    60 layers, those of `fromImage` and `layers` counted.

  `strategy` (string; default: `"auto"`)
  : How store paths are put together in layers:

    - `"auto"`: so that updates send the fewest bytes again. What the arguments name and nothing else in the
      image needs is on top, alone while there is room: an edit of the application sends that only;
    - `"popularity"`: the paths to which the most ways lead through the closure get a layer each, and the last
      layer takes the rest, as in nix2container;
    - `"dockerTools"`: as nixpkgs' `dockerTools.buildLayeredImage` does it;
    - `"nixery"`: as nixery does it;
    - `"biggest"`: the biggest paths get a layer each, and the last layer takes the rest.

  `layerHints` (attribute set; default: `{ }`)
  : What `"auto"` cannot know. `stable`: packages that change seldom, which share layers with each other only;
    `volatile`: packages that change often, which are on top; `together`: lists of packages, each in one layer;
    `alone`: packages with a layer of their own.

    ```nix
    layerHints = {
      stable = [ pkgs.bash ];
      volatile = [ files ];
    };
    ```

  `previousLayers` (image, or path; default: `null`)
  : Layers that are to stay as they are if their store paths still are: a file that `nix run .#image.lockLayers`
    writes, or an earlier image. Without it the same store paths always make the same layers; with it, small
    changes move fewer of them from one layer to another.

  `alongside` (list of images; default: `[ ]`)
  : Images that lie in the same registries and on the same machines. Layers of theirs whose store paths this
    image has, too, are taken as they are where that costs little.

  `layersFile` (path; default: `null`)
  : Layers that are made as this file says, and what it does not name in one on top of them: JSON like that of
    `nix run .#image.lockLayers`. It stands in the place of a strategy; the arguments above do nothing then.

  `layeringPipeline` (list of operations, path, string, or derivation; default: `null`)
  : How the store paths are cut into layers, in the place of `maxLayers`: the operations of dockerTools, as a list
    or as a file of JSON, applied one after the other. Each is a list of its name and its arguments; store
    paths in them may be packages. [Layers](../../guides/layers.md) has all of them. The layers that engines
    have no room for become one.

    ```nix
    layeringPipeline = [
      [ "subcomponent_out" [ pkgs.hello ] ]
      [ "over" "rest" [ "pipe" [ [ "popularity_contest" ] [ "limit_layers" 20 ] ] ] ]
    ];
    ```

  `perms` (list of attribute sets; default: `[ ]`)
  : Ownership and modes, which the store cannot hold. Rules are applied in order, and the last one that
    matches wins, field by field. Each has

    - `path`: the derivation or store path whose files it is for; or an absolute path outside of the store,
      such as `"/tmp"`, for what `copyToRoot` brings at and below it;
    - `regex` (default: `""`, which is found everywhere): searched in the full path of each of these
      files, such as `/nix/store/..-files/home/app` (with a path of the image: `/tmp/file`), in RE2's syntax;
    - `mode`: an octal string, not for symlinks;
    - `orMode`: an octal string, bits that are added to the mode;
    - `directoryMode`: an octal string, the mode of directories alone;
    - `uid`, `gid`: integers;
    - `uname`, `gname`: names. A number other than 0 without a name leaves the name empty;
    - `capabilities`: a list of names such as `"CAP_NET_BIND_SERVICE"`, for regular files;
    - `xattrs`: an attribute set of strings, for files and directories.

    ```nix
    perms = [
      { path = files; regex = "/tmp$"; mode = "1777"; }
      { path = files; regex = "/home/app"; uid = 1000; gid = 1000; uname = "app"; gname = "app"; }
    ];
    ```

  `files` (attribute set of attribute sets; default: `{ }`)
  : Files and directories by their absolute paths in the image, with what the store cannot hold: owners, setuid bits,
    capabilities, devices. The directories above them are made by themselves. [Files](../../guides/files.md) shows how
    each is used. Each has one of

    - `text`: what is in the file;
    - `source`: a file or a directory in the store (`"${pkgs.iputils}/bin/ping"`, `./conf`), of which a copy is put
      there;
    - `link`: where the symlink leads;
    - `hardlink`: the path of another file in `files`, of which this is a second name;
    - `type`: `"directory"`, `"fifo"`, or `"character"` and `"block"` with the numbers `major` and `minor` of a device;

    and may have

    - `mode`: an octal string such as `"4755"`; without it `"0755"` for directories and programs and `"0644"` for other
      files. Of a directory with a `source`, the mode of its top;
    - `user`, `group`: names of `system`, or of a `baseSystem` in `copyToRoot`; without `group`, it is that of the user;
    - `uid`, `gid`: numbers instead. A directory with a `source` belongs to them with all that is in it;
    - `capabilities`: a list of names such as `"CAP_NET_RAW"`, or as `setcap` takes them (`"cap_net_raw+ep"`);
    - `xattrs`: an attribute set of strings, such as `{ "user.mime_type" = "text/plain"; }`, for files and directories.

    What `copyToRoot` has at the same path must be the same. `perms` are not about `files`.

    ```nix
    files = {
      "/var/lib/app" = { type = "directory"; user = "app"; };
      "/etc/app.conf".text = "port = 80";
      "/bin/ping" = { source = "${pkgs.iputils}/bin/ping"; capabilities = [ "CAP_NET_RAW" ]; };
    };
    ```

  `fromImage` (image, path, string, or attribute set; default: `null`)
  : The image below this one: an image of `buildImage`, an index of `buildIndex`, what `pullImage` or
    `pullImageFromManifest` fetches, an archive of `docker save`, `podman save` or `dockerTools`, an OCI
    archive or layout, or a directory of skopeo (`dir:`), as a file compressed or not. Its layers stay as
    they are.

    Where there are several images, `{ image = ..; tag = ".."; }` chooses one, with `name`, `tag`,
    `digest` and `platform` (`"linux/arm64"`); without `platform`, it is the one for `arch`.

  `inheritConfig` (boolean or list of strings; default: `true`)
  : Which fields of the configuration of `fromImage` are taken over, as after `FROM` in a Dockerfile: all,
    none, or those with these names (`[ "Env" "User" ]`). `Env` is merged by variable, `Labels`,
    `ExposedPorts` and `Volumes` by key, an own `Entrypoint` drops the base's `Cmd`, a relative
    `WorkingDir` is below the base's, and other fields of `config` replace those of the base. `OnBuild`
    is dropped with a warning.

  `fromImageEnv` (boolean; default: `false`)
  : Whether `Env` is taken over, too, where `inheritConfig` says otherwise.

  `remove` (list of strings; default: `[ ]`)
  : Files and directories of `fromImage` that are not in this image, such as `"/usr/share/doc"`. They
    are hidden in a layer of their own.

  `arch` (string; default: `pkgs.go.GOARCH`)
  : The architecture, as Go names it: `"amd64"`, `"arm64"`.

  `architecture` (string; default: `null`)
  : The name of `arch` in dockerTools. It wins.

  `os` (string; default: `null`)
  : The operating system, as Go names it. `null` is `"linux"`; if `pkgs` are for Darwin, whose programs
    do not run in an image, it is an error.

  `variant` (string; default: `null`)
  : The variant of the architecture, such as `"v7"`. `null` takes that of `pkgs` for 32-bit ARM, and
    else none.

  `platform` (string; default: `null`)
  : All of these in one, instead of them: `"linux/arm64"`, `"linux/arm/v7"`.

  `compression` (string; default: `null`)
  : How layers that do not say so themselves are compressed where they go to a registry: `"gzip"`,
    `"zstd"`, `"zstd:chunked"`, `"none"`, or with a level, such as `"zstd:19"`. Of layers in `zstd:chunked` podman
    and CRI-O fetch only what changed, and others read them as Zstandard. `null` leaves it to whoever copies the
    image, where gzip is the default.

  `metadata` (attribute set; default: `null`)
  : `created_by`, `author` and `comment` of the image's own layers in its history, which `docker history`
    shows. `null` names the largest store paths of each layer, without their hashes.

  `format` (string; default: `null`)
  : `"docker"` writes the manifest in Docker's format (schema 2, layers in gzip, no annotations) wherever it can be:
    in registries, podman and `dir:` directories. OCI layouts, OCI archives and containerd hold OCI's. It is for
    podman, which reads no `Healthcheck` from OCI manifests, and for registries that take no others. `null` is
    `"oci"`, and `--format` of a copy is stronger. `compressed` promises the digest of an OCI manifest, and is pushed
    as one.

  `limits` (attribute set; default: `{ }`)
  : What the image must keep to, or else it is not built, and the error names what is too much: `size`, the most bytes
    of its layers before they are compressed (`"200M"`); `layers`, the most layers, those of `fromImage` counted; `deny`,
    packages that must not be in it, by name, with or without a version (`"gcc"` is not its library, which is
    `"gcc-lib"`; `*` stands for anything), or as they are; `growth`, how much more it may have than another image:
    `size` is a share or bytes, `against` the other image, which is that of `previousLayers` without it.

    ```nix
    limits = {
      size = "200M";
      layers = 60;
      deny = [ "gcc" "perl" ];
    };
    ```

  `created` (string; default: `"1970-01-01T00:00:01Z"`)
  : The time of creation (RFC 3339), or `"now"`, which is not reproducible.

  `annotations` (attribute set of strings; default: `{ }`)
  : The annotations of the manifest. They win over those that come from `meta`.

  `initializeNixDatabase` (boolean; default: `false`)
  : Whether to make a database with which Nix in the image knows the store paths of the image, and
    garbage collector roots for them. The database that `fromImage` has is merged into it. Nix itself has
    to be in the image for it to be of use.

  `nixUid` (integer; default: `0`)
  : Who owns the Nix database and the store directory.

  `nixGid` (integer; default: `0`)
  : Which group owns the Nix database and the store directory.

  `nixOwnStore` (boolean; default: `false`)
  : Whether `nixUid` and `nixGid` own all store paths in the image, too. A user who runs Nix without
    a daemon can then remove and repair them.

  `uid` (integer; default: `0`)
  : Who owns the store paths in the image, the store directory and what is above it.

  `gid` (integer; default: `0`)
  : Which group owns them.

  `mtime` (string or path; default: `null`)
  : The time of everything in the image's own layers: RFC 3339 such as `"2024-12-31T23:59:59Z"`, `"now"`, which is
    not reproducible, or a file that has one of them. `null` is a second after the start of 1970, as in the store.

  `includeStorePaths` (boolean; default: `true`)
  : Whether the image has the store paths that it needs. If not, it is for machines that mount their own store
    into containers.

  `tarLayers` (list of paths; default: `[ ]`)
  : Tar archives that are layers as they are, above all others, the lowest first, such as those that scripts made. What
    the derivations that they lie in refer to is in the image.

  `sbom` (attribute set; default: `{ }`)
  : What the bill of materials knows besides the arguments: `packages`, a list of packages whose licences, homepages
    and the like are not found in what the arguments are built from.

  `provenance` (attribute set; default: `{ }`)
  : Where the image is from: `source`, the `self` of the flake; `uri`, where others find it (`"github:me/app"`); and
    `attribute`, what of it the image is (`"packages.x86_64-linux.image"`). With `uri`, `strata verify docker://ghcr.io/me/app`
    builds the image again.

  `meta` (attribute set; default: `{ }`)
  : The `meta` of the derivation. `description`, `homepage`, `license`, `title`, `version`,
    `source`, `documentation` and `vendor` also become annotations (`org.opencontainers.image.*`).

  `passthru` (attribute set; default: `{ }`)
  : More attributes of the result.

  # Attributes

  The image has `override` with other arguments and `overrideAttrs` as packages of nixpkgs do, and these attributes, besides `meta` and what `passthru` holds. Commands are run with
  `nix run .#image.copyTo`, and take the flags of `strata` after `--`.

  `copyTo` (command)
  : Copies the image anywhere: `nix run .#image.copyTo -- DESTINATION` (`docker://`, `oci:`, ..).

  `copyToRegistry` (command)
  : Copies it to the registry that is part of its name, `docker://NAME:TAG`.

  `copyToDockerDaemon` (command)
  : Copies it to the Docker engine, as `NAME:TAG`.

  `copyToPodman` (command)
  : Copies it to podman, as `NAME:TAG`.

  `copyToContainerd` (command)
  : Copies it to containerd, as `NAME:TAG`.

  `serve` (command)
  : Offers it to whoever pulls from this machine.

  `inspect` (command)
  : Shows what is in it: layers, packages, sizes.

  `why` (command)
  : Tells why something is in it: `nix run .#image.why -- openssl`.

  `diff` (command)
  : Shows what differs from another image, which is the one before: `nix run .#image.diff -- OTHER`.

  `browse` (command)
  : Shows what is in it in a terminal, to look around.

  `explain` (command)
  : Tells why its layers are as they are, and what updates send again.

  `lockLayers` (command)
  : Writes `layers.lock.json`, for `previousLayers`.

  `verify` (command)
  : Makes every layer again and names what changed.

  `publish` (command)
  : Copies it to the registry that is part of its name, and attaches its bills of materials and its provenance. With
    `--sign-by-key`, all of it is signed.

  `sbom` (derivation)
  : What is in it: `cyclonedx.json` and `spdx.json` in a directory.

  `evaluation` (file)
  : What only evaluation knows of its packages and of the build, for `strata sbom` and `strata copy --attach`.

  `stream` (script)
  : Writes a docker-archive to standard output. `-t NAME:TAG` or `--repo_tag NAME:TAG` calls the image so.

  `archive` (derivation)
  : A docker-archive in the store, for those who need a file.

  `ociArchive` (derivation)
  : An OCI archive in the store.

  `checks` (derivation)
  : Whether it keeps to `limits`, as JSON: an error if not. `checks.override { limits = { size = "200M"; }; }` checks
    others, also of an image that is built by now.

  `rootfs` (derivation)
  : The root file system as a tar in the store.

  `compressed` (derivation)
  : The same image with the digests of its compressed layers: `digest` in it is the digest that a registry
    will give it. It has the commands of an image, and `override { compression = "zstd"; }`.

  `snapshotter` (derivation)
  : The same image for nodes with [nix-snapshotter](../../guides/kubernetes.md#nodes-that-have-the-store), which mount their
    own store paths into containers: it has their places, and annotations that name them. It has the commands of an image but
    for those of Docker and podman.

  `debug` (image)
  : The same image with a shell and tools on top, under the tag `TAG-debug`: its layers, and one more with the
    programs of busybox in `/usr/local/bin`. `debug.override { packages = [ pkgs.bash pkgs.strace ]; }` takes others.

  `imageName` (string)
  : The name, lower-cased.

  `imageTag` (string)
  : The tag.

  `imageRefUnsafe` (string)
  : `NAME:TAG` without a dependency on the image.

  `imageReferences` (list of strings)
  : The same for all of its tags.

  `fromImage` (as it was given)
  : The image below: `image.fromImage.getManifest`.

  `override` (function)
  : Changes arguments: `image.override { tag = "2.0"; }`.

  `overrideAttrs` (function)
  : Changes the derivation's attributes, `meta` and `passthru`, as with packages of nixpkgs. The commands follow, and
    so does a later `override`.

  # Examples

  ```nix
  strata.buildImage {
    name = "app";
    system = {
      users.app.uid = 1000;
      groups.app.gid = 1000;
    };
    config = {
      Cmd = [ "${app}/bin/app" ];
      User = "app";
    };
  }
  ```

  On an image that is in a registry:

  ```nix
  strata.buildImage {
    name = "app";
    fromImage = strata.pullImage { lock = ./image.lock.json; };
    config.Cmd = [ "${app}/bin/app" ];
  }
  ```
*/
{
  pkgs,
  internal,
  baseSystem,
  # This function itself.
  buildImage,
}:
let
  inherit (pkgs) lib;

  # What people bring along from other functions.
  nothingRuns = "nothing runs in the image while it is built: make files in a derivation for `copyToRoot`, and give owners and modes with `perms` or `files`";
  chooses = "say `fromImage = { image = ..; name = ..; tag = ..; }`";
  notNeeded = "leave it out";
  ofLayers = "it is one of `buildLayer`, whose result goes into `layers`";
  makeOverridable = internal.publicFunction {
    name = "buildImage";
    types = with internal.types; {
      name = string;
      tag = orNull string;
      tags = listOf string;
      config = attributes;
      layers = paths;
      copyToRoot = orNull paths;
      contents = orNull paths;
      fromImage = orNull base;
      inheritConfig = fieldNames;
      fromImageEnv = boolean;
      remove = list;
      arch = string;
      architecture = orNull string;
      os = orNull string;
      variant = orNull string;
      platform = orNull string;
      perms = rules;
      inherit files;
      inherit (internal.layering.types)
        maxLayers
        strategy
        layerHints
        previousLayers
        alongside
        layersFile
        layeringPipeline
        ;
      compression = orNull string;
      metadata = orNull attributes;
      format = orNull string;
      initializeNixDatabase = boolean;
      nixUid = number;
      nixGid = number;
      nixOwnStore = boolean;
      uid = number;
      gid = number;
      mtime = orNull path;
      includeStorePaths = boolean;
      limits = internal.limits.type;
      tarLayers = paths;
      created = string;
      annotations = attributes;
      sbom = record {
        closed = true;
        fields.packages = list;
      };
      provenance = record {
        closed = true;
        fields = {
          source = path;
          uri = string;
          attribute = string;
        };
      };
      meta = attributes;
      passthru = attributes;
      # A derivation has a message of its own.
      system =
        name: value:
        lib.optionals (!lib.isDerivation value) (
          hinted
            "it is what goes to /, as in { users.app.uid = 1000; }; which machine the image is for is said with `platform`"
            (orNull attributes)
            name
            value
        );
    };
    refused = {
      buildVMMemorySize = notNeeded;
      deps = ofLayers;
      diskSize = notNeeded;
      enableFakechroot = nothingRuns;
      extraCommands = nothingRuns;
      fakeRootCommands = nothingRuns;
      fromImageName = chooses;
      fromImageTag = chooses;
      ignore = ofLayers;
      includeNixDB = "it is called `initializeNixDatabase` here";
      reproducible = ofLayers;
      runAsRoot = nothingRuns;
    }
    // internal.refusedEverywhere;
  };
in
makeOverridable (
  {
    name,
    tag ? null,
    tags ? [ ],
    config ? { },
    layers ? [ ],
    copyToRoot ? null,
    contents ? null,
    system ? null,
    fromImage ? null,
    inheritConfig ? true,
    fromImageEnv ? false,
    remove ? [ ],
    arch ? pkgs.go.GOARCH,
    architecture ? null,
    os ? null,
    variant ? null,
    platform ? null,
    perms ? [ ],
    files ? { },
    maxLayers ? null,
    strategy ? "auto",
    layerHints ? { },
    previousLayers ? null,
    alongside ? [ ],
    layersFile ? null,
    layeringPipeline ? null,
    compression ? null,
    metadata ? null,
    format ? null,
    initializeNixDatabase ? false,
    nixUid ? 0,
    nixGid ? 0,
    nixOwnStore ? false,
    uid ? 0,
    gid ? 0,
    mtime ? null,
    includeStorePaths ? true,
    tarLayers ? [ ],
    limits ? { },
    created ? "1970-01-01T00:00:01Z",
    annotations ? { },
    sbom ? { },
    provenance ? { },
    meta ? { },
    passthru ? { },
  }:
  let
    derived = internal.derive {
      name = "image-${baseName}";
      copyToRoot = {
        paths = given.paths ++ systemRoot.paths;
        perms = given.perms ++ systemRoot.perms;
        accounts = given.accounts ++ systemRoot.accounts;
      };
      deps = internal.configRoots ownConfig ++ tars;
      # They are layers themselves.
      ignore = map internal.wholePath tars;
      layers = internal.toPaths "buildImage: `layers`" layers;
      more =
        internal.layerFields {
          inherit
            uid
            gid
            mtime
            includeStorePaths
            ;
        }
        // lib.optionalAttrs (tars != [ ]) { tarLayers = tars; };
      inherit perms compression metadata;
      files = internal.files "buildImage" {
        inherit files;
        users = given.users // systemRoot.users;
        groups = given.groups // systemRoot.groups;
      };
      layering = internal.layering.request "buildImage" {
        inherit
          maxLayers
          strategy
          layerHints
          previousLayers
          alongside
          layersFile
          layeringPipeline
          ;
      };
      image = {
        inherit name created;
        tag = ownTag;
        config = ownConfig;
        annotations = internal.baseAnnotations fromImage // internal.annotations meta // annotations;
        nixDatabase =
          if initializeNixDatabase then
            {
              uid = nixUid;
              gid = nixGid;
            }
            // lib.optionalAttrs nixOwnStore { ownStore = true; }
          else
            lib.throwIf (nixOwnStore || system == null && (nixUid != 0 || nixGid != 0)) ''
              buildImage: `nixUid`, `nixGid` and `nixOwnStore` say who owns the Nix database, but there is none
              hint: set `initializeNixDatabase = true`, or give files to somebody with `perms`'' null;
      }
      // runsOn
      // lib.optionalAttrs (format != null) { inherit format; }
      // lib.optionalAttrs (limits != { }) { limits = ownLimits; }
      // lib.optionalAttrs (remove != [ ]) { inherit remove; }
      // lib.optionalAttrs (base != null) {
        fromImage = base;
        inheritConfig =
          if fromImageEnv && inheritConfig != true then
            lib.optionals (inheritConfig != false) inheritConfig ++ [ "Env" ]
          else
            inheritConfig;
      };
    };

    runsOn =
      if platform != null then
        { inherit platform; }
      else
        lib.throwIf (os == null && pkgs.stdenv.hostPlatform.isDarwin)
          ''
            buildImage: the packages are for Darwin, whose programs do not run in an image
            hint: use Linux packages (`pkgsCross`, or those of `x86_64-linux` or `aarch64-linux`); if what goes into the image is for Linux, say `os = "linux"`''
          (
            {
              arch = ownArch;
            }
            // lib.optionalAttrs (os != null && os != "linux") { inherit os; }
            // lib.optionalAttrs (ownVariant != null) { variant = ownVariant; }
          );
    ownArch = if architecture != null then architecture else arch;
    ownVariant = internal.variant {
      inherit variant;
      arch = ownArch;
    };

    base = internal.fromImage fromImage;
    ownLimits = internal.limits.request "buildImage" previousLayers limits;
    ownConfig = internal.mergeEnv (given.imageEnv ++ systemRoot.imageEnv) config;

    # The variable that says where programs are, as far as it is known here: what was pulled has `/usr/local/bin`
    # in it, or an engine's own.
    pathOf =
      config: fromImage:
      let
        own = lib.filter (lib.hasPrefix "PATH=") (internal.envOf config);
        below = if lib.isAttrs fromImage then fromImage.image or fromImage else { };
      in
      if own != [ ] || !(below ? request.image.config) then
        own
      else
        pathOf below.request.image.config (below.fromImage or null);

    given = internal.copyToRoot "buildImage" { inherit copyToRoot contents; };
    systemRoot = internal.copyToRoot "buildImage" {
      copyToRoot = lib.optional (system != null) (
        lib.throwIf (lib.isDerivation system)
          ''
            buildImage: `system` takes the arguments of a `baseSystem`, and this is its result
            hint: move it to `copyToRoot`, or leave out `baseSystem`''
          (baseSystem ({ inherit nixUid nixGid; } // system))
      );
      contents = null;
    };

    baseName = baseNameOf imageName;
    imageName = lib.toLower name;
    ownTag = if tag == null && tags != [ ] then lib.head tags else tag;
    tars = internal.toPaths "buildImage: `tarLayers`" tarLayers;
  in
  internal.overridable derived.drvAttrs (
    image:
    let
      imageTag =
        if ownTag != null then
          ownTag
        else
          builtins.substring 0 32 (baseNameOf (builtins.unsafeDiscardStringContext image.outPath));
      moreTags = lib.remove imageTag tags;
      reference = "${imageName}:${imageTag}";
    in
    image
    // internal.commands {
      inherit
        image
        baseName
        reference
        moreTags
        ownLimits
        ;
      about.evaluation = builtins.toFile "evaluation.json" (
        builtins.unsafeDiscardStringContext (
          builtins.toJSON (
            internal.evaluation {
              inherit image provenance;
              arguments = [
                copyToRoot
                contents
                system
                layers
                ownConfig
                files
                tarLayers
              ];
              packages = sbom.packages or [ ];
            }
          )
        )
      );
    }
    // {
      inherit
        fromImage
        imageName
        imageTag
        meta
        passthru
        ;

      snapshotter = internal.snapshotter {
        inherit
          image
          fromImage
          imageTag
          baseName
          reference
          moreTags
          ;
      };

      # On top, so that the layers stay what they are.
      debug =
        internal.publicFunction
          {
            name = "debug";
            types.packages = with internal.types; listOf package;
          }
          (
            {
              packages ? [ pkgs.busybox ],
            }:
            removeAttrs (buildImage (
              {
                inherit
                  name
                  compression
                  created
                  meta
                  ;
                tag = "${imageTag}-debug";
                fromImage = image;
                copyToRoot = internal.debugTools packages;
                config.Env = map (path: "${path}:/usr/local/bin") (pathOf ownConfig fromImage);
                annotations = internal.baseAnnotations fromImage // annotations;
              }
              // runsOn
              // lib.optionalAttrs (platform == null) { inherit os; }
              // lib.optionalAttrs initializeNixDatabase {
                inherit
                  initializeNixDatabase
                  nixUid
                  nixGid
                  nixOwnStore
                  ;
              }
            )) [ "debug" ]
          )
          { };
    }
    // passthru
  )
)
