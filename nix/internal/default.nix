# What the public functions share.
{
  pkgs,
  tools,
  strata,
  strata-builder,
}:
let
  inherit (pkgs) lib;
  storePaths = import ./store-paths.nix { inherit lib; };
in
{
  inherit (storePaths) configRoots toPaths;
  annotations = import ./annotations.nix { inherit lib; };
  commands = import ./commands.nix { inherit tools strata; };
  copyToRoot = import ./copy-to-root.nix { inherit lib storePaths; };
  derive = import ./derive.nix {
    inherit lib storePaths strata-builder;
    inherit (pkgs.stdenv.buildPlatform) system;
  };
}
