# At most three layers, cut by popularity: what many others refer to is at the bottom.
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
