/**
  The functions of Strata for one package set.

  # Inputs

  `pkgs` (attribute set)
  : The package set that image contents are built for. The builder and the scripts run on its
    build platform, so a cross package set gives images of another architecture.
*/
{ pkgs }:
let
  # What runs on the machine that builds: the builder, the command line and the copy scripts.
  tools = pkgs.buildPackages;

  strata = tools.callPackage ./package.nix { };
  strata-builder = tools.callPackage ./package.nix { cli = false; };

  internal = import ./internal {
    inherit
      pkgs
      tools
      strata
      strata-builder
      ;
  };
in
{
  inherit strata strata-builder;

  buildImage = import ./buildImage.nix { inherit pkgs internal; };
  buildLayer = import ./buildLayer.nix { inherit pkgs internal; };
}
