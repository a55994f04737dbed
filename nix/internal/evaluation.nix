/**
  What only evaluation knows of an image: what its packages are (`meta`), and how it is built. Bills of materials and
  provenance are made of it; `strata` gets it as a file of JSON.

  Packages are looked for in the arguments, and in what the derivations there are built from. Of a string in the
  arguments, `"${pkgs.hello}/bin/hello"`, Nix keeps the derivation and forgets the package: that is found by its name
  in the package set.

  # Inputs

  `image` (derivation)
  : The image's derivation.

  `arguments` (list)
  : What of its arguments packages are in.

  `packages` (list of derivations)
  : More packages.

  `provenance` (attribute set)
  : Where the image is from, as `buildImage` takes it.
*/
{ lib, pkgs }:
{
  image,
  arguments,
  packages,
  provenance,
}:
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    deepSeq
    fromJSON
    getContext
    hashString
    head
    listToAttrs
    parseDrvName
    pathExists
    readFile
    toJSON
    tryEval
    unsafeDiscardStringContext
    ;

  attempt =
    value:
    let
      tried = tryEval (deepSeq value value);
    in
    if tried.success then tried.value else null;

  # The package whose derivation this is, if it goes by its name.
  byDerivation =
    path:
    let
      file = builtins.substring 33 (-1) (baseNameOf path);
      name = (parseDrvName (lib.removeSuffix ".drv" file)).name;
      package = pkgs.${name} or null;
      isIt = lib.isDerivation package && unsafeDiscardStringContext package.drvPath == path;
    in
    lib.optional (attempt isIt == true) package;

  # The packages in a value, strings included.
  inArguments =
    value:
    if lib.isDerivation value then
      [ value ]
    else if lib.isString value then
      concatMap byDerivation (lib.filter (lib.hasSuffix ".drv") (attrNames (getContext value)))
    else if lib.isList value then
      concatMap inArguments value
    else if lib.isAttrs value then
      concatMap inArguments (attrValues value)
    else
      [ ];

  # The same without strings: what others' derivations say in them, names would be looked up for in vain.
  inAttributes =
    value:
    if lib.isDerivation value then
      [ value ]
    else if lib.isList value then
      concatMap inAttributes value
    else
      [ ];

  # Layers and base systems of ours have strings in what they ask for.
  below =
    package:
    let
      attributes = package.drvAttrs or { };
    in
    concatMap inAttributes (attrValues attributes) ++ inArguments (attributes.request or { });

  entry = package: {
    key = unsafeDiscardStringContext package.drvPath;
    inherit package;
  };
  all = map (found: found.package) (
    builtins.genericClosure {
      startSet = map entry (inArguments arguments ++ concatMap inAttributes packages);
      operator = found: map entry (below found.package);
    }
  );

  text = value: if lib.isString value then value else null;
  first = value: if lib.isList value then (if value == [ ] then null else head value) else value;
  licence =
    value:
    if lib.isString value then
      {
        spdxId = value;
        name = value;
      }
    else
      lib.filterAttrs (_: part: part != null) {
        spdxId = text (value.spdxId or null);
        name = text (value.fullName or value.shortName or null);
        url = text (value.url or null);
      };
  about =
    package:
    let
      meta = package.meta or { };
      parsed = parseDrvName (package.name or "");
      cpe = meta.identifiers or { };
    in
    lib.filterAttrs (_: part: part != null && part != [ ] && part != false) {
      name = text (package.pname or parsed.name);
      version = text (package.version or parsed.version);
      description = text (meta.description or null);
      homepage = text (first (meta.homepage or null));
      cpe = text (cpe.cpe or null);
      licences = map licence (lib.toList (meta.license or [ ]));
      isProgram = meta ? mainProgram;
    };
  outputs =
    package: map (output: package.${output}.outPath or package.outPath) (package.outputs or [ "out" ]);
  named =
    package:
    let
      said = attempt (about package);
    in
    lib.optionals (said != null) (
      map (path: {
        name = unsafeDiscardStringContext path;
        value = said;
      }) (lib.filter (lib.hasPrefix builtins.storeDir) (outputs package))
    );

  source = provenance.source or null;
  lockFile = "${source}/flake.lock";
  lock =
    if source != null && !lib.isDerivation source && pathExists lockFile then
      fromJSON (readFile lockFile)
    else
      { nodes = { }; };
  uriOf =
    locked:
    let
      kind = locked.type or "";
    in
    if locked ? owner && locked ? repo then
      "${kind}:${locked.owner}/${locked.repo}"
    else if kind == "git" || kind == "hg" then
      "${kind}+${locked.url}"
    else if kind == "path" then
      "path:${locked.path}"
    else
      locked.url or null;
  input =
    name:
    let
      locked = lock.nodes.${name}.locked;
    in
    lib.filterAttrs (_: part: part != null) {
      inherit name;
      uri = uriOf locked;
      revision = locked.rev or null;
      narHash = locked.narHash or null;
    };
  flake = lib.filterAttrs (_: part: part != null) {
    uri = provenance.uri or null;
    attribute = provenance.attribute or null;
    revision = source.rev or source.dirtyRev or null;
    narHash = source.narHash or null;
    inputs = map input (lib.filter (name: lock.nodes.${name} ? locked) (attrNames lock.nodes));
  };
in
{
  version = 1;
  packages = listToAttrs (concatMap named all);
  build = {
    derivation = unsafeDiscardStringContext image.drvPath;
    inherit (image) system;
    arguments = hashString "sha256" (toJSON image.drvAttrs.request);
    inherit (builtins) nixVersion;
  }
  // lib.optionalAttrs (provenance != { }) { inherit flake; };
}
