/**
  The script that copies several images to one place.

  One copy tells the next through the cache which repository has which layer and how it is compressed. Where there is no
  cache, as on many machines that test, there is one while the script runs.

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
  cache=''${XDG_CACHE_HOME:-''${HOME-}/.cache}
  if ! { mkdir -p "$cache/strata" && [ -w "$cache/strata" ]; } 2>/dev/null; then
    XDG_CACHE_HOME=$(mktemp -d)
    export XDG_CACHE_HOME
    trap 'rm -rf "$XDG_CACHE_HOME"' EXIT
  fi
  export STRATA_USAGE='copyTo <DESTINATION> [OPTIONS]'
  ${lib.concatMapStrings (image: ''
    ${strata}/bin/strata copy ${image} "$destination"${lib.escapeShellArg image.imageRefUnsafe} "$@"
  '') images}
''
