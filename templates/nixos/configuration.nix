{
  # The service of the container.
  services.nginx = {
    enable = true;
    virtualHosts.default.locations."/".return = "200 'Hello from NixOS\n'";
  };

  networking.firewall.enable = false;
  networking.useDHCP = false;
  # Nobody logs in but by `podman exec`.
  users.allowNoPasswordLogin = true;
  documentation.enable = false;

  system.stateVersion = "24.05";
}
