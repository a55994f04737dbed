/**
  What `fromImage` says, as the builder wants it; null for no base.

  # Inputs

  `fromImage` (image, path, string, or attribute set)
  : As `buildImage` takes it.
*/
{ lib }:
fromImage:
let
  choices = [
    "name"
    "tag"
    "digest"
    "platform"
  ];
  isChoice = lib.isAttrs fromImage && !lib.isDerivation fromImage && fromImage ? image;
  unknown = lib.subtractLists ([ "image" ] ++ choices) (lib.attrNames fromImage);
in
# nix2container's own way to say that there is none.
if fromImage == null || fromImage == "" then
  null
else if isChoice then
  lib.throwIf (unknown != [ ])
    ''
      buildImage: `fromImage` has no attribute `${lib.head unknown}`
      hint: it has `image`, and to choose among several ${lib.concatStringsSep ", " choices}''
    ({ path = "${fromImage.image}"; } // removeAttrs fromImage [ "image" ])
else
  { path = "${fromImage}"; }
