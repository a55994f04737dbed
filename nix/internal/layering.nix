/**
  The part of a request that says how a closure is cut into layers.

  # Inputs

  `function` (string)
  : The public function whose arguments these are.

  `strategy`, `layerHints`, `previousLayers`, `alongside`, `layersFile`, `layeringPipeline`
  : As the arguments of `buildImage`.

  # Output

  `types` (attribute set)
  : The types of these arguments and of `maxLayers`.

  `request` (function)
  : From the name of the public function and the arguments to fields of the request.
*/
{
  lib,
  storePaths,
  types,
}:
{
  types = with types; {
    maxLayers = orNull number;
    strategy = string;
    layerHints = record {
      fields = {
        stable = paths;
        volatile = paths;
        together = listOf paths;
        alone = paths;
      };
      closed = true;
    };
    previousLayers = orNull path;
    alongside = paths;
    layersFile = orNull path;
    layeringPipeline = orNull pipeline;
  };

  request =
    function:
    {
      maxLayers,
      strategy,
      layerHints,
      previousLayers,
      alongside,
      layersFile,
      layeringPipeline,
    }:
    let
      toPaths = argument: value: storePaths.toPaths "${function}: `${argument}`" value;
      hint = name: value: map storePaths.wholePath (toPaths "layerHints.${name}" value);
    in
    {
      inherit maxLayers;
    }
    # What nobody says is no part of the derivation.
    // lib.optionalAttrs (strategy != "auto") { inherit strategy; }
    // lib.optionalAttrs (layerHints != { }) {
      layerHints = lib.mapAttrs (
        name: value: if name == "together" then map (hint name) value else hint name value
      ) layerHints;
    }
    // lib.optionalAttrs (previousLayers != null) { previousLayers = "${previousLayers}"; }
    // lib.optionalAttrs (layeringPipeline != null) { inherit layeringPipeline; }
    // lib.optionalAttrs (layersFile != null) { layersFile = "${layersFile}"; }
    // lib.optionalAttrs (alongside != [ ]) { alongside = toPaths "alongside" alongside; };
}
