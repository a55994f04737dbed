# What goes to the root of the file system, under its new name and the one before.
{ lib, storePaths }:
function:
{ copyToRoot, contents }:
lib.throwIf (copyToRoot != null && contents != null)
  ''
    ${function}: both `copyToRoot` and `contents` are given, which are two names of one argument
    hint: move everything to `copyToRoot`''
  (
    lib.warnIf (contents != null) "${function}: `contents` is called `copyToRoot` now" (
      storePaths.toPaths (
        if copyToRoot != null then
          copyToRoot
        else if contents != null then
          contents
        else
          [ ]
      )
    )
  )
