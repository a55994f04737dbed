# A user with a home, and `/tmp` as everywhere: `system` brings files, owners and modes.
{ pkgs, strata }:
strata.buildImage {
  name = "users";
  system = {
    users.somebody = {
      uid = 1000;
      home = "/home/somebody";
      shell = "/bin/sh";
      description = "Somebody";
    };
    groups.somebody.gid = 1000;
    binSh = "${pkgs.bash}/bin/bash";
  };
  config = {
    User = "somebody";
    WorkingDir = "/home/somebody";
    Env = [ "PATH=${pkgs.coreutils}/bin" ];
    Cmd = [
      "/bin/sh"
      "-c"
      "id -un; touch ~/file /tmp/file; ls -l ~ /tmp"
    ];
  };
}
