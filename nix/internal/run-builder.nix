/**
  A derivation whose builder is the binary, and whose input is the request that docs/internals/formats.md
  describes.

  # Inputs

  `name` (string)
  : The name of the derivation; characters that the store does not know are replaced.

  `outputs` (list of strings; default: `[ "out" ]`)
  : The outputs.

  `closure` (list of store paths; default: `[ ]`)
  : Whose closure the builder gets to know.

  `attributes` (attribute set; default: `{ }`)
  : More attributes of the derivation.

  `request` (attribute set)
  : What is asked for, without `version` and `storeDir`.
*/
{
  lib,
  system,
  strata-builder,
}:
{
  name,
  outputs ? [ "out" ],
  closure ? [ ],
  attributes ? { },
  request,
}:
derivation (
  attributes
  // {
    name = lib.strings.sanitizeDerivationName name;
    inherit outputs system;
    builder = "${strata-builder}/bin/strata-builder";
    # What is read is much more than what is written: sending it to another machine costs more.
    preferLocalBuild = true;

    __structuredAttrs = true;
    exportReferencesGraph.closure = closure;
    request = {
      version = 1;
      inherit (builtins) storeDir;
    }
    // request;
  }
)
