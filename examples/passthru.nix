# More attributes for the image: `nix run .#examples.passthru.greet`.
{ pkgs, strata }:
strata.buildImage {
  name = "passthru";
  config.Entrypoint = [ "${pkgs.hello}/bin/hello" ];
  passthru.greet = pkgs.writeShellScriptBin "greet" ''
    echo "Hello from a script of the image"
  '';
}
