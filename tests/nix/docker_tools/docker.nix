# An image with Nix, made with dockerTools in the way of the docker.nix of NixOS/nix, as its users see it: arguments,
# files, scripts, configuration.
{
  pkgs,
  dockerTools,
  name ? "nix",
  tag ? "latest",
  bundleNixpkgs ? true,
  channelName ? "nixpkgs",
  channelURL ? "https://channels.nixos.org/nixpkgs-unstable",
  extraPkgs ? [ ],
  maxLayers ? 70,
  nixConf ? { },
  uid ? 0,
  gid ? 0,
  uname ? "root",
  gname ? "root",
  Cmd ? [ "${pkgs.bashInteractive}/bin/bash" ],
}:
let
  inherit (pkgs) lib runCommand;

  profilePackages = [
    pkgs.nix
    pkgs.bashInteractive
    pkgs.coreutils-full
    pkgs.gnutar
    pkgs.gzip
    pkgs.gnugrep
    pkgs.curl
    pkgs.cacert
    pkgs.findutils
    pkgs.gitMinimal
  ]
  ++ extraPkgs;

  buildUsers = map (number: {
    name = "nixbld${toString number}";
    line = "nixbld${toString number}:x:${toString (30000 + number)}:30000:Nix build user ${toString number}:/var/empty:/bin/false";
  }) (lib.range 1 32);
  own = lib.optional (
    uid != 0
  ) "${uname}:x:${toString uid}:${toString gid}:${uname}:/home/${uname}:${shell}";
  shell = "${pkgs.bashInteractive}/bin/bash";
  home = if uid == 0 then "/root" else "/home/${uname}";
  passwd = lib.concatMapStrings (line: line + "\n") (
    map (user: user.line) buildUsers
    ++ [
      "nobody:x:65534:65534:Unprivileged account:/var/empty:/bin/false"
      "root:x:0:0:System administrator:/root:${shell}"
    ]
    ++ own
  );
  group = lib.concatMapStrings (line: line + "\n") (
    [
      "root:x:0:"
      "nixbld:x:30000:${lib.concatMapStringsSep "," (user: user.name) buildUsers}"
      "nobody:x:65534:"
    ]
    ++ lib.optional (gid != 0) "${gname}:x:${toString gid}:"
  );
  settings = {
    build-users-group = "nixbld";
    sandbox = "false";
  }
  // nixConf;
  conf = lib.concatStrings (lib.mapAttrsToList (key: value: "${key} = ${value}\n") settings);

  profile = pkgs.buildEnv {
    name = "root-profile-env";
    paths = profilePackages;
    ignoreCollisions = true;
  };
  channel = runCommand "channel-nixpkgs" { } ''
    mkdir $out
    ${lib.optionalString bundleNixpkgs "ln -s ${
      builtins.path {
        path = pkgs.path;
        name = "source";
      }
    } $out/nixpkgs"}
    echo '[]' > $out/manifest.nix
  '';

  baseSystem =
    runCommand "base-system"
      {
        inherit passwd group conf;
        passAsFile = [
          "passwd"
          "group"
          "conf"
        ];
        allowSubstitutes = false;
        preferLocalBuild = true;
      }
      ''
        mkdir -p $out/etc/nix $out/etc/ssl/certs $out/tmp $out/var/tmp $out/usr/bin $out/bin
        cat $passwdPath > $out/etc/passwd
        cat $groupPath > $out/etc/group
        cat $confPath > $out/etc/nix/nix.conf
        ln -s /nix/var/nix/profiles/share $out/usr/
        ln -s /nix/var/nix/profiles/default/etc/ssl/certs/ca-bundle.crt $out/etc/ssl/certs/

        profiles=$out/nix/var/nix/profiles
        user=$profiles/per-user/${uname}
        mkdir -p $out${home}/.nix-defexpr $user
        ln -s ${profile} $profiles/default-1-link
        ln -s /nix/var/nix/profiles/default-1-link $profiles/default
        ln -s /nix/var/nix/profiles/default $out${home}/.nix-profile
        ln -s ${channel} $user/channels-1-link
        ln -s /nix/var/nix/profiles/per-user/${uname}/channels-1-link $user/channels
        ln -s /nix/var/nix/profiles/per-user/${uname}/channels $out${home}/.nix-defexpr/channels
        echo "${channelURL} ${channelName}" > $out${home}/.nix-channels

        ln -s ${pkgs.coreutils-full}/bin/env $out/usr/bin/env
        ln -s ${shell} $out/bin/sh
      '';
in
dockerTools.buildLayeredImageWithNixDb {
  inherit
    name
    tag
    maxLayers
    uid
    gid
    uname
    gname
    ;
  contents = [ baseSystem ];
  extraCommands = ''
    rm -rf nix-support
    ln -s /nix/var/nix/profiles nix/var/nix/gcroots/profiles
  '';
  fakeRootCommands = ''
    chmod 1777 tmp
    chmod 1777 var/tmp
    chown -R ${toString uid}:${toString gid} .${home}
    chown -R ${toString uid}:${toString gid} nix
  '';
  config = {
    inherit Cmd;
    User = "${toString uid}:${toString gid}";
    Env = [
      "USER=${uname}"
      "PATH=${
        lib.concatStringsSep ":" [
          "${home}/.nix-profile/bin"
          "/nix/var/nix/profiles/default/bin"
          "/nix/var/nix/profiles/default/sbin"
        ]
      }"
      "SSL_CERT_FILE=/nix/var/nix/profiles/default/etc/ssl/certs/ca-bundle.crt"
      "NIX_SSL_CERT_FILE=/nix/var/nix/profiles/default/etc/ssl/certs/ca-bundle.crt"
      "NIX_PATH=/nix/var/nix/profiles/per-user/${uname}/channels:${home}/.nix-defexpr/channels"
    ];
  };
}
