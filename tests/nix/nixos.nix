# What nix/nixos-module.nix makes of the settings of a system, with as much of NixOS' module system as it uses.
{
  pkgs,
  settings,
  # The engines, as NixOS has them.
  engines ? {
    docker.package = pkgs.hello;
    podman.package = pkgs.hello;
  },
}:
let
  lib = pkgs.lib // {
    mkOption = option: option;
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    literalExpression = text: text;
    types = {
      attrsOf = type: "attributes of ${type}";
      bool = "bool";
      enum = values: values;
      package = "package";
    };
  };
  module = import ../../nix/nixos-module.nix { inherit config lib pkgs; };
  config.virtualisation =
    settings.virtualisation
    // engines
    // {
      strata = pkgs.lib.mapAttrs (
        name: option: settings.virtualisation.strata.${name} or option.default
      ) module.options.virtualisation.strata;
    };

  isLeftOut = value: value._type or null == "if" && !value.condition;
  settle =
    value:
    if pkgs.lib.isDerivation value || !pkgs.lib.isAttrs value then
      value
    else if value._type or null == "if" then
      settle value.content
    else
      pkgs.lib.mapAttrs (_: settle) (pkgs.lib.filterAttrs (_: inner: !isLeftOut inner) value);
in
if isLeftOut module.config then { } else settle module.config
