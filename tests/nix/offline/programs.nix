# What an image of Nix has in its profile. The programs are those of this machine, all with the same
# package of libraries; `man` and `which` are less than their names say.
{ final }:
let
  inherit (final)
    applets
    hostPackage
    host-libraries
    ncurses
    readline
    ;
  hostProgram =
    pname: install:
    hostPackage {
      inherit pname install;
      libraries = [
        host-libraries
        ncurses
        readline
      ];
    };
in
{
  # Whatever the programs need, besides the C library and what has a package of its own.
  host-libraries = hostPackage {
    pname = "host-libraries";
    libraries = [
      ncurses
      readline
    ];
  };

  # Debian's Nix looks for its own programs below /usr. That of nixpkgs knows where it is, and so does
  # this one: it finds `nix-env` for channels, and the hook that every build asks.
  nix = hostProgram "nix" ''
    mkdir -p $out/libexec/nix
    mv $out/bin/nix $out/libexec/nix/nix
    cat > $out/bin/nix <<END
    #!${final.runtimeShell}
    export NIX_BIN_DIR=$out/bin NIX_LIBEXEC_DIR=$out/libexec
    exec -a "\$0" $out/libexec/nix/nix "\$@"
    END
    chmod +x $out/bin/nix
    for name in nix-build nix-channel nix-collect-garbage nix-copy-closure nix-daemon nix-env \
      nix-hash nix-instantiate nix-prefetch-url nix-shell nix-store; do
      ln -s nix $out/bin/$name
    done
    ln -s ../../bin/nix $out/libexec/nix/build-remote
  '';
  curl = hostProgram "curl" "";
  findutils = hostProgram "findutils" "";
  gitMinimal = hostProgram "git" "";
  gnugrep = hostProgram "grep" "";
  gnutar = hostProgram "tar" "";
  gzip = hostProgram "gzip" "";
  less = hostProgram "less" "";
  openssh = hostProgram "openssh" "";
  sqlite = hostProgram "sqlite" "";
  wget = hostProgram "wget" "";
  libxml2 = hostPackage {
    pname = "libxml2";
    install = ''
      mkdir -p $out/lib
      ln -s ${host-libraries}/lib/libxml2.so.* $out/lib/
    '';
  };

  coreutils-full = final.coreutils;
  git = final.gitMinimal;
  man = final.writeShellScriptBin "man" ''
    echo "man: this package set has no manual pages" >&2
    exit 1
  '';
  shadow = applets "shadow" [ "nologin" ];
  which = applets "which" [ "which" ];

  # For images by name: what nixery's `shell` has, a name with a digit, and one in a set.
  moreutils = applets "coreutils" [ "ts" ];
  nano = final.writeShellScriptBin "nano" "echo nano: this package set has no editor >&2; exit 1";
  _7zz = final.writeShellScriptBin "7zz" "echo 7-Zip";
  python3Packages.flask = final.writeShellScriptBin "flask" "echo Flask";

  cacert = final.dataPackage "cacert";
  iana-etc = final.dataPackage "iana-etc";
  tzdata = final.dataPackage "tzdata";
}
