# Some packages are different each time they are built. The digests of a layer are then only right
# together with the very files that they were made from, so `reproducible = false` keeps the tar
# archive of the layer with them.
{ pkgs, strata }:
let
  date = pkgs.runCommand "date" { } ''
    mkdir $out
    date > $out/date.txt
  '';
in
strata.buildImage {
  name = "non-reproducible";
  layers = [
    (strata.buildLayer {
      copyToRoot = date;
      reproducible = false;
    })
  ];
  config.Entrypoint = [
    "${pkgs.coreutils}/bin/cat"
    "/date.txt"
  ];
}
