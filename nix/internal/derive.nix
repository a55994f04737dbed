# The derivation of a layer or an image: the binary is the builder, and the request is its input.
# docs/formats.md describes both.
{
  lib,
  system,
  storePaths,
  strata-builder,
}:
{
  name,
  copyToRoot,
  deps,
  layers,
  ignore ? [ ],
  perms,
  maxLayers,
  reproducible ? true,
  metadata ? {
    created_by = "strata";
  },
  image ? null,
}:
let
  wholeDeps = storePaths.unique (map storePaths.wholePath deps);
in
derivation {
  name = lib.strings.sanitizeDerivationName name;
  inherit system;
  builder = "${strata-builder}/bin/strata-builder";
  # The closure is read, but only a recipe is written: sending it to another machine costs more.
  preferLocalBuild = true;

  __structuredAttrs = true;
  exportReferencesGraph.closure = storePaths.unique (
    wholeDeps ++ map storePaths.wholePath copyToRoot
  );
  request = {
    version = 1;
    inherit (builtins) storeDir;
    inherit
      copyToRoot
      ignore
      layers
      perms
      maxLayers
      reproducible
      metadata
      image
      ;
    deps = wholeDeps;
  };
}
