/**
  Results that can be changed as those of nixpkgs' `mkDerivation` can: `overrideAttrs` changes the attributes of the
  derivation, `meta` and `passthru`, and everything that is made of the derivation follows.
*/
{ lib }:
let
  change =
    how: final: previous:
    if !lib.isFunction how then
      how
    else
      let
        once = how previous;
      in
      # With two arguments, the first is the result, as for `mkDerivation`.
      if lib.isFunction once then how final previous else once;

  make =
    attributes: finish:
    let
      drv = derivation (
        removeAttrs attributes [
          "meta"
          "passthru"
        ]
      );
      own = finish drv;
      result =
        own
        // lib.optionalAttrs (attributes ? meta) { inherit (attributes) meta; }
        // lib.optionalAttrs (attributes ? passthru) (
          { inherit (attributes) passthru; } // attributes.passthru
        );
      previous = {
        meta = own.meta or { };
        passthru = own.passthru or { };
      }
      // attributes;
    in
    result
    // {
      overrideAttrs =
        how:
        let
          next = make (previous // change how next previous) finish;
        in
        next;
    };

  extend =
    result: more:
    result
    // more result
    // {
      overrideAttrs = how: extend (result.overrideAttrs how) more;
    };
in
{
  /**
    What `finish` makes of the derivation of `attributes`, and of those that it is changed to.
  */
  overridable = make;

  /**
    A result with what `more` makes of it, and of those that it is changed to.
  */
  inherit extend;
}
