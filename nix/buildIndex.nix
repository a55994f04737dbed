/**
  Build an index: one name for images of several platforms. Who pulls it gets the image for their
  machine.

  The result is an OCI image layout that refers to the images. The index has the attributes of an
  image, such as `copyTo`, `copyToRegistry`, `serve`, `inspect`, `verify`, `compressed` and `debug`: they are about
  all images, but for an engine, which gets the image for what it runs on. `copyToRegistry` pushes the
  images and the index in one command, and layers that several images have are sent once. `compressed`
  is an index of compressed images, so that its `digest` is the one that a registry will have. `rootfs`
  is the root file system of the image for the machine that builds; that of another one is
  `rootfs.override { platform = "linux/arm64"; }`.

  Programs differ from platform to platform: `strata.forPackages` gives these functions for a cross
  package set, whose images have its packages, and are made with tools of the machine that builds.

  # Inputs

  `name` (string)
  : The name of the index, with or without a registry. It is lower-cased.

  `images` (list of images)
  : Images of `buildImage`, each for another platform. Their own names do not matter.

  `tag` (string; default: `null`)
  : The tag. `null` takes the first of `tags`, and without any the hash of the index.

  `tags` (list of strings; default: `[ ]`)
  : More tags: `copyToRegistry` pushes under all of them at once, and `copyToDockerDaemon`, `copyToPodman` and
    `copyToContainerd` give the index all of these names.

  `annotations` (attribute set of strings; default: `{ }`)
  : The annotations of the index. They win over those that come from `meta`.

  `meta` (attribute set; default: `{ }`)
  : The `meta` of the derivation, of which some also becomes annotations, as for an image.

  `passthru` (attribute set; default: `{ }`)
  : More attributes of the result.

  # Examples

  ```nix
  let
    image = pkgs: (strata.forPackages pkgs).buildImage {
      name = "hello";
      config.Entrypoint = [ "${pkgs.hello}/bin/hello" ];
    };
  in
  strata.buildIndex {
    name = "ghcr.io/me/hello";
    images = map image [ pkgs.pkgsCross.gnu64 pkgs.pkgsCross.aarch64-multiplatform ];
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
  makeOverridable = internal.publicFunction {
    name = "buildIndex";
    types = with internal.types; {
      name = string;
      images = listOf path;
      tag = orNull string;
      tags = listOf string;
      annotations = attributes;
      meta = attributes;
      passthru = attributes;
    };
  };
in
makeOverridable (
  {
    name,
    images,
    tag ? null,
    tags ? [ ],
    annotations ? { },
    meta ? { },
    passthru ? { },
  }:
  let
    derived = internal.runBuilder {
      name = "index-${baseName}";
      request.index = {
        inherit name;
        tag = ownTag;
        images = map (image: "${image}") images;
        annotations = internal.annotations meta // annotations;
      };
    };

    baseName = baseNameOf imageName;
    imageName = lib.toLower name;
    ownTag = if tag == null && tags != [ ] then lib.head tags else tag;
  in
  internal.overridable derived.drvAttrs (
    index:
    let
      imageTag =
        if ownTag != null then
          ownTag
        else
          builtins.substring 0 32 (baseNameOf (builtins.unsafeDiscardStringContext index.outPath));
      moreTags = lib.remove imageTag tags;
      reference = "${imageName}:${imageTag}";
    in
    index
    // internal.commands {
      image = index;
      inherit baseName reference moreTags;
    }
    // {
      inherit
        imageName
        imageTag
        meta
        passthru
        ;

      # Of those that have one.
      debug =
        internal.publicFunction
          {
            name = "debug";
            types.packages = with internal.types; orNull (listOf package);
          }
          (
            {
              packages ? null,
            }:
            removeAttrs (buildIndex {
              inherit name annotations meta;
              tag = "${imageTag}-debug";
              images = map (
                image:
                if !(image ? debug) then
                  image
                else if packages == null then
                  image.debug
                else
                  image.debug.override { inherit packages; }
              ) images;
            }) [ "debug" ]
          )
          { };

      # Of those that have one.
      snapshotter = removeAttrs (buildIndex {
        inherit
          name
          annotations
          meta
          tags
          ;
        tag = imageTag;
        images = map (image: image.snapshotter or image) images;
      }) [ "snapshotter" ];

      # What is compressed already stays as it is.
      compressed =
        internal.publicFunction
          {
            name = "compressed";
            types.compression = with internal.types; orNull string;
          }
          (
            {
              compression ? null,
            }:
            removeAttrs (buildIndex {
              inherit
                name
                annotations
                meta
                tags
                ;
              tag = imageTag;
              images = map (
                image: if image ? compressed then image.compressed.override { inherit compression; } else image
              ) images;
            }) [ "compressed" ]
          )
          { };
    }
    // passthru
  )
)
