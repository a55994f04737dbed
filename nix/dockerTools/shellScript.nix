/**
  An executable script, as `runAsRoot` is run: with `set -e`, and coreutils in its `PATH`.

  # Inputs

  The name, and the text, one after the other.
*/
{
  internal,
  coreutils,
  runtimeShell,
  ...
}:
name: text:
internal.tools.writeScript name ''
  #!${runtimeShell}
  set -e
  export PATH=${coreutils}/bin:/bin
  ${text}
''
