/**
  The rules of a base system: owners and modes that the store cannot hold.

  # Inputs

  `system` (derivation)
  : The base system's derivation.

  `users` (attribute set of users by name)
  : All of them.

  `groups` (attribute set of groups by name)
  : All of them.

  `shadow` (boolean)
  : Whether there is `/etc/shadow`.

  `gshadow` (boolean)
  : Whether there is `/etc/gshadow`.

  `shared` (list of strings)
  : Directories that everybody may write to.

  `nixUid` (integer)
  : Who owns what is below `/nix`.

  `nixGid` (integer)
  : Which group owns what is below `/nix`.

  `hasNix` (boolean)
  : Whether there is anything below `/nix`.

  `owned` (list of attribute sets)
  : Directories of somebody: `path`, and `user`, `group` and `mode` where they are given.
*/
{ lib, groups-of }:
{
  system,
  users,
  groups,
  shadow,
  gshadow,
  shared,
  nixUid,
  nixGid,
  hasNix,
  owned,
}:
let
  root = "^${lib.escapeRegex "${system}"}";
  rule =
    regex: fields:
    {
      path = system;
      regex = root + regex;
    }
    // fields;
  file = path: rule "${lib.escapeRegex path}$";
  tree = path: rule "${lib.escapeRegex path}(/.*)?$";

  # The owner and the mode of `/` are not in a layer.
  hasHome =
    user:
    let
      home = user.home or "/var/empty";
    in
    user.createHome or (home != "/var/empty") && home != "/";
  gidOf = groups-of.gidOf groups;
  groupNames = groups-of.names groups;
  homeRules =
    name: user:
    let
      gid = gidOf name user;
    in
    lib.optionals (hasHome user) [
      (tree user.home (
        {
          inherit (user) uid;
          inherit gid;
          uname = name;
        }
        // lib.optionalAttrs (groupNames ? ${toString gid}) { gname = groupNames.${toString gid}; }
      ))
      (file user.home { mode = "0700"; })
    ];
  # Whose directory it is.
  ownerRule =
    {
      path,
      user ? "root",
      group ? null,
      mode ? "0755",
    }:
    let
      known =
        kind: name: accounts:
        accounts.${name} or (throw ''
          baseSystem: ${path} in `directories` is for the ${kind} ${builtins.toJSON name}, whom `${kind}s` does not have
          hint: it has ${lib.concatStringsSep ", " (lib.attrNames accounts)}'');
      owner = known "user" user users;
      gid = if group == null then gidOf user owner else (known "group" group groups).gid;
    in
    file path (
      {
        inherit (owner) uid;
        inherit gid mode;
        uname = user;
      }
      // lib.optionalAttrs (groupNames ? ${toString gid}) { gname = groupNames.${toString gid}; }
    );
  shadowRule =
    path:
    file path (
      {
        mode = "0640";
      }
      // lib.optionalAttrs (groups ? shadow) {
        inherit (groups.shadow) gid;
        gname = "shadow";
      }
    );
in
# Files are 0444 in the store, and directories 0555.
[ (rule "" { orMode = "0200"; }) ]
++ lib.optional (hasNix && (nixUid != 0 || nixGid != 0)) (
  tree "/nix" {
    uid = nixUid;
    gid = nixGid;
  }
)
++ map (path: file path { mode = "1777"; }) shared
++ lib.concatLists (lib.mapAttrsToList homeRules users)
++ map ownerRule owned
++ lib.optional shadow (shadowRule "/etc/shadow")
++ lib.optional gshadow (shadowRule "/etc/gshadow")
