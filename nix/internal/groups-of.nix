/**
  Which group a user is in where nobody says another, and how groups are called.
*/
{ lib }:
{
  /**
    The number of the group of a user called `name`. One that the builder will refuse must not be refused here
    first, with another message.
  */
  gidOf =
    groups: name: user:
    let
      gid = user.gid or groups.${name}.gid or 65534;
    in
    if gid == null then 65534 else gid;

  /**
    The names of groups by their numbers.
  */
  names =
    groups: lib.mapAttrs' (name: group: lib.nameValuePair (toString (group.gid or "")) name) groups;
}
