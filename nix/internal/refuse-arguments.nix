# Tells those who give an argument that only other functions have what to do instead, where Nix would
# call it unexpected.
{ lib }:
name:
# The way out, by argument.
refused: function:
lib.setFunctionArgs (
  arguments:
  let
    given = lib.attrNames (builtins.intersectAttrs refused arguments);
    argument = lib.head given;
  in
  lib.throwIf (given != [ ]) ''
    ${name}: there is no argument `${argument}`
    hint: ${refused.${argument}}'' (function arguments)
) (lib.functionArgs function)
