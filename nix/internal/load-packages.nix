/**
  A package set by where it comes from. `prepareImage` loads it through its argument `loadPkgs`, in whose place another
  file with the same arguments may stand.

  # Inputs

  `srcType` (string)
  : What `srcArgs` is: `"nixpkgs"`, `"git"`, `"path"` or `"flake"`.

  `srcArgs` (string)
  : A branch or commit of nixpkgs; the arguments of `builtins.fetchGit` as JSON; a path; or a reference of a flake.

  `importArgs` (attribute set; default: `{ }`)
  : What nixpkgs is called with. A flake has made its packages already: of these, it heeds `system` alone.
*/
{
  srcType,
  srcArgs,
  importArgs ? { },
}:
let
  sources = {
    nixpkgs = fetchTarball "https://github.com/NixOS/nixpkgs/archive/${srcArgs}.tar.gz";
    git = fetchGit (builtins.fromJSON srcArgs);
    path = srcArgs;
  };
  ofFlake =
    flake:
    let
      sets = flake.legacyPackages or flake.packages;
      system = importArgs.system or builtins.currentSystem;
    in
    sets.${system} or (throw ''
      prepareImage: the flake ${srcArgs} has no packages for ${system}
      hint: it has them for ${builtins.concatStringsSep ", " (builtins.attrNames sets)}'');
in
if srcType == "flake" then
  ofFlake (builtins.getFlake srcArgs)
else
  import (sources.${srcType} or (throw ''
    prepareImage: `srcType` is "${srcType}"
    hint: it is one of nixpkgs, git, path and flake'')
  ) importArgs
