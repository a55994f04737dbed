# A program that may bind ports below 1024 although it does not run as root. Nix keeps no
# capabilities in the store: they are written when the layer is.
{ pkgs, strata }:
strata.buildImage {
  name = "capabilities";
  layers = [
    (strata.buildLayer {
      copyToRoot = pkgs.busybox;
      capabilities = [
        {
          path = pkgs.busybox;
          regex = "/bin/busybox$";
          caps = [ "CAP_NET_BIND_SERVICE" ];
        }
      ];
    })
  ];
  config = {
    Cmd = [
      "/bin/busybox"
      "httpd"
      "-f"
      "-p"
      "80"
    ];
    User = "1000:1000";
    ExposedPorts."80/tcp" = { };
  };
}
