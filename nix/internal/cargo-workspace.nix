/**
  The part of the Cargo workspace that one of its packages is built from: no more, so that a change of
  anything else, such as an update of a crate that only the command line needs, does not rebuild it.

  # Inputs

  `root` (path)
  : The directory of the workspace.

  `package` (string)
  : The name of the package, which is a crate below `crates/`.

  # Output

  An attribute set:

  `crates` (list of strings)
  : The crates of the workspace that the package needs, itself included: names of folders in `crates/`.

  `manifests` (attribute set of strings)
  : The text of each `Cargo.toml`, by its path: the workspace with these crates and what they depend
    on, and the crates without what only their tests need.

  `lock` (string)
  : The text of `Cargo.lock` with these packages.
*/
{ root, package }:
let
  inherit (builtins)
    attrNames
    attrValues
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    genericClosure
    head
    intersectAttrs
    isAttrs
    isList
    length
    listToAttrs
    map
    removeAttrs
    replaceStrings
    toJSON
    ;

  readToml = file: builtins.fromTOML (builtins.readFile file);
  # JSON's strings, numbers and booleans are TOML's, too.
  inline =
    value:
    if isAttrs value then
      "{ ${
        concatStringsSep ", " (map (name: "${toJSON name} = ${inline value.${name}}") (attrNames value))
      } }"
    else if isList value then
      "[${concatStringsSep ", " (map inline value)}]"
    else
      toJSON value;
  toToml =
    tables:
    concatStringsSep "" (map (name: "${toJSON name} = ${inline tables.${name}}\n") (attrNames tables));

  workspace = readToml (root + "/Cargo.toml");
  lock = readToml (root + "/Cargo.lock");

  directoryOf = name: replaceStrings [ "strata-" ] [ "" ] name;
  isMember = name: workspace.workspace.dependencies ? ${name}.path || name == package;
  manifestOf =
    name:
    removeAttrs (readToml (root + "/crates/${directoryOf name}/Cargo.toml")) [
      "dev-dependencies"
      "lints"
    ];
  # Those of every system, since the lock file is for all.
  dependenciesOf =
    name:
    let
      manifest = manifestOf name;
      ofSystems = map (system: system.dependencies) (attrValues manifest.target or { });
    in
    attrNames (foldl' (all: some: all // some) manifest.dependencies ofSystems);
  members = map (entry: entry.key) (genericClosure {
    startSet = [ { key = package; } ];
    operator = entry: map (key: { inherit key; }) (filter isMember (dependenciesOf entry.key));
  });

  # What `Cargo.lock` calls a package: its name, with the version where there are several.
  locked = listToAttrs (
    concatMap (value: [
      {
        inherit (value) name;
        inherit value;
      }
      {
        name = "${value.name} ${value.version}";
        inherit value;
      }
    ]) lock.package
  );
  lockedDependencies =
    entry:
    if isMember entry.name then
      filter (text: elem (head (builtins.split " " text)) (dependenciesOf entry.name))
        entry.dependencies or [ ]
    else
      entry.dependencies or [ ];
  closure = genericClosure {
    startSet = [
      {
        key = "${package} ${locked.${package}.version}";
        value = locked.${package};
      }
    ];
    operator =
      { value, ... }:
      map (name: {
        key = "${locked.${name}.name} ${locked.${name}.version}";
        value = locked.${name};
      }) (lockedDependencies value);
  };
  # In the order of the whole file, which is Cargo's.
  kept = listToAttrs (
    map (entry: {
      name = entry.key;
      value = true;
    }) closure
  );
  lockedPackages = filter (entry: kept ? "${entry.name} ${entry.version}") lock.package;
  # Of one version here, whatever there is elsewhere, it is called by its name.
  shortName =
    name:
    let
      entry = locked.${name};
    in
    if length (filter (other: other.name == entry.name) lockedPackages) == 1 then entry.name else name;
  lockEntry =
    entry:
    "\n[[package]]\n" + toToml (entry // { dependencies = map shortName (lockedDependencies entry); });

  used = listToAttrs (
    map (name: {
      inherit name;
      value = null;
    }) (concatMap dependenciesOf members ++ members)
  );
in
{
  crates = map directoryOf members;

  manifests = {
    "Cargo.toml" = toToml {
      workspace = {
        inherit (workspace.workspace) resolver package;
        members = map (name: "crates/${directoryOf name}") members;
        dependencies = intersectAttrs used workspace.workspace.dependencies;
      };
      profile.release = workspace.profile.release;
    };
  }
  // listToAttrs (
    map (name: {
      name = "crates/${directoryOf name}/Cargo.toml";
      value = toToml (manifestOf name);
    }) members
  );

  lock = "version = ${toString lock.version}\n" + concatStringsSep "" (map lockEntry lockedPackages);
}
