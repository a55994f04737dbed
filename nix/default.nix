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
  strata-builder = tools.callPackage ./package.nix { pname = "strata-builder"; };
  strata-fakeroot = tools.callPackage ./package.nix { pname = "strata-fakeroot"; };

  internal = import ./internal {
    inherit
      pkgs
      tools
      strata
      strata-builder
      strata-fakeroot
      ;
  };
in
rec {
  inherit strata strata-builder strata-fakeroot;

  # These functions for another package set, such as one of `pkgsCross`.
  forPackages = pkgs: import ./. { inherit pkgs; };

  baseSystem = import ./baseSystem.nix { inherit pkgs internal; };
  buildImage = import ./buildImage.nix {
    inherit
      pkgs
      internal
      baseSystem
      buildImage
      ;
  };
  buildImages = import ./buildImages.nix { inherit pkgs internal buildImage; };
  buildIndex = import ./buildIndex.nix { inherit pkgs internal buildIndex; };
  buildLayer = import ./buildLayer.nix { inherit pkgs internal; };
  buildNixImage = import ./buildNixImage.nix {
    inherit
      pkgs
      internal
      baseSystem
      buildImage
      ;
  };
  pullImage = import ./pullImage.nix { inherit pkgs internal; };
  pullImageFromManifest = import ./pullImageFromManifest.nix { inherit pkgs internal; };

  prepareImage = import ./prepareImage.nix { inherit pkgs internal buildImage; };
  fromName = import ./fromName.nix { inherit pkgs internal prepareImage; };
  nixery-prepare-image = import ./nixery-prepare-image.nix { inherit pkgs internal; };
  registry = import ./registry.nix { inherit pkgs internal buildNixImage; };

  dockerTools = import ./dockerTools { inherit pkgs internal; };

  # Of nix2container.
  skopeo-nix2container = throw internal.skopeoNix2container.message;
}
