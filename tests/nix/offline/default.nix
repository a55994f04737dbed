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

      pkgsCross.gnu64 = crossTo final "x86_64-linux";
      pkgsCross.aarch64-multiplatform = crossTo final "aarch64-linux";

      go.GOARCH = final.stdenv.hostPlatform.go.GOARCH;
      stdenv = {
        hostPlatform = platform system;
        buildPlatform = platform system;
        inherit (platform system) isLinux isDarwin;
        cc = compiler final system;
      };
    };

  # What there is of one: its libraries, and the loader of its programs.
  compiler = final: system: {
    cc.lib = final.gcc-libraries;
    bintools.dynamicLinker = "${final.glibc}/lib/${
      if lib.hasPrefix "aarch64-" system then "ld-linux-aarch64.so.1" else "ld-linux-x86-64.so.2"
    }";
  };

  # Evaluates like a cross package set. Its programs are those of this machine, whatever `hello` says of itself.
  crossTo =
    final: target:
    if target == system then
      final
    else
      final
      // {
        stdenv = final.stdenv // {
          hostPlatform = platform target;
          cc = compiler final target;
        };
        go.GOARCH = (platform target).go.GOARCH;
        # A program for that machine, and not of this one.
        hello =
          if lib.hasPrefix "aarch64-" target then
            import ./hello-aarch64.nix { inherit final lib; }
          else
            final.hello;
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
