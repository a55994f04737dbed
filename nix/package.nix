/**
  One of the programs of the Cargo workspace.

  Only the files that a program is made of are in its source, so that a change elsewhere in the tree
  rebuilds nothing, and a change of the command line, or of a crate that only that one needs, does not
  rebuild every layer.

  # Inputs

  `pname` (string, default: `"strata"`)
  : Which one: `strata`, which people run, `strata-builder`, which Nix runs as the builder of layers and
    images, or `strata-fakeroot`, which runs scripts as root and writes layers of what they did.
*/
{
  lib,
  stdenv,
  rustPlatform,
  pname ? "strata",
}:
let
  cli = pname == "strata";
  manifest = builtins.fromTOML (builtins.readFile ../Cargo.toml);
  workspace = import ./internal/cargo-workspace.nix {
    root = ../.;
    package = pname;
  };

  # Relative to the root of the tree. A folder stands for everything in it.
  included =
    if cli then
      [
        "Cargo.toml"
        "Cargo.lock"
        "crates"
        "src"
      ]
    else
      map (name: "crates/${name}/src") workspace.crates;

  root = toString ../.;
  isWithin = path: folder: path == "${root}/${folder}" || lib.hasPrefix "${root}/${folder}/" path;
  leadsTo = path: folder: lib.hasPrefix "${path}/" "${root}/${folder}";
  isIncluded = path: lib.any (folder: isWithin path folder || leadsTo path folder) included;

  writeText = path: text: ''
    cp ${builtins.toFile (baseNameOf path) text} ${path}
  '';
in
rustPlatform.buildRustPackage {
  inherit pname;
  inherit (manifest.workspace.package) version;

  src = builtins.path {
    name = "${pname}-source";
    path = ../.;
    filter = path: _type: isIncluded path;
  };
  cargoLock = if cli then { lockFile = ../Cargo.lock; } else { lockFileContents = workspace.lock; };
  prePatch = lib.optionalString (!cli) (
    lib.concatStrings (
      lib.mapAttrsToList writeText (workspace.manifests // { "Cargo.lock" = workspace.lock; })
    )
  );

  cargoBuildFlags = [
    "--package"
    pname
  ];
  # The tests need Nix and container engines: `make test` runs them.
  doCheck = false;

  # The program writes them itself, where it can run.
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
      {
        strata = manifest.package.description;
        strata-builder = "The builder of Strata's layers and images";
        strata-fakeroot = "Runs scripts as root in Nix's sandbox and writes layers of what they did";
      }
      .${pname};
    homepage = manifest.workspace.package.repository;
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = pname;
  };
}
