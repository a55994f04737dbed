# A directory that everybody may write to. The store knows no such modes: `perms` sets them when the
# layer is written.
{ pkgs, strata }:
let
  tmp = pkgs.runCommand "tmp" { } ''
    mkdir -p $out/tmp
  '';
in
strata.buildImage {
  name = "openbar";
  layers = [
    (strata.buildLayer {
      copyToRoot = tmp;
      perms = [
        {
          path = tmp;
          regex = "/tmp$";
          mode = "0777";
        }
      ];
    })
  ];
  config.Entrypoint = [
    "${pkgs.coreutils}/bin/ls"
    "-l"
    "/"
  ];
}
