# The derivation of a layer or an image.
{ storePaths, runBuilder }:
{
  name,
  copyToRoot,
  deps,
  layers,
  ignore ? [ ],
  perms,
  maxLayers,
  reproducible ? true,
  compression ? null,
  metadata ? {
    created_by = "strata";
  },
  image ? null,
}:
let
  wholeDeps = storePaths.unique (map storePaths.wholePath deps);
in
runBuilder {
  inherit name;
  closure = storePaths.unique (wholeDeps ++ map storePaths.wholePath copyToRoot.paths);
  request = {
    copyToRoot = copyToRoot.paths;
    # The last rule wins: the user's.
    perms = copyToRoot.perms ++ perms;
    deps = wholeDeps;
    inherit
      ignore
      layers
      maxLayers
      reproducible
      compression
      metadata
      image
      ;
  }
  // (if copyToRoot.accounts == [ ] then { } else { inherit (copyToRoot) accounts; });
}
