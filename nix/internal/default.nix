/**
  What the public functions share.

  # Inputs

  `pkgs` (attribute set)
  : The package set that image contents are built for.

  `tools` (attribute set)
  : That of the machine that builds.

  `strata` (package)
  : The command line.

  `strata-builder` (package)
  : The builder.
*/
{
  pkgs,
  tools,
  strata,
  strata-builder,
}:
let
  inherit (pkgs) lib;
  storePaths = import ./store-paths.nix { inherit lib; };
  runBuilder = import ./run-builder.nix {
    inherit lib strata-builder;
    inherit (pkgs.stdenv.buildPlatform) system;
  };
in
{
  inherit (storePaths) configRoots toPaths;
  inherit runBuilder;
  accounts = import ./accounts.nix { inherit lib; };
  annotations = import ./annotations.nix { inherit lib; };
  baseAnnotations = import ./base-annotations.nix { inherit lib; };
  usualAccounts = [
    "nobody"
    "root"
  ];
  commands = import ./commands.nix { inherit tools strata; };
  copyToRoot = import ./copy-to-root.nix { inherit lib storePaths; };
  derive = import ./derive.nix { inherit storePaths runBuilder; };
  fetch = import ./fetch.nix { inherit lib tools strata; };
  fromImage = import ./from-image.nix { inherit lib; };
  getManifest = import ./get-manifest.nix { inherit tools strata; };
  nixpkgsSource = import ./nixpkgs-source.nix;
  profilePackage = import ./profile-package.nix { inherit lib; };
  refuseArguments = import ./refuse-arguments.nix { inherit lib; };
  systemPerms = import ./system-perms.nix { inherit lib; };
  tarball = import ./tarball.nix { inherit tools strata; };
  variant = import ./variant.nix { inherit (pkgs) go; };
}
