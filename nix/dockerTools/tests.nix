/**
  For each example that is one image, whether its layers are what it says.
*/
{
  internal,
  examples,
  lib,
}:
lib.mapAttrs (
  name: example:
  internal.tools.runCommand "${name}-verify" { } ''
    ${internal.strata}/bin/strata verify ${example.ociLayout}
    touch $out
  ''
) (lib.filterAttrs (_: example: example ? ociLayout) examples)
