/**
  What a profile needs to know of a package.

  # Inputs

  `function` (string)
  : The function whose argument it is in, for errors.

  `package` (package)
  : The package.
*/
{ lib }:
function: package:
let
  # `openssl.dev` is that output alone.
  names =
    if package.outputSpecified or false then
      [ package.outputName ]
    else
      package.meta.outputsToInstall or package.outputsToInstall or [ "out" ];
  outputs = lib.genAttrs names (
    name: if package.outputSpecified or false then "${package}" else "${package.${name} or package}"
  );
in
lib.throwIfNot (lib.isDerivation package)
  ''
    ${function}: `packages` has something in it that is no package
    hint: only derivations can be in a profile; take `pkgs.hello` and not its path''
  (
    {
      inherit (package) name;
      inherit outputs;
      outputsToInstall = names;
      priority = package.meta.priority or 5;
    }
    // lib.optionalAttrs (package ? system) { inherit (package) system; }
  )
