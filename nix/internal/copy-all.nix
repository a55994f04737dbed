/**
  The script that copies several images to one place.

  # Inputs

  The images, a list.
*/
{
  tools,
  strata,
}:
images:
let
  inherit (tools) lib;
in
tools.writeShellScriptBin "copy-to" ''
  set -e
  usage='usage: copyTo DESTINATION [OPTIONS]
  hint: DESTINATION is what stands before the names of the images: docker://HOST/PREFIX/, docker-daemon:, oci:LAYOUT:'
  case ''${1-} in
    "" | -*) echo "$usage" >&2; exit 2 ;;
  esac
  destination=$1
  shift
  export STRATA_USAGE='copyTo <DESTINATION> [OPTIONS]'
  ${lib.concatMapStrings (image: ''
    ${strata}/bin/strata copy ${image} "$destination"${lib.escapeShellArg image.imageRefUnsafe} "$@"
  '') images}
''
