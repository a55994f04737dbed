/**
  The users and groups that every system has, and those of Nix's builds.

  # Inputs

  `users` (attribute set of users by name)
  : Those that were asked for.

  `groups` (attribute set of groups by name)
  : Those that were asked for.

  `shell` (string)
  : The shell of root.

  `nixBuildUsers` (integer)
  : How many users build for Nix.
*/
{ lib }:
{
  users,
  groups,
  shell,
  nixBuildUsers,
}:
let
  buildGroup = 30000;

  standardUsers = {
    root = {
      uid = 0;
      gid = 0;
      home = "/root";
      inherit shell;
      groups = [ "root" ];
      description = "System administrator";
    };
    nobody = {
      uid = 65534;
      gid = 65534;
      groups = [ "nobody" ];
      description = "Unprivileged account (don't use!)";
    };
  };
  buildUser =
    number:
    lib.nameValuePair "nixbld${toString number}" {
      uid = buildGroup + number;
      gid = buildGroup;
      groups = [ "nixbld" ];
      description = "Nix build user ${toString number}";
    };
  standardGroups = {
    root.gid = 0;
    nobody.gid = 65534;
  }
  // lib.optionalAttrs (nixBuildUsers > 0) { nixbld.gid = buildGroup; };

  # Single fields of a standard account can be changed: `users.root.shell`.
  merge =
    standard: given: standard // lib.mapAttrs (name: account: standard.${name} or { } // account) given;
in
{
  users = merge (standardUsers // lib.listToAttrs (map buildUser (lib.range 1 nixBuildUsers))) users;
  groups = merge standardGroups groups;
}
