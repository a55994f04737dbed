/**
  The program that nixery's server runs to build what `prepareImage` gives. It passes its arguments to `nix-build`, which
  it finds in `PATH`, and prints the path of `build-output.json`.

  # Inputs

  `nixpkgs` (path; default: `pkgs.path`)
  : The package set that tools are taken of.
*/
{ pkgs, internal }:
pkgs.lib.makeOverridable (
  {
    nixpkgs ? pkgs.path,
  }:
  let
    inherit (internal) tools;
    # Only what was passed: the function has the defaults.
    function = tools.writeText "prepare-image.nix" ''
      {
        packages ? null,
        srcType ? null,
        srcArgs ? null,
        system ? null,
        importArgs ? null,
        loadPkgs ? null,
      }@arguments:
      (import ${
        internal.functionsFile { nixpkgs = internal.nixpkgsSource nixpkgs; }
      }).prepareImage arguments
    '';
  in
  tools.writeShellScriptBin "nixery-prepare-image" ''
    exec nix-build --show-trace --no-out-link "$@" ${function}
  ''
) { }
