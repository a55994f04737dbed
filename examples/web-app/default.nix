# A web application whose interpreter and server are in a layer of their own. The application is a
# folder of this repository: a change of it copies a layer of a few hundred bytes.
{ pkgs, strata }:
strata.buildImage {
  name = "web-app";
  layers = [
    (strata.buildLayer {
      deps = [
        pkgs.bash
        pkgs.busybox
        pkgs.coreutils
      ];
    })
  ];
  copyToRoot = pkgs.writeTextFile {
    name = "web-app";
    destination = "/app/cgi-bin/hello";
    executable = true;
    text = builtins.replaceStrings [ "@bash@" ] [ "${pkgs.bash}" ] (builtins.readFile ./cgi-bin/hello);
  };
  config = {
    Cmd = [
      "${pkgs.busybox}/bin/busybox"
      "httpd"
      "-f"
      "-p"
      "9090"
      "-h"
      "/app"
    ];
    Env = [ "PATH=${pkgs.coreutils}/bin" ];
    ExposedPorts."9090/tcp" = { };
  };
}
