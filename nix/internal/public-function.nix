/**
  A function whose mistakes are told in sentences, where Nix would call an argument unexpected, or fail
  somewhere inside. It has `override` like those of `lib.makeOverridable`, and `mistakes`, which gives
  what would be told of arguments as a list.

  # Inputs

  `name` (string)
  : How the function is called.

  `types` (attribute set)
  : The type of each argument, of `internal.types`. What an argument is, is only looked at where it is used.

  `refused` (attribute set of strings; default: `{ }`)
  : Arguments that only other functions have, with what to do instead.

  `function` (function)
  : The function itself.
*/
{ lib }:
{
  name,
  types,
  refused ? { },
}:
function:
let
  formals = lib.functionArgs function;
  known = lib.attrNames formals;
  required = lib.filter (argument: !formals.${argument}) known;

  # Mistakes of all arguments together.
  unexpected = arguments: lib.subtractLists known (lib.attrNames arguments);
  missing = arguments: lib.subtractLists (lib.attrNames arguments) required;
  ofAll =
    arguments:
    if !lib.isAttrs arguments then
      [
        ''
          expected an attribute set of arguments
          hint: write ${name} { ${lib.concatMapStrings (argument: "${argument} = ..; ") required}}''
      ]
    else
      map (argument: ''
        there is no argument `${argument}`
        hint: ${refused.${argument} or (wayOut argument)}'') (unexpected arguments)
      ++ map (argument: ''
        the argument `${argument}` is missing
        hint: write ${name} { ${argument} = ..; }'') (missing arguments);

  wayOut =
    argument:
    let
      # As many slips as a word of this length bears.
      distance = other: lib.strings.levenshtein (lib.toLower argument) (lib.toLower other);
      near = lib.filter (other: distance other * 3 <= lib.stringLength argument) known;
      nearer = a: b: if distance b < distance a then b else a;
    in
    if near == [ ] then
      "the arguments are ${lib.concatStringsSep ", " known}"
    else
      "did you mean `${lib.foldl' nearer (lib.head near) near}`?";

  ofOne = argument: value: if types ? ${argument} then types.${argument} argument value else [ ];

  refuse = mistakes: value: lib.throwIf (mistakes != [ ]) "${name}: ${lib.head mistakes}" value;
  checked =
    arguments:
    refuse (ofAll arguments) (
      function (lib.mapAttrs (argument: value: refuse (ofOne argument value) value) arguments)
    );
in
lib.setFunctionArgs (lib.makeOverridable (lib.setFunctionArgs checked formals)) formals
// {
  mistakes =
    arguments:
    map (mistake: "${name}: ${mistake}") (
      if ofAll arguments != [ ] then
        ofAll arguments
      else
        lib.concatLists (lib.mapAttrsToList ofOne arguments)
    );
}
