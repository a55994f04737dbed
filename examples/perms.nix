# Modes of files. The last rule that matches a file wins; an empty `regex` is found in every path.
{ pkgs, strata }:
let
  files = pkgs.runCommand "files" { } ''
    mkdir -p $out/data
    touch $out/data/open.txt $out/data/secret.txt
  '';
in
strata.buildImage {
  name = "perms";
  copyToRoot = files;
  perms = [
    {
      path = files;
      regex = "";
      mode = "0777";
    }
    {
      path = files;
      regex = "secret";
      mode = "0600";
    }
  ];
  config.Entrypoint = [
    "${pkgs.coreutils}/bin/ls"
    "-l"
    "/data"
  ];
}
