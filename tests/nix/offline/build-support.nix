# The functions of nixpkgs that make derivations.
{
  final,
  lib,
  system,
}:
let
  # A directory, because busybox must be called by its name.
  boot = ./files/boot;

  # A derivation with what nixpkgs adds to it.
  package =
    attributes:
    let
      inherit (attributes) name;
      drv = derivation (
        removeAttrs attributes [
          "meta"
          "passthru"
        ]
        // {
          inherit system;
        }
      );
    in
    drv
    // attributes.passthru or { }
    // {
      meta = {
        inherit name;
      }
      // attributes.meta or { };
      passthru = attributes.passthru or { };
      overrideAttrs =
        change: package (attributes // (if lib.isFunction change then change attributes else change));
    };

  binPath = lib.concatMapStringsSep ":" (input: "${lib.getBin input}/bin");

  writeScriptTo =
    {
      name,
      text,
      executable ? false,
      destination ? "",
      meta ? { },
      passthru ? { },
      # As in nixpkgs: to write a file is faster than to ask for it.
      allowSubstitutes ? false,
      preferLocalBuild ? true,
    }:
    final.runCommand name
      {
        inherit
          text
          executable
          meta
          passthru
          allowSubstitutes
          preferLocalBuild
          ;
        passAsFile = [ "text" ];
      }
      ''
        target=$out${lib.escapeShellArg destination}
        mkdir -p "$(dirname "$target")"
        cp "$textPath" "$target"
        ${lib.optionalString executable ''chmod +x "$target"''}
      '';

  shebang = text: "#!${final.runtimeShell}\n${text}";
in
{
  # From files of this machine: `files/PNAME` with `bin` and `lib`. Programs and libraries find
  # the C library and those of `libraries` in the store.
  hostPackage =
    {
      pname,
      libraries ? [ ],
      install ? "",
      meta ? { },
    }:
    let
      inherit (final) busybox glibc;
      version = (lib.importJSON ./files/versions.json).${pname};
    in
    package {
      inherit pname version;
      name = "${pname}-${version}";
      builder = "${busybox}/bin/sh";
      args = [
        "-ec"
        ''
          patchelf() {
            ${boot}/ld-linux-x86-64.so.2 --library-path ${boot} ${boot}/patchelf "$@"
          }
          cp -r $files $out
          chmod -R u+w $out
          for file in $out/bin/* $out/lib/*.so*; do
            [ -f "$file" ] || continue
            patchelf --set-rpath "$out/lib:$libraryPath" "$file"
            case $file in */bin/*) patchelf --set-interpreter ${glibc}/lib/ld-linux-x86-64.so.2 "$file" ;; esac
          done
          ${install}
        ''
      ];
      PATH = binPath [ busybox ];
      files = ./files + "/${pname}";
      libraryPath = lib.concatMapStringsSep ":" (library: "${library}/lib") (libraries ++ [ glibc ]);
      meta = {
        mainProgram = pname;
      }
      // meta;
    };

  # From files of this machine, as they are.
  staticPackage =
    {
      pname,
      install,
      meta ? { },
    }:
    let
      version = (lib.importJSON ./files/versions.json).${pname};
    in
    package {
      inherit pname version meta;
      name = "${pname}-${version}";
      builder = "${boot}/busybox";
      args = [
        "sh"
        "-ec"
        ''
          busybox=${boot}/busybox
          ${install}
        ''
      ];
    };

  # Some of what busybox can do, under the name of a package that does it better.
  applets =
    pname: names:
    final.staticPackage {
      inherit pname;
      install = ''
        $busybox mkdir -p $out/bin
        for applet in ${toString names}; do
          $busybox cp $busybox $out/bin/$applet
        done
      '';
    };

  # Files of this machine that do not run.
  dataPackage =
    pname:
    final.staticPackage {
      inherit pname;
      install = "$busybox cp -r ${./files + "/${pname}"} $out";
    };

  runCommand =
    name: attributes: buildCommand:
    package (
      removeAttrs attributes [
        "nativeBuildInputs"
        "buildInputs"
      ]
      // {
        inherit name buildCommand;
        builder = "${final.bash}/bin/bash";
        args = [
          "-euc"
          ''source "$buildCommandPath"''
        ];
        passAsFile = [ "buildCommand" ] ++ attributes.passAsFile or [ ];
        PATH = binPath (
          attributes.nativeBuildInputs or [ ] ++ attributes.buildInputs or [ ] ++ [ final.busybox ]
        );
      }
    );
  runCommandLocal =
    name: attributes:
    final.runCommand name (
      {
        allowSubstitutes = false;
        preferLocalBuild = true;
      }
      // attributes
    );

  # It evaluates, and has what it names; a shell needs more of nixpkgs.
  mkShell = { packages }: final.runCommand "shell" { nativeBuildInputs = packages; } "touch $out";

  writeTextFile = writeScriptTo;
  writeText = name: text: writeScriptTo { inherit name text; };
  writeTextDir =
    path: text:
    writeScriptTo {
      name = baseNameOf path;
      inherit text;
      destination = "/${path}";
    };
  writeScript =
    name: text:
    writeScriptTo {
      inherit name text;
      executable = true;
    };
  writeScriptBin =
    name: text:
    writeScriptTo {
      inherit name text;
      executable = true;
      destination = "/bin/${name}";
      meta.mainProgram = name;
    };
  writeShellScript = name: text: final.writeScript name (shebang text);
  writeShellScriptBin = name: text: final.writeScriptBin name (shebang text);

  # A directory of links, whose entries have a name and a path.
  linkFarm =
    name: entries:
    final.runCommandLocal name { } (
      "mkdir -p $out\n"
      + lib.concatMapStrings (
        entry: "ln -s ${lib.escapeShellArg "${entry.path}"} $out/${lib.escapeShellArg entry.name}\n"
      ) entries
    );

  # Directories are made, everything in them is linked.
  buildEnv =
    {
      name,
      paths,
      pathsToLink ? [ "/" ],
      ignoreCollisions ? false,
      postBuild ? "",
      meta ? { },
      passthru ? { },
    }:
    final.runCommandLocal name
      {
        inherit
          paths
          pathsToLink
          ignoreCollisions
          meta
          passthru
          ;
      }
      ''
        mkdir -p $out
        for path in $paths; do
          for link in $pathsToLink; do
            [ -e "$path$link" ] || continue
            cd "$path$link"
            mkdir -p "$out$link"
            find . -type d | while read -r directory; do
              mkdir -p "$out$link/$directory"
            done
            find . ! -type d | while read -r file; do
              target=$out$link/$file
              if [ -e "$target" ]; then
                [ -n "$ignoreCollisions" ] || cmp "$target" "$file"
              else
                ln -s "$path''${link%/}/''${file#./}" "$target"
              fi
            done
          done
        done
        ${postBuild}
      '';
  symlinkJoin =
    {
      name,
      paths,
      postBuild ? "",
      meta ? { },
      passthru ? { },
    }:
    final.buildEnv {
      inherit
        name
        paths
        postBuild
        meta
        passthru
        ;
    };

  # Hands back what cargo built. Its source is an input all the same, as in nixpkgs, so that a test
  # can tell what changes the derivation.
  rustPlatform.buildRustPackage =
    {
      pname,
      version,
      src,
      cargoLock,
      cargoBuildFlags ? [ ],
      prePatch ? "",
      doCheck ? true,
      postInstall ? "",
      meta ? { },
    }:
    package {
      inherit
        pname
        version
        src
        cargoBuildFlags
        prePatch
        doCheck
        meta
        ;
      name = "${pname}-${version}";
      cargoDeps = builtins.hashString "sha256" (
        cargoLock.lockFileContents or (builtins.readFile cargoLock.lockFile)
      );
      builder = "${boot}/busybox";
      args = [
        "sh"
        "-ec"
        ''
          mkdir() { ${boot}/busybox mkdir "$@"; }
          mkdir -p $out/bin
          ${boot}/busybox cp $program $out/bin/${pname}
          ${postInstall}
        ''
      ];
      program = ./files/cargo + "/${pname}";
    };
}
