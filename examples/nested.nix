# A layer on a layer: readline is in the lowest, bash without readline in the next.
{ pkgs, strata }:
strata.buildImage {
  name = "nested";
  layers = [
    (strata.buildLayer {
      deps = [ pkgs.bashInteractive ];
      layers = [ (strata.buildLayer { deps = [ pkgs.readline ]; }) ];
    })
  ];
  config.Entrypoint = [ "${pkgs.hello}/bin/hello" ];
}
