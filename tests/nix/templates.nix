# Whether the images of all templates evaluate, with what the package set of the tests has not stood in
# for. The value is the list of what failed:
# nix eval --impure --expr 'import ./tests/nix/templates.nix { nixpkgs = ..; }'
{
  # A flake in the shape of nixpkgs.
  nixpkgs,
}:
let
  inherit (nixpkgs) lib;

  strata = (import ../../flake.nix).outputs {
    self = strata;
    inherit nixpkgs;
  };

  standIn =
    pkgs:
    pkgs
    // {
      python3.withPackages = choose: builtins.seq (choose { }) pkgs.hello;
      nodejs = pkgs.hello;
      buildGoModule =
        {
          pname,
          version,
          src,
          vendorHash,
          env,
        }:
        builtins.seq (builtins.readDir src) pkgs.hello;
    };
  inputs = {
    inherit strata;
    nixpkgs = nixpkgs // {
      lib = lib // {
        nixosSystem =
          { system, modules }:
          {
            # A module that is a file has to be one.
            config.system.build.toplevel = builtins.seq (map (
              module: if builtins.isPath module then import module else module
            ) modules) nixpkgs.legacyPackages.${system}.hello;
          };
      };
      legacyPackages = lib.mapAttrs (_: standIn) nixpkgs.legacyPackages;
    };
  };

  images =
    name:
    let
      inherit ((import (../../templates + "/${name}/flake.nix")).outputs inputs) packages;
    in
    lib.mapAttrs (_: packages: packages.image) packages;
  failures =
    name:
    let
      all = images name;
      # Something runs, and everything that runs is in the image.
      isWhole =
        image:
        let
          inherit (image.request.image) config;
        in
        builtins.seq image.drvPath (
          (config.Entrypoint or [ ] ++ config.Cmd or [ ] != [ ])
          && (image.request.deps != [ ] || image.request.copyToRoot != [ ])
        );
      isGood = system: (builtins.tryEval (isWhole all.${system})).value;
    in
    map (system: "${name}: the image for ${system} is not whole") (
      lib.filter (system: !isGood system) (lib.attrNames all)
    )
    ++ lib.optional (!(all ? x86_64-linux)) "${name}: no image for x86_64-linux";

  folders = lib.attrNames (builtins.readDir ../../templates);
in
lib.concatMap failures folders
# All of them are offered, and what is offered is there.
++
  lib.optional (lib.attrNames strata.templates != folders)
    "templates: ${builtins.toJSON (lib.attrNames strata.templates)} in flake.nix, ${builtins.toJSON folders} in templates/"
++ map (name: "${name}: the path is that of another template") (
  lib.filter (name: baseNameOf strata.templates.${name}.path != name) (lib.attrNames strata.templates)
)
