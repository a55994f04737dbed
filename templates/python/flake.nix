{
  description = "An application in Python, as an image";

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

          # What the application imports, besides the standard library: packages.flask, ..
          python = pkgs.python3.withPackages (packages: [ ]);
        in
        {
          image = buildImage {
            name = "app";
            tag = "latest";
            # The interpreter and its libraries change less often than the application.
            layers = [
              (buildLayer {
                deps = [ python ];
                maxLayers = 10;
              })
            ];
            system.users.app.uid = 1000;
            config = {
              Entrypoint = [
                "${python}/bin/python3"
                "${./app}/main.py"
              ];
              User = "1000";
              ExposedPorts."8080/tcp" = { };
              # Output is seen at once, and nothing is written beside the sources.
              Env = [
                "PYTHONUNBUFFERED=1"
                "PYTHONDONTWRITEBYTECODE=1"
              ];
            };
          };
        }
      );
    };
}
