# An image of Nix as somebody describes it who knows nix2container and not Strata: packages in layers
# on each other, a base system made by a script, owners and modes by `perms`.
{
  pkgs ? import <nixpkgs> { },
  nix2container,
  lib ? pkgs.lib,
  name ? "lix",
  tag ? "latest",
  bundleNixpkgs ? true,
  channelName ? "nixpkgs",
  channelURL ? "https://nixos.org/channels/nixpkgs-unstable",
  extraPkgs ? [ ],
  maxLayers ? 100,
  nixConf ? { },
  flake-registry ? null,
}:
let
  profiles = "/nix/var/nix/profiles";
  bundle = "${profiles}/default/etc/ssl/certs/ca-bundle.crt";
  bash = "${pkgs.bashInteractive}/bin/bash";

  channel = pkgs.runCommand "channel-nixpkgs" { } (
    "mkdir $out\n"
    + lib.optionalString bundleNixpkgs ''
      ln -s ${pkgs.path} $out/nixpkgs
      echo "[]" > $out/manifest.nix
    ''
  );

  # Groups of packages, each a layer on those before it.
  below = [
    [ pkgs.coreutils-full ]
    [
      pkgs.curl
      pkgs.libxml2
      pkgs.sqlite
    ]
    [ pkgs.gitMinimal ]
  ];
  layers = lib.foldl' (
    layers: deps: layers ++ [ (nix2container.buildLayer { inherit deps layers; }) ]
  ) [ ] (below ++ [ [ channel ] ]);
  installed =
    lib.concatLists below
    ++ [
      pkgs.bashInteractive
      pkgs.cacert
      pkgs.findutils
      pkgs.gnutar
      pkgs.gzip
      pkgs.nix
    ]
    ++ extraPkgs;

  profile =
    let
      files = pkgs.buildEnv {
        name = "files";
        paths = installed;
      };
      entry =
        package:
        ''{ type = "derivation"; name = "${package.name}"; outPath = "${package}"; system = "${package.system}"; ''
        + ''outputs = [ "out" ]; out = { outPath = "${package}"; }; meta = { }; }'';
      manifest = pkgs.writeText "manifest.nix" "[ ${lib.concatMapStringsSep "\n" entry installed} ]\n";
    in
    pkgs.runCommand "user-environment" { } ''
      mkdir $out
      cp -a ${files}/* $out/
      ln -s ${manifest} $out/manifest.nix
    '';

  # Fields of `/etc/passwd`.
  users = [
    "root:x:0:0:System administrator:/root:${bash}"
    "nobody:x:65534:65534:Unprivileged account:/var/empty:${pkgs.shadow}/bin/nologin"
  ]
  ++ map (
    number:
    "nixbld${toString number}:x:${toString (30000 + number)}:30000:Builder:/var/empty:/bin/false"
  ) (lib.range 1 32);
  builders = map (number: "nixbld${toString number}") (lib.range 1 32);

  files = {
    "etc/passwd" = lib.concatStringsSep "\n" users;
    "etc/shadow" = lib.concatMapStringsSep "\n" (
      user: "${lib.head (lib.splitString ":" user)}:!:1::::::"
    ) users;
    "etc/group" =
      "nixbld:x:30000:${lib.concatStringsSep "," builders}\nnobody:x:65534:nobody\nroot:x:0:root";
    "etc/nix/nix.conf" = lib.concatStringsSep "\n" (
      lib.mapAttrsToList (key: value: "${key} = ${toString value}") (
        {
          sandbox = "false";
          build-users-group = "nixbld";
          trusted-public-keys = [ "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
        }
        // nixConf
      )
    );
    "root/.nix-channels" = "${channelURL} ${channelName}";
  };
  links = {
    "bin/sh" = bash;
    "etc/ssl/certs/ca-bundle.crt" = bundle;
    "nix/var/nix/gcroots/profiles" = profiles;
    "nix/var/nix/profiles/default" = "${profiles}/default-1-link";
    "nix/var/nix/profiles/default-1-link" = "${profile}";
    "nix/var/nix/profiles/per-user/root/channels" = "${profiles}/per-user/root/channels-1-link";
    "nix/var/nix/profiles/per-user/root/channels-1-link" = "${channel}";
    "root/.nix-defexpr/channels" = "${profiles}/per-user/root/channels";
    "root/.nix-profile" = "${profiles}/default";
    "usr/bin/env" = "${pkgs.coreutils}/bin/env";
    "usr/share" = "${profiles}/share";
  }
  // lib.optionalAttrs (flake-registry != null) {
    "root/.cache/nix/flake-registry.json" = "${flake-registry}";
  };
  make = command: path: "mkdir -p $out/${dirOf path}; ${command} $out/${path}\n";
  baseSystem = pkgs.runCommand "base-system" { } (
    "mkdir -p $out/tmp $out/var/tmp\n"
    + lib.concatStrings (
      lib.mapAttrsToList (path: text: make "cat ${pkgs.writeText "text" "${text}\n"} >" path) files
      ++ lib.mapAttrsToList (path: target: make "ln -s ${target}" path) links
    )
  );

  image = nix2container.buildImage {
    inherit
      name
      tag
      maxLayers
      layers
      ;
    copyToRoot = [ baseSystem ];
    initializeNixDatabase = true;
    perms = [
      {
        path = baseSystem;
        regex = "(/var)?/tmp";
        mode = "1777";
      }
    ];
    config = {
      Cmd = [ "/root/.nix-profile/bin/bash" ];
      Env = [
        "USER=root"
        "PATH=/root/.nix-profile/bin:${profiles}/default/bin"
        "NIX_SSL_CERT_FILE=${bundle}"
        "NIX_PATH=${profiles}/per-user/root/channels"
      ];
    };
  };
in
image
// {
  archive = pkgs.runCommand "archive-of-copyTo" { } ''
    ${lib.getExe image.copyTo} docker-archive:$out
  '';
  meta = image.meta // {
    description = "Nix in a container";
  };
}
