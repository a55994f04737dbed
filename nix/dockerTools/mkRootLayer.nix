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

  `useVM` (boolean; default: `false`)
  : Whether the scripts run in a virtual machine, by nixpkgs' own `mkRootLayer`, which needs KVM.

  `diskSize` (integer; default: `1024`)
  : Its disk, in MiB.

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
  runtimeShell,
}:
let
  inherit (pkgs) lib;
  inherit (internal) dockerImage;

  # Each in a shell of its own.
  run =
    name: text: "${runtimeShell} -c ${lib.escapeShellArg (dockerImage.script { inherit name text; })}";

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
      useVM ? false,
      diskSize ? 1024,
      buildVMMemorySize ? 512,
      extraCommands ? "",
      database ? null,
    }@arguments:
    let
      base = dockerImage.baseOf { inherit fromImage fromImageName fromImageTag; };
    in
    if useVM then
      pkgs.dockerTools.mkRootLayer (
        removeAttrs arguments [
          "database"
          "useVM"
        ]
        // {
          # It reads archives.
          fromImage = if lib.isAttrs fromImage then fromImage.archive or fromImage else fromImage;
          extraCommands =
            lib.optionalString (database != null) "cp -dR --no-preserve=mode ${database}/database/. .\n"
            + extraCommands;
        }
      )
    else
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
        privileged = {
          name = "runAsRoot";
          text = ''
            export PATH=${coreutils}/bin:/bin
            ${run "runAsRoot" runAsRoot}
            ${lib.optionalString (extraCommands != "") "cd /\n${run "extraCommands" extraCommands}"}
          '';
        };
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
    useVM ? false,
    diskSize ? 1024,
    buildVMMemorySize ? 512,
    extraCommands ? "",
  }@arguments:
  build arguments
)
// {
  make = build;
}
