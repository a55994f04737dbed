/**
  One file with several images: `docker load < result` loads all of them.

  # Inputs

  The images, a list: results of `dockerTools`, or archives of others that have the attributes `imageName` and
  `imageTag`. The file is compressed as the last one is.
*/
{ pkgs, internal }:
let
  inherit (pkgs) lib;
  inherit (internal) dockerImage;
  compressionOf =
    image:
    if image ? compressor then
      dockerImage.compressions.${image.compressor}
    else if lib.hasSuffix ".gz" "${image}" then
      "gzip"
    else if lib.hasSuffix ".zst" "${image}" then
      "zstd"
    else
      "none";
in
images:
dockerImage.runStrata {
  name = "merge-docker-images";
  args = [
    "merge"
    "--quiet"
  ]
  ++ map (fromImage: dockerImage.layoutOf "mergeImages" { inherit fromImage; }) images
  ++ [
    (placeholder "out")
    "--compression=${compressionOf (lib.last images)}"
    "--repositories"
  ];
} (file: file)
