# A server of static files, with the content in the store and the port in the configuration.
{ pkgs, strata }:
let
  port = "8080";
  content = pkgs.writeTextDir "index.html" ''
    <!doctype html>
    <title>Strata</title>
    <h1>Hello from a store path</h1>
  '';
in
strata.buildImage {
  name = "web-server";
  layers = [ (strata.buildLayer { deps = [ pkgs.busybox ]; }) ];
  config = {
    Cmd = [
      "${pkgs.busybox}/bin/busybox"
      "httpd"
      "-f"
      "-p"
      port
      "-h"
      content
    ];
    ExposedPorts."${port}/tcp" = { };
  };
}
