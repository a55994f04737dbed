/**
  An image by a name that lists its packages, as nixery serves them: `shell/git/htop`.

  Certificates (`cacert`) and `iana-etc` are always in it. `shell` at the beginning of the name adds a shell and what one
  uses in it: `bashInteractive`, `coreutils`, `moreutils` and `nano`. `arm64` there makes it an image for that architecture.
  The order of the packages does not matter. `strata registry` builds the same images when they are pulled.

  # Inputs

  `name` (string)
  : The names of packages, as `prepareImage` takes them, with slashes between them.

  `tag` (string; default: `"latest"`)
  : The tag of the image.

  `system` (string; default: `pkgs.stdenv.hostPlatform.system`)
  : The system whose packages are in the image, if its name does not say so.

  `srcType` (string; default: `null`)
  : Where the package set comes from, as for `prepareImage`. `null` is the one that these functions were made for.

  `srcArgs` (string; default: `null`)
  : Which one, as for `prepareImage`.

  `importArgs` (attribute set; default: `{ }`)
  : More that the package set is called with.

  # Examples

  ```nix
  strata.fromName { name = "shell/git/hello"; }
  ```
*/
{
  pkgs,
  internal,
  prepareImage,
}:
let
  inherit (pkgs) lib;
  makeOverridable = internal.publicFunction {
    name = "fromName";
    types = with internal.types; {
      name = string;
      tag = string;
      system = string;
      srcType = orNull string;
      srcArgs = orNull string;
      importArgs = attributes;
    };
    refused = internal.refusedEverywhere;
  };

  shell = [
    "bashInteractive"
    "coreutils"
    "moreutils"
    "nano"
  ];
  always = [
    "cacert"
    "iana-etc"
  ];
  # What the words at the beginning of a name say, and the packages behind them.
  parse =
    request: components:
    if components == [ ] then
      request
    else if lib.head components == "shell" then
      parse (request // { packages = request.packages ++ shell; }) (lib.tail components)
    else if lib.head components == "arm64" then
      parse (request // { system = "aarch64-linux"; }) (lib.tail components)
    else
      request // { packages = request.packages ++ components; };

  ownPackages =
    { importArgs, ... }:
    if importArgs == { inherit (pkgs.stdenv.hostPlatform) system; } then
      pkgs
    else
      import pkgs.path importArgs;
in
makeOverridable (
  {
    name,
    tag ? "latest",
    system ? pkgs.stdenv.hostPlatform.system,
    srcType ? null,
    srcArgs ? null,
    importArgs ? { },
  }:
  let
    request = parse {
      inherit system;
      packages = always;
    } (lib.splitString "/" name);
    source =
      if srcType == null && srcArgs == null then
        { loadPkgs = ownPackages; }
      else
        lib.optionalAttrs (srcType != null) { inherit srcType; }
        // lib.optionalAttrs (srcArgs != null) { inherit srcArgs; };
    prepared = prepareImage (
      source
      // {
        inherit importArgs;
        inherit (request) system;
        packages = lib.sort builtins.lessThan (lib.unique request.packages);
      }
    );
  in
  prepared.image.override { inherit name tag; }
)
