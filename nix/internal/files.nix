/**
  What is put into an image file by file: as the builder reads it, and what of the store comes with it.

  # Inputs

  `function` (string)
  : The function whose argument this is, for errors.

  `files` (attribute set of attribute sets)
  : As `buildImage` takes it.

  `users` (attribute set of users by name)
  : Those that `user` may name.

  `groups` (attribute set of groups by name)
  : Those that `group` may name.

  # Attributes

  `request` (attribute set)
  : As the builder reads it.

  `sources` (list of store paths)
  : Where the content comes from.

  `deps` (list of store paths)
  : What symlinks lead to.
*/
{
  lib,
  tools,
  storePaths,
  groups-of,
}:
function:
{
  files,
  users,
  groups,
}:
let
  mistake =
    path: field: message: hint:
    throw ''
      ${function}: attribute files.${builtins.toJSON path}${field}: ${message}
      hint: ${hint}'';
  both =
    path: file: one: other:
    if file ? ${one} && file ? ${other} then
      mistake path "" "has both `${one}` and `${other}`" "leave one of them out"
    else
      { };

  known =
    path: kind: field: name: accounts:
    accounts.${name}
      or (mistake path ".${kind}" "${builtins.toJSON name} is no ${kind} of the image's `baseSystem`" (
        "give the number: ${field} = 1000"
        + (
          if accounts == { } then
            ", or describe the ${kind} in `system.${kind}s` of `buildImage`, or in a `baseSystem` in `copyToRoot`"
          else
            "; there are ${lib.concatStringsSep ", " (lib.attrNames accounts)}"
        )
      ));
  ownerOf =
    path: file:
    let
      user = known path "user" "uid" file.user (root // users);
      group = known path "group" "gid" file.group (root // groups);
      gid = groups-of.gidOf (root // groups) file.user user;
      names = groups-of.names (root // groups);
    in
    both path file "user" "uid"
    // both path file "group" "gid"
    // lib.optionalAttrs (file ? user) {
      inherit (user) uid;
      uname = file.user;
    }
    // (
      if file ? group then
        {
          inherit (group) gid;
          gname = file.group;
        }
      else if file ? user && !(file ? gid) then
        { inherit gid; } // lib.optionalAttrs (names ? ${toString gid}) { gname = names.${toString gid}; }
      else
        { }
    );
  # In every image, whether or not it says so.
  root.root = {
    uid = 0;
    gid = 0;
  };

  requested =
    path: file:
    both path file "text" "source"
    // removeAttrs file [
      "user"
      "group"
      "text"
    ]
    // ownerOf path file
    // lib.optionalAttrs (file ? text) {
      source = "${tools.writeText (baseNameOf path) file.text}";
    }
    // lib.optionalAttrs (file ? source) { source = "${file.source}"; }
    // lib.optionalAttrs (file ? link) { link = "${file.link}"; }
    # NixOS' `security.wrappers` has them in one string.
    // lib.optionalAttrs (file ? capabilities) { capabilities = lib.toList file.capabilities; };
  request = lib.mapAttrs requested files;
  all = lib.attrValues request;
  of = field: map (file: file.${field}) (lib.filter (file: file ? ${field}) all);
in
{
  inherit request;
  sources = map storePaths.wholePath (of "source");
  deps = storePaths.configRoots (of "link");
}
