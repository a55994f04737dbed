/**
  Build an image in which Nix or Lix works, for root or for a user.

  It has a shell, git, curl and the like in a profile that `nix-env` manages, a channel, and a
  database that knows all store paths of the image. What changes seldom is in layers of its own.

  # Inputs

  `name` (string; default: `nix.pname or "nix"`)
  : The name of the image.

  `tag` (string; default: `"latest"`)
  : The tag.

  `bundleNixpkgs` (boolean; default: `true`)
  : Whether the channel has nixpkgs in it, or is empty until `nix-channel --update`.

  `channelName` (string; default: `"nixpkgs"`)
  : The name of the channel.

  `channelURL` (string; default: `"https://nixos.org/channels/nixpkgs-unstable"`)
  : The address of the channel.

  `extraPkgs` (list of packages; default: `[ ]`)
  : More packages for the profile.

  `maxLayers` (positive integer; default: `null`)
  : How many layers to make at most, as for `buildImage`. Some engines take no more than 64 in all, and images on top
    of this one need some, too.

  `nixConf` (attribute set; default: `{ }`)
  : Settings of `/etc/nix/nix.conf`: strings, numbers, booleans and lists of them. They win over
    those that the image needs to build in a container.

  `flake-registry` (path; default: `null`)
  : The registry of flakes: a file, or a directory with `flake-registry.json`.

  `uid` (integer; default: `0`)
  : Who owns the store, and runs the image. Another user than root has `/home/UNAME` as home, builds
    alone and needs no daemon.

  `gid` (integer; default: `0`)
  : The group of that user.

  `uname` (string; default: `"root"`)
  : The name of that user. If `uid` is not 0, it must be another than `root`.

  `gname` (string; default: `"root"`)
  : The name of that group. If `gid` is not 0, it must be another than `root`.

  `Labels` (attribute set of strings; default: `null`)
  : The labels. `null` takes title, version, source, vendor and description of `nix`.

  `Cmd` (list of strings; default: `null`)
  : What the image runs. `null` takes the shell of the profile.

  `config` (attribute set; default: `{ }`)
  : More of the OCI configuration, under the names that the specification has (`WorkingDir`, ..). Its
    fields win over those of the image, and so do the variables in `Env`.

  `system` (attribute set; default: `{ }`)
  : More arguments of the `baseSystem`, such as `{ users.app.uid = 1000; }`. They are merged with those of
    the image, attribute by attribute, and win. `osRelease` names Nix or Lix if it does not say otherwise.

  `perms` (list of attribute sets; default: `[ ]`)
  : Owners and modes, as for `buildImage`.

  `files` (attribute set of attribute sets; default: `{ }`)
  : Files and directories by their paths in the image, as for `buildImage`.

  `fromImage` (image, path, string, or attribute set; default: `null`)
  : The image below, as for `buildImage`. Where it has a directory `/usr/share`, `remove` takes that away,
    since a link to the profile's is in its place. `/etc/os-release` is then the base's.

  `remove` (list of strings; default: `[ ]`)
  : Files and directories of `fromImage` that are not in this image.

  `compression` (string; default: `null`)
  : How layers are compressed, as for `buildImage`.

  `created` (string; default: `"1970-01-01T00:00:01Z"`)
  : The time of creation (RFC 3339), or `"now"`, which is not reproducible.

  `nix` (package; default: `pkgs.nix`)
  : Nix, or Lix.

  `bashInteractive` (package; default: `pkgs.bashInteractive`)
  : The shell.

  `cacert` (package; default: `pkgs.cacert`)
  : The certificate authorities.

  `coreutils-full` (package; default: `pkgs.coreutils-full`)
  : For the profile, and `/usr/bin/env`.

  `curl` (package; default: `pkgs.curl`)
  : For the profile.

  `findutils` (package; default: `pkgs.findutils`)
  : For the profile.

  `gitMinimal` (package; default: `pkgs.gitMinimal`)
  : For the profile.

  `gnugrep` (package; default: `pkgs.gnugrep`)
  : For the profile.

  `gnutar` (package; default: `pkgs.gnutar`)
  : For the profile.

  `gzip` (package; default: `pkgs.gzip`)
  : For the profile.

  `iana-etc` (package; default: `pkgs.iana-etc`)
  : For the profile.

  `less` (package; default: `pkgs.less`)
  : For the profile.

  `libxml2` (package; default: `pkgs.libxml2`)
  : For the profile.

  `man` (package; default: `pkgs.man`)
  : For the profile.

  `openssh` (package; default: `pkgs.openssh`)
  : For the profile.

  `shadow` (package; default: `pkgs.shadow`)
  : Has the shell of `nobody`.

  `sqlite` (package; default: `pkgs.sqlite`)
  : For the profile.

  `wget` (package; default: `pkgs.wget`)
  : For the profile.

  `which` (package; default: `pkgs.which`)
  : For the profile.

  # Attributes

  The result has all attributes of an image of `buildImage`, and

  `tarball` (derivation)
  : A directory with `image.tar.gz`, a compressed docker-archive, and what Hydra needs to offer it.

  `baseSystem` (derivation)
  : The `baseSystem` in it.

  # Examples

  An image with Nix for a user, who owns the store and needs no daemon:

  ```nix
  strata.buildNixImage {
    uid = 1000;
    gid = 1000;
    uname = "nix";
    gname = "nix";
    nixConf.experimental-features = [ "nix-command" "flakes" ];
  }
  ```
*/
{
  pkgs,
  internal,
  baseSystem,
  buildImage,
}:
let
  inherit (pkgs) lib;
  makeOverridable = internal.publicFunction {
    name = "buildNixImage";
    # What is passed on to other functions is theirs to look at, and `uid` and the like have messages below.
    types = with internal.types; {
      nix = package;
      bundleNixpkgs = boolean;
      extraPkgs = list;
      nixConf = attributes;
      Labels = orNull attributes;
      Cmd = orNull list;
      config = attributes;
      system = attributes;
      bashInteractive = package;
      cacert = package;
      coreutils-full = package;
      shadow = package;
    };
    refused = internal.refusedEverywhere;
  };
in
makeOverridable (
  {
    nix ? pkgs.nix,
    name ? nix.pname or "nix",
    tag ? "latest",
    bundleNixpkgs ? true,
    channelName ? "nixpkgs",
    channelURL ? "https://nixos.org/channels/nixpkgs-unstable",
    extraPkgs ? [ ],
    maxLayers ? null,
    nixConf ? { },
    flake-registry ? null,
    uid ? 0,
    gid ? 0,
    uname ? "root",
    gname ? "root",
    Labels ? null,
    Cmd ? null,
    config ? { },
    system ? { },
    perms ? [ ],
    files ? { },
    fromImage ? null,
    remove ? [ ],
    compression ? null,
    created ? "1970-01-01T00:00:01Z",
    bashInteractive ? pkgs.bashInteractive,
    cacert ? pkgs.cacert,
    coreutils-full ? pkgs.coreutils-full,
    curl ? pkgs.curl,
    findutils ? pkgs.findutils,
    gitMinimal ? pkgs.gitMinimal,
    gnugrep ? pkgs.gnugrep,
    gnutar ? pkgs.gnutar,
    gzip ? pkgs.gzip,
    iana-etc ? pkgs.iana-etc,
    less ? pkgs.less,
    libxml2 ? pkgs.libxml2,
    man ? pkgs.man,
    openssh ? pkgs.openssh,
    shadow ? pkgs.shadow,
    sqlite ? pkgs.sqlite,
    wget ? pkgs.wget,
    which ? pkgs.which,
  }:
  let
    profile = "/nix/var/nix/profiles/default";
    channels = "/nix/var/nix/profiles/per-user/${uname}/channels";
    bundle = "${profile}/etc/ssl/certs/ca-bundle.crt";
    home = if uid == 0 then "/root" else "/home/${uname}";

    packages = [
      coreutils-full
      curl
      libxml2
      sqlite
      gitMinimal
      bashInteractive
      gnutar
      gzip
      gnugrep
      which
      less
      wget
      man
      (cacert.out or cacert)
      findutils
      iana-etc
      openssh
      nix
    ]
    ++ extraPkgs;

    baseSystemArguments = {
      inherit
        packages
        bundleNixpkgs
        channelName
        channelURL
        flake-registry
        ;
      user = uname;
      users = {
        root.shell = lib.getExe bashInteractive;
        nobody.shell = "${shadow}/bin/nologin";
      }
      // lib.optionalAttrs (uid != 0) {
        ${uname} = {
          inherit uid gid home;
          shell = lib.getExe bashInteractive;
          groups = [ gname ];
          description = "Nix user";
        };
      };
      groups = lib.optionalAttrs (gid != 0) { ${gname} = { inherit gid; }; };
      nixBuildUsers = 32;
      nixConf = {
        # Containers may not make the namespaces that the sandbox is made of.
        sandbox = false;
        build-users-group = "nixbld";
        trusted-public-keys = [ "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
      }
      // nixConf;
      nixUid = uid;
      nixGid = gid;
      binSh = lib.getExe bashInteractive;
      usrBinEnv = "${coreutils-full}/bin/env";
      certificates = bundle;
    }
    # Who runs jobs in a container asks it for its `ID` (https://github.com/actions/checkout/issues/334).
    // lib.optionalAttrs (fromImage == null) {
      osRelease = {
        ID = lib.toLower pname;
        NAME = title;
        PRETTY_NAME = if nix ? version then "${title} ${nix.version}" else title;
      };
    };
    ownBaseSystem = baseSystem (lib.recursiveUpdate baseSystemArguments system);

    title = lib.toUpper (lib.substring 0 1 pname) + lib.substring 1 (-1) pname;
    pname = nix.pname or "nix";
    meta = {
      description = "Container image with ${title}";
      longDescription = ''
        A container image in which ${title} works${lib.optionalString (uid != 0) " for the user ${uname}"}.
        Copy it to a Docker archive with `nix run .#dockerImage.copyTo -- docker-archive:image.tar`,
        to a registry with `nix run .#dockerImage.copyTo -- docker://REGISTRY/${name}:${tag}`.
      '';
    };
    defaultLabels = lib.filterAttrs (_: value: value != null) {
      "org.opencontainers.image.title" = title;
      "org.opencontainers.image.version" = nix.version or null;
      "org.opencontainers.image.source" =
        if pname == "lix" then
          "https://git.lix.systems/lix-project/lix"
        else
          "https://github.com/NixOS/nix";
      "org.opencontainers.image.vendor" = if pname == "lix" then "Lix project" else "Nix project";
      "org.opencontainers.image.description" = meta.description;
    };

    # The base system would find these, too, but under other names than those of the arguments here.
    mistakes =
      accountMistakes "user" "uid" uid "uname" uname
      ++ accountMistakes "group" "gid" gid "gname" gname
      ++ lib.optional (!lib.all lib.isDerivation extraPkgs) ''
        `extraPkgs` has something in it that is no package
        hint: only derivations can be in a profile; take `pkgs.hello` and not its path'';
    accountMistakes =
      kind: idArgument: id: nameArgument: name:
      lib.optional (!lib.isInt id || id < 0 || id > 4294967294 || id == 65535) ''
        `${idArgument}` is ${builtins.toJSON id}, which is no ${kind}'s number
        hint: take a number from 0 to 4294967294, other than 65535''
      ++ lib.optional (!lib.isString name || builtins.match "[a-z_][a-z0-9_-]{0,31}" name == null) ''
        `${nameArgument}` is ${builtins.toJSON name}, which is no ${kind}'s name
        hint: names are up to 32 of a-z, 0-9, _ and -, and begin with a letter or _''
      ++ lib.optional (id != 0 && name == "root") ''
        `${idArgument}` is ${toString id} and `${nameArgument}` is root
        hint: give the ${kind} a name of its own: `${nameArgument} = "nix"`'';

    image = buildImage {
      inherit
        name
        tag
        maxLayers
        meta
        perms
        files
        fromImage
        remove
        compression
        created
        ;
      copyToRoot = [ ownBaseSystem ];
      initializeNixDatabase = true;
      nixUid = uid;
      nixGid = gid;
      nixOwnStore = uid != 0;
      config = {
        Cmd = if Cmd == null then [ "${home}/.nix-profile/bin/bash" ] else Cmd;
        Labels = if Labels == null then defaultLabels else Labels;
        User = "${toString uid}:${toString gid}";
        Env =
          lib.filter (variable: !lib.elem (nameOf variable) (map nameOf ownEnv)) [
            "USER=${uname}"
            "PATH=${
              lib.concatStringsSep ":" [
                "${home}/.nix-profile/bin"
                "${profile}/bin"
                "${profile}/sbin"
              ]
            }"
            "MANPATH=${
              lib.concatStringsSep ":" [
                "${home}/.nix-profile/share/man"
                "${profile}/share/man"
              ]
            }"
            "SSL_CERT_FILE=${bundle}"
            "GIT_SSL_CAINFO=${bundle}"
            "NIX_SSL_CERT_FILE=${bundle}"
            "NIX_PATH=${channels}:${home}/.nix-defexpr/channels"
          ]
          ++ ownEnv;
      }
      // lib.optionalAttrs (uid != 0) { WorkingDir = home; }
      // removeAttrs config [ "Env" ];
    };
    ownEnv = config.Env or [ ];
    nameOf = variable: lib.head (lib.splitString "=" variable);
  in
  lib.throwIf (mistakes != [ ]) "buildNixImage: ${lib.head mistakes}" (
    internal.extend image (image: {
      baseSystem = ownBaseSystem;
      tarball = internal.tarball {
        inherit image;
        description = "Archive of the container image with ${title}";
      };
    })
  )
)
