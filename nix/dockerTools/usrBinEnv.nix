/**
  `/usr/bin/env`, for scripts that begin with `#!/usr/bin/env`.
*/
{ coreutils, tools }:
tools.runCommand "usr-bin-env" { } ''
  mkdir -p $out/usr/bin
  ln -s ${coreutils}/bin/env $out/usr/bin/env
''
