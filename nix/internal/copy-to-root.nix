/**
  What goes to the root of the file system, under its new name and the one before: its `paths`, and
  the `perms`, `accounts`, `imageEnv`, `users` and `groups` that come with them, as with a `baseSystem`.

  # Inputs

  `function` (string)
  : The function whose arguments these are, for errors.

  `copyToRoot` (derivation, path, string, or a list of them)
  : As `buildImage` takes it; `null` if it is not given.

  `contents` (as `copyToRoot`)
  : The same.
*/
{ lib, storePaths }:
function:
{ copyToRoot, contents }:
let
  given =
    if copyToRoot != null then
      copyToRoot
    else if contents != null then
      contents
    else
      [ ];
  merged =
    attribute: lib.foldl' (all: source: all // source.${attribute} or { }) { } (lib.flatten given);
in
lib.throwIf (copyToRoot != null && contents != null)
  ''
    ${function}: both `copyToRoot` and `contents` are given, which are two names of one argument
    hint: move everything to `copyToRoot`''
  (
    lib.warnIf (contents != null) "${function}: `contents` is called `copyToRoot` now" {
      paths = storePaths.toPaths "${function}: `copyToRoot`" given;
      accounts = lib.concatMap (source: source.accounts or [ ]) (lib.flatten given);
      perms = lib.concatMap (source: source.perms or [ ]) (lib.flatten given);
      imageEnv = lib.concatMap (source: source.imageEnv or [ ]) (lib.flatten given);
      users = merged "imageUsers";
      groups = merged "imageGroups";
    }
  )
