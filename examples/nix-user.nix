# The same for a user who is not root: the store, the database and the home are the user's own from
# the start, so nothing needs to change owners or identities when the image runs.
{ strata, ... }:
strata.buildNixImage {
  name = "nix-user";
  uid = 1000;
  gid = 1000;
  uname = "somebody";
  gname = "somebody";
  nixConf.experimental-features = [
    "nix-command"
    "flakes"
  ];
}
