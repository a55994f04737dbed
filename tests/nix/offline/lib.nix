# The part of nixpkgs' `lib` that Strata, its examples and its tests use.
let
  inherit (builtins)
    all
    any
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    elemAt
    filter
    foldl'
    genList
    head
    isAttrs
    isFunction
    isInt
    isList
    isString
    length
    listToAttrs
    map
    match
    replaceStrings
    split
    stringLength
    substring
    tail
    ;

  characters = text: genList (index: substring index 1 text) (stringLength text);
  upperLetters = characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  lowerLetters = characters "abcdefghijklmnopqrstuvwxyz";

  license = shortName: spdxId: {
    inherit shortName spdxId;
    free = true;
  };

  self = rec {
    inherit
      all
      any
      attrNames
      attrValues
      concatLists
      concatMap
      concatStringsSep
      elem
      elemAt
      filter
      foldl'
      genList
      head
      isAttrs
      isFunction
      isInt
      isList
      isString
      length
      listToAttrs
      map
      replaceStrings
      substring
      tail
      ;
    inherit (builtins)
      hasAttr
      isBool
      mapAttrs
      removeAttrs
      sort
      stringLength
      ;

    # Functions and fixed points
    id = value: value;
    fix =
      f:
      let
        value = f value;
      in
      value;
    extends =
      overlay: f: final:
      let
        previous = f final;
      in
      previous // overlay final previous;
    functionArgs = f: f.__functionArgs or (builtins.functionArgs f);
    setFunctionArgs = f: args: {
      __functor = _: f;
      __functionArgs = args;
    };
    callPackageWith =
      scope: functionOrFile: arguments:
      let
        function = if isFunction functionOrFile then functionOrFile else import functionOrFile;
      in
      makeOverridable function (builtins.intersectAttrs (functionArgs function) scope // arguments);
    makeOverridable =
      f:
      setFunctionArgs (
        arguments:
        let
          result = f arguments;
          override =
            changes:
            makeOverridable f (arguments // (if isFunction changes then changes arguments else changes));
          # Either keeps what the other has changed.
          overrideAttrs =
            changes:
            makeOverridable (setFunctionArgs (arguments: (f arguments).overrideAttrs changes) (
              functionArgs f
            )) arguments;
        in
        if isAttrs result then
          result
          // {
            inherit override;
          }
          // (if result ? overrideAttrs then { inherit overrideAttrs; } else { })
        else
          result
      ) (functionArgs f);

    # Checks
    assertMsg = condition: message: condition || throw message;
    throwIf = condition: message: if condition then throw message else id;
    throwIfNot = condition: throwIf (!condition);
    warn = message: builtins.trace "warning: ${message}";
    warnIf = condition: message: if condition then warn message else id;

    # Lists
    toList = value: if isList value then value else [ value ];
    last = list: elemAt list (length list - 1);
    drop = count: list: genList (index: elemAt list (count + index)) (length list - count);
    imap0 = f: list: genList (index: f index (elemAt list index)) (length list);
    range = first: end: if first > end then [ ] else genList (index: first + index) (end - first + 1);
    flatten = value: if isList value then concatMap flatten value else [ value ];
    unique = foldl' (list: value: if elem value list then list else list ++ [ value ]) [ ];
    remove = value: filter (other: other != value);
    subtractLists = removed: filter (value: !elem value removed);
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: list: if condition then list else [ ];

    # Attribute sets
    nameValuePair = name: value: { inherit name value; };
    attrByPath =
      path: default: set:
      if path == [ ] then
        set
      else if set ? ${head path} then
        attrByPath (tail path) default set.${head path}
      else
        default;
    filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
    mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    mapAttrsFlatten = mapAttrsToList;
    optionalAttrs = condition: set: if condition then set else { };
    recursiveUpdate =
      a: b:
      a
      // builtins.mapAttrs (
        name: value:
        if isAttrs value && isAttrs (a.${name} or null) then recursiveUpdate a.${name} value else value
      ) b;

    # Strings
    boolToString = value: if value then "true" else "false";
    concatStrings = concatStringsSep "";
    concatMapStrings = f: list: concatStrings (map f list);
    concatMapStringsSep =
      separator: f: list:
      concatStringsSep separator (map f list);
    optionalString = condition: text: if condition then text else "";
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      let
        rest = stringLength text - stringLength suffix;
      in
      rest >= 0 && substring rest (stringLength suffix) text == suffix;
    hasInfix = infix: text: match ".*${escapeRegex infix}.*" text != null;
    removePrefix =
      prefix: text:
      if hasPrefix prefix text then substring (stringLength prefix) (stringLength text) text else text;
    removeSuffix =
      suffix: text:
      if hasSuffix suffix text then substring 0 (stringLength text - stringLength suffix) text else text;
    splitString = separator: text: filter isString (split (escapeRegex separator) text);
    toLower = replaceStrings upperLetters lowerLetters;
    toUpper = replaceStrings lowerLetters upperLetters;
    escape = list: replaceStrings list (map (character: "\\${character}") list);
    escapeRegex = escape (characters "\\[{()^$?*+|.");
    escapeShellArg = value: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString value)}'";
    escapeShellArgs = concatMapStringsSep " " escapeShellArg;
    # By rows: how many changes lead from the first characters of one to those of the other.
    levenshtein =
      a: b:
      let
        others = characters b;
        next =
          row: character:
          foldl' (
            made: index:
            made
            ++ [
              (foldl' min (last made + 1) [
                (elemAt row (index + 1) + 1)
                (elemAt row index + (if elemAt others index == character then 0 else 1))
              ])
            ]
          ) [ (head row + 1) ] (genList id (length others));
      in
      last (foldl' next (range 0 (length others)) (characters a));
    min = a: b: if a < b then a else b;
    importJSON = file: builtins.fromJSON (builtins.readFile file);

    # Packages
    isDerivation = value: value.type or null == "derivation";
    getOutput = output: package: package.${output} or package.out or package;
    getBin = getOutput "bin";
    getLib = getOutput "lib";
    getExe = package: getExe' package (package.meta.mainProgram or package.pname or package.name);
    getExe' = package: program: "${getBin package}/bin/${program}";
    licenses = {
      asl20 = license "asl20" "Apache-2.0";
      bsd3 = license "bsd3" "BSD-3-Clause";
      gpl2Only = license "gpl2Only" "GPL-2.0-only";
      gpl3Plus = license "gpl3Plus" "GPL-3.0-or-later";
      lgpl21Plus = license "lgpl21Plus" "LGPL-2.1-or-later";
      mit = license "mit" "MIT";
      unfree = {
        shortName = "unfree";
        fullName = "Unfree";
        free = false;
      };
    };

    # The names by which nixpkgs also knows them.
    lists = self;
    attrsets = self;
    trivial = self;
    customisation = self;
    strings = self // {
      sanitizeDerivationName =
        name:
        let
          parts = split "[^0-9a-zA-Z+._?=-]+" (
            removePrefix "." (builtins.unsafeDiscardStringContext (toString name))
          );
          clean = concatMapStrings (part: if isList part then "-" else part) parts;
        in
        if clean == "" then "unknown" else clean;
    };
    fetchers.proxyImpureEnvVars = [
      "http_proxy"
      "https_proxy"
      "ftp_proxy"
      "all_proxy"
      "no_proxy"
      "HTTP_PROXY"
      "HTTPS_PROXY"
      "FTP_PROXY"
      "ALL_PROXY"
      "NO_PROXY"
      "NIX_SSL_CERT_FILE"
    ];
    platforms.all = [ "x86_64-linux" ];
  };
in
self
