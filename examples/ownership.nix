# Files of several owners. A rule is for the files of one store path whose full path its `regex`
# is found in.
{ pkgs, strata }:
let
  files = pkgs.runCommand "files" { } ''
    mkdir -p $out/data
    touch $out/data/alice.txt $out/data/root.txt
  '';
in
strata.buildImage {
  name = "ownership";
  copyToRoot = files;
  perms = [
    {
      path = files;
      regex = "/data/alice.txt$";
      uid = 1001;
      gid = 1002;
      uname = "alice";
      gname = "users";
    }
  ];
  config.Entrypoint = [
    "${pkgs.coreutils}/bin/ls"
    "-ln"
    "/data"
  ];
}
