# The smallest image: what `config` mentions is in the image, with everything that it refers to.
{ pkgs, strata }:
strata.buildImage {
  name = "basic";
  config.Entrypoint = [ "${pkgs.hello}/bin/hello" ];
  meta = {
    inherit (pkgs.hello.meta) description homepage license;
  };
}
