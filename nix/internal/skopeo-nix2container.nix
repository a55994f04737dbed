/**
  What stands for the patched skopeo of nix2container: the sentence that there is none. A package that
  says it when it runs, for the places where every value has to be a package, and its text as
  `message`.
*/
{ tools }:
let
  message = ''
    skopeo-nix2container: there is no patched skopeo here, and no `nix:`
    hint: copy an image with its attribute `copyTo`: nix run .#image.copyTo -- DESTINATION; or `strata copy IMAGE DESTINATION`'';
in
tools.writeShellScriptBin "skopeo" ''
  printf 'error: %s\n' ${tools.lib.escapeShellArg message} >&2
  exit 1
''
// {
  inherit message;
}
