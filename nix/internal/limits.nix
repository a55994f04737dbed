/**
  What an image must keep to.

  # Output

  `type` (type)
  : Of the argument `limits`.

  `request` (function)
  : From the name of the public function, `previousLayers`, by which growth is measured if nobody says otherwise, and
    the argument to the field of the request.

  `flags` (function)
  : From such a field to flags of `strata check`.
*/
{ lib, types }:
let
  isImage = value: lib.isAttrs value && value ? imageName;
in
{
  type =
    with types;
    record {
      closed = true;
      fields = {
        size = hinted ''write it in quotes, as in "200M"'' string;
        layers = number;
        deny = listOf (hinted ''write a name in quotes, as in "gcc", or a package'' path);
        growth = record {
          closed = true;
          required = [ "size" ];
          fields = {
            against = path;
            size = hinted ''write it in quotes, as in "5 %"'' string;
          };
        };
      };
    };

  request =
    function: previousLayers: limits:
    limits
    // lib.optionalAttrs (limits ? deny) {
      # What must not be there is no reason to build it.
      deny = map (package: builtins.unsafeDiscardStringContext "${package}") limits.deny;
    }
    // lib.optionalAttrs (limits ? growth) {
      growth = limits.growth // {
        against = "${limits.growth.against or (lib.throwIfNot (isImage previousLayers)
          ''
            ${function}: attribute limits.growth.against: is missing
            hint: write growth = { against = ..; size = "5 %"; } with an earlier image, or give that as previousLayers''
          previousLayers
        )
        }";
      };
    };

  flags =
    limits:
    lib.optional (limits ? size) "--max-size=${limits.size}"
    ++ lib.optional (limits ? layers) "--max-layers=${toString limits.layers}"
    ++ map (package: "--deny=${package}") limits.deny or [ ]
    ++ lib.optionals (limits ? growth) [
      "--max-growth=${limits.growth.size}"
      "--against=${limits.growth.against}"
    ];
}
