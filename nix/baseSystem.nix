/**
  What a root file system has besides programs: users, groups, `/tmp`, `/run`, `/bin/sh`, and for Nix
  its configuration, a profile and a channel.

  Give the result to the `copyToRoot` of an image or a layer, or its arguments to the `system` of an
  image. Owners and modes come with it, as its attribute `perms`: `/tmp` and `/var/tmp` are 1777,
  `/root` and the homes are 0700 and belong to their users, `/etc/shadow` is 0640, other files are 0644
  and directories 0755. Rules in the `perms` of the image come after these.

  On a base image, users and groups are added to the base's. A name that the base has needs the
  same numbers.

  # Inputs

  `users` (attribute set of users by name; default: `{ }`)
  : Besides `root` and `nobody`, whose fields can be changed here. Each has

    - `uid` (required);
    - `gid` (default: that of the group of the same name, else 65534);
    - `home` (default: `"/var/empty"`);
    - `shell` (default: `"/bin/false"`);
    - `description` (default: `""`);
    - `groups`: names of more groups (default: `[ ]`);
    - `createHome`: whether the home directory is made (default: whether `home` is not
      `"/var/empty"`);
    - `password`: the field in `/etc/shadow` (default: `"!"`).

  `groups` (attribute set of groups by name; default: `{ }`)
  : Besides `root` and `nobody`. Each has

    - `gid` (required);
    - `members`: names of users, besides those whose `groups` name it (default: `[ ]`).

  `nixBuildUsers` (integer; default: `null`)
  : How many users `nixbld1`, `nixbld2`, .. there are, in a group `nixbld`. `null` takes 32 if there
    is a `nixConf`, and 0 otherwise.

  `shadow` (boolean; default: `true`)
  : Whether to make `/etc/shadow`.

  `gshadow` (boolean; default: `false`)
  : Whether to make `/etc/gshadow`.

  `nsswitch` (boolean; default: `false`)
  : Whether to make `/etc/nsswitch.conf`, which some programs need to ask for names of hosts.

  `osRelease` (attribute set; default: `null`)
  : The variables of `/etc/os-release`.

  `loginDefs` (attribute set; default: `null`)
  : The settings of `/etc/login.defs`.

  `nixConf` (attribute set; default: `null`)
  : The settings of `/etc/nix/nix.conf`: strings, numbers, booleans and lists of them.

  `packages` (list of packages; default: `null`)
  : What `/nix/var/nix/profiles/default` has, the profile of `user`.

  `user` (string; default: `"root"`)
  : Whose profile and channel they are.

  `channelURL` (string; default: `null`)
  : The address of the channel of `user`. `null` makes no channel.

  `channelName` (string; default: `"nixpkgs"`)
  : The name of the channel.

  `bundleNixpkgs` (boolean; default: `true`)
  : Whether the channel has `nixpkgs` in it, or is empty until it is updated.

  `nixpkgs` (path; default: `pkgs.path`)
  : What the channel has in it.

  `flake-registry` (path; default: `null`)
  : The registry of flakes that `user` has: a file, or a directory with `flake-registry.json`.

  `nixUid` (integer; default: `0`)
  : Who owns what is below `/nix`. An image needs the same `nixUid`.

  `nixGid` (integer; default: `0`)
  : Which group owns what is below `/nix`. An image needs the same `nixGid`.

  `tmp` (boolean; default: `true`)
  : Whether to make `/tmp` and `/var/tmp`.

  `binSh` (string; default: `null`)
  : The program that `/bin/sh` is, such as `"${pkgs.bash}/bin/bash"`.

  `usrBinEnv` (string; default: `null`)
  : The program that `/usr/bin/env` is, such as `"${pkgs.coreutils}/bin/env"`.

  `certificates` (string; default: `null`)
  : The file of certificate authorities that is `/etc/ssl/certs/ca-bundle.crt` and
    `/etc/ssl/certs/ca-certificates.crt`.

  `fhs` (boolean; default: `false`)
  : Whether programs run that were not built with Nix, such as the node of GitHub's actions, the server of
    VS Code and add-ons of npm: there are the dynamic loader where they look for it
    (`/lib64/ld-linux-x86-64.so.2` and the like), `/bin/sh`, `/bin/bash`, `/usr/bin/env`, certificates,
    `/etc/nsswitch.conf` and `/etc/os-release`. The image gets variables that its own `Env` wins
    over: `LD_LIBRARY_PATH` with `libstdc++`, and `SSL_CERT_FILE`. Other arguments win over what this
    one brings. The packages need the C library of GNU. A base image has a loader of its own.

  `fhsLibraries` (list of packages; default: `[ ]`)
  : More packages whose libraries such programs find.

  `nix-ld` (package; default: `null`)
  : nix-ld (`pkgs.nix-ld`) as the loader of such programs, so that the variables are `NIX_LD` and
    `NIX_LD_LIBRARY_PATH`, and programs of Nix do not see the libraries.

  `files` (attribute set of strings by path; default: `{ }`)
  : The texts of more files.

  `links` (attribute set of strings by path; default: `{ }`)
  : The targets of more symlinks.

  `directories` (list of strings and attribute sets; default: `[ ]`)
  : More directories. They belong to root; a directory of somebody else is an attribute set:

    - `path` (required);
    - `user`: the name of a user of the image (default: `"root"`);
    - `group`: the name of a group of the image (default: the user's own);
    - `mode`: an octal string (default: `"0755"`).

    ```nix
    strata.buildImage {
      name = "app";
      system = {
        users.app.uid = 1000;
        groups.app.gid = 1000;
        directories = [ "/etc/app.d" { path = "/var/lib/app"; user = "app"; mode = "0750"; } ];
      };
      config.User = "app";
    }
    ```

  # Examples

  ```nix
  strata.buildImage {
    name = "app";
    copyToRoot = strata.baseSystem {
      users.app = { uid = 1000; home = "/home/app"; };
      groups.app.gid = 1000;
      binSh = "${pkgs.bash}/bin/bash";
    };
    config = { Cmd = [ "${app}/bin/app" ]; User = "app"; };
  }
  ```
*/
{ pkgs, internal }:
let
  inherit (pkgs) lib;
  profiles = "/nix/var/nix/profiles";
  makeOverridable = internal.publicFunction {
    name = "baseSystem";
    types = with internal.types; {
      # What the rules are made of; the builder looks at all fields.
      users = attrsOf (
        name: value:
        if lib.isAttrs value then
          record {
            fields = {
              home = string;
              createHome = boolean;
            };
          } name value
        else
          hinted "write ${name}.uid = 1000" attributes name value
      );
      groups = attrsOf (name: hinted "write ${name}.gid = 1000" attributes name);
      nixBuildUsers = orNull number;
      shadow = boolean;
      gshadow = boolean;
      nsswitch = boolean;
      osRelease = orNull attributes;
      loginDefs = orNull attributes;
      nixConf = orNull attributes;
      packages = orNull list;
      user = string;
      channelURL = orNull string;
      channelName = string;
      bundleNixpkgs = boolean;
      nixpkgs = path;
      flake-registry = orNull path;
      nixUid = number;
      nixGid = number;
      tmp = boolean;
      binSh = orNull path;
      usrBinEnv = orNull path;
      certificates = orNull path;
      fhs = boolean;
      fhsLibraries = list;
      nix-ld = orNull package;
      files = attributes;
      links = attributes;
      directories = listOf (
        name: value:
        lib.optionals (lib.isAttrs value) (
          record {
            fields = {
              path = string;
              user = string;
              group = string;
              mode = string;
            };
            required = [ "path" ];
            closed = true;
          } name value
        )
      );
    };
  };
in
makeOverridable (
  {
    users ? { },
    groups ? { },
    nixBuildUsers ? null,
    shadow ? true,
    gshadow ? false,
    nsswitch ? false,
    osRelease ? null,
    loginDefs ? null,
    nixConf ? null,
    packages ? null,
    user ? "root",
    channelURL ? null,
    channelName ? "nixpkgs",
    bundleNixpkgs ? true,
    nixpkgs ? pkgs.path,
    flake-registry ? null,
    nixUid ? 0,
    nixGid ? 0,
    tmp ? true,
    binSh ? null,
    usrBinEnv ? null,
    certificates ? null,
    fhs ? false,
    fhsLibraries ? [ ],
    nix-ld ? null,
    files ? { },
    links ? { },
    directories ? [ ],
  }:
  let
    foreign =
      if fhs then
        internal.fhs {
          libraries = fhsLibraries;
          inherit nix-ld;
        }
      else
        lib.throwIf (fhsLibraries != [ ] || nix-ld != null) ''
          baseSystem: `fhsLibraries` and `nix-ld` say how programs of others find what they need, but `fhs` is not set
          hint: set `fhs = true`'' { };
    orForeign = name: given: if given == null then foreign.${name} or null else given;
    sh = orForeign "binSh" binSh;
    usrBin = orForeign "usrBinEnv" usrBinEnv;
    authorities = orForeign "certificates" certificates;

    hasProfile = packages != null;
    hasChannel = channelURL != null;
    hasNix = hasProfile || hasChannel || flake-registry != null;

    accounts = internal.accounts {
      inherit users groups;
      shell = if sh == null then "/bin/false" else "/bin/sh";
      nixBuildUsers =
        if nixBuildUsers != null then
          nixBuildUsers
        else if nixConf != null then
          32
        else
          0;
    };
    home =
      accounts.users.${user}.home or (throw ''
        baseSystem: `user` is ${builtins.toJSON user}, who is no user or has no `home`
        hint: give `users.${user}` an `uid` and a `home`'');
    shared = lib.optionals tmp [
      "/tmp"
      "/var/tmp"
    ];

    system = internal.runBuilder {
      name = "base-system";
      outputs = [
        "out"
      ]
      ++ lib.optional hasProfile "profile"
      ++ lib.optional hasChannel "channel";
      request.system = {
        inherit (accounts) users groups;
        inherit
          shadow
          gshadow
          loginDefs
          nixConf
          files
          ;
        nsswitch = nsswitch || fhs;
        osRelease = orForeign "osRelease" osRelease;
        links =
          foreign.links or { }
          // lib.optionalAttrs (sh != null) { "/bin/sh" = sh; }
          // lib.optionalAttrs (usrBin != null) { "/usr/bin/env" = usrBin; }
          // lib.optionalAttrs hasProfile { "/usr/share" = "${profiles}/default/share"; }
          // lib.optionalAttrs (authorities != null) {
            "/etc/ssl/certs/ca-bundle.crt" = authorities;
            "/etc/ssl/certs/ca-certificates.crt" = authorities;
          }
          // links;
        directories =
          # The user's are the first, so that errors count them as the user does.
          map (directory: directory.path or directory) directories
          ++ shared
          ++ [ "/run" ]
          ++ lib.optional (hasProfile || hasChannel) "${profiles}/per-user/${user}";
        profile =
          if hasProfile then
            {
              packages = map (internal.profilePackage "baseSystem") packages;
              links."${home}/.nix-profile" = "${profiles}/default";
            }
          else
            null;
        channel =
          if hasChannel then
            {
              nixpkgs = if bundleNixpkgs then internal.nixpkgsSource nixpkgs else null;
              profile = "${profiles}/per-user/${user}/channels";
              inherit channelName channelURL home;
            }
          else
            null;
        flake-registry =
          if flake-registry == null then
            null
          else
            {
              path = flake-registry;
              inherit home;
            };
      };
    };
  in
  system
  // {
    # Variables of the image.
    # Not `env`, which packages of Haskell and Ruby have.
    imageEnv = foreign.env or [ ];
    # Those whom `files` of an image may name.
    imageUsers = accounts.users;
    imageGroups = accounts.groups;
    # Those that nobody asked for give way to the ones of `fromImage`.
    accounts = [
      {
        path = "${system}";
        usualUsers = lib.subtractLists (lib.attrNames users) internal.usualAccounts;
        usualGroups = lib.subtractLists (lib.attrNames groups) internal.usualAccounts;
      }
    ];
    perms = internal.systemPerms {
      inherit (accounts) users groups;
      inherit
        system
        shadow
        gshadow
        shared
        nixUid
        nixGid
        hasNix
        ;
      owned = lib.filter lib.isAttrs directories;
    };
  }
)
