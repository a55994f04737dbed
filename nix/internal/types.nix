/**
  The types of arguments, as far as Nix takes them apart; the builder knows the rest, and says it in
  the same words. A type is a function of an attribute's name and its value, to the list of what is
  wrong: messages with hints.
*/
{ lib }:
let
  describe =
    value:
    if lib.isString value then
      "the string ${builtins.toJSON (builtins.unsafeDiscardStringContext value)}"
    else if lib.isInt value || builtins.isFloat value then
      "the number ${builtins.toJSON value}"
    else if lib.isBool value || value == null then
      builtins.toJSON value
    else if lib.isList value then
      "a list"
    else if lib.isDerivation value then
      "a derivation"
    else if lib.isAttrs value then
      "an attribute set"
    else
      "a ${if builtins.isPath value then "path" else "function"}";

  # A type without parts.
  simple =
    expected: hint: fits: name: value:
    lib.optional (!fits value) ''
      attribute ${name}: expected ${expected}, found ${describe value}
      hint: ${hint}'';

  # What Nix writes as a path.
  isPathLike =
    value:
    lib.isString value
    || builtins.isPath value
    || lib.isAttrs value && (value ? outPath || value ? __toString);
  arePaths = value: if lib.isList value then lib.all arePaths value else isPathLike value;

  # An attribute's name as it is written.
  attribute =
    name: if builtins.match "[a-zA-Z_][a-zA-Z0-9_'-]*" name == null then builtins.toJSON name else name;
in
rec {
  string = simple "a string" "write it in quotes" lib.isString;
  boolean = simple "true or false" "write it without quotes" lib.isBool;
  number = simple "a number" "write it without quotes" lib.isInt;
  list = simple "a list" "write it in brackets, as in [ .. ]" lib.isList;
  path = simple "a path" "write a derivation, such as `pkgs.hello`, a path or a string" isPathLike;
  paths =
    simple "derivations, paths or strings" "write one, or several in brackets, as in [ pkgs.hello ]"
      arePaths;
  package = simple "a package" "write a derivation, such as `pkgs.hello`" lib.isDerivation;
  # Derivations are attribute sets, but nobody means one.
  attributes = simple "an attribute set" "write { .. }" (
    value: lib.isAttrs value && !lib.isDerivation value
  );
  # An image, or the choice of one among several.
  base =
    simple "an image"
      "write one of `buildImage` or `pullImage`, the path of an archive, or { image = ..; tag = ..; }"
      (value: isPathLike value || lib.isAttrs value);
  fieldNames = simple "true, false or a list of strings" ''as in [ "Env" "User" ]'' (
    value: lib.isBool value || lib.isList value
  );

  orNull =
    type: name: value:
    lib.optionals (value != null) (type name value);

  /**
    A type whose values have a better hint.
  */
  hinted =
    hint: type: name: value:
    map (mistake: "${lib.head (lib.splitString "\nhint: " mistake)}\nhint: ${hint}") (type name value);

  rules = hinted ''write it in brackets, as in [ { path = files; mode = "0755"; } ]'' list;

  # What is put into an image file by file. Which modes, types and capabilities there are, the builder knows.
  files = attrsOf (
    name: value:
    if lib.isAttrs value && !lib.isDerivation value then
      file name value
    else
      hinted "write ${name}.source = .., or .text or .link" attributes name value
  );
  file = record {
    closed = true;
    fields = {
      type = string;
      text = string;
      source = path;
      link = path;
      hardlink = string;
      major = number;
      minor = number;
      mode = hinted ''write it in quotes, as in "0755"'' string;
      uid = hinted "a name is `user`" number;
      gid = hinted "a name is `group`" number;
      user = hinted "a number is `uid`" string;
      group = hinted "a number is `gid`" string;
      capabilities = simple "a list of names" ''write it in brackets, as in [ "CAP_NET_RAW" ]'' (
        value: lib.isString value || lib.isList value && lib.all lib.isString value
      );
      xattrs = attrsOf string;
    };
  };

  # Which operations there are, and what they take, only the builder knows.
  pipeline =
    name: value:
    if lib.isList value then
      listOf operation name value
    else
      simple "a list of operations, or a file of them"
        ''write [ [ "popularity_contest" ] [ "limit_layers" 50 ] ], or the path of a JSON file''
        isPathLike
        name
        value;
  operation =
    simple "an operation" ''write its name and its arguments, as in [ "limit_layers" 50 ]''
      (value: lib.isList value && value != [ ] && lib.isString (lib.head value));

  listOf =
    type: name: value:
    let
      mistakes = list name value;
    in
    if mistakes != [ ] then
      mistakes
    else
      lib.concatLists (lib.imap0 (index: type "${name}[${toString index}]") value);

  attrsOf =
    type: name: value:
    let
      mistakes = attributes name value;
    in
    if mistakes != [ ] then
      mistakes
    else
      lib.concatLists (lib.mapAttrsToList (inner: type "${name}.${attribute inner}") value);

  /**
    An attribute set with attributes of these types, where they are there. `required` have to be, and
    if `closed`, there are no others.
  */
  record =
    {
      fields,
      required ? [ ],
      closed ? false,
    }:
    name: value:
    let
      mistakes = attributes name value;
      missing = lib.subtractLists (lib.attrNames value) required;
      unknown = lib.subtractLists (lib.attrNames fields) (lib.attrNames value);
    in
    if mistakes != [ ] then
      mistakes
    else
      lib.optional (missing != [ ]) ''
        attribute ${name}.${lib.head missing}: is missing
        hint: write ${name} with ${lib.concatStringsSep ", " required}''
      ++ lib.optional (closed && unknown != [ ]) ''
        attribute ${name}.${attribute (lib.head unknown)}: is not an attribute of this
        hint: write one of ${lib.concatStringsSep ", " (lib.attrNames fields)}''
      ++ lib.concatLists (
        lib.mapAttrsToList (inner: type: type "${name}.${inner}" value.${inner}) (
          lib.filterAttrs (inner: _: value ? ${inner}) fields
        )
      );
}
