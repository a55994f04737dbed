{
  description = "A NixOS system, as an image for a container with systemd";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
  inputs.strata.url = "github:strata-oci/strata";
  inputs.strata.inputs.nixpkgs.follows = "nixpkgs";

  outputs =
    { nixpkgs, strata, ... }:
    let
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};

      nixos = nixpkgs.lib.nixosSystem {
        inherit system;
        modules = [
          ./configuration.nix
          { boot.isContainer = true; }
        ];
      };
      inherit (nixos.config.system.build) toplevel;
    in
    {
      # nix run .#image.copyToPodman && podman run --rm -it --systemd=always nixos:latest
      packages.${system}.image = strata.lib.${system}.buildImage {
        name = "nixos";
        tag = "latest";
        maxLayers = 40;
        # podman knows by this path that systemd runs; the rest, NixOS makes when it starts.
        copyToRoot = pkgs.runCommand "root" { } ''
          mkdir -p $out/sbin $out/etc $out/proc $out/run $out/sys $out/tmp $out/var
          ln -s ${toplevel}/init $out/sbin/init
        '';
        config = {
          Cmd = [ "/sbin/init" ];
          StopSignal = "SIGRTMIN+3";
        };
      };
    };
}
