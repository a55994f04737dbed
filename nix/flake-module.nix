/**
  The module for flake-parts: images by name, from which packages, an app to push and a check come.

  ```nix
  imports = [ inputs.strata.flakeModules.default ];
  perSystem = { pkgs, strata, ... }: {
    images.app = {
      layers = [ (strata.buildLayer { deps = [ pkgs.bash ]; }) ];
      config.Cmd = [ "${pkgs.hello}/bin/hello" ];
    };
  };
  ```

  # Inputs

  `strataFor` (function)
  : The functions of Strata for a package set.
*/
{ strataFor }:
{ lib, flake-parts-lib, ... }:
{
  options.perSystem = flake-parts-lib.mkPerSystemOption (
    { config, pkgs, ... }:
    let
      strata = strataFor pkgs;

      # Darwin's own packages make no image, and whoever lists all systems does not mean one.
      isMeant =
        image:
        pkgs.stdenv.hostPlatform.isLinux
        || lib.isDerivation image
        || image.os or null != null
        || image.platform or null != null;
      build =
        name: image:
        if lib.isDerivation image then image else strata.buildImage ({ inherit name; } // image);
      images = lib.mapAttrs build (lib.filterAttrs (_: isMeant) config.images);
    in
    {
      options.images = lib.mkOption {
        type = lib.types.lazyAttrsOf lib.types.raw;
        default = { };
        description = ''
          Images by name: arguments of `buildImage`, whose `name` is that of the attribute if they do not
          say otherwise, or images and indexes as they are.
        '';
      };

      config = {
        _module.args = { inherit strata; };

        packages = images;
        apps = lib.mapAttrs' (
          name: image:
          lib.nameValuePair "${name}-push" {
            type = "app";
            program = "${image.copyToRegistry}/bin/copy-to-registry";
          }
        ) images;
        # Makes every layer, and compares it with what the image says.
        checks = lib.mapAttrs' (
          name: image:
          lib.nameValuePair "${name}-verify" (
            pkgs.buildPackages.runCommand "${name}-verify" { } ''
              ${strata.strata}/bin/strata verify ${image}
              touch $out
            ''
          )
        ) images;
      };
    }
  );
}
