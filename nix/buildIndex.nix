/**
  Build an index: one name for images of several platforms. Who pulls it gets the image for their
  machine.

  The result is an OCI image layout that refers to the images. The index has the attributes of an
  image, such as `copyTo`, `copyToRegistry`, `serve`, `inspect`, `verify` and `compressed`: they are about
  all images, but for an engine, which gets the image for what it runs on. `copyToRegistry` pushes the
  images and the index in one command, and layers that several images have are sent once. `compressed`
  is an index of compressed images, so that its `digest` is the one that a registry will have.

  Programs differ from platform to platform: the functions of a cross package set make images of its
  packages, with tools of the machine that builds.

  # Inputs

  `name` (string)
  : The name of the index, with or without a registry. It is lower-cased.

  `images` (list of images)
  : Images of `buildImage`, each for another platform. Their own names do not matter.

  `tag` (string; default: `null`)
  : The tag. `null` takes the hash of the index.

  `annotations` (attribute set of strings; default: `{ }`)
  : The annotations of the index. They win over those that come from `meta`.

  `meta` (attribute set; default: `{ }`)
  : The `meta` of the derivation, of which some also becomes annotations, as for an image.

  `passthru` (attribute set; default: `{ }`)
  : More attributes of the result.

  # Examples

  ```nix
  strata.buildIndex {
    name = "ghcr.io/me/site";
    images = map (pkgs: (import "${inputs.strata}/nix" { inherit pkgs; }).buildImage {
      name = "site";
      config.Cmd = [ "${pkgs.hello}/bin/hello" ];
    }) [ pkgs.pkgsCross.gnu64 pkgs.pkgsCross.aarch64-multiplatform ];
  }
  ```
*/
{
  pkgs,
  internal,
  # This function itself.
  buildIndex,
}:
let
  inherit (pkgs) lib;
in
lib.makeOverridable (
  {
    name,
    images,
    tag ? null,
    annotations ? { },
    meta ? { },
    passthru ? { },
  }:
  let
    index = internal.runBuilder {
      name = "index-${baseName}";
      request.index = {
        inherit name tag;
        images = map (image: "${image}") images;
        annotations = internal.annotations meta // annotations;
      };
    };

    baseName = baseNameOf imageName;
    imageName = lib.toLower name;
    imageTag =
      if tag != null then
        tag
      else
        builtins.substring 0 32 (baseNameOf (builtins.unsafeDiscardStringContext index.outPath));
    reference = "${imageName}:${imageTag}";
  in
  index
  // internal.commands {
    image = index;
    inherit baseName reference;
  }
  // {
    inherit
      imageName
      imageTag
      meta
      passthru
      ;
    imageRefUnsafe = builtins.unsafeDiscardStringContext reference;

    # What is compressed already stays as it is.
    compressed = lib.makeOverridable (
      {
        compression ? null,
      }:
      removeAttrs (buildIndex {
        inherit name annotations meta;
        tag = imageTag;
        images = map (
          image: if image ? compressed then image.compressed.override { inherit compression; } else image
        ) images;
      }) [ "compressed" ]
    ) { };
  }
  // passthru
)
