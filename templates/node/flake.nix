{
  description = "An application for Node, as an image";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
  inputs.strata.url = "github:strata-oci/strata";
  inputs.strata.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, strata, ... }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = nixpkgs.lib.genAttrs systems;
    in
    {
      # nix run .#image.copyToPodman
      # nix run .#image.copyTo -- docker://registry.example/app:1.0
      packages = forEachSystem (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          inherit (strata.lib.${system}) buildImage buildLayer;
        in
        {
          image = buildImage {
            name = "app";
            tag = "latest";
            # Node changes less often than the application.
            layers = [ (buildLayer { deps = [ pkgs.nodejs ]; }) ];
            system.users.app.uid = 1000;
            config = {
              # An application with dependencies is a package of its own: pkgs.buildNpmPackage { .. }.
              Entrypoint = [
                "${pkgs.nodejs}/bin/node"
                "${./app}/server.js"
              ];
              User = "1000";
              ExposedPorts."8080/tcp" = { };
              Env = [ "NODE_ENV=production" ];
            };
          };
        }
      );
    };
}
