{
  description = "A service in Go, as an image";

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
      # nix run .#image.copyTo -- docker://registry.example/service:1.0
      packages = forEachSystem (
        system:
        let
          pkgs = nixpkgs.legacyPackages.${system};
          inherit (strata.lib.${system}) buildImage;
        in
        rec {
          default = pkgs.buildGoModule {
            pname = "service";
            version = "0.1.0";
            src = ./.;
            # With dependencies in go.mod, Nix says what to write here.
            vendorHash = null;
            env.CGO_ENABLED = 0;
          };

          image = buildImage {
            name = "service";
            tag = "latest";
            system.users.service.uid = 1000;
            config = {
              Entrypoint = [ "${default}/bin/service" ];
              # A number, as Kubernetes wants it with runAsNonRoot.
              User = "1000";
              ExposedPorts."8080/tcp" = { };
              # For connections to others.
              Env = [ "SSL_CERT_FILE=${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt" ];
            };
          };
        }
      );
    };
}
