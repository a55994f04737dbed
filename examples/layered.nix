# At most three layers: what the configuration names is on top, alone as long as there is room.
{ pkgs, strata }:
strata.buildImage {
  name = "layered";
  maxLayers = 3;
  config.Entrypoint = [
    "${pkgs.bash}/bin/bash"
    "-c"
    "${pkgs.hello}/bin/hello"
  ];
}
