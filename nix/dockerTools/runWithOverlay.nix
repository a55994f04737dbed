/**
  Run commands as root beside the files of an image: in a directory with `mnt`, which has them, and `layer`.

  There is no overlay: what `preMount` leaves in `layer` is copied over `mnt`, and what `postMount` changes in `mnt` is not in
  `layer`. `mkRootLayer` tells what a script changed.

  # Inputs

  `name` (string)
  : The name of the result, which the commands make as `$out`.

  `fromImage` (image, or derivation; default: `null`)
  : The image: a result of `dockerTools` or `buildImage`, or an archive.

  `fromImageName` (string; default: `null`)
  : The name of the image, where an archive has several; with `fromImageTag`.

  `fromImageTag` (string; default: `null`)
  : Its tag.

  `diskSize` (integer; default: `1024`)
  : The disk of nixpkgs' virtual machine, in MiB. There is none here.

  `buildVMMemorySize` (integer; default: `512`)
  : Its memory, in MiB.

  `preMount` (string; default: `""`)
  : Commands that run before the files are in `mnt`.

  `postMount` (string; default: `""`)
  : Commands that run afterwards.

  `postUmount` (string; default: `""`)
  : Commands that run at the end.
*/
{
  pkgs,
  internal,
  storeDir,
}:
let
  inherit (pkgs) lib;
  inherit (internal) dockerImage;
  makeOverridable = internal.publicFunction {
    name = "runWithOverlay";
    types = with internal.types; {
      name = string;
      fromImage = orNull base;
      fromImageName = orNull string;
      fromImageTag = orNull string;
      diskSize = number;
      buildVMMemorySize = number;
      preMount = string;
      postMount = string;
      postUmount = string;
    };
  };
in
makeOverridable (
  {
    name,
    fromImage ? null,
    fromImageName ? null,
    fromImageTag ? null,
    diskSize ? 1024,
    buildVMMemorySize ? 512,
    preMount ? "",
    postMount ? "",
    postUmount ? "",
  }:
  internal.tools.runCommand name
    {
      inherit preMount postMount postUmount;
      nativeBuildInputs = [ internal.strata-fakeroot ];
    }
    ''
      mkdir layer mnt
      ${lib.optionalString (fromImage != null) ''
        ${internal.strata}/bin/strata export ${
          dockerImage.layoutOf "runWithOverlay" { inherit fromImage fromImageName fromImageTag; }
        } image.tar
      ''}
      export out
      strata-fakeroot run -- ${internal.tools.bash}/bin/bash -c '
        if [ -e "''${stdenv-}/setup" ]; then source "$stdenv/setup"; fi
        set -e
        if [ -e image.tar ]; then tar -C mnt -xpf image.tar; fi
        eval "$preMount"
        cp -a layer/. mnt/
        eval "$postMount"
        eval "$postUmount"
      '
    ''
)
