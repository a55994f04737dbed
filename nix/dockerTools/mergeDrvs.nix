/**
  Put derivations into one directory: the files of directories, and what is in archives. The last one that has a path
  wins.

  # Inputs

  `derivations` (list of derivations)
  : Directories, and archives of tar.

  `onlyDeps` (boolean; default: `false`)
  : Whether there is only a file that has their paths, with spaces between them.
*/
{ pkgs, internal }:
let
  inherit (pkgs) lib;
  makeOverridable = internal.publicFunction {
    name = "mergeDrvs";
    types = with internal.types; {
      derivations = paths;
      onlyDeps = boolean;
    };
  };
in
makeOverridable (
  {
    derivations,
    onlyDeps ? false,
  }:
  internal.tools.runCommand "merge-drvs"
    {
      inherit derivations;
    }
    (
      if onlyDeps then
        ''
          echo $derivations > $out
        ''
      else
        ''
          mkdir $out
          for derivation in $derivations; do
            if [ -d "$derivation" ]; then
              cp -dRf "$derivation"/. $out/
              chmod -R u+w $out
            else
              tar -C $out -xf "$derivation"
            fi
          done
        ''
    )
)
