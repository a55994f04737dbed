{
  description = "OCI images from Nix store closures";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      # Some package sets know fewer systems.
      forEachSystem =
        f:
        lib.genAttrs (lib.filter (system: nixpkgs.legacyPackages ? ${system}) systems) (
          system: f nixpkgs.legacyPackages.${system}
        );

      strataFor = pkgs: import ./nix { inherit pkgs; };
      examplesFor =
        pkgs:
        import ./examples {
          inherit pkgs;
          strata = strataFor pkgs;
        };
    in
    {
      # The functions (buildImage, buildLayer, baseSystem, ..) and the programs.
      lib = forEachSystem strataFor;

      overlays.default = final: prev: { strata = strataFor final; };

      packages = forEachSystem (
        pkgs:
        let
          functions = strataFor pkgs;
        in
        {
          default = functions.strata;
          inherit (functions)
            strata
            strata-builder
            strata-fakeroot
            nixery-prepare-image
            registry
            ;
          # A flake that uses nix2container works with this one as its input instead.
          nix2container = functions.strata // functions;
          # There is none; it says so, and what to run.
          skopeo-nix2container = import ./nix/internal/skopeo-nix2container.nix { tools = pkgs; };
        }
        // lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux {
          # A container in which Nix works.
          dockerImage = functions.buildNixImage { };
        }
      );

      legacyPackages = forEachSystem (pkgs: {
        examples = examplesFor pkgs;
        inherit (strataFor pkgs) dockerTools;
      });

      checks = forEachSystem (
        pkgs:
        import ./tests/nix/checks.nix {
          inherit pkgs;
          strata = strataFor pkgs;
          examples = examplesFor pkgs;
        }
      );

      # The toolchain is the one that rust-toolchain.toml names: rustup gets it.
      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = map (name: pkgs.${name}) (
            # Some package sets have fewer programs.
            lib.filter (name: pkgs ? ${name}) [
              "cargo-deny"
              "git"
              "jq"
              "mdbook"
              "nix"
              "rustup"
              "shellcheck"
              "skopeo"
              "typos"
              "umoci"
            ]
          );
        };
      });

      # For NixOS: `virtualisation.strata.images.NAME = image;`.
      nixosModules.default.imports = [ ./nix/nixos-module.nix ];

      # For NixOS: `services.strata-registry.enable = true;`.
      nixosModules.registry.imports = [ (import ./nix/registry-module.nix { inherit strataFor; }) ];

      # For flake-parts: `perSystem.images.NAME = { .. }`.
      flakeModules.default = {
        _file = ./nix/flake-module.nix;
        key = "strata";
        imports = [ (import ./nix/flake-module.nix { inherit strataFor; }) ];
      };

      templates = {
        default = {
          path = ./templates/default;
          description = "An image of a small application, its dependencies in a layer of their own";
        };
        go = {
          path = ./templates/go;
          description = "A service in Go";
        };
        python = {
          path = ./templates/python;
          description = "An application in Python, its interpreter in layers of its own";
        };
        node = {
          path = ./templates/node;
          description = "An application for Node";
        };
        nixos = {
          path = ./templates/nixos;
          description = "A NixOS system for a container with systemd";
        };
      };
    };
}
