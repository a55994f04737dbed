/**
  An image as nix-snapshotter takes it: the places of store paths instead of store paths, which the node mounts. What it is
  built on is the same of its base, where that is an image of Strata.

  # Inputs

  `image` (derivation)
  : The image's derivation.

  `fromImage` (as `buildImage` takes it)
  : The image below.

  `imageTag` (string)
  : Its tag.

  `baseName`, `reference`, `moreTags`
  : As for `internal.commands`.
*/
{ lib, commands }:
{
  image,
  fromImage,
  imageTag,
  baseName,
  reference,
  moreTags,
}:
let
  inherit (image) request;
  below = if lib.isAttrs fromImage then fromImage.image or fromImage else { };
  mounted = derivation (
    image.drvAttrs
    // {
      name = "${image.name}-snapshotter";
      # There is nothing to cut.
      request =
        removeAttrs request [
          "alongside"
          "layerHints"
          "layeringPipeline"
          "layersFile"
          "previousLayers"
          "strategy"
        ]
        // {
          maxLayers = 1;
          image =
            # Docker's format has no annotations.
            removeAttrs request.image [ "format" ]
            // {
              tag = imageTag;
              mountStorePaths = true;
            }
            // lib.optionalAttrs (below ? snapshotter) {
              fromImage = request.image.fromImage // {
                path = "${below.snapshotter}";
              };
            };
        };
    }
  );
in
mounted
# Archives of Docker and engines without containerd have no annotations.
//
  removeAttrs
    (commands {
      image = mounted;
      inherit baseName reference moreTags;
    })
    [
      "archive"
      "copyToDockerDaemon"
      "copyToPodman"
      "rootfs"
      "stream"
    ]
