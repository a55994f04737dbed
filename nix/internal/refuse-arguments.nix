/**
  Tells those who give an argument that only other functions have what to do instead, where Nix would
  call it unexpected.

  # Inputs

  `name` (string)
  : How the function is called.

  `refused` (attribute set of strings)
  : The way out, by argument.

  `function` (function)
  : What has the other arguments.
*/
{ lib }:
name: refused: function:
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
