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

  program = derivation {
    name = "program";
    inherit system;
    builder = "/bin/sh";
    args = [
      "-c"
      ''
        PATH=/nix/var/nix/profiles/default/bin
        mkdir -p $out/bin
        echo '#!/bin/sh' > $out/bin/program
        echo 'echo Hello from a profile' >> $out/bin/program
        chmod +x $out/bin/program
      ''
    ];
  };
}
