/**
  The layer of `buildImage` without store paths: a directory with `layer.tar`, and the files `json` and `VERSION` that
  Docker's images had of old.

  # Inputs

  `name` (string)
  : Its name.

  `baseJson` (path)
  : A file with a JSON object, which goes into `json` with the sum of `layer.tar`.

  `copyToRoot` (derivation, path, string, or a list of them; default: `null`)
  : Directories that are copied into it, as for `buildImage`.

  `keepContentsDirlinks` (boolean; default: `false`)
  : As for `buildImage`.

  `extraCommands` (string; default: `""`)
  : As for `buildImage`.

  `uid` (integer; default: `0`)
  : Who owns what is in it.

  `gid` (integer; default: `0`)
  : The group.
*/
{
  pkgs,
  internal,
  storeDir,
}:
let
  # `database` is an image that has one.
  build =
    {
      name,
      baseJson,
      copyToRoot ? null,
      keepContentsDirlinks ? false,
      extraCommands ? "",
      uid ? 0,
      gid ? 0,
      database ? null,
    }:
    internal.dockerLayer {
      inherit
        name
        baseJson
        copyToRoot
        keepContentsDirlinks
        storeDir
        database
        uid
        gid
        ;
      unprivileged = extraCommands;
    };
  makeOverridable = internal.publicFunction {
    name = "mkPureLayer";
    types = internal.dockerArguments.types // internal.dockerArguments.layerTypes;
  };
in
makeOverridable (
  {
    name,
    baseJson,
    copyToRoot ? null,
    keepContentsDirlinks ? false,
    extraCommands ? "",
    uid ? 0,
    gid ? 0,
  }@arguments:
  build arguments
)
// {
  make = build;
}
