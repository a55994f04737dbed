# A derivation whose builder is the binary, and whose input is the request that docs/formats.md
# describes.
{
  lib,
  system,
  strata-builder,
}:
{
  name,
  outputs ? [ "out" ],
  closure ? [ ],
  request,
}:
derivation {
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
