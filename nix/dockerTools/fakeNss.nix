/**
  `/etc/passwd`, `/etc/group` and `/etc/nsswitch.conf` with root and nobody, and `/var/empty`, for programs that insist
  on finding users.

  `fakeNss.override` takes more lines.

  # Inputs

  `extraPasswdLines` (list of strings; default: `[ ]`)
  : More users, as lines of passwd(5).

  `extraGroupLines` (list of strings; default: `[ ]`)
  : More groups, as lines of group(5).
*/
{ lib, tools }:
let
  lines = lib.concatMapStrings (line: line + "\n");
in
lib.makeOverridable (
  {
    extraPasswdLines ? [ ],
    extraGroupLines ? [ ],
  }:
  tools.symlinkJoin {
    name = "fake-nss";
    paths = [
      (tools.writeTextDir "etc/passwd" (
        lines (
          [ "root:x:0:0:root user:/var/empty:/bin/sh" ]
          ++ extraPasswdLines
          ++ [ "nobody:x:65534:65534:nobody:/var/empty:/bin/sh" ]
        )
      ))
      (tools.writeTextDir "etc/group" (
        lines ([ "root:x:0:" ] ++ extraGroupLines ++ [ "nobody:x:65534:" ])
      ))
      (tools.writeTextDir "etc/nsswitch.conf" "hosts: files dns\n")
      (tools.runCommand "var-empty" { } "mkdir -p $out/var/empty")
    ];
  }
) { }
