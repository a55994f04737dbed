# A user with a home, and `/tmp` as everywhere: files from Nix, their owners and modes from `perms`.
{ pkgs, strata }:
let
  passwd = pkgs.writeTextDir "etc/passwd" ''
    root:x:0:0:System administrator:/root:/bin/sh
    somebody:x:1000:1000:Somebody:/home/somebody:/bin/sh
  '';
  group = pkgs.writeTextDir "etc/group" ''
    root:x:0:
    somebody:x:1000:
  '';
  directories = pkgs.runCommand "directories" { } ''
    mkdir -p $out/home/somebody $out/tmp
  '';
in
strata.buildImage {
  name = "users";
  copyToRoot = [
    passwd
    group
    directories
  ];
  perms = [
    {
      path = directories;
      regex = "/home/somebody$";
      mode = "0700";
      uid = 1000;
      gid = 1000;
      uname = "somebody";
      gname = "somebody";
    }
    {
      path = directories;
      regex = "/tmp$";
      mode = "1777";
    }
  ];
  config = {
    User = "somebody";
    WorkingDir = "/home/somebody";
    Env = [ "PATH=${pkgs.coreutils}/bin" ];
    Cmd = [
      "${pkgs.bash}/bin/bash"
      "-c"
      "id -un; touch ~/file /tmp/file; ls -l ~ /tmp"
    ];
  };
}
