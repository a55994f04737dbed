/**
  A copy of nixpkgs under the name that it has as the input of a flake, so that it is not copied once
  more.

  # Inputs

  `source` (path or string)
  : Where nixpkgs is.
*/
source:
if builtins.isPath source then
  builtins.path {
    name = "source";
    path = source;
  }
else
  source
