# The standard annotations of an image, from its `meta`.
#
# An attribute that nixpkgs knows under another name goes by that name (`homepage`, `license`), the
# others by the name of the annotation.
{ lib }:
let
  spdxId =
    license:
    if lib.isString license then
      license
    else
      license.spdxId or "LicenseRef-nixpkgs-${
        license.shortName or (lib.strings.sanitizeDerivationName license.fullName)
      }";

  # `meta.homepage` and the like may be lists.
  first = value: lib.head (lib.toList value);
in
meta:
lib.mapAttrs' (name: lib.nameValuePair "org.opencontainers.image.${name}") (
  lib.optionalAttrs (meta ? homepage && meta.homepage != [ ]) { url = first meta.homepage; }
  // lib.optionalAttrs (meta ? license && meta.license != [ ]) {
    licenses = lib.concatMapStringsSep " AND " spdxId (lib.toList meta.license);
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
