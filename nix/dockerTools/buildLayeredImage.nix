/**
  Build a layered image as a file: `docker load < result`.

  It is what the script of `streamLayeredImage` writes, which is the attribute `stream`, compressed.

  # Inputs

  `compressor` (string; default: `"gz"`)
  : How the file is compressed: `"none"`, `"gz"` or `"zstd"`.

  `meta` (attribute set; default: `{ }`)
  : The `meta` of the result.

  `...` (attribute set)
  : All arguments of `streamLayeredImage`.

  # Attributes

  The result has the attributes of `streamLayeredImage`, but for `isExe`.

  `stream` (script)
  : The script of `streamLayeredImage`.

  # Examples

  ```nix
  strata.dockerTools.buildLayeredImage {
    name = "hello";
    compressor = "zstd";
    config.Cmd = [ "${pkgs.hello}/bin/hello" ];
  }
  ```
*/
{
  pkgs,
  internal,
  streamLayeredImage,
}:
let
  inherit (pkgs) lib;
  inherit (internal) dockerImage;
  formals = lib.functionArgs streamLayeredImage // {
    compressor = true;
    meta = true;
  };
  build =
    {
      name,
      compressor ? "gz",
      meta ? { },
      ...
    }@arguments:
    let
      stream = streamLayeredImage (
        removeAttrs arguments [
          "compressor"
          "meta"
        ]
      );
      baseName = dockerImage.baseNameOfImage name;
      passthru = removeAttrs stream.passthru [ "isExe" ] // {
        inherit stream;
      };
      finish =
        file:
        file
        // dockerImage.attributesOf {
          inherit (stream) conf imageTag;
          inherit name;
        }
        // passthru
        // {
          inherit meta compressor passthru;
        };
    in
    dockerImage.checkCompressor "buildLayeredImage" name compressor (
      dockerImage.archive {
        name = "${baseName}.tar";
        inherit compressor;
        inherit (stream) conf imageName imageTag;
      } finish
    );
in
internal.publicFunction {
  name = "buildLayeredImage";
  inherit (internal.dockerArguments) types refused;
} (lib.setFunctionArgs build formals)
