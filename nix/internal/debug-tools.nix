/**
  Programs as links in `/usr/local/bin`, file by file, so that nothing in the way is hidden.

  # Inputs

  `packages` (list of packages)
  : Whose programs; of two with one name, the first.
*/
{ tools }:
packages:
tools.runCommand "debug-tools" { preferLocalBuild = true; } ''
  mkdir -p $out/usr/local/bin
  for package in ${
    tools.lib.concatMapStringsSep " " (package: "${tools.lib.getBin package}") packages
  }; do
    for program in $package/bin/*; do
      link=$out/usr/local/bin/''${program##*/}
      [ -L "$link" ] || ln -s "$program" "$link"
    done
  done
''
