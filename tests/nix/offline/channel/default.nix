# What the channel of an image has as nixpkgs. It builds with what every image of Nix has: a shell.
{
  system ? builtins.currentSystem,
}:
{
  lib.version = "offline";

  greeting = derivation {
    name = "greeting";
    inherit system;
    builder = "/bin/sh";
    args = [
      "-c"
      "echo Hello from a build > $out"
    ];
  };
}
