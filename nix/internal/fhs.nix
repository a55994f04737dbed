/**
  What programs look for that were not built with Nix: a dynamic loader at its usual place, the
  libraries of C++, a shell, `env` and certificates. An attribute set with the arguments of a
  `baseSystem` (`links`, ..), which others win over, and the variables of the image, `env`.

  # Inputs

  `libraries` (list of packages)
  : More packages whose libraries are found.

  `nix-ld` (package)
  : The nix-ld that is the loader; null for the loader of the C library itself.
*/
{ pkgs }:
let
  inherit (pkgs) lib stdenv;
in
{ libraries, nix-ld }:
let
  # Both as NixOS has them (nixos/modules/config/ldso.nix).
  loader = "${stdenv.cc.bintools.dynamicLinker}";
  place = "/${stdenv.hostPlatform.libDir}/${baseNameOf (builtins.unsafeDiscardStringContext loader)}";

  compilerLibraries = lib.getLib stdenv.cc.cc;
  # A cross compiler has those of its target in a directory of its own.
  isCross = stdenv.hostPlatform.system != stdenv.buildPlatform.system;
  cxx = "${compilerLibraries}${lib.optionalString isCross "/${stdenv.hostPlatform.config}"}/lib";
  path = lib.concatStringsSep ":" ([ cxx ] ++ map (library: "${lib.getLib library}/lib") libraries);
in
lib.throwIf (lib.hasInfix "*" loader || !lib.hasPrefix "/" loader)
  ''
    baseSystem: `fhs` needs packages with the C library of GNU, whose loader other programs ask for
    hint: leave it out, and give what these programs need with `links`''
  {
    links = {
      ${place} = if nix-ld == null then loader else "${nix-ld}/libexec/nix-ld";
      "/bin/bash" = "${pkgs.bash}/bin/bash";
      # For those who look for the file and not for the library.
      "/usr/lib/libgcc_s.so.1" = "${cxx}/libgcc_s.so.1";
      "/usr/lib/libstdc++.so.6" = "${cxx}/libstdc++.so.6";
    };
    binSh = "${pkgs.bash}/bin/sh";
    usrBinEnv = "${pkgs.coreutils}/bin/env";
    certificates = "${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt";
    # Who runs jobs in a container asks it for its `ID`.
    osRelease = {
      ID = "linux";
      NAME = "Linux";
      PRETTY_NAME = "Linux";
    };
    env = [
      "SSL_CERT_FILE=/etc/ssl/certs/ca-bundle.crt"
    ]
    ++ (
      if nix-ld == null then
        [ "LD_LIBRARY_PATH=${path}" ]
      else
        [
          "NIX_LD=${loader}"
          "NIX_LD_LIBRARY_PATH=${path}"
        ]
    );
  }
