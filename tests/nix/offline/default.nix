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
      # Evaluates like a cross package set. Its programs are those of this machine.
      pkgsCross.aarch64-multiplatform = final // {
        stdenv = final.stdenv // {
          hostPlatform = platform "aarch64-linux";
          cc = compiler final "ld-linux-aarch64.so.1";
        };
        go.GOARCH = "arm64";
      };

      go.GOARCH = final.stdenv.hostPlatform.go.GOARCH;
      stdenv = {
        hostPlatform = platform system;
        buildPlatform = platform system;
        inherit (platform system) isLinux isDarwin;
        cc = compiler final "ld-linux-x86-64.so.2";
      };
    };

  # What there is of one: its libraries, and the loader of its programs.
  compiler = final: loader: {
    cc.lib = final.gcc-libraries;
    bintools.dynamicLinker = "${final.glibc}/lib/${loader}";
  };

  platform = system: {
    inherit system;
    isLinux = lib.hasSuffix "-linux" system;
    isDarwin = lib.hasSuffix "-darwin" system;
    isx86_64 = lib.hasPrefix "x86_64-" system;
    isAarch64 = lib.hasPrefix "aarch64-" system;
    libDir = if lib.hasPrefix "x86_64-" system then "lib64" else "lib";
    config = lib.replaceStrings [ "-" ] [ "-unknown-" ] system + "-gnu";
    canExecute = other: other.system == system;
    go.GOARCH = if lib.hasPrefix "aarch64-" system then "arm64" else "amd64";
  };
in
lib.fix (lib.foldl' (set: overlay: lib.extends overlay set) packages overlays)
