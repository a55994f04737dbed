/**
  The names of dockerTools. What has no function here says what to write instead, to those who use it.
*/
{ pkgs }:
let
  inherit (pkgs) lib;

  notHere =
    name: instead:
    throw ''
      dockerTools.${name}: there is no such function here
      hint: ${instead}; docs/coming-from/dockertools.md says what stands for each argument'';
  ofNixpkgs = name: "nixpkgs' own is a derivation: list `pkgs.dockerTools.${name}` in `copyToRoot`";
  shells = "use `buildImage` with the packages of the shell in `copyToRoot`";
in
lib.mapAttrs notHere {
  buildImage = "use `strata.buildImage`, with `copyToRoot` and `config` as they are";
  buildImageWithNixDb = "use `strata.buildImage { initializeNixDatabase = true; .. }`";
  buildLayeredImage = "use `strata.buildImage { maxLayers = 100; .. }`, with `copyToRoot` in the place of `contents`";
  buildLayeredImageWithNixDb = "use `strata.buildImage { maxLayers = 100; initializeNixDatabase = true; .. }`";
  buildNixShellImage = shells;
  streamNixShellImage = shells;
  streamLayeredImage = "use `(strata.buildImage { maxLayers = 100; .. }).stream`";
  exportImage = "use the attribute `rootfs` of an image, or `strata export`";
  mergeImages = "use `strata merge`";
  shadowSetup = "use `system.users` and `system.groups` of `strata.buildImage`";
  binSh = ofNixpkgs "binSh";
  caCertificates = ofNixpkgs "caCertificates";
  fakeNss = ofNixpkgs "fakeNss";
  usrBinEnv = ofNixpkgs "usrBinEnv";
}
// {
  # Its hash is that of an archive as skopeo happens to write it, so this is nixpkgs' own, with skopeo.
  inherit (pkgs.dockerTools) pullImage;
}
