/**
  The variables that a builder gets from its derivation, as Nix makes them: with the paths of outputs, and with files for
  what `passAsFile` names.

  # Inputs

  A derivation.
*/
{ lib, tools }:
drv:
let
  stringOf =
    value:
    if lib.isList value then
      lib.concatMapStringsSep " " stringOf value
    else if builtins.isPath value then
      "${value}"
    else
      toString value;
  attributes = removeAttrs drv.drvAttrs [ "args" ];
  inFiles = drv.drvAttrs.passAsFile or [ ];
in
lib.mapAttrs' (
  name: value:
  if lib.elem name inFiles then
    lib.nameValuePair "${name}Path" "${tools.writeText "pass-as-file-${name}" (stringOf value)}"
  else
    lib.nameValuePair name (stringOf value)
) attributes
# They are not there yet: the string has no part in what the image holds.
// lib.genAttrs (drv.outputs or [ "out" ]) (
  output: builtins.unsafeDiscardStringContext drv.${output}.outPath
)
