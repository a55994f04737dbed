# One name for two platforms. Programs are built for each of them, on the machine that builds.
{ pkgs, strata }:
let
  image =
    pkgs:
    (strata.forPackages pkgs).buildImage {
      name = "platforms";
      config.Entrypoint = [ "${pkgs.hello}/bin/hello" ];
    };
in
strata.buildIndex {
  name = "platforms";
  tag = "latest";
  images = [
    (image pkgs.pkgsCross.gnu64)
    (image pkgs.pkgsCross.aarch64-multiplatform)
  ];
}
