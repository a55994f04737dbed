/**
  What the public functions share.

  # Inputs

  `pkgs` (attribute set)
  : The package set that image contents are built for.

  `tools` (attribute set)
  : That of the machine that builds.

  `strata` (package)
  : The command line.

  `strata-builder` (package)
  : The builder.

  `strata-fakeroot` (package)
  : What runs scripts as root.
*/
{
  pkgs,
  tools,
  strata,
  strata-builder,
  strata-fakeroot,
}:
let
  inherit (pkgs) lib;
  storePaths = import ./store-paths.nix { inherit lib; };
  publicFunction = import ./public-function.nix { inherit lib; };
  groups-of = import ./groups-of.nix { inherit lib; };
  types = import ./types.nix { inherit lib; };
  layering = import ./layering.nix { inherit lib storePaths types; };
  limits = import ./limits.nix { inherit lib types; };
  derive = import ./derive.nix { inherit storePaths runBuilder; };
  commands = import ./commands.nix {
    inherit
      tools
      strata
      publicFunction
      types
      limits
      ;
  };
  dockerImage = import ./docker-image.nix {
    inherit
      pkgs
      tools
      strata
      strata-builder
      strata-fakeroot
      storePaths
      runBuilder
      derive
      layering
      commands
      ;
    inherit (changes) overridable;
  };
  changes = import ./overridable.nix { inherit lib; };
  runBuilder = import ./run-builder.nix {
    inherit lib strata-builder;
    inherit (pkgs.stdenv.buildPlatform) system;
  };
in
{
  inherit (storePaths) configRoots toPaths wholePath;
  inherit (import ./env.nix { inherit lib; }) envOf mergeEnv;
  inherit runBuilder;
  accounts = import ./accounts.nix { inherit lib; };
  annotations = import ./annotations.nix { inherit lib; };
  baseAnnotations = import ./base-annotations.nix { inherit lib; };
  usualAccounts = [
    "nobody"
    "root"
  ];
  inherit
    commands
    derive
    dockerImage
    layering
    limits
    strata
    strata-fakeroot
    tools
    ;
  copyAll = import ./copy-all.nix { inherit tools strata; };
  copyToRoot = import ./copy-to-root.nix { inherit lib storePaths; };
  evaluation = import ./evaluation.nix { inherit lib pkgs; };
  debugTools = import ./debug-tools.nix { inherit tools; };
  derivationEnvironment = import ./derivation-environment.nix { inherit lib tools; };
  dockerArguments = import ./docker-arguments.nix { inherit types layering; };
  dockerLayer = import ./docker-layer.nix { inherit dockerImage strata; };
  fetch = import ./fetch.nix { inherit lib tools strata; };
  fhs = import ./fhs.nix { inherit pkgs; };
  files = import ./files.nix {
    inherit
      lib
      tools
      storePaths
      groups-of
      ;
  };
  findPackages = import ./find-packages.nix { inherit lib; };
  fromImage = import ./from-image.nix { inherit lib; };
  functionsFile = import ./functions-file.nix { inherit pkgs; };
  getManifest = import ./get-manifest.nix { inherit tools strata; };
  layerFields = import ./layer-fields.nix { inherit lib; };
  nixpkgsSource = import ./nixpkgs-source.nix;
  inherit (changes) extend overridable;
  profilePackage = import ./profile-package.nix { inherit lib; };
  # What nix2container, its forks and dockerTools have, and their users bring along.
  refusedEverywhere = {
    compressor = "it is called `compression` here: \"gzip\", \"zstd\" or \"none\"";
    ensureDirs = "say `files.\"/tmp\" = { type = \"directory\"; mode = \"1777\"; }` for each";
    fromTar = "`tarLayers` of `buildImage` are layers as they are; or unpack it in a derivation for `copyToRoot`, and give owners and modes with `perms` or `files`";
    keepContentsDirlinks = "links to directories in `copyToRoot` stay links here: leave it out; `pkgs.symlinkJoin` makes directories of them";
    nestedLayers = "give it to `layers`: a layer knows what is below it";
    permsFile = "say `perms = lib.importJSON ..`";
  };
  inherit publicFunction types;
  skopeoNix2container = import ./skopeo-nix2container.nix { inherit tools; };
  snapshotter = import ./snapshotter.nix { inherit lib commands; };
  systemPerms = import ./system-perms.nix { inherit lib groups-of; };
  tarball = import ./tarball.nix { inherit tools strata; };
  variant = import ./variant.nix { inherit (pkgs) go; };
}
