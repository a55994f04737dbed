/**
  Build images that live together: in one registry, on the same machines.

  Their layers are planned at once, so that what several images have lies in layers that several images have: who has
  pulled one of them pulls less of the next. Each image is one of `buildImage`, with all its attributes.

  The attribute `copyTo` of the result copies all of them with one command: `nix run .#images.copyTo --
  docker://HOST/PREFIX/` pushes each as `HOST/PREFIX/NAME:TAG`, where a layer that several have is sent once;
  `docker-daemon:` and other engines take them as `NAME:TAG`.

  # Inputs

  The argument is an attribute set of the arguments of `buildImage`, by the images' names. An image without an
  argument `name` is called as its attribute. `maxLayers` and `layerHints` are heeded; `strategy`, `previousLayers`,
  `alongside` and `layersFile` are refused, since the plan is made for all images together.

  # Examples

  ```nix
  strata.buildImages {
    web.config.Entrypoint = [ "${pkgs.hello}/bin/hello" ];
    worker.config.Entrypoint = [ "${pkgs.bash}/bin/bash" ];
  }
  ```
*/
{
  pkgs,
  internal,
  buildImage,
}:
let
  inherit (pkgs) lib;

  refused = [
    "strategy"
    "previousLayers"
    "alongside"
    "layersFile"
  ];
  mistakes =
    images:
    if !lib.isAttrs images || images == { } then
      [
        ''
          expected images by their names
          hint: write buildImages { web = { config = ..; }; worker = { .. }; }''
      ]
    else
      lib.concatLists (
        lib.mapAttrsToList (
          name: arguments:
          lib.optional (name == "copyTo" || builtins.match "[a-zA-Z0-9_][a-zA-Z0-9._-]*" name == null) ''
            ${builtins.toJSON name} is no name for an image here
            hint: take letters, digits, `-` and `_`; with `name` in its arguments it is called what you like''
          ++ lib.optional (!lib.isAttrs arguments || lib.isDerivation arguments) ''
            attribute ${name}: expected the arguments of buildImage
            hint: write ${name} = { config = ..; }''
          ++
            map
              (argument: ''
                attribute ${name}.${argument}: the layers of all images are planned together
                hint: leave it out, or build this image with `buildImage`'')
              (lib.filter (argument: arguments ? ${argument}) refused)
        ) images
      );

  build =
    images:
    let
      named = lib.mapAttrs (name: arguments: { inherit name; } // arguments) images;
      # What they would be one by one: only what they ask for is looked at.
      asking = lib.mapAttrs (_: buildImage) named;
      plan = internal.runBuilder {
        name = "layers-of-images";
        closure = lib.concatMap (image: image.exportReferencesGraph.closure) (lib.attrValues asking);
        request.images = lib.mapAttrs (_: image: image.request) asking;
      };
      planned = lib.mapAttrs (
        name: arguments: buildImage (arguments // { layersFile = "${plan}/${name}.json"; })
      ) named;
    in
    planned // { copyTo = internal.copyAll (lib.attrValues planned); };

  told = images: map (mistake: "buildImages: ${mistake}") (mistakes images);
in
{
  mistakes = told;
  __functor = _: images: lib.throwIf (told images != [ ]) (lib.head (told images)) (build images);
}
