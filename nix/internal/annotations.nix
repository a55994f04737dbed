/**
  The standard annotations of an image, from its `meta`.

  An attribute that nixpkgs knows under another name goes by that name (`homepage`, `license`), the
  others by the name of the annotation.

  # Inputs

  `meta` (attribute set)
  : The `meta` of a derivation.
*/
{ lib }:
let
  spdxId =
    license:
    if lib.isString license then
      license
    else
      license.spdxId or "LicenseRef-nixpkgs-${
        license.shortName or (lib.strings.sanitizeDerivationName (license.fullName or "unknown"))
      }";

  # `meta.homepage` and the like may be lists, and null.
  present = value: lib.filter (item: item != null) (lib.toList value);
in
meta:
let
  homepages = present (meta.homepage or null);
  licenses = present (meta.license or null);
in
lib.mapAttrs' (name: lib.nameValuePair "org.opencontainers.image.${name}") (
  lib.optionalAttrs (homepages != [ ]) { url = lib.head homepages; }
  // lib.optionalAttrs (licenses != [ ]) {
    licenses = lib.concatMapStringsSep " AND " spdxId licenses;
  }
  // lib.filterAttrs (_: lib.isString) {
    title = meta.title or null;
    description = meta.description or null;
    version = meta.version or null;
    source = meta.source or null;
    documentation = meta.documentation or null;
    vendor = meta.vendor or null;
  }
)
