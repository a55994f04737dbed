/**
  The root file system of an image as one tar, which is not compressed, whatever its name says.

  # Inputs

  `fromImage` (image, or derivation)
  : The image: a result of `dockerTools` or `buildImage`, or an archive.

  `name` (string; default: `fromImage.name`)
  : The name of the result.

  `fromImageName` (string; default: `null`)
  : The name of the image, where an archive has several; with `fromImageTag`.

  `fromImageTag` (string; default: `null`)
  : Its tag.

  `diskSize` (integer; default: `1024`)
  : The disk of nixpkgs' virtual machine, in MiB. There is none here.
*/
{ pkgs, internal }:
let
  inherit (internal) dockerImage;
  makeOverridable = internal.publicFunction {
    name = "exportImage";
    types = with internal.types; {
      fromImage = base;
      name = string;
      fromImageName = orNull string;
      fromImageTag = orNull string;
      diskSize = number;
    };
  };
in
makeOverridable (
  {
    fromImage,
    name ? fromImage.name,
    fromImageName ? null,
    fromImageTag ? null,
    diskSize ? 1024,
  }:
  dockerImage.runStrata {
    inherit name;
    args = [
      "export"
      (dockerImage.layoutOf "exportImage" { inherit fromImage fromImageName fromImageTag; })
      (placeholder "out")
      "--compression=none"
      "--dot"
    ];
  } (file: file)
)
