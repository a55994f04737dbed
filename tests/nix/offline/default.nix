# A package set in the shape of nixpkgs, made from programs of the machine that it was generated on.
# scripts/offline-set puts them into ./files, and those of ./programs.nix only when asked: they are
# large, and every evaluation of a flake copies them.
{
  system ? builtins.currentSystem,
  overlays ? [ ],
  config ? { },
}:
let
  lib = import ./lib.nix;

  packages =
    final:
    import ./build-support.nix { inherit final lib system; }
    // import ./packages.nix { inherit final lib; }
    // import ./programs.nix { inherit final; }
    // {
      inherit lib config system;
      # Small, because images of Nix hold it.
      path = ./channel;
      callPackage = lib.callPackageWith (final // { pkgs = final; });
      buildPackages = final;

      pkgsCross.gnu64 = final;
      # Evaluates like a cross package set. Its programs are those of this machine, but for one.
      pkgsCross.aarch64-multiplatform = final // {
        hello = import ./hello-aarch64.nix { inherit final lib; };
        stdenv = final.stdenv // {
          hostPlatform = platform "aarch64-linux";
        };
        go.GOARCH = "arm64";
      };

      go.GOARCH = final.stdenv.hostPlatform.go.GOARCH;
      stdenv = {
        hostPlatform = platform system;
        buildPlatform = platform system;
        inherit (platform system) isLinux isDarwin;
      };
    };

  platform = system: {
    inherit system;
    isLinux = true;
    isDarwin = false;
    isx86_64 = system == "x86_64-linux";
    isAarch64 = system == "aarch64-linux";
    canExecute = other: other.system == system;
    go.GOARCH = if system == "aarch64-linux" then "arm64" else "amd64";
  };
in
lib.fix (lib.foldl' (set: overlay: lib.extends overlay set) packages overlays)
