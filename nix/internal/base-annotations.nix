/**
  The annotations that say on what an image is, if that was pulled (image-spec, annotations.md). A
  push to the same registry takes the layers from there.

  # Inputs

  `fromImage` (image, path, string, or attribute set)
  : As `buildImage` takes it.
*/
{ lib }:
fromImage:
let
  base = if lib.isAttrs fromImage then fromImage.image or fromImage else { };
in
lib.optionalAttrs (lib.isAttrs base && base ? baseName) (
  {
    "org.opencontainers.image.base.name" = base.baseName;
  }
  // lib.optionalAttrs (base ? imageDigest) {
    "org.opencontainers.image.base.digest" = base.baseDigest or base.imageDigest;
  }
)
