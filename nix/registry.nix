/**
  The registry that builds images when they are pulled, as a program: `strata registry` with these functions, and with a
  package set to serve where neither a flag nor a configuration names one. `nix run github:strata-oci/strata#registry`
  runs it.

  # Inputs

  `nixpkgs` (path; default: `pkgs.path`)
  : The package set that tools are taken of, and that is served without further words.

  # Attributes

  `image` (image)
  : An image with the registry and Nix in it, which listens on port 5000 and remembers what it built in
    `/var/lib/strata-registry`.

  # Examples

  With the package set of a system, as `services.strata-registry.package` on NixOS:

  ```nix
  strata.registry.override { nixpkgs = pkgs.path; }
  ```
*/
{
  pkgs,
  internal,
  buildNixImage,
}:
pkgs.lib.makeOverridable (
  {
    nixpkgs ? pkgs.path,
  }:
  let
    inherit (internal) tools strata;
    source = internal.nixpkgsSource nixpkgs;
    functions = internal.functionsFile { nixpkgs = source; };
    program = tools.writeShellScriptBin "strata-registry" ''
      case " $* " in
        *' --source'*|*' --config'*|*' --help '*|*' -h '*) ;;
        *) set -- --source path:${source} "$@" ;;
      esac
      exec ${strata}/bin/strata registry --functions ${functions} "$@"
    '';
    state = "/var/lib/strata-registry";
  in
  program
  // {
    image = buildNixImage {
      name = "strata-registry";
      extraPkgs = [ program ];
      bundleNixpkgs = false;
      Cmd = [
        "${program}/bin/strata-registry"
        "--listen"
        "0.0.0.0:5000"
        "--state"
        state
      ];
      config = {
        ExposedPorts."5000/tcp" = { };
        Volumes.${state} = { };
      };
      files.${state} = {
        type = "directory";
        mode = "0700";
      };
    };
  }
) { }
