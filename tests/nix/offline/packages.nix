# Packages that run, with references between them as in nixpkgs.
{ final, lib }:
let
  inherit (final) hostPackage staticPackage;
in
{
  runtimeShell = "${final.bash}/bin/bash";

  glibc = staticPackage {
    pname = "glibc";
    install = ''
      $busybox mkdir -p $out
      $busybox cp -r ${./files/glibc}/lib $out/lib
    '';
  };
  gcc-libraries = hostPackage { pname = "gcc-libraries"; };
  ncurses = hostPackage { pname = "ncurses"; };
  readline = hostPackage {
    pname = "readline";
    libraries = [ final.ncurses ];
  };
  bash = hostPackage {
    pname = "bash";
    libraries = [ final.ncurses ];
    install = "ln -s bash $out/bin/sh";
  };
  bashInteractive = final.bash;
  hello = hostPackage {
    pname = "hello";
    meta = {
      description = "Program that produces a familiar, friendly greeting";
      homepage = "https://www.gnu.org/software/hello/manual/";
      license = lib.licenses.gpl3Plus;
    };
  };

  busybox = staticPackage {
    pname = "busybox";
    install = ''
      $busybox mkdir -p $out/bin
      $busybox cp $busybox $out/bin/busybox
      for applet in $($busybox --list); do
        [ $applet = busybox ] || $busybox ln -s busybox $out/bin/$applet
      done
    '';
    meta.mainProgram = "busybox";
  };
  # One program with many names, as in nixpkgs.
  coreutils = staticPackage {
    pname = "coreutils";
    install = ''
      $busybox mkdir -p $out/bin
      $busybox cp $busybox $out/bin/coreutils
      for applet in [ base64 basename cat chgrp chmod chown chroot cksum comm cp cut date dd df \
        dirname du echo env expr false head id install link ln ls md5sum mkdir mkfifo mknod mktemp \
        mv nice nl nohup nproc od paste printenv printf pwd readlink realpath rm rmdir seq \
        sha256sum sleep sort split stat stty sync tac tail tee test timeout touch tr true truncate \
        tty uname uniq unlink wc who whoami yes; do
        $busybox ln -s coreutils $out/bin/$applet
      done
    '';
  };
}
