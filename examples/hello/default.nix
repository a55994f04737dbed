# A script and what it needs, in two layers. A change of the script makes a new upper layer; the
# lower one is neither built nor copied again.
{ pkgs, strata }:
let
  conversation = pkgs.writeShellScriptBin "conversation" (builtins.readFile ./conversation.sh);
in
strata.buildImage {
  name = "hello";
  tag = "latest";
  layers = [
    (strata.buildLayer {
      deps = [
        pkgs.bash
        pkgs.hello
      ];
    })
  ];
  config = {
    Entrypoint = [ "${conversation}/bin/conversation" ];
    Env = [ "PATH=${pkgs.hello}/bin" ];
  };
}
