/**
  An image with the environment of a derivation, as `nix-shell` has it: its inputs, its variables, and `buildDerivation`, which
  builds it. The result is a script, as of `streamLayeredImage`.

  Derivations with a fixed output and those with structured attributes do not work.

  # Inputs

  `drv` (derivation)
  : Whose environment it is.

  `name` (string; default: `"${drv.name}-env"`)
  : The name of the image.

  `tag` (string; default: `null`)
  : The tag, as of `streamLayeredImage`.

  `uid` (integer; default: `1000`)
  : Whom containers run as, and who owns the directories that are written to.

  `gid` (integer; default: `1000`)
  : The group.

  `homeDirectory` (string; default: `"/build"`)
  : The home directory of that user.

  `shell` (string; default: `"${bashInteractive}/bin/bash"`)
  : The shell, which has to be a bash.

  `command` (string; default: `null`)
  : Commands that run in an interactive shell, in the place of a prompt.

  `run` (string; default: `null`)
  : Commands that run in a shell that is not interactive.

  `entrypoint` (boolean; default: `false`)
  : Whether the environment is there as well if another command is run, as CI systems do it: `podman run IMAGE sh -c ..`. An
    entry point sets it up; where that is replaced, too, bash finds it by `BASH_ENV`.

  # Attributes

  Those of `streamLayeredImage`.

  # Examples

  ```nix
  strata.dockerTools.streamNixShellImage {
    drv = pkgs.hello;
    tag = "latest";
    command = "buildDerivation";
  }
  ```
*/
{
  pkgs,
  internal,
  bashInteractive,
  cacert,
  streamLayeredImage,
  binSh,
  usrBinEnv,
  fakeNss,
}:
let
  inherit (pkgs) lib;
  makeOverridable = internal.publicFunction {
    name = "streamNixShellImage";
    types = internal.dockerArguments.shellTypes;
  };
  # As in Nix's sandbox.
  buildDirectory = "/build";
in
makeOverridable (
  {
    drv,
    name ? "${drv.name}-env",
    tag ? null,
    uid ? 1000,
    gid ? 1000,
    homeDirectory ? "/build",
    shell ? "${bashInteractive}/bin/bash",
    command ? null,
    run ? null,
    entrypoint ? false,
  }:
  assert lib.assertMsg (!(drv.drvAttrs.__structuredAttrs or false))
    "streamNixShellImage: ${drv.name} has structured attributes, whose environment is not in variables: take another derivation, or one of mkShell";
  assert lib.assertMsg (
    command == null || run == null
  ) "streamNixShellImage: both `command` and `run` are given for ${drv.name}: leave one out";
  let
    environment = internal.derivationEnvironment drv;

    # The builder with its arguments, as Nix calls it.
    buildDerivation = pkgs.writeShellScriptBin "buildDerivation" ''
      exec ${lib.escapeShellArgs ([ drv.drvAttrs.builder ] ++ drv.drvAttrs.args or [ ])}
    '';
    staticPath = "${dirOf shell}:${buildDerivation}/bin";

    setup = ''
      unset PATH
      dontAddDisableDepTrack=1
      [ -z "''${stdenv-}" ] || [ ! -e "$stdenv/setup" ] || source "$stdenv/setup"
      PATH=${staticPath}''${PATH:+:$PATH}
      export PATH
      SHELL=${shell}
      BASH=${shell}
      set +e
      if [ -n "''${PS1-}" ] && [ -z "''${NIX_SHELL_PRESERVE_PROMPT-}" ]; then
        PS1='\n\[\033[1;32m\][nix-shell:\w]\$\[\033[0m\] '
      fi
      if [ "$(type -t runHook)" = function ]; then
        runHook shellHook
      fi
      unset NIX_ENFORCE_PURITY
      shopt -u nullglob
      shopt -s execfail
    '';
    commands = if run != null then run else command;
    rcfile = pkgs.writeText "nix-shell-rc" (
      setup
      + lib.optionalString (commands != null) ''
        ${commands}
        exit
      ''
    );
    # Without BASH_ENV, so that shells in shells begin with what they are given.
    entry = pkgs.writeText "nix-shell-entrypoint" ''
      unset BASH_ENV
      ${setup}
      exec "$@"
    '';
    environmentFile = pkgs.writeText "nix-shell-environment" ''
      unset BASH_ENV
      ${setup}
    '';
  in
  streamLayeredImage {
    inherit name tag;
    contents = [
      binSh
      usrBinEnv
      (fakeNss.override {
        extraPasswdLines = [
          "nixbld:x:${toString uid}:${toString gid}:Build user:${homeDirectory}:/noshell"
        ];
        extraGroupLines = [ "nixbld:!:${toString gid}:" ];
      })
    ];
    # Whoever builds writes to the store.
    fakeRootCommands = ''
      mkdir -p nix/store nix/var/nix etc/nix .${buildDirectory}
      chown -R ${toString uid}:${toString gid} nix etc/nix .${buildDirectory}
    '';
    config = {
      User = "${toString uid}:${toString gid}";
      WorkingDir = buildDirectory;
      Cmd =
        if run == null then
          [
            shell
            "--rcfile"
            rcfile
          ]
        else
          [
            shell
            rcfile
          ];
      Env = lib.mapAttrsToList (variable: value: "${variable}=${value}") (
        {
          SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
          NIX_SSL_CERT_FILE = "${cacert}/etc/ssl/certs/ca-bundle.crt";
          PATH = staticPath;
          HOME = homeDirectory;
          NIX_STORE = builtins.storeDir;
          NIX_BUILD_CORES = "1";
        }
        // environment
        // lib.genAttrs [
          "NIX_BUILD_TOP"
          "TMPDIR"
          "TEMPDIR"
          "TMP"
          "TEMP"
          "PWD"
        ] (_: buildDirectory)
        // {
          TERM = "xterm-256color";
        }
        // lib.optionalAttrs entrypoint { BASH_ENV = "${environmentFile}"; }
      );
    }
    // lib.optionalAttrs entrypoint {
      Entrypoint = [
        shell
        entry
      ];
    };
  }
)
