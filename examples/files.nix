# Files one by one, with what the store cannot hold: a directory that belongs to the user of the image, a setuid
# program and its second name, a program with a capability, a device.
{ pkgs, strata }:
strata.buildImage {
  name = "files";
  system = {
    users.app = {
      uid = 1000;
      gid = 1000;
      home = "/var/lib/app";
      createHome = false;
    };
    groups.app.gid = 1000;
  };
  files = {
    "/var/lib/app" = {
      type = "directory";
      user = "app";
      mode = "0750";
    };
    "/etc/app.conf".text = "port = 80\n";
    "/bin/whoami" = {
      source = "${pkgs.coreutils}/bin/whoami";
      mode = "4755";
    };
    "/bin/logname".hardlink = "/bin/whoami";
    "/bin/cat" = {
      source = "${pkgs.coreutils}/bin/cat";
      capabilities = [ "CAP_NET_RAW" ];
    };
    "/bin/reader".link = "cat";
    "/srv/null" = {
      type = "character";
      major = 1;
      minor = 3;
      mode = "0666";
    };
  };
  config = {
    Cmd = [
      "${pkgs.coreutils}/bin/stat"
      "-c"
      "%a %u:%g %h %n"
      "/var/lib/app"
      "/etc/app.conf"
      "/bin/whoami"
      "/bin/logname"
      "/bin/reader"
      "/srv/null"
    ];
    User = "app";
  };
}
