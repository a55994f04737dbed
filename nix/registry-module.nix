/**
  The module for NixOS of the registry that builds images when they are pulled.

  ```nix
  imports = [ inputs.strata.nixosModules.registry ];
  services.strata-registry.enable = true;
  services.strata-registry.settings = {
    listen = "0.0.0.0:5000";
    sources.default = { type = "nixpkgs"; reference = "nixos-25.05"; };
  };
  ```
*/
{ strataFor }:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.strata-registry;
  format = pkgs.formats.toml { };
  file = format.generate "strata-registry.toml" (
    lib.recursiveUpdate { state = "/var/lib/strata-registry"; } cfg.settings
  );
in
{
  options.services.strata-registry = {
    enable = lib.mkEnableOption "the registry that builds images when they are pulled";
    package = lib.mkOption {
      type = lib.types.package;
      default = (strataFor pkgs).registry;
      defaultText = lib.literalExpression "strata.registry";
      description = "The registry, with the functions that build images.";
    };
    settings = lib.mkOption {
      inherit (format) type;
      default = {
        sources.default = {
          type = "path";
          reference = "${pkgs.path}";
        };
      };
      defaultText = lib.literalExpression ''
        { sources.default = { type = "path"; reference = "''${pkgs.path}"; }; }
      '';
      description = "The configuration, as the guide to images by name has it.";
    };
    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether others may reach the port that `settings.listen` names.";
    };
  };

  config = lib.mkIf cfg.enable {
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [
      (lib.toInt (lib.last (lib.splitString ":" (cfg.settings.listen or "127.0.0.1:5000"))))
    ];
    systemd.services.strata-registry = {
      description = "Registry that builds images when they are pulled";
      wantedBy = [ "multi-user.target" ];
      after = [
        "network.target"
        "nix-daemon.socket"
      ];
      path = [
        config.nix.package
        pkgs.gitMinimal
      ];
      environment.XDG_CACHE_HOME = "/var/cache/strata-registry";
      serviceConfig = import ./internal/registry-unit.nix {
        start = "${cfg.package}/bin/strata-registry --config ${file}";
      };
    };
  };
}
