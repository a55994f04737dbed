/**
  The derivation of a layer or an image.

  Arguments that are not listed go into the request as they are, so that a new one is named by who gives
  it and by the builder alone (docs/reference/request.md).

  # Inputs

  `name` (string)
  : The name of the derivation.

  `copyToRoot` (attribute set)
  : `paths`, `perms` and `accounts`, as of `internal.copyToRoot`.

  `deps` (list of strings)
  : What goes to its place in the store.

  `perms` (list of attribute sets)
  : The rules of the user, which win over those of `copyToRoot`.

  `files` (attribute set; default: none)
  : What is there file by file, as of `internal.files`.

  `more` (attribute set; default: `{ }`)
  : More fields of the request, as of `internal.layerFields`.

  `layering` (attribute set)
  : How it is cut, as of `internal.layering.request`.
*/
{ storePaths, runBuilder }:
{
  name,
  copyToRoot,
  deps,
  perms,
  files ? {
    request = { };
    sources = [ ];
    deps = [ ];
  },
  more ? { },
  layering,
  ...
}@arguments:
let
  wholeDeps = storePaths.unique (map storePaths.wholePath (deps ++ files.deps));
in
runBuilder {
  inherit name;
  closure = storePaths.unique (
    wholeDeps ++ map storePaths.wholePath copyToRoot.paths ++ files.sources
  );
  request = {
    ignore = [ ];
    reproducible = true;
    compression = null;
    metadata = null;
    image = null;
  }
  // removeAttrs arguments [
    "files"
    "layering"
    "more"
    "name"
  ]
  // layering
  // more
  // {
    copyToRoot = copyToRoot.paths;
    perms = copyToRoot.perms ++ perms;
    deps = wholeDeps;
  }
  // (if files.request == { } then { } else { files = files.request; })
  // (if copyToRoot.accounts == [ ] then { } else { inherit (copyToRoot) accounts; });
}
