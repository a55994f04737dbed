# Images that live together: what both have lies in layers that both have. This is the first of them; all of them are
# `images`, and `nix run .#examples.fleet.images.copyTo -- docker://HOST/PREFIX/` copies both.
{ pkgs, strata }:
let
  images = strata.buildImages {
    web.config.Entrypoint = [
      "${pkgs.busybox}/bin/busybox"
      "echo"
      "I serve."
    ];
    worker.config.Entrypoint = [
      "${pkgs.hello}/bin/hello"
      "--greeting=I work."
    ];
  };
in
images.web // { inherit images; }
