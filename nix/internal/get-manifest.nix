/**
  A script that writes the manifest that a name means now to standard output.

  # Inputs

  `reference` (string)
  : The name in the registry.

  `platform` (string)
  : Which of several images, as in `linux/arm64`.

  `tlsVerify` (boolean)
  : Whether to insist on HTTPS with a good certificate.
*/
{ tools, strata }:
let
  inherit (tools.lib) boolToString escapeShellArg;
in
{
  reference,
  platform,
  tlsVerify,
}:
tools.writeShellScriptBin "get-manifest" ''
  exec ${strata}/bin/strata pull ${escapeShellArg reference} - --only manifest \
    --platform ${escapeShellArg platform} --tls-verify=${boolToString tlsVerify} --quiet "$@"
''
