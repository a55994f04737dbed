/**
  Packages by name, as nixery's server asks for them, in the place of its own function of that name; and an image of Strata
  with the same packages.

  The result is the file `build-output.json`. It has the runtime graph of the packages and what is known of the layer
  with the links to their files, or the error `not_found` with the names that the package set does not have. The
  layer also has `/tmp`, which everybody may write to, and `/usr/bin/env` if the coreutils of the package set are in
  the image.

  `nixery-prepare-image` is the program that nixery's server runs: it takes these arguments as `nix-build` does and prints
  the path of the file.

  # Inputs

  `packages` (string or list of strings; default: `"[]"`)
  : The names of packages, as a list or as its JSON. `"xorg.xev"` is in a set; capitals may be left out in the names at the
    top of the package set, as in `"haskellpackages.hlint"`; and a digit at the beginning stands for what nixpkgs calls
    the same with an underscore (`"1password"`).

  `srcType` (string; default: `"nixpkgs"`)
  : Where the package set comes from: `"nixpkgs"`, `"git"`, `"path"` or `"flake"`.

  `srcArgs` (string; default: `"nixos-unstable"`)
  : Which one: a branch or commit of nixpkgs; the arguments of `builtins.fetchGit` as JSON; a path; or a reference of
    a flake.

  `system` (string; default: `"x86_64-linux"`)
  : The system whose packages are in the image.

  `importArgs` (attribute set; default: `{ }`)
  : More that the package set is called with, such as `{ config.allowUnfree = true; }`. A flake heeds only `system`.

  `loadPkgs` (path or function; default: `./internal/load-packages.nix`)
  : A function of `srcType`, `srcArgs` and `importArgs`, which has `system` in it, or a file with one: it gives the package
    set.

  # Attributes

  `image` (image)
  : The packages as an image of `buildImage` with all of its attributes, for the architecture of the package set. Its
    command is `bash` if `bashInteractive` is one of the packages. It throws if names are missing.

  `missing` (list of strings)
  : The names that were not found.

  `symlinkLayer` (derivation)
  : The layer with the links, a tar.

  `packageSet` (attribute set)
  : The package set.

  # Examples

  ```nix
  (strata.prepareImage {
    packages = [ "bashInteractive" "hello" ];
    loadPkgs = _: pkgs;
  }).image
  ```
*/
{
  pkgs,
  internal,
  buildImage,
}:
let
  inherit (pkgs) lib;
  inherit (internal) tools;

  makeOverridable = internal.publicFunction {
    name = "prepareImage";
    types = with internal.types; {
      packages = names;
      srcType = string;
      srcArgs = string;
      system = string;
      importArgs = attributes;
      loadPkgs = loader;
    };
    refused = internal.refusedEverywhere;
  };
  names =
    name: value: if lib.isString value then [ ] else with internal.types; listOf string name value;
  loader = name: value: if lib.isFunction value then [ ] else internal.types.path name value;
in
makeOverridable (
  {
    packages ? "[]",
    srcType ? "nixpkgs",
    srcArgs ? "nixos-unstable",
    system ? "x86_64-linux",
    importArgs ? { },
    loadPkgs ? ./internal/load-packages.nix,
  }:
  let
    packageSet = (if lib.isFunction loadPkgs then loadPkgs else import loadPkgs) {
      inherit srcType srcArgs;
      importArgs = importArgs // {
        inherit system;
      };
    };
    requested = if lib.isString packages then builtins.fromJSON packages else packages;
    inherit
      (internal.findPackages {
        packages = packageSet;
        names = requested;
      })
      found
      missing
      ;
    has = name: packageSet ? ${name} && lib.elem packageSet.${name} found;

    links = internal.dockerImage.tree {
      name = "links";
      function = "prepareImage";
      form = "links";
      sources = found;
    };
    # Whether coreutils are in the image is known when its closure is.
    root =
      tools.runCommand "bulk-layers"
        {
          exportReferencesGraph = [
            "closure"
            links
          ];
        }
        ''
          cp -dR ${links} $out
          chmod -R u+w $out
          coreutils=${builtins.unsafeDiscardStringContext "${packageSet.coreutils}"}
          if grep -qxF "$coreutils" closure && [ ! -e $out/usr/bin/env ]; then
            mkdir -p $out/usr/bin
            ln -s "$coreutils/bin/env" $out/usr/bin/env
          fi
        '';
    image =
      lib.throwIf (missing != [ ])
        ''
          prepareImage: the package set does not have ${lib.concatStringsSep ", " missing}
          hint: names are attributes of the package set, such as hello or python3Packages.flask''
        (buildImage {
          name = "packages";
          arch = packageSet.go.GOARCH;
          os = "linux";
          copyToRoot = root;
          files."/tmp" = {
            type = "directory";
            mode = "1777";
          };
          config = {
            # Docker and podman would add one, and containerd does not.
            Env = [
              "PATH=/bin:/sbin:/usr/bin"
            ]
            ++ lib.optional (has "cacert") "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt";
          }
          // lib.optionalAttrs (has "bashInteractive") { Cmd = [ "bash" ]; };
        });
    symlinkLayer = internal.dockerImage.runStrata {
      name = "symlink-layer.tar";
      args = [
        "export"
        (image.override { includeStorePaths = false; })
        (placeholder "out")
        "--compression=none"
      ];
    } (layer: layer);

    output =
      if missing != [ ] then
        tools.writeText "build-output.json" (
          builtins.toJSON {
            error = "not_found";
            pkgs = missing;
          }
        )
      else
        derivation {
          name = "build-output.json";
          inherit (tools.stdenv.buildPlatform) system;
          builder = "${tools.bash}/bin/bash";
          args = [
            "-euc"
            ''
              . "$NIX_ATTRS_SH_FILE"
              export PATH
              hash=$(sha256sum "$symlinkLayer")
              {
                printf '{"runtimeGraph":'
                cat "$NIX_ATTRS_JSON_FILE"
                printf ',"symlinkLayer":{"path":"%s","size":%d,"tarHash":"%s"}}' \
                  "$symlinkLayer" "$(stat -c %s "$symlinkLayer")" "''${hash%% *}"
              } > "''${outputs[out]}"
            ''
          ];
          PATH = "${tools.coreutils}/bin";
          preferLocalBuild = true;
          __structuredAttrs = true;
          exportReferencesGraph.graph = found;
          symlinkLayer = "${symlinkLayer}";
        };
  in
  output
  // {
    inherit
      image
      missing
      packageSet
      symlinkLayer
      ;
  }
)
