/**
  What the layers of an image or of `buildLayer` have besides their content, as fields of the request: those that say
  something else than usual.

  # Inputs

  `uid` (integer)
  : Who owns the store paths.

  `gid` (integer)
  : Which group owns them.

  `mtime` (string or path)
  : The time of everything; null for the one that the store has.

  `includeStorePaths` (boolean)
  : Whether there are layers of store paths.
*/
{ lib }:
{
  uid,
  gid,
  mtime,
  includeStorePaths,
}:
lib.optionalAttrs (uid != 0 || gid != 0) { storeOwner = { inherit uid gid; }; }
// lib.optionalAttrs (mtime != null) { mtime = "${mtime}"; }
// lib.optionalAttrs (!includeStorePaths) { inherit includeStorePaths; }
