# shellcheck shell=bash
# Runs a script in this shell of bash, and tells in which line it failed: source run-script.sh NAME FILE [HINT].
strata_name=$1 strata_script=$2 strata_hint=${3-}
set --
strata_subshells=$BASH_SUBSHELL

# Names the line of the script itself, also where a function failed that it called.
strata_failed() {
  for strata_frame in "${!BASH_SOURCE[@]}"; do
    [ "${BASH_SOURCE[strata_frame]}" = "$strata_script" ] || continue
    strata_line=${BASH_LINENO[strata_frame - 1]}
    mapfile -t -s $((strata_line - 1)) -n 1 strata_text <"$strata_script"
    # Without what it is indented by.
    echo "$strata_name: line $strata_line: ${strata_text[0]#"${strata_text[0]%%[![:space:]]*}"}" >&2
    [ -z "$strata_hint" ] || echo "hint: $strata_hint" >&2
    break
  done
}
# What fails in parentheses fails once more behind them, and without -e the script goes on.
trap 'if [ "$BASH_SUBSHELL" = "$strata_subshells" ] && [[ $- = *e* ]]; then strata_failed; fi' ERR
set -eE
# shellcheck disable=SC1090
source "$strata_script"
