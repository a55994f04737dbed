# What `nix flake check` builds: the tests of evaluation, and every example, built and read again.
{
  pkgs,
  strata,
  examples,
}:
let
  inherit (pkgs) lib;

  failures = import ./unit.nix { inherit pkgs strata; };
in
# The packages of Darwin make no images.
lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux (
  {
    evaluation =
      lib.throwIf (failures != [ ]) "tests/nix/unit.nix:\n${lib.concatStringsSep "\n" failures}"
        (pkgs.runCommand "evaluation" { } "touch $out");
  }
  // lib.mapAttrs (
    name: image:
    pkgs.runCommand "read-${name}" { } ''
      ${strata.strata}/bin/strata verify ${image}
      ${strata.strata}/bin/strata inspect --json ${image} > $out
    ''
  ) examples
)
