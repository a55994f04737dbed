/**
  Which store paths a value names.
*/
{ lib }:
let
  inherit (builtins)
    appendContext
    attrNames
    attrValues
    getContext
    groupBy
    head
    isAttrs
    isList
    isPath
    isString
    listToAttrs
    match
    split
    unsafeDiscardStringContext
    ;

  base32 = "[0-9a-df-np-sv-z]";
  hashPart = "${lib.escapeRegex builtins.storeDir}/${base32}{32}-";
  storePath = "${hashPart}[0-9a-zA-Z+._?=-]+";
  # Stands for an output whose path is known only when it is built (content-addressed derivations).
  placeholder = "/${base32}{52}";

  nameOf = path: head (match "${hashPart}(.*)" path);

  # A store path without what may follow it in prose or in a URL: `foo.`, `foo?x=1`. Names may have
  # these characters too, so this is the second reading of a text, never the first.
  trim =
    path:
    let
      trimmed = match "([^?=]*[^?=.])[.]*([?=].*)?" path;
    in
    if trimmed == null then path else head trimmed;

  # A string's context without the derivations that are named as files (`drvPath`): an image has no
  # use for those.
  contentContext =
    string:
    lib.filterAttrs (_: entry: entry != { }) (
      lib.mapAttrs (
        path: entry:
        if entry ? outputs then
          { inherit (entry) outputs; }
        else if lib.hasSuffix ".drv" path then
          { }
        else
          entry
      ) (getContext string)
    );

  outputNames =
    drvPath: entry:
    let
      name = lib.removeSuffix ".drv" (nameOf drvPath);
    in
    map (output: if output == "out" then name else "${name}-${output}") (entry.outputs or [ ]);

  # The whole store paths in a string, with the string's context. A store path that no entry of the
  # context bears was written without its context on purpose, and is left out.
  rootsOfString =
    string:
    let
      context = contentContext string;
      # There may be thousands, so nothing is looked for in lists.
      bearers = groupBy ({ name, ... }: name) (
        lib.concatMap (path: map (name: { inherit name path; }) (outputNames path context.${path})) (
          attrNames context
        )
      );
      isBorne = path: bearers ? ${nameOf path} || context ? ${path}.path;
      contextOf =
        path:
        listToAttrs (
          map
            (path: {
              name = path;
              value = context.${path};
            })
            (
              map (bearer: bearer.path) bearers.${nameOf path} or [ ]
              ++ lib.optional (context ? ${path}.path) path
            )
        );

      found = map head (
        lib.filter isList (split "(${storePath}|${placeholder})" (unsafeDiscardStringContext string))
      );
      isPlaceholder = path: match placeholder path != null;
      paths = lib.filter isBorne (
        map (path: if isBorne path then path else trim path) (lib.filter (path: !isPlaceholder path) found)
      );
      # A placeholder has no name: it can only belong to an output that no store path bears.
      placeholders = lib.optionals (removeAttrs bearers (map nameOf paths) != { }) (
        lib.filter isPlaceholder found
      );
    in
    lib.optionals (context != { }) (
      map (path: appendContext path (contextOf path)) paths
      ++ map (path: appendContext path context) placeholders
    );

  # The strings in a value, as `builtins.toJSON` would write them.
  leaves =
    value:
    if isString value then
      [ value ]
    else if isPath value || value ? outPath || value ? __toString then
      [ "${value}" ]
    else if isAttrs value then
      lib.concatMap leaves (attrValues value)
    else if isList value then
      lib.concatMap leaves value
    else
      [ ];
in
rec {
  /**
    Each store path once, in order of path.
  */
  unique =
    paths:
    attrValues (
      listToAttrs (
        map (path: {
          name = unsafeDiscardStringContext path;
          value = path;
        }) paths
      )
    );

  /**
    The store paths that an image configuration mentions.
  */
  configRoots = config: unique (lib.concatMap rootsOfString (leaves config));

  /**
    Derivations, paths and strings, alone or in nested lists, as strings. `argument` is what they are
    the value of.
  */
  toPaths =
    argument: value:
    map (
      element:
      let
        path = "${element}";
      in
      lib.throwIfNot (lib.hasPrefix "/" path) ''
        ${argument}: "${path}" is no path
        hint: give derivations, such as `pkgs.hello`, or absolute paths'' path
    ) (lib.flatten value);

  /**
    The store path that a file is in.
  */
  wholePath =
    path:
    let
      whole = match "(${storePath}|${placeholder})(/.*)?" (unsafeDiscardStringContext path);
    in
    if whole == null then path else appendContext (head whole) (getContext path);
}
