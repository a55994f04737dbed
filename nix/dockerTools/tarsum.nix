/**
  A program that prints Docker's sum of the tar on its standard input, `tarsum.v1+sha256:..`.
*/
{ internal, ... }:
internal.tools.writeShellScriptBin "tarsum" ''
  exec ${internal.strata}/bin/strata tarsum
''
