/**
  Packages by their names in a package set, as nixery finds them: dots lead into sets, and a component in lower case
  stands for the name with capitals that the package set has at its top, where nothing is called like the component
  itself.

  # Inputs

  `packages` (attribute set)
  : The package set.

  `names` (list of strings)
  : The names. A digit at the beginning has an underscore in nixpkgs, which no name of an image begins with.

  # Attributes

  `found` (list of packages)
  : In the order of their names.

  `missing` (list of strings)
  : The names of what is not there, or is no package.
*/
{ lib }:
{ packages, names }:
let
  attributeOf = name: if builtins.match "[0-9].*" name != null then "_${name}" else name;

  withCapitals = lib.filter (name: lib.toLower name != name) (lib.attrNames packages);
  byLowerCase = lib.listToAttrs (map (name: lib.nameValuePair (lib.toLower name) name) withCapitals);

  find =
    name:
    let
      components = lib.splitString "." name;
      written = lib.attrByPath components null packages;
      amended = lib.attrByPath (map (it: byLowerCase.${it} or it) components) null packages;
    in
    {
      inherit name;
      value = if written != null then written else amended;
    };

  all = map (name: find (attributeOf name)) names;
  isFound = it: lib.isDerivation it.value;
in
{
  found = map (it: it.value) (lib.filter isFound all);
  missing = map (it: it.name) (lib.filter (it: !isFound it) all);
}
