/**
  A configuration with more variables, which its own win over.

  # Inputs

  `variables` (list of strings)
  : As in `Env`.

  `config` (attribute set)
  : As `buildImage` takes it, with keys in any case.
*/
{ lib }:
variables: config:
let
  keys = lib.filter (key: lib.toLower key == "env") (lib.attrNames config);
  key = if keys == [ ] then "Env" else lib.head keys;
  own = config.${key} or [ ];
  nameOf = variable: lib.head (lib.splitString "=" variable);
  ownNames = map nameOf own;
  added = lib.filter (variable: !lib.elem (nameOf variable) ownNames) variables;
in
# What is no list is the builder's to refuse.
if variables == [ ] || !lib.isList own || !lib.all lib.isString own then
  config
else
  config // { ${key} = added ++ own; }
