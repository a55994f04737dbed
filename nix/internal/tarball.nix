/**
  A compressed docker-archive in the store, and the line by which Hydra offers it.

  # Inputs

  `image` (image)
  : What is in the archive.

  `description` (string)
  : The `meta.description` of the result.
*/
{ tools, strata }:
{ image, description }:
let
  reference = "${image.imageName}:${image.imageTag}";
in
tools.runCommand "tarball-${tools.lib.strings.sanitizeDerivationName (baseNameOf image.imageName)}"
  {
    preferLocalBuild = true;
    meta = { inherit description; };
  }
  ''
    mkdir -p $out/nix-support
    ${strata}/bin/strata copy --quiet ${image} ${tools.lib.escapeShellArg "docker-archive:image.tar.gz:${reference}"}
    mv image.tar.gz $out/
    echo "file binary-dist $out/image.tar.gz" > $out/nix-support/hydra-build-products
  ''
