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
