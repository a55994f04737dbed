# A shell and the usual programs in `/bin`. `copyToRoot` drops the store path in front of the files
# of `buildEnv`, which are links into the store.
{ pkgs, strata }:
strata.buildImage {
  name = "bash";
  tag = "latest";
  copyToRoot = pkgs.buildEnv {
    name = "root";
    paths = [
      pkgs.bashInteractive
      pkgs.coreutils
    ];
    pathsToLink = [ "/bin" ];
  };
  config = {
    Cmd = [ "/bin/bash" ];
    Env = [ "PATH=/bin" ];
  };
}
