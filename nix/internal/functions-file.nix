/**
  A file in the store with the functions of Strata for the package set at `nixpkgs`: what programs that evaluate them
  later are given.

  # Inputs

  `nixpkgs` (path)
  : Where the package set is, of which tools are taken.
*/
{ pkgs }:
{ nixpkgs }:
let
  inherit (pkgs) lib;
  # What the functions and the programs are made of.
  included = [
    "Cargo.lock"
    "Cargo.toml"
    "crates"
    "nix"
    "src"
  ];
  root = toString ../..;
  source = builtins.path {
    name = "strata-source";
    path = ../..;
    filter =
      path: _type: lib.any (it: path == "${root}/${it}" || lib.hasPrefix "${root}/${it}/" path) included;
  };
in
pkgs.buildPackages.writeText "strata.nix" ''
  import ${source}/nix {
    pkgs = import ${nixpkgs} { system = "${pkgs.stdenv.buildPlatform.system}"; };
  }
''
