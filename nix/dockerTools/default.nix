/**
  dockerTools of nixpkgs, made anew: the same names, arguments and results, without virtual machines and Python.

  `dockerTools.override { storeDir = ..; }` gives other packages to all of them, as with `callPackage`.

  # Inputs

  `pkgs` (attribute set)
  : The package set.

  `internal` (attribute set)
  : What the functions of Strata share.
*/
{ pkgs, internal }:
let
  inherit (pkgs) lib;
  inherit (internal) tools;
in
lib.makeOverridable (
  {
    storeDir ? builtins.storeDir,
    bashInteractive ? pkgs.bashInteractive,
    cacert ? pkgs.cacert,
    coreutils ? pkgs.coreutils,
    runtimeShell ? pkgs.runtimeShell,
    shadow ? pkgs.shadow,
    # Whatever else nixpkgs' own takes has no part in these.
    ...
  }:
  let
    given = {
      inherit pkgs internal;
    };
    inStore = given // {
      inherit storeDir;
    };
  in
  rec {
    buildImage = import ./buildImage.nix (
      inStore
      // {
        inherit mkPureLayer mkRootLayer;
      }
    );
    buildLayeredImage = import ./buildLayeredImage.nix (
      given
      // {
        inherit streamLayeredImage;
      }
    );
    streamLayeredImage = import ./streamLayeredImage.nix inStore;
    buildImageWithNixDb = arguments: buildImage (arguments // { includeNixDB = true; });
    buildLayeredImageWithNixDb = arguments: buildLayeredImage (arguments // { includeNixDB = true; });

    streamNixShellImage = import ./streamNixShellImage.nix (
      given
      // {
        inherit
          bashInteractive
          cacert
          streamLayeredImage
          binSh
          usrBinEnv
          fakeNss
          ;
      }
    );
    buildNixShellImage = import ./buildNixShellImage.nix (
      given
      // {
        inherit streamNixShellImage;
      }
    );

    exportImage = import ./exportImage.nix given;
    mergeImages = import ./mergeImages.nix given;
    # Its hash is that of an archive as skopeo happens to write it, so this is nixpkgs' own, with skopeo.
    inherit (pkgs.dockerTools) pullImage;

    mkPureLayer = import ./mkPureLayer.nix inStore;
    mkRootLayer = import ./mkRootLayer.nix (
      inStore
      // {
        inherit coreutils runtimeShell;
      }
    );
    runWithOverlay = import ./runWithOverlay.nix inStore;
    mergeDrvs = import ./mergeDrvs.nix given;
    shellScript = import ./shellScript.nix (given // { inherit coreutils runtimeShell; });
    tarsum = import ./tarsum.nix given;

    shadowSetup = import ./shadowSetup.nix { inherit runtimeShell shadow; };
    fakeNss = import ./fakeNss.nix { inherit lib tools; };
    usrBinEnv = import ./usrBinEnv.nix { inherit coreutils tools; };
    binSh = import ./binSh.nix { inherit bashInteractive tools; };
    caCertificates = import ./caCertificates.nix { inherit cacert tools; };

    tests = import ./tests.nix { inherit internal examples lib; };
    examples = import ./examples.nix {
      inherit pkgs tools;
      dockerTools = {
        inherit
          binSh
          buildImage
          buildImageWithNixDb
          buildLayeredImage
          buildLayeredImageWithNixDb
          caCertificates
          exportImage
          fakeNss
          mergeImages
          shadowSetup
          streamLayeredImage
          usrBinEnv
          ;
      };
    };
  }
) { }
