# What people run with a finished image.
{ tools, strata }:
let
  inherit (tools.lib) escapeShellArg;
in
{
  # The image's derivation.
  image,
  # How the scripts and archives are called.
  baseName,
  # NAME:TAG
  reference,
}:
let
  script = name: arguments: tools.writeShellScriptBin name "exec ${strata}/bin/strata ${arguments}";
in
{
  copyTo = script "copy-to" ''copy ${image} "$@"'';
  copyToRegistry = script "copy-to-registry" ''copy ${image} ${escapeShellArg "docker://${reference}"} "$@"'';
  inspect = script "inspect" ''inspect ${image} "$@"'';

  # The script is the output itself, as NixOS' `imageStream` wants it.
  stream = tools.writeShellScript "stream-${baseName}" ''
    exec ${strata}/bin/strata copy ${image} ${escapeShellArg "docker-archive:-:${reference}"} "$@"
  '';

  # The same image with the digests of its compressed layers, and what people run with that.
  compressed = tools.lib.makeOverridable (
    {
      compression ? null,
    }:
    let
      compressed = derivation {
        name = "${baseName}-compressed";
        inherit (tools.stdenv.buildPlatform) system;
        builder = "${strata}/bin/strata";
        args = [
          "compress"
          image
          (placeholder "out")
        ]
        ++ tools.lib.optional (compression != null) "--compression=${compression}";
        preferLocalBuild = true;
      };
      commands = import ./commands.nix { inherit tools strata; };
    in
    compressed
    // removeAttrs (commands {
      image = compressed;
      inherit baseName reference;
    }) [ "compressed" ]
  ) { };

  archive = derivation {
    name = "${baseName}.tar";
    inherit (tools.stdenv.buildPlatform) system;
    builder = "${strata}/bin/strata";
    args = [
      "copy"
      image
      "docker-archive:${placeholder "out"}:${reference}"
    ];
    preferLocalBuild = true;
  };
}
