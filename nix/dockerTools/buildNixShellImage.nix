/**
  The image of `streamNixShellImage` as a file: `docker load < result`.

  # Inputs

  `drv` (derivation)
  : Whose environment it is.

  `compressor` (string; default: `"gz"`)
  : How the file is compressed: `"none"`, `"gz"` or `"zstd"`.

  `...` (attribute set)
  : All arguments of `streamNixShellImage`.
*/
{
  pkgs,
  internal,
  streamNixShellImage,
}:
let
  inherit (pkgs) lib;
  inherit (internal) dockerImage;
  build =
    {
      drv,
      compressor ? "gz",
      ...
    }@arguments:
    let
      stream = streamNixShellImage (removeAttrs arguments [ "compressor" ]);
    in
    dockerImage.checkCompressor "buildNixShellImage" drv.name compressor (
      dockerImage.archive
        {
          name = "${drv.name}-env.tar";
          inherit compressor;
          inherit (stream) conf imageName imageTag;
        }
        (
          file:
          file
          // dockerImage.attributesOf {
            inherit (stream) conf imageTag;
            name = stream.imageName;
          }
          // {
            inherit compressor;
            passthru = { inherit (stream) imageTag; };
          }
        )
    );
in
internal.publicFunction {
  name = "buildNixShellImage";
  types = internal.dockerArguments.shellTypes;
} (lib.setFunctionArgs build (lib.functionArgs streamNixShellImage // { compressor = true; }))
