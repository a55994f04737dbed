# A script that writes the manifest that a name means now to standard output.
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
