/**
  `/bin/sh`, which is bash.
*/
{ bashInteractive, tools }:
tools.runCommand "bin-sh" { } ''
  mkdir -p $out/bin
  ln -s ${bashInteractive}/bin/bash $out/bin/sh
''
