# Every example, by name: `nix build .#examples.hello`, `nix run .#examples.hello.copyTo -- oci:hello`.
{ pkgs, strata }:
let
  example = file: import file { inherit pkgs strata; };
in
{
  bash = example ./bash.nix;
  basic = example ./basic.nix;
  capabilities = example ./capabilities.nix;
  created = example ./created.nix;
  files = example ./files.nix;
  fleet = example ./fleet.nix;
  fromName = example ./from-name.nix;
  hello = example ./hello;
  layered = example ./layered.nix;
  metadata = example ./metadata.nix;
  nested = example ./nested.nix;
  nix = example ./nix.nix;
  nixUser = example ./nix-user.nix;
  nonReproducible = example ./non-reproducible.nix;
  openbar = example ./openbar.nix;
  ownership = example ./ownership.nix;
  passthru = example ./passthru.nix;
  perms = example ./perms.nix;
  platforms = example ./platforms.nix;
  users = example ./users.nix;
  webApp = example ./web-app;
  webServer = example ./web-server.nix;
}
