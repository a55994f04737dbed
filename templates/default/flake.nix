{
  description = "An image of a small application";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
  inputs.strata.url = "github:strata-oci/strata";
  inputs.strata.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, strata, ... }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
      inherit (strata.lib.${system}) buildImage buildLayer;

      app = pkgs.writeShellScriptBin "app" ''
        hello
        echo "Edit flake.nix and run me again."
      '';
    in
    {
      # nix run .#image.copyTo -- oci:app
      packages.${system}.image = buildImage {
        name = "app";
        tag = "latest";
        # What the application needs changes less often than the application itself.
        layers = [
          (buildLayer {
            deps = [
              pkgs.bash
              pkgs.hello
            ];
          })
        ];
        config = {
          Entrypoint = [ "${app}/bin/app" ];
          Env = [ "PATH=${pkgs.hello}/bin" ];
        };
      };
    };
}
