/**
  Build layers of their own, for parts of an image that change at another pace than the rest.

  The result is a recipe: which store paths the layers hold, with which ownership, and the digests
  of the layers. Give it to the `layers` of an image or of another layer.

  # Inputs

  `deps` (list of derivations, paths and strings, may be nested; default: `[ ]`)
  : They and everything they refer to go to their place in the store.

  `copyToRoot` (derivation, path, string, or a list of them; default: `null`)
  : Their content goes to `/`, and what they refer to goes to its place in the store. Use
    `pkgs.buildEnv` to put parts of packages together.

  `contents` (as `copyToRoot`; default: `null`)
  : The former name of `copyToRoot`. It warns.

  `ignore` (derivation, path, string, or a list of them; default: `null`)
  : Store paths to leave out. What they refer to is not left out.

  `layers` (list of layers; default: `[ ]`)
  : Layers below this one. What they hold, or the layers below them, is not repeated here.

  `reproducible` (boolean; default: `true`)
  : Whether the same inputs always give the same files. If not, the tar archives of the layers are
    kept in the output, next to their digests.

  `perms` (list of attribute sets; default: `[ ]`)
  : Ownership and modes, as for `buildImage`. Rules of an image come after those of its layers.

  `files` (attribute set of attribute sets; default: `{ }`)
  : Files and directories by their paths in the image, as for `buildImage`; `user` and `group` are those of a
    `baseSystem` in `copyToRoot`.

  `maxLayers` (positive integer; default: `1`)
  : How many layers to make at most. `null` makes as many as are worth the requests that they cost, 60 at most.

  `strategy` (string; default: `"auto"`)
  : How store paths are put together in layers, as for `buildImage`.

  `layerHints` (attribute set; default: `{ }`)
  : What the strategy cannot know, as for `buildImage`.

  `previousLayers` (image, layer, or path; default: `null`)
  : Layers that are to stay as they are if their store paths still are, as for `buildImage`.

  `alongside` (list of images and layers; default: `[ ]`)
  : What lies in the same registries and on the same machines, as for `buildImage`.

  `layersFile` (path; default: `null`)
  : Layers that are made as this file says, as for `buildImage`.

  `layeringPipeline` (list of operations, path, string, or derivation; default: `null`)
  : How they are cut into layers, in the place of `maxLayers`, as for `buildImage`.

  `compression` (string; default: `null`)
  : How the layers are compressed where they go to a registry: `"gzip"`, `"zstd"`,
    `"zstd:chunked"`, `"none"`, or with a level, such as `"zstd:19"`. `null` leaves it to whoever copies the image.

  `metadata` (attribute set; default: `null`)
  : `created_by`, `author` and `comment` of the layers in the history of the image. `null` names the largest
    store paths of each layer, without their hashes.

  `capabilities` (list of attribute sets; default: `[ ]`)
  : File capabilities. `path` and `regex` as in `perms`, `caps` is a list of names
    (`"CAP_NET_BIND_SERVICE"`).

  `uid` (integer; default: `0`)
  : Who owns the store paths in the layers.

  `gid` (integer; default: `0`)
  : Which group owns them.

  `mtime` (string or path; default: `null`)
  : The time of everything in the layers, as for `buildImage`.

  `includeStorePaths` (boolean; default: `true`)
  : Whether the layers have store paths, or only what goes to `/`.

  # Examples

  ```nix
  strata.buildImage {
    name = "app";
    layers = [ (strata.buildLayer { deps = [ pkgs.bash pkgs.python3 ]; }) ];
    copyToRoot = pkgs.buildEnv { name = "root"; paths = [ pkgs.coreutils ]; pathsToLink = [ "/bin" ]; };
    config.Cmd = [ "${app}/bin/app" ];
  }
  ```
*/
{ pkgs, internal }:
let
  ofImages = "it is one of `buildImage`, whose `layers` take the result of this function";
  makeOverridable = internal.publicFunction {
    name = "buildLayer";
    types = with internal.types; {
      deps = paths;
      copyToRoot = orNull paths;
      contents = orNull paths;
      ignore = orNull paths;
      layers = paths;
      reproducible = boolean;
      perms = rules;
      inherit files;
      inherit (internal.layering.types)
        maxLayers
        strategy
        layerHints
        previousLayers
        alongside
        layersFile
        layeringPipeline
        ;
      compression = orNull string;
      metadata = orNull attributes;
      uid = number;
      gid = number;
      mtime = orNull path;
      includeStorePaths = boolean;
      capabilities = listOf (record {
        fields = {
          inherit path;
          regex = string;
          caps = list;
        };
        required = [
          "path"
          "caps"
        ];
        closed = true;
      });
    };
    refused = {
      name = ofImages;
      tag = ofImages;
      config = ofImages;
      fromImage = ofImages;
      system = "list a `baseSystem` in `copyToRoot`";
      initializeNixDatabase = ofImages;
    }
    // internal.refusedEverywhere;
  };
in
makeOverridable (
  {
    deps ? [ ],
    copyToRoot ? null,
    contents ? null,
    ignore ? null,
    layers ? [ ],
    reproducible ? true,
    perms ? [ ],
    files ? { },
    maxLayers ? 1,
    strategy ? "auto",
    layerHints ? { },
    previousLayers ? null,
    alongside ? [ ],
    layersFile ? null,
    layeringPipeline ? null,
    compression ? null,
    metadata ? null,
    capabilities ? [ ],
    uid ? 0,
    gid ? 0,
    mtime ? null,
    includeStorePaths ? true,
  }:
  let
    given = internal.copyToRoot "buildLayer" { inherit copyToRoot contents; };
  in
  internal.overridable
    (internal.derive {
      name = "layer";
      more = internal.layerFields {
        inherit
          uid
          gid
          mtime
          includeStorePaths
          ;
      };
      copyToRoot = given;
      files = internal.files "buildLayer" {
        inherit files;
        inherit (given) users groups;
      };
      deps = internal.toPaths "buildLayer: `deps`" deps;
      ignore = if ignore == null then [ ] else internal.toPaths "buildLayer: `ignore`" ignore;
      layers = internal.toPaths "buildLayer: `layers`" layers;
      perms =
        perms
        ++ map (
          {
            path,
            regex ? "",
            caps,
          }:
          {
            inherit path regex;
            capabilities = caps;
          }
        ) capabilities;
      inherit compression metadata reproducible;
      layering = internal.layering.request "buildLayer" {
        inherit
          maxLayers
          strategy
          layerHints
          previousLayers
          alongside
          layersFile
          layeringPipeline
          ;
      };
    }).drvAttrs
    (layer: layer)
)
