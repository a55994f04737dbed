/**
  The layer of `buildImage` with `runAsRoot`, as of `mkPureLayer`: what the script changed of what is below it.

  # Inputs

  `name` (string)
  : Its name.

  `runAsRoot` (string)
  : A script of bash that runs as root and has the image as `/`.

  `baseJson` (path)
  : A file with a JSON object, which goes into `json` with the sum of `layer.tar`.

  `copyToRoot` (derivation, path, string, or a list of them; default: `null`)
  : Directories that are copied into it before.

  `keepContentsDirlinks` (boolean; default: `false`)
  : As for `buildImage`.

  `fromImage` (image, path, string, or derivation; default: `null`)
  : What is below, as for `buildImage`.

  `fromImageName` (string; default: `null`)
  : The name of that image, where an archive has several; with `fromImageTag`.

  `fromImageTag` (string; default: `null`)
  : Its tag.

  `diskSize` (integer; default: `1024`)
  : The disk of nixpkgs' virtual machine, in MiB. There is none here.

  `buildVMMemorySize` (integer; default: `512`)
  : Its memory, in MiB.

  `extraCommands` (string; default: `""`)
  : A script that runs after it, in `/`.
*/
{
  pkgs,
  internal,
  storeDir,
  coreutils,
  shellScript,
}:
let
  inherit (pkgs) lib;
  inherit (internal) dockerImage;

  # `database` is an image that has one.
  build =
    {
      name,
      runAsRoot,
      baseJson,
      copyToRoot ? null,
      keepContentsDirlinks ? false,
      fromImage ? null,
      fromImageName ? null,
      fromImageTag ? null,
      diskSize ? 1024,
      buildVMMemorySize ? 512,
      extraCommands ? "",
      database ? null,
    }:
    let
      base = dockerImage.baseOf { inherit fromImage fromImageName fromImageTag; };
    in
    internal.dockerLayer {
      inherit
        name
        baseJson
        copyToRoot
        keepContentsDirlinks
        storeDir
        database
        ;
      chroot = true;
      base = if base == null then null else base.path;
      privileged = ''
        ${shellScript "run-as-root.sh" runAsRoot}
        ${lib.optionalString (extraCommands != "") "cd /\n${shellScript "extra-commands.sh" extraCommands}"}
      '';
    };
  makeOverridable = internal.publicFunction {
    name = "mkRootLayer";
    types = internal.dockerArguments.types // internal.dockerArguments.layerTypes;
  };
in
makeOverridable (
  {
    name,
    runAsRoot,
    baseJson,
    copyToRoot ? null,
    keepContentsDirlinks ? false,
    fromImage ? null,
    fromImageName ? null,
    fromImageTag ? null,
    diskSize ? 1024,
    buildVMMemorySize ? 512,
    extraCommands ? "",
  }@arguments:
  build arguments
)
// {
  make = build;
}
