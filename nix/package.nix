/**
  One of the two binaries, from the same `Cargo.toml`.

  Only the files that a binary is made of are in its source, so that a change elsewhere in the tree
  rebuilds nothing, and a change of the command line does not rebuild every layer.

  # Inputs

  `cli` (boolean, default: `true`)
  : Whether to build `strata`, which people run. Otherwise `strata-builder`, which Nix runs as the
    builder of layers and images.
*/
{
  lib,
  stdenv,
  rustPlatform,
  cli ? true,
}:
let
  pname = if cli then "strata" else "strata-builder";
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);

  # Relative to the root of the tree. A folder stands for everything in it.
  included = [
    "Cargo.toml"
    "Cargo.lock"
    "crates"
    "src"
  ];
  excluded = lib.optionals (!cli) [
    "src/bin/strata.rs"
    "src/cli"
    "src/compress"
    "src/image/compressed.rs"
    "src/transport"
  ];

  root = toString ../.;
  isWithin = path: folder: path == "${root}/${folder}" || lib.hasPrefix "${root}/${folder}/" path;
in
rustPlatform.buildRustPackage {
  inherit pname;
  inherit (manifest.package) version;

  src = builtins.path {
    name = "${pname}-source";
    path = ../.;
    filter = path: _type: lib.any (isWithin path) included && !lib.any (isWithin path) excluded;
  };
  cargoLock.lockFile = ../Cargo.lock;

  buildNoDefaultFeatures = !cli;
  cargoBuildFlags = [
    "--bin"
    pname
  ];
  # The tests need Nix and container engines: `make test` runs them.
  doCheck = false;

  # The binary writes them itself, where it can run.
  postInstall = lib.optionalString (cli && stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    share=$out/share
    mkdir -p $share/bash-completion/completions $share/fish/vendor_completions.d $share/zsh/site-functions
    $out/bin/strata completions bash > $share/bash-completion/completions/strata
    $out/bin/strata completions fish > $share/fish/vendor_completions.d/strata.fish
    $out/bin/strata completions zsh > $share/zsh/site-functions/_strata
    $out/bin/strata man $share/man/man1
  '';

  meta = {
    description =
      if cli then manifest.package.description else "The builder of Strata's layers and images";
    homepage = manifest.package.repository;
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = pname;
  };
}
