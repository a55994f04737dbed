/**
  Build a layered image as a script that writes it to standard output as a docker-archive:
  `$(nix-build) | docker load`.

  The script makes the layers from the store while it writes them, and knows their digests already. It takes
  `-t NAME:TAG` or `--repo_tag NAME:TAG`, and `--help`.

  # Inputs

  `name` (string)
  : The name of the image, with or without a registry. It is lower-cased.

  `tag` (string; default: `null`)
  : The tag. `null` takes the hash part of the path of `conf`.

  `fromImage` (image, path, string, or derivation; default: `null`)
  : The image below: a result of `dockerTools` or `buildImage`, or an archive.

  `contents` (derivation, path, string, or a list of them; default: `[ ]`)
  : Directories whose files are linked into `/`. Where two have a path, the first one wins.

  `config` (attribute set; default: `{ }`)
  : The configuration. What its strings refer to is in the image.

  `architecture` (string; default: `pkgs.go.GOARCH`)
  : The architecture, as Go names it.

  `created` (string; default: `"1970-01-01T00:00:01Z"`)
  : When the image was made: any time that date(1) of GNU understands, or `"now"`, which is when the script runs; for
    `conf` and what is made of it otherwise, when it is built.

  `mtime` (string; default: `"1970-01-01T00:00:01Z"`)
  : When all files in the layers were changed, likewise, but for `"now"`, which is when `conf` is built: the layers'
    digests follow from it.

  `uid` (integer; default: `0`)
  : Who owns the store paths, the store directory and what is above it.

  `gid` (integer; default: `0`)
  : Their group.

  `uname` (string; default: `"root"`)
  : The name of that user.

  `gname` (string; default: `"root"`)
  : The name of that group.

  `maxLayers` (integer; default: `100`)
  : How many layers there may be, those of `fromImage` and the one for `/` counted.

  `extraCommands` (string; default: `""`)
  : A script of bash that runs in the directory that becomes `/`, as the user that builds.

  `fakeRootCommands` (string; default: `""`)
  : A script of bash that runs there after it, as root: `chown`, `chmod`, `mknod` and `setcap` work.

  `enableFakechroot` (boolean; default: `false`)
  : Whether `fakeRootCommands` have that directory as `/`, over what `fromImage` has.

  `files` (attribute set of attribute sets; default: `{ }`)
  : Files and directories with owners, modes, capabilities and devices, without a script, as for `buildImage` of Strata.
    Scripts do not see them, and may make nothing in their places.

  `includeStorePaths` (boolean; default: `true`)
  : Whether the image has store paths. Without them, the host's store is to be mounted.

  `includeNixDB` (boolean; default: `false`)
  : Whether there is a Nix database of the store paths in the image.

  `passthru` (attribute set; default: `{ }`)
  : More attributes of the result.

  `meta` (attribute set; default: `{ }`)
  : The `meta` of the result.

  `layeringPipeline` (list of operations, path, string, or derivation; default: `null`)
  : How store paths are cut into layers, in the place of `maxLayers`, as for `buildImage` of Strata.

  `debug` (boolean; default: `false`)
  : It is there for those who have it: `explain` always tells why the layers are as they are.

  `inheritConfig` (boolean or list of strings; default: `[ "Env" ]`)
  : What of the configuration of `fromImage` is taken over, as for `buildImage` of Strata.

  `strategy` (string; default: `"auto"`)
  : How store paths are cut into layers within `maxLayers`, as for `buildImage` of Strata.

  `layerHints` (attribute set; default: `{ }`)
  : What the strategy cannot know, likewise.

  `previousLayers` (image, or path; default: `null`)
  : Layers that are to stay as they are, likewise.

  `alongside` (list of images; default: `[ ]`)
  : What lies in the same registries, likewise.

  `layersFile` (path; default: `null`)
  : Layers that are made as this file says, likewise.

  # Attributes

  The result has these attributes, besides those of an image of `buildImage` (`copyTo`, ..).

  `imageName` (string)
  : The name, lower-cased.

  `imageTag` (string)
  : The tag.

  `conf` (derivation)
  : The image as it lies in the store, without bytes of layers.

  `streamScript` (package)
  : The program that writes it.

  `isExe` (boolean)
  : `true`: the result is a script, not an archive.

  # Examples

  ```nix
  strata.dockerTools.streamLayeredImage {
    name = "hello";
    contents = [ pkgs.hello ];
    config.Cmd = [ "/bin/hello" ];
  }
  ```
*/
{
  pkgs,
  internal,
  storeDir,
}:
let
  inherit (pkgs) lib;
  inherit (internal) dockerImage;
  function = "streamLayeredImage";
  makeOverridable = internal.publicFunction {
    name = function;
    inherit (internal.dockerArguments) types refused;
  };
in
makeOverridable (
  {
    name,
    tag ? null,
    fromImage ? null,
    contents ? [ ],
    config ? { },
    architecture ? pkgs.go.GOARCH,
    created ? "1970-01-01T00:00:01Z",
    mtime ? "1970-01-01T00:00:01Z",
    uid ? 0,
    gid ? 0,
    uname ? "root",
    gname ? "root",
    maxLayers ? 100,
    extraCommands ? "",
    fakeRootCommands ? "",
    enableFakechroot ? false,
    files ? { },
    includeStorePaths ? true,
    includeNixDB ? false,
    passthru ? { },
    meta ? { },
    layeringPipeline ? null,
    debug ? false,
    inheritConfig ? [ "Env" ],
    strategy ? "auto",
    layerHints ? { },
    previousLayers ? null,
    alongside ? [ ],
    layersFile ? null,
  }:
  let
    baseName = dockerImage.baseNameOfImage name;
    ownConfig = if config == null then { } else config;
    isUsual = text: text == "1970-01-01T00:00:01Z";

    root = dockerImage.tree {
      name = "${baseName}-root";
      inherit function;
      form = "links";
      sources = contents;
    };
    given = {
      inherit
        function
        name
        tag
        fromImage
        inheritConfig
        architecture
        created
        includeStorePaths
        includeNixDB
        root
        files
        ;
      config = ownConfig;
      mtime = if isUsual mtime then null else mtime;
      storeOwner =
        if uid == 0 && gid == 0 && uname == "root" && gname == "root" then
          null
        else
          {
            inherit
              uid
              gid
              uname
              gname
              ;
          };
      rootApart = true;
      layeringArguments = {
        # A pipeline says itself how many there may be.
        maxLayers = if layeringPipeline == null then maxLayers else null;
        inherit
          strategy
          layerHints
          previousLayers
          alongside
          layersFile
          layeringPipeline
          ;
      };
    };

    # Without scripts no shell runs.
    hasScripts = extraCommands != "" || fakeRootCommands != "";
    base = dockerImage.baseOf { inherit fromImage; };
    customisation = dockerImage.scripts (
      {
        name = "${baseName}-customisation-layer";
        inherit root storeDir;
        database =
          if includeNixDB then dockerImage.image (given // { includeStorePaths = true; }) else null;
        unprivileged = extraCommands;
        chroot = enableFakechroot;
        base = if base == null then null else base.path;
        mtime = if isUsual mtime then null else mtime;
      }
      // lib.optionalAttrs (fakeRootCommands != "") {
        privileged = {
          name = "fakeRootCommands";
          text = ''
            if [ -e "''${stdenv-}/setup" ]; then source "$stdenv/setup"; fi
            ${dockerImage.script {
              name = "fakeRootCommands";
              text = fakeRootCommands;
            }}
          '';
        };
      }
    );
    conf = dockerImage.image (given // lib.optionalAttrs hasScripts { tar = customisation; });

    imageTag = if tag != null then tag else dockerImage.hashOf conf;
    attributes = dockerImage.attributesOf {
      inherit conf name imageTag;
      streamedNow = created == "now";
    };
    builtIn = {
      inherit conf imageTag;
      inherit (attributes) imageName;
      streamScript = internal.strata;
      isExe = true;
    };
    script = attributes.stream;
  in
  assert lib.assertMsg (
    layeringPipeline != null || maxLayers > 1
  ) "${function}: the argument `maxLayers` must be greater than 1, and is ${toString maxLayers}";
  assert lib.assertMsg (!(enableFakechroot && pkgs.stdenv.hostPlatform.isDarwin))
    "${function}: `enableFakechroot` needs Linux: use packages for Linux, a remote builder for it, or `fakeRootCommands` with relative paths";
  script
  // removeAttrs attributes [ "stream" ]
  // passthru
  // builtIn
  // {
    inherit meta;
    passthru = passthru // builtIn;
    stream = script;
  }
)
