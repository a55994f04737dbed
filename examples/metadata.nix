# What the history of the image says about a layer, and annotations of the image. Those named
# `org.opencontainers.image.*` come from `meta`.
{ pkgs, strata }:
strata.buildImage {
  name = "metadata";
  layers = [
    (strata.buildLayer {
      deps = [ pkgs.hello ];
      metadata = {
        created_by = "examples/metadata.nix";
        author = "The authors of Strata";
        comment = "GNU hello and its C library";
      };
    })
  ];
  config.Entrypoint = [ "${pkgs.hello}/bin/hello" ];
  meta = {
    inherit (pkgs.hello.meta) description homepage license;
    inherit (pkgs.hello) version;
    title = "Hello";
  };
  annotations."com.example.team" = "greetings";
}
