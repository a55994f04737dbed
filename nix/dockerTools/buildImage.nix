/**
  Build an image of one layer on its base as a file: `docker load < result`.

  # Inputs

  `name` (string)
  : The name of the image, with or without a registry. It is lower-cased.

  `tag` (string; default: `null`)
  : The tag. `null` takes the hash part of the file's path.

  `fromImage` (image, path, string, or derivation; default: `null`)
  : The image below: a result of `dockerTools` or `buildImage`, or an archive.

  `fromImageName` (string; default: `null`)
  : The name of that image, where an archive has several; with `fromImageTag`.

  `fromImageTag` (string; default: `null`)
  : Its tag.

  `copyToRoot` (derivation, path, string, or a list of them; default: `null`)
  : Directories that are copied to `/`. Where two have a path, the last one wins.

  `contents` (as `copyToRoot`; default: `null`)
  : The former name of `copyToRoot`. It warns.

  `keepContentsDirlinks` (boolean; default: `false`)
  : Whether symlinks to directories stay symlinks. If not, the directories are copied.

  `config` (attribute set; default: `null`)
  : The configuration. What its strings refer to is in the image.

  `architecture` (string; default: `pkgs.go.GOARCH`)
  : The architecture, as Go names it.

  `uid` (integer; default: `0`)
  : Who owns what `copyToRoot` and `extraCommands` bring; not what is in the store, and not with `runAsRoot`.

  `gid` (integer; default: `0`)
  : Their group.

  `extraCommands` (string; default: `""`)
  : A script of bash that runs in the directory that becomes `/`, as the user that builds.

  `runAsRoot` (string; default: `null`)
  : A script of bash that runs as root and has the image as `/`, with what is below. It needs no virtual machine.

  `files` (attribute set of attribute sets; default: `{ }`)
  : Files and directories with owners, modes, capabilities and devices, without a script, as for `buildImage` of Strata.
    Scripts do not see them, and may make nothing in their places.

  `useVM` (boolean; default: `false`)
  : Whether `runAsRoot` and `extraCommands` run in a virtual machine, by nixpkgs' own `mkRootLayer`, which needs KVM.

  `diskSize` (integer; default: `1024`)
  : Its disk, in MiB.

  `buildVMMemorySize` (integer; default: `512`)
  : Its memory, in MiB.

  `created` (string; default: `"1970-01-01T00:00:01Z"`)
  : When the image was made: any time that date(1) of GNU understands, or `"now"`, which is when it is built.

  `compressor` (string; default: `"gz"`)
  : How the file is compressed: `"none"`, `"gz"` or `"zstd"`.

  `includeNixDB` (boolean; default: `false`)
  : Whether there is a Nix database of the store paths in the image.

  `meta` (attribute set; default: `{ }`)
  : The `meta` of the result.

  `inheritConfig` (boolean or list of strings; default: `[ "Env" ]`)
  : What of the configuration of `fromImage` is taken over, as for `buildImage` of Strata.

  # Attributes

  The result has these attributes, besides those of an image of `buildImage` of Strata (`copyTo`, ..).

  `imageName` (string)
  : The name, lower-cased.

  `imageTag` (string)
  : The tag.

  `layer` (derivation)
  : The layer without store paths: `layer.tar`, and the files `json` and `VERSION` of old.

  `buildArgs` (attribute set)
  : The arguments.

  # Examples

  ```nix
  strata.dockerTools.buildImage {
    name = "hello";
    copyToRoot = pkgs.buildEnv { name = "root"; paths = [ pkgs.hello ]; pathsToLink = [ "/bin" ]; };
    runAsRoot = ''
      mkdir -p /data
      chown 1000:1000 /data
    '';
    config.Cmd = [ "/bin/hello" ];
  }
  ```
*/
{
  pkgs,
  internal,
  storeDir,
  mkPureLayer,
  mkRootLayer,
}:
let
  inherit (pkgs) lib;
  inherit (internal) dockerImage;
  function = "buildImage";
  makeOverridable = internal.publicFunction {
    name = "dockerTools.${function}";
    types = internal.dockerArguments.types // internal.dockerArguments.layerTypes;
    refused = {
      enableFakechroot = "say `runAsRoot`";
      fakeRootCommands = "say `runAsRoot`";
      maxLayers = "say `buildLayeredImage`: this image has one layer";
      mtime = "say `buildLayeredImage`";
    };
  };
in
makeOverridable (
  {
    name,
    tag ? null,
    fromImage ? null,
    fromImageName ? null,
    fromImageTag ? null,
    copyToRoot ? null,
    contents ? null,
    keepContentsDirlinks ? false,
    config ? null,
    architecture ? pkgs.go.GOARCH,
    uid ? 0,
    gid ? 0,
    extraCommands ? "",
    runAsRoot ? null,
    files ? { },
    useVM ? false,
    diskSize ? 1024,
    buildVMMemorySize ? 512,
    created ? "1970-01-01T00:00:01Z",
    compressor ? "gz",
    includeNixDB ? false,
    meta ? { },
    inheritConfig ? [ "Env" ],
  }@arguments:
  let
    baseName = dockerImage.baseNameOfImage name;
    imageName = lib.toLower name;
    rootContents =
      lib.throwIf (contents != null && copyToRoot != null)
        ''
          dockerTools.${function}: both `contents` and `copyToRoot` are given for the image ${name}, which are two names of one argument
          hint: move everything to `copyToRoot`''
        (
          lib.warnIf (contents != null)
            "in the docker image ${name}: `contents` is called `copyToRoot` now; use `copyToRoot = pkgs.buildEnv { .. }` to put programs into /bin"
            (if contents != null then contents else copyToRoot)
        );
    root = dockerImage.tree {
      name = "${baseName}-root";
      inherit function;
      form = "copies";
      sources = rootContents;
      keepDirectoryLinks = keepContentsDirlinks;
    };
    given = {
      inherit
        function
        name
        tag
        fromImage
        fromImageName
        fromImageTag
        inheritConfig
        architecture
        created
        includeNixDB
        root
        files
        ;
      config = if config == null then { } else config;
      rootPerms = lib.optional (uid != 0 || gid != 0) {
        path = "/";
        inherit uid gid;
      };
      rootApart = false;
      layeringArguments.maxLayers = 1;
    };
    layerArguments = {
      name = baseName;
      inherit keepContentsDirlinks extraCommands;
      copyToRoot = rootContents;
      baseJson = tools.writeText "${baseName}-config.json" (
        builtins.toJSON {
          inherit architecture config created;
          os = "linux";
        }
      );
      database = if includeNixDB then dockerImage.image given else null;
    };
    inherit (internal) tools;
    layer =
      if runAsRoot == null then
        mkPureLayer.make (layerArguments // { inherit uid gid; })
      else
        mkRootLayer.make (
          layerArguments
          // {
            inherit
              runAsRoot
              fromImage
              fromImageName
              fromImageTag
              useVM
              diskSize
              buildVMMemorySize
              ;
          }
        );

    # Without scripts no shell runs.
    hasScripts = extraCommands != "" || runAsRoot != null;
    conf = dockerImage.image (
      given
      // lib.optionalAttrs hasScripts {
        tar = layer;
        joinTar = true;
      }
    );

    finish =
      file:
      let
        imageTag = if tag != null then tag else dockerImage.hashOf file;
        passthru = {
          inherit imageTag layer;
          buildArgs = arguments;
        };
      in
      file
      // dockerImage.attributesOf { inherit conf name imageTag; }
      // passthru
      // {
        inherit meta compressor passthru;
      };
  in
  dockerImage.checkCompressor "dockerTools.${function}" name compressor (
    dockerImage.archive {
      name = "docker-image-${baseName}.tar";
      inherit conf compressor imageName;
      imageTag = tag;
      repositories = true;
    } finish
  )
)
