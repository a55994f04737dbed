# An image in which Nix works, for root, with a profile, a channel and a database of its store paths.
{ pkgs, strata }:
strata.buildNixImage {
  name = "nix";
  extraPkgs = [ pkgs.hello ];
  nixConf.experimental-features = [
    "nix-command"
    "flakes"
  ];
}
