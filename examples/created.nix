# The time of creation is 1970-01-01T00:00:01Z unless somebody says otherwise. `"now"` is allowed too, and then
# every build gives another image.
{ pkgs, strata }:
strata.buildImage {
  name = "created";
  created = "2026-02-03T04:05:06Z";
  config.Entrypoint = [ "${pkgs.hello}/bin/hello" ];
}
