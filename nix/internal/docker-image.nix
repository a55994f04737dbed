/**
  What the functions of `dockerTools` that make images share: the tree for the root, the layer that scripts make, the
  image below a file or a script, and what both have besides.

  # Inputs

  What it takes of `internal`.
*/
{
  pkgs,
  tools,
  strata,
  strata-builder,
  strata-fakeroot,
  storePaths,
  files,
  runBuilder,
  derive,
  layering,
  commands,
  overridable,
}:
let
  inherit (pkgs) lib;
  # An argument of images is called so, too.
  describe = files;
in
rec {
  /**
    The base name of derivations: the last component of the image's name, as it was written.
  */
  baseNameOfImage = name: builtins.unsafeDiscardStringContext (baseNameOf name);

  /**
    A directory of what directories have together, as `links` to their files or as `copies`.
  */
  tree =
    {
      name,
      function,
      form,
      sources,
      keepDirectoryLinks ? false,
    }:
    runBuilder {
      inherit name;
      # As in nixpkgs: to make it is faster than to ask for it.
      attributes.allowSubstitutes = false;
      request.tree = {
        inherit form keepDirectoryLinks;
        sources = storePaths.toPaths "${function}: `${
          if form == "links" then "contents" else "copyToRoot"
        }`" (if sources == null then [ ] else sources);
      };
    };

  /**
    A time as a request takes it: what only date(1) understands is read by it, in a derivation.
  */
  time =
    baseName: text:
    let
      isPlain =
        builtins.match "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})" text
        != null;
    in
    if isPlain || text == "now" then
      text
    else
      "${tools.runCommand "${baseName}-date"
        {
          inherit text;
          preferLocalBuild = true;
        }
        ''
          TZ=UTC date -Iseconds -d "$text" > $out || {
            echo "hint: write a time that date -d understands, such as 2024-12-31T23:59:59Z, or now" >&2
            exit 1
          }
        ''
      }";

  /**
    What bash sources to run a script that is an argument called `name`, and to tell in which line of it something failed.
  */
  script =
    {
      name,
      text,
      hint ? "",
    }:
    "source ${./run-script.sh} ${name} ${tools.writeText name text} ${lib.escapeShellArg hint}";

  /**
    The layer that scripts make, a directory with `layer.tar`.

    `unprivileged` runs in the tree first. Then `privileged` runs as root, in the tree, or with `chroot` with the tree
    over the `base` as its `/`. The one is a script, the other a program of bash, with the name that errors call it.
  */
  scripts =
    {
      name,
      root,
      database ? null,
      unprivileged ? "",
      privileged ? {
        name = "bash";
        text = ":";
      },
      chroot ? false,
      base ? null,
      mtime ? null,
      uid ? 0,
      gid ? 0,
      storeDir,
      finish ? "",
    }:
    let
      stateDirectory = "${dirOf storeDir}/var/nix";
      profileRoots = "${stateDirectory}/gcroots/profiles";
    in
    tools.runCommand name
      {
        nativeBuildInputs = [ strata-fakeroot ];
        allowSubstitutes = false;
        preferLocalBuild = true;
      }
      ''
        mkdir root
        cp -dR ${root}/. root/
        ${lib.optionalString (database != null) ''
          find root -type d -exec chmod u+w {} +
          cp -dR ${database}/database/. root/
          chmod -R u+w root${stateDirectory}
          # Scripts make it, and would follow it out of here.
          rm root${profileRoots}
        ''}
        # Files have the modes of the store, as without scripts.
        find root -type d -exec chmod u+w {} +
        ${lib.optionalString (unprivileged != "") ''
          (cd root; ${
            script {
              name = "extraCommands";
              text = unprivileged;
              hint = "it runs as the user that builds, in the directory that becomes /: write etc/x in the place of /etc/x; owners, setuid bits, capabilities and devices can be set with files, or by fakeRootCommands or runAsRoot";
            }
          })
        ''}
        ${lib.optionalString (database != null) ''
          [ -L root${profileRoots} ] || ln -s ${stateDirectory}/profiles root${profileRoots}
        ''}
        mkdir -p $out
        strata-fakeroot layer --output $out/layer.tar --directory root --store ${storeDir} --name ${privileged.name} ${
          lib.concatStringsSep " " (
            lib.optional chroot "--chroot"
            ++ lib.optionals (chroot && base != null) [
              "--base"
              base
              "--architecture"
              pkgs.go.GOARCH
            ]
            ++ lib.optional (mtime != null) ''--mtime "$(date -d ${lib.escapeShellArg mtime} +%s)"''
            ++ lib.optionals (uid != 0 || gid != 0) [
              "--uid"
              (toString uid)
              "--gid"
              (toString gid)
            ]
          )
        } -- ${tools.bash}/bin/bash -ec ${lib.escapeShellArg privileged.text}
        ${finish}
      '';

  /**
    The image that a file or a script is made from.
  */
  image =
    {
      function,
      name,
      tag,
      fromImage,
      fromImageName ? null,
      fromImageTag ? null,
      inheritConfig,
      config,
      architecture,
      created,
      mtime ? null,
      storeOwner ? null,
      includeStorePaths ? true,
      includeNixDB,
      root,
      rootPerms ? [ ],
      rootApart,
      files ? { },
      # The layer of scripts, in the place of the root.
      tar ? null,
      # Whether the store paths are in it, too.
      joinTar ? false,
      layeringArguments,
    }:
    let
      baseName = baseNameOfImage name;
      base = baseOf { inherit fromImage fromImageName fromImageTag; };
      defaults = {
        maxLayers = null;
        strategy = "auto";
        layerHints = { };
        previousLayers = null;
        alongside = [ ];
        layersFile = null;
        layeringPipeline = null;
      };
    in
    derive (
      {
        name = "${baseName}-conf";
        copyToRoot = {
          paths = lib.optional (tar == null) "${root}";
          perms = lib.optionals (tar == null) (
            [
              {
                path = "/";
                directoryMode = "0755";
              }
            ]
            ++ rootPerms
          );
          accounts = [ ];
        };
        files = describe function {
          inherit files;
          users = { };
          groups = { };
        };
        deps = storePaths.configRoots config ++ lib.optional (tar != null) "${tar}";
        ignore = lib.optional (tar != null) "${tar}";
        layers = [ ];
        perms = [ ];
        compression = null;
        metadata = null;
        layering = layering.request function (defaults // layeringArguments);
        image = {
          inherit
            name
            tag
            config
            ;
          created = time baseName created;
          arch = architecture;
          annotations = { };
          nixDatabase = if includeNixDB && tar == null then database else null;
        }
        // lib.optionalAttrs (base != null) {
          fromImage = base;
          inherit inheritConfig;
        };
      }
      // lib.optionalAttrs (mtime != null) { mtime = time baseName mtime; }
      // lib.optionalAttrs (storeOwner != null) { inherit storeOwner; }
      // lib.optionalAttrs (!includeStorePaths) { inherit includeStorePaths; }
      // lib.optionalAttrs rootApart { inherit rootApart; }
      // lib.optionalAttrs (tar != null) { tarLayers = [ "${tar}/layer.tar" ]; }
      // lib.optionalAttrs (tar != null && joinTar) { inherit joinTar; }
    );

  # As nixpkgs has it: the time of files that stdenv makes.
  database = {
    gcRoots = "docker";
    registrationTime = 315532800;
  };

  /**
    A base as the request has it. What we made ourselves is taken as it lies in the store, not as an archive.
  */
  baseOf =
    {
      fromImage,
      fromImageName ? null,
      fromImageTag ? null,
    }:
    if fromImage == null then
      null
    else
      {
        path = if lib.isAttrs fromImage then "${fromImage.ociLayout or fromImage}" else "${fromImage}";
      }
      # As in nixpkgs, they choose together.
      // lib.optionalAttrs (fromImageName != null && fromImageTag != null) {
        name = fromImageName;
        tag = fromImageTag;
      };

  /**
    The image below a result of `dockerTools`, or one around an archive that others made.
  */
  layoutOf =
    function:
    {
      fromImage,
      fromImageName ? null,
      fromImageTag ? null,
    }:
    if lib.isAttrs fromImage && fromImage ? ociLayout then
      fromImage.ociLayout
    else
      image {
        inherit
          function
          fromImage
          fromImageName
          fromImageTag
          ;
        name = fromImage.imageName or "image";
        tag = fromImage.imageTag or "latest";
        inheritConfig = true;
        config = { };
        architecture = pkgs.go.GOARCH;
        created = "1970-01-01T00:00:01Z";
        includeNixDB = false;
        root = tree {
          name = "no-files";
          inherit function;
          form = "links";
          sources = [ ];
        };
        rootApart = false;
        layeringArguments.maxLayers = 1;
      };

  /**
    The hash part of a derivation's path, without a dependency on it.
  */
  hashOf =
    derivation:
    builtins.substring 0 32 (baseNameOf (builtins.unsafeDiscardStringContext derivation.outPath));

  /**
    The suffixes of files by compressor.
  */
  suffixes = {
    none = "";
    gz = ".gz";
    zstd = ".zst";
  };
  checkCompressor =
    function: name: compressor: value:
    lib.throwIfNot (suffixes ? ${compressor}) ''
      ${function}: "${compressor}" is not a compressor, for the image ${name}
      hint: the compressors are ${lib.concatStringsSep ", " (lib.attrNames suffixes)}'' value;
  compressions = {
    none = "none";
    gz = "gzip";
    zstd = "zstd";
  };

  /**
    A derivation whose builder is the command line.
  */
  runStrata =
    {
      name,
      args,
      attributes ? { },
    }:
    overridable (
      {
        name = lib.strings.sanitizeDerivationName name;
        inherit args;
        inherit (tools.stdenv.buildPlatform) system;
        builder = "${strata}/bin/strata";
        preferLocalBuild = true;
      }
      // attributes
    );

  /**
    The file `name` with the image `conf` as a docker-archive, with the suffix of its `compressor`. `null` for the tag takes
    the hash of the file.
  */
  archive =
    {
      name,
      conf,
      compressor,
      imageName,
      imageTag,
      repositories ? false,
    }:
    runStrata {
      name = "${name}${suffixes.${compressor}}";
      args = [
        "merge"
        "--quiet"
        conf
        (placeholder "out")
        "--compression=${compressions.${compressor}}"
        "--name=${imageName}${lib.optionalString (imageTag != null) ":${imageTag}"}"
      ]
      ++ lib.optional repositories "--repositories";
      attributes = { inherit imageName; };
    };

  /**
    What people run with an image, and `ociLayout`, the image itself.
  */
  attributesOf =
    {
      conf,
      name,
      imageTag,
      streamedNow ? false,
    }:
    let
      imageName = lib.toLower name;
      reference = "${imageName}:${imageTag}";
    in
    commands {
      image = conf;
      baseName = baseNameOfImage name;
      inherit reference streamedNow;
    }
    // {
      inherit imageName imageTag;
      ociLayout = conf;
    };
}
