/**
  The variables of a configuration, whose keys may be in any case.

  # Output

  An attribute set:

  `envOf` (function)
  : The variables that a configuration has.

  `mergeEnv` (function)
  : A configuration with more variables, which its own win over.
*/
{ lib }:
let
  keyOf =
    config:
    let
      keys = lib.filter (key: lib.toLower key == "env") (lib.attrNames config);
    in
    if keys == [ ] then "Env" else lib.head keys;
  nameOf = variable: lib.head (lib.splitString "=" variable);
in
rec {
  envOf =
    config:
    let
      own = config.${keyOf config} or [ ];
    in
    # What is no list of strings is the builder's to refuse.
    if lib.isList own && lib.all lib.isString own then own else [ ];

  mergeEnv =
    variables: config:
    let
      own = envOf config;
      ownNames = map nameOf own;
      added = lib.filter (variable: !lib.elem (nameOf variable) ownNames) variables;
    in
    if added == [ ] || config ? ${keyOf config} && own == [ ] && config.${keyOf config} != [ ] then
      config
    else
      config // { ${keyOf config} = added ++ own; };
}
