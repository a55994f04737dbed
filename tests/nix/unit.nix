# Tests that need evaluation only. The value is the list of what failed:
# nix eval --impure --expr 'import ./tests/nix/unit.nix { pkgs = ..; }'
{
  pkgs,
  strata ? import ../../nix { inherit pkgs; },
}:
let
  inherit (pkgs) lib;
  inherit (builtins) appendContext getContext unsafeDiscardStringContext;
  inherit (import ../../nix/internal/store-paths.nix { inherit lib; })
    configRoots
    toPaths
    unique
    wholePath
    ;
  annotations = import ../../nix/internal/annotations.nix { inherit lib; };

  drv =
    attributes:
    derivation (
      {
        inherit (pkgs.stdenv.buildPlatform) system;
        builder = "/builder";
      }
      // attributes
    );
  app = drv { name = "app-1.0"; };
  other = drv { name = "other"; };
  multi = drv {
    name = "multi";
    outputs = [
      "out"
      "dev"
    ];
  };
  sources = ./offline;
  free = path: unsafeDiscardStringContext path;

  # Strings compare without their context, so here it is compared as well.
  rootsAre = config: expected: {
    actual = map (path: {
      path = free path;
      context = getContext path;
    }) (configRoots config);
    expected = map (path: {
      path = free path;
      context = getContext path;
    }) (unique expected);
  };

  pathsAre = config: expected: {
    actual = configRoots config;
    expected = unique expected;
  };

  # As a content-addressed derivation's output is written before it is built.
  placeholderOf =
    drv: appendContext "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9" (getContext "${drv}");
  # Images in registries.
  zeros = lib.concatStrings (lib.genList (_: "0") 64);
  digestOf = text: "sha256:${builtins.hashString "sha256" text}";
  lockFile = ./images/image.lock.json;

  dummy = "${builtins.storeDir}/00000000000000000000000000000000-";

  # Without warnings.
  quiet = import ../../nix {
    pkgs = pkgs // {
      lib = lib // {
        warnIf = _condition: _message: lib.id;
      };
    };
  };

  throws = value: {
    actual = (builtins.tryEval (builtins.deepSeq value value)).success;
    expected = false;
  };

  tests = {
    # What `config` mentions
    "roots: a file of a derivation" = rootsAre { Entrypoint = [ "${app}/bin/app" ]; } [ "${app}" ];
    "roots: a derivation and a path as leaves" = rootsAre [ app sources ] [ "${app}" "${sources}" ];
    "roots: a string of several paths" = pathsAre { Env = [ "PATH=${app}/bin:${other}/bin:/bin" ]; } [
      "${app}"
      "${other}"
    ];
    "roots: each has the context of its leaf" = {
      actual = lib.all (path: getContext path == getContext "${app}${other}") (configRoots [
        "${app}:${other}"
      ]);
      expected = true;
    };
    "roots: an output that is not the first" = rootsAre "${multi.dev}/include" [ "${multi.dev}" ];
    "roots: one output does not stand for another" = rootsAre "${multi}/bin ${free "${multi.dev}"}" [
      "${multi}"
    ];
    "roots: a path" = rootsAre "--config=${sources}/flake.nix" [ "${sources}" ];
    "roots: deep attribute values" = rootsAre { a.b = [ { c = [ "${app}" ]; } ]; } [ "${app}" ];
    "roots: once for many" = rootsAre [ "${app}/a" "${app}/b" app ] [ "${app}" ];
    "roots: nothing without context" = rootsAre [ (free "${app}/bin") "/bin/sh" 1 true null ] [ ];
    "roots: nothing that bears no entry's name" = rootsAre "${app}/bin ${free "${other}"}" [ "${app}" ];
    "roots: nothing that bears another hash of a path" =
      rootsAre "${sources} ${dummy}${baseNameOf sources}"
        [ "${sources}" ];
    "roots: no derivation files" =
      rootsAre
        [
          app.drvPath
          (builtins.unsafeDiscardOutputDependency app.drvPath)
        ]
        [ ];
    "roots: a derivation file beside its output" =
      rootsAre
        [ "${app}" "${other}/x ${free other.drvPath}" ]
        [ "${app}" "${other}" ];
    "roots: context without its path" = rootsAre (appendContext "text" (getContext "${app}")) [ ];
    "roots: the end of a sentence" = rootsAre "See ${app}." [ "${app}" ];
    "roots: a query" = pathsAre "file://${sources}?dir=a&x=${app}=1" [
      "${sources}"
      "${app}"
    ];
    "roots: a placeholder" = rootsAre "${placeholderOf app}/bin" [ (placeholderOf app) ];
    "roots: no placeholder when every output is borne" = rootsAre "${app} ${free (placeholderOf app)}" [
      "${app}"
    ];
    "roots: something that converts itself" = rootsAre { __toString = _: "${app}/bin"; } [ "${app}" ];

    # Lists of paths
    "paths: nested lists" = {
      actual = toPaths "here" [
        app
        [
          other
          [ sources ]
        ]
      ];
      expected = [
        "${app}"
        "${other}"
        "${sources}"
      ];
    };
    "paths: one derivation" = {
      actual = toPaths "here" app;
      expected = [ "${app}" ];
    };
    "paths: the store path of a file" = {
      actual = map wholePath [
        "${app}/bin/app"
        "${app}"
        "/elsewhere"
      ];
      expected = [
        "${app}"
        "${app}"
        "/elsewhere"
      ];
    };

    # Layers
    "layer: every root is in the closure" = {
      actual =
        (strata.buildLayer {
          deps = [
            [ app ]
            "${other}/bin"
          ];
          copyToRoot = multi.dev;
        }).exportReferencesGraph.closure;
      expected = unique [
        "${app}"
        "${other}"
        "${multi.dev}"
      ];
    };
    "layer: contents is copyToRoot" = {
      actual = (quiet.buildLayer { contents = [ app ]; }).request.copyToRoot;
      expected = [ "${app}" ];
    };
    "layer: contents and copyToRoot" = throws (
      strata.buildLayer {
        contents = app;
        copyToRoot = app;
      }
    );
    "layer: ignore" = {
      actual = (strata.buildLayer { ignore = app; }).request.ignore;
      expected = [ "${app}" ];
    };
    "layer: capabilities are rules" = {
      actual =
        (strata.buildLayer {
          perms = [
            {
              path = app;
              mode = "0755";
            }
          ];
          capabilities = [
            {
              path = app;
              regex = "bin";
              caps = [ "CAP_CHOWN" ];
            }
          ];
        }).request.perms;
      expected = [
        {
          path = app;
          mode = "0755";
        }
        {
          path = app;
          regex = "bin";
          capabilities = [ "CAP_CHOWN" ];
        }
      ];
    };
    "layer: a chain of thirty on all before" =
      let
        chain = builtins.foldl' (
          layers: number:
          layers
          ++ [
            (strata.buildLayer {
              inherit layers;
              deps = [ (drv { name = "dep-${toString number}"; }) ];
            })
          ]
        ) [ ] (lib.range 1 30);
        image = strata.buildImage {
          name = "chain";
          layers = chain;
        };
      in
      {
        actual = lib.length image.request.layers;
        expected = builtins.seq image.drvPath 30;
      };
    "layer: override" = {
      actual = ((strata.buildLayer { deps = [ app ]; }).override { maxLayers = 2; }).request.maxLayers;
      expected = 2;
    };

    "layer: compression" = {
      actual =
        (strata.buildLayer {
          deps = [ app ];
          compression = "zstd:7";
        }).request.compression;
      expected = "zstd:7";
    };

    # Images
    "image: compressed" =
      let
        image = strata.buildImage {
          name = "x";
          compression = "gzip:9";
        };
        inherit (image) compressed;
      in
      {
        actual = {
          inherit (image.request) compression;
          default = lib.drop 3 compressed.args;
          changed = lib.drop 3 (compressed.override { compression = "zstd"; }).args;
          ofImage = "${lib.elemAt compressed.args 1}" == "${image}";
          ofCommands = lib.hasInfix (free "${compressed}") compressed.copyTo.text;
          again = compressed ? compressed;
        };
        expected = {
          compression = "gzip:9";
          default = [ ];
          changed = [ "--compression=zstd" ];
          ofImage = true;
          ofCommands = true;
          again = false;
        };
      };
    "image: defaults" = {
      actual = (strata.buildImage { name = "x"; }).request;
      expected = {
        version = 1;
        inherit (builtins) storeDir;
        copyToRoot = [ ];
        deps = [ ];
        ignore = [ ];
        layers = [ ];
        perms = [ ];
        maxLayers = 1;
        reproducible = true;
        compression = null;
        metadata.created_by = "strata";
        image = {
          name = "x";
          tag = null;
          arch = pkgs.go.GOARCH;
          created = "0001-01-01T00:00:00Z";
          config = { };
          annotations = { };
          nixDatabase = null;
        };
      };
    };
    "image: a Nix database and who owns it" = {
      actual =
        (strata.buildImage {
          name = "x";
          initializeNixDatabase = true;
          nixUid = 1000;
        }).request.image.nixDatabase;
      expected = {
        uid = 1000;
        gid = 0;
      };
    };
    "image: an owner of the Nix database, but no database" =
      let
        succeeds =
          arguments:
          let
            inherit (strata.buildImage ({ name = "x"; } // arguments)) request;
          in
          (builtins.tryEval (builtins.deepSeq request true)).success;
      in
      {
        actual = map succeeds [
          { nixUid = 1000; }
          { nixGid = 100; }
          { nixOwnStore = true; }
          {
            system = { };
            nixUid = 1000;
          }
          { nixUid = 0; }
        ];
        expected = [
          false
          false
          false
          true
          true
        ];
      };
    # nlewo/nix2container#173
    "image: packages for Darwin" =
      let
        darwin = import ../../nix {
          pkgs = pkgs // {
            stdenv = pkgs.stdenv // {
              hostPlatform = pkgs.stdenv.hostPlatform // {
                isDarwin = true;
              };
            };
          };
        };
        runsOn =
          arguments:
          let
            inherit (darwin.buildImage ({ name = "x"; } // arguments)) request;
          in
          builtins.tryEval (builtins.deepSeq request (request.image.platform or request.image.os or "linux"));
      in
      {
        actual = map (arguments: (runsOn arguments).value) [
          { }
          { arch = "arm64"; }
          { os = "linux"; }
          { os = "darwin"; }
          { platform = "linux/arm64"; }
        ];
        expected = [
          false
          false
          "linux"
          "darwin"
          "linux/arm64"
        ];
      };
    "image: config roots are deps" = {
      actual =
        (strata.buildImage {
          name = "x";
          config.Cmd = [ "${app}/bin/app" ];
        }).request.deps;
      expected = [ "${app}" ];
    };
    "image: name and tag" =
      let
        image = strata.buildImage {
          name = "registry.example/Team/App";
          tag = "v1";
        };
      in
      {
        actual = [
          image.name
          image.imageName
          image.imageTag
          image.imageRefUnsafe
        ];
        expected = [
          "image-app"
          "registry.example/team/app"
          "v1"
          "registry.example/team/app:v1"
        ];
      };
    "image: the tag is the hash of the output" =
      let
        image = strata.buildImage { name = "x"; };
      in
      {
        actual = [
          "${builtins.storeDir}/${image.imageTag}-image-x"
          (getContext image.imageTag)
        ];
        expected = [
          image.outPath
          { }
        ];
      };
    "image: a name that no derivation could have" = {
      actual = (strata.buildImage { name = "a/b@c"; }).name;
      expected = "image-b-c";
    };
    "image: override keeps the rest" =
      let
        image =
          (strata.buildImage {
            name = "x";
            tag = "1";
          }).override
            { tag = "2"; };
      in
      {
        actual = [
          image.imageRefUnsafe
          image.copyTo.meta.mainProgram
        ];
        expected = [
          "x:2"
          "copy-to"
        ];
      };
    # Those of nix2container under its names.
    "image: commands" =
      let
        image = strata.buildImage {
          name = "x";
          tag = "1";
        };
      in
      {
        actual = map (name: image.${name}.meta.mainProgram) [
          "copyTo"
          "copyToRegistry"
          "copyToDockerDaemon"
          "copyToPodman"
          "copyToContainerd"
          "inspect"
          "verify"
          "serve"
        ];
        expected = [
          "copy-to"
          "copy-to-registry"
          "copy-to-docker-daemon"
          "copy-to-podman"
          "copy-to-containerd"
          "inspect"
          "verify"
          "serve"
        ];
      };
    "image: the architecture of the packages, built here" =
      let
        cross = import ../../nix { pkgs = pkgs.pkgsCross.aarch64-multiplatform; };
        image = cross.buildImage { name = "x"; };
      in
      {
        actual = [
          image.request.image.arch
          image.system
        ];
        expected = [
          "arm64"
          pkgs.stdenv.buildPlatform.system
        ];
      };
    "image: platforms" = {
      actual =
        map
          (
            arguments:
            let
              request = (strata.buildImage ({ name = "x"; } // arguments)).request.image;
            in
            map (name: request.${name} or null) [
              "platform"
              "arch"
              "os"
              "variant"
            ]
          )
          [
            { }
            { arch = "arm64"; }
            { architecture = "arm64"; }
            {
              arch = "arm";
              variant = "v7";
            }
            { os = "windows"; }
            { platform = "linux/arm/v6"; }
          ];
      expected = [
        [
          null
          pkgs.go.GOARCH
          null
          null
        ]
        [
          null
          "arm64"
          null
          null
        ]
        [
          null
          "arm64"
          null
          null
        ]
        [
          null
          "arm"
          null
          "v7"
        ]
        [
          null
          pkgs.go.GOARCH
          "windows"
          null
        ]
        [
          "linux/arm/v6"
          null
          null
          null
        ]
      ];
    };
    "image: the variant of the packages" =
      let
        arm = import ../../nix {
          pkgs = pkgs // {
            go = {
              GOARCH = "arm";
              GOARM = "7";
            };
          };
        };
        variant = arguments: (arm.buildImage ({ name = "x"; } // arguments)).request.image.variant or null;
      in
      {
        actual = [
          (variant { })
          (variant { variant = "v6"; })
          (variant { arch = "arm64"; })
          (variant { architecture = "arm64"; })
        ];
        expected = [
          "v7"
          "v6"
          null
          null
        ];
      };
    "image: everything that a cross-built one needs to be built is for the machine that builds" =
      let
        # What these make, the builder's machine runs; the rest is content.
        notHere = name: throw "${name} of the image's platform";
        cross = import ../../nix {
          pkgs = pkgs.pkgsCross.aarch64-multiplatform // {
            callPackage = notHere "callPackage";
            runCommand = notHere "runCommand";
            writeShellScript = notHere "writeShellScript";
            writeShellScriptBin = notHere "writeShellScriptBin";
          };
        };
        image = cross.buildImage {
          name = "x";
          copyToRoot = app;
          system.users.app.uid = 7;
        };
      in
      {
        actual = lib.unique (
          map (result: result.system) [
            image
            image.archive
            image.compressed
            image.copyTo
            image.stream
            image.serve
            (cross.buildLayer { deps = [ app ]; })
          ]
        );
        expected = [ pkgs.stdenv.buildPlatform.system ];
      };
    "index: what is asked of the builder" =
      let
        image = strata.buildImage { name = "x"; };
        compressed = image.compressed;
        index = strata.buildIndex {
          name = "H.x/App";
          tag = "1";
          images = [ image ];
          meta.description = "d";
          annotations.k = "v";
        };
      in
      {
        actual = [
          index.request
          index.imageRefUnsafe
          index.compressed.request.index.images
          (index.compressed.override { compression = "zstd"; }).request.index.images
          (index.compressed ? compressed)
          (strata.buildIndex {
            name = "y";
            images = [ compressed ];
          }).compressed.request.index.images
          (index ? copyToRegistry && index ? serve && index ? archive)
          (index.override { tag = "2"; }).imageTag
        ];
        expected = [
          {
            version = 1;
            inherit (builtins) storeDir;
            index = {
              name = "H.x/App";
              tag = "1";
              images = [ "${image}" ];
              annotations = {
                k = "v";
                "org.opencontainers.image.description" = "d";
              };
            };
          }
          "h.x/app:1"
          [ "${compressed}" ]
          [ "${compressed.override { compression = "zstd"; }}" ]
          false
          [ "${compressed}" ]
          true
          "2"
        ];
      };
    "index: its images are its inputs, and its tag its hash" =
      let
        index = strata.buildIndex {
          name = "x";
          images = [ (strata.buildImage { name = "x"; }) ];
        };
      in
      {
        actual = [
          (lib.any (image: getContext image != { }) index.request.index.images)
          (lib.hasPrefix index.imageTag (baseNameOf (free index.outPath)))
          (getContext index.imageTag)
        ];
        expected = [
          true
          true
          { }
        ];
      };
    "image: fromImage" = {
      actual =
        let
          base = arguments: (strata.buildImage ({ name = "x"; } // arguments)).request.image;
          path = fromImage: (base { inherit fromImage; }).fromImage;
        in
        [
          (path app)
          (path "${app}/image.tar")
          (path {
            image = app;
            tag = "1";
          })
          (base { fromImage = ""; } ? fromImage)
          (base { remove = [ "/x" ]; }).remove
          (base { fromImage = app; }).inheritConfig
          (base {
            fromImage = app;
            inheritConfig = [ "User" ];
            fromImageEnv = true;
          }).inheritConfig
          (base {
            fromImage = app;
            inheritConfig = false;
            fromImageEnv = true;
          }).inheritConfig
        ];
      expected = [
        { path = "${app}"; }
        { path = "${app}/image.tar"; }
        {
          path = "${app}";
          tag = "1";
        }
        false
        [ "/x" ]
        true
        [
          "User"
          "Env"
        ]
        [ "Env" ]
      ];
    };
    "image: fromImage with an unknown choice" = throws (
      strata.buildImage {
        name = "x";
        fromImage = {
          image = app;
          label = "1";
        };
      }
    );
    "image: passthru" = {
      actual =
        (strata.buildImage {
          name = "x";
          passthru.extra = 1;
        }).extra;
      expected = 1;
    };
    "image: meta does not change the rest" = {
      actual =
        (strata.buildImage {
          name = "x";
          meta.platforms = [ "linux" ];
        }).drvPath;
      expected = (strata.buildImage { name = "x"; }).drvPath;
    };

    # Base systems
    "system: standard accounts" =
      let
        inherit (strata.baseSystem { binSh = "/x"; }) request;
      in
      {
        actual = [
          (lib.attrNames request.system.users)
          (lib.attrNames request.system.groups)
          request.system.users.root.shell
          request.system.directories
        ];
        expected = [
          [
            "nobody"
            "root"
          ]
          [
            "nobody"
            "root"
          ]
          "/bin/sh"
          [
            "/tmp"
            "/var/tmp"
            "/run"
          ]
        ];
      };
    "system: one field of root" = {
      actual = (strata.baseSystem { users.root.shell = "/x"; }).request.system.users.root.home;
      expected = "/root";
    };
    "system: users of Nix's builds with a nixConf" = {
      actual = map (system: lib.length (lib.attrNames system.request.system.users)) [
        (strata.baseSystem { nixConf = { }; })
        (strata.baseSystem { nixBuildUsers = 3; })
      ];
      expected = [
        34
        5
      ];
    };
    "system: outputs" = {
      actual = map (system: system.outputs) [
        (strata.baseSystem { })
        (strata.baseSystem {
          packages = [ app ];
          channelURL = "https://example.org";
        })
      ];
      expected = [
        [ "out" ]
        [
          "out"
          "profile"
          "channel"
        ]
      ];
    };
    "system: an output of a package" = {
      actual =
        map (package: package.outputs)
          (strata.baseSystem {
            packages = [
              (multi // { meta.outputsToInstall = [ "dev" ]; })
              (
                multi.dev
                // {
                  outputSpecified = true;
                }
              )
              app
            ];
          }).request.system.profile.packages;
      expected = [
        { dev = "${multi.dev}"; }
        { dev = "${multi.dev}"; }
        { out = "${app}"; }
      ];
    };
    "system: a user's home is the user's" =
      let
        system = strata.baseSystem {
          users.app = {
            uid = 7;
            home = "/home/a+b";
          };
          groups.app.gid = 8;
          tmp = false;
          shadow = false;
        };
        rule = regex: {
          path = system;
          regex = "^${lib.escapeRegex "${system}"}${regex}";
        };
      in
      {
        actual = lib.filter (rule: lib.hasInfix "home" rule.regex) system.perms;
        expected = [
          (
            rule "/home/a\\+b(/.*)?$"
            // {
              uid = 7;
              gid = 8;
              uname = "app";
              gname = "app";
            }
          )
          (rule "/home/a\\+b$" // { mode = "0700"; })
        ];
      };
    "system: the user's rules are the last" =
      let
        system = strata.baseSystem { };
        own = {
          path = system;
          mode = "0777";
        };
        image = strata.buildImage {
          name = "x";
          copyToRoot = [
            app
            [ system ]
          ];
          perms = [ own ];
        };
      in
      {
        actual = image.request.perms;
        expected = system.perms ++ [ own ];
      };
    "system: of an image" =
      let
        arguments.users.app.uid = 7;
        image = strata.buildImage {
          name = "x";
          copyToRoot = app;
          system = arguments;
        };
      in
      {
        actual = image.request.copyToRoot;
        expected = [
          "${app}"
          "${strata.baseSystem arguments}"
        ];
      };

    # Images from registries
    "pullImage: nix2container's arguments" = {
      actual =
        let
          image = strata.pullImage {
            imageName = "registry.example/a/b";
            imageDigest = digestOf "1";
            sha256 = zeros;
            arch = "arm64";
            tlsVerify = false;
          };
        in
        {
          inherit (image)
            name
            args
            outputHashMode
            imageName
            imageDigest
            ;
          builder = image.builder == "${strata.strata}/bin/strata";
          proxies = lib.elem "https_proxy" image.impureEnvVars && lib.elem "NETRC" image.impureEnvVars;
        };
      expected = {
        name = "docker-image-registry.example-a-b";
        args = [
          "pull"
          "registry.example/a/b@${digestOf "1"}"
          (placeholder "out")
          "--tls-verify=false"
          "--default-authfile=/etc/skopeo/auth.json"
          "--platform=linux/arm64"
        ];
        outputHashMode = "recursive";
        imageName = "registry.example/a/b";
        imageDigest = digestOf "1";
        builder = true;
        proxies = true;
      };
    };
    # Only the name and the hash decide the path, so what nix2container fetched is there already.
    "pullImage: the path is that of nix2container" = {
      actual =
        (strata.pullImage {
          imageName = "alpine";
          imageDigest = digestOf "1";
          sha256 = zeros;
        }).outPath;
      expected =
        (derivation {
          name = "docker-image-alpine";
          inherit (pkgs.stdenv.buildPlatform) system;
          builder = "/skopeo";
          outputHashMode = "recursive";
          outputHashAlgo = "sha256";
          outputHash = zeros;
        }).outPath;
    };
    "pullImage: what is missing or too much" = {
      actual = map (arguments: (builtins.tryEval (strata.pullImage arguments).outPath).success) [
        { }
        { imageName = "a"; }
        {
          imageName = "a";
          imageDigest = digestOf "1";
        }
        {
          imageName = "a";
          imageDigest = digestOf "1";
          sha256 = zeros;
          hash = zeros;
        }
        {
          imageName = "a";
          lock = lockFile;
        }
        {
          lock = lockFile;
          arch = "riscv64";
        }
        { lock = lockFile; }
      ];
      expected = [
        false
        false
        false
        false
        false
        false
        true
      ];
    };
    "pullImage: a lock file has all that is needed" = {
      actual =
        let
          image = strata.pullImage { lock = lockFile; };
          arm = strata.pullImage {
            lock = lockFile;
            arch = "arm";
          };
        in
        [
          image.imageName
          image.imageTag
          image.imageDigest
          arm.imageDigest
        ];
      expected = [
        "docker.io/library/alpine"
        "3.20"
        (digestOf "1")
        (digestOf "2")
      ];
    };
    "pullImageFromManifest: the image of a manifest" = {
      actual =
        let
          image =
            imageManifest:
            strata.pullImageFromManifest {
              imageName = "library/alpine";
              inherit imageManifest;
            };
          succeeds = manifest: (builtins.tryEval (image manifest).outPath).success;
        in
        map succeeds [
          ./images/manifest.json
          ./images/index.json
          ./images/schema1.json
          null
        ];
      expected = [
        true
        false
        false
        false
      ];
    };
    "pullImage: an image on top says on what it is" = {
      actual =
        let
          annotations =
            fromImage: more:
            (strata.buildImage ({ inherit fromImage; } // { name = "x"; } // more)).request.image.annotations;
          pull =
            imageName:
            strata.pullImage {
              inherit imageName;
              imageDigest = digestOf "1";
              sha256 = zeros;
            };
          name = image: (annotations image { })."org.opencontainers.image.base.name";
        in
        [
          (annotations { image = strata.pullImage { lock = lockFile; }; } { })
          (map (image: name (pull image)) [
            "alpine"
            "bitnami/nginx"
            "docker.io/alpine"
            "docker.io/bitnami/nginx"
            "index.docker.io/alpine"
            "localhost/a"
            "127.0.0.1:5000/a"
            "quay.io/a/b"
          ])
          (name (
            strata.pullImageFromManifest {
              imageName = "library/alpine";
              imageManifest = ./images/manifest.json;
            }
          ))
          (annotations (pull "alpine") {
            annotations."org.opencontainers.image.base.name" = "own";
          })."org.opencontainers.image.base.name"
          (annotations app { })
          (annotations null { })
        ];
      expected = [
        {
          "org.opencontainers.image.base.name" = "docker.io/library/alpine:3.20";
          # Clients, row 4: what the name refers to, which is the index.
          "org.opencontainers.image.base.digest" = (lib.importJSON lockFile).index.digest;
        }
        [
          "docker.io/library/alpine"
          "docker.io/bitnami/nginx"
          "docker.io/library/alpine"
          "docker.io/bitnami/nginx"
          "docker.io/library/alpine"
          "localhost/a"
          "127.0.0.1:5000/a"
          "quay.io/a/b"
        ]
        "docker.io/library/alpine"
        "own"
        { }
        { }
      ];
    };
    # Its hash is that of skopeo's archive.
    "dockerTools: pullImage is that of nixpkgs" = {
      actual =
        (import ../../nix {
          pkgs = pkgs // {
            dockerTools.pullImage = arguments: arguments // { of = "nixpkgs"; };
          };
        }).dockerTools.pullImage
          { finalImageTag = "1"; };
      expected = {
        finalImageTag = "1";
        of = "nixpkgs";
      };
    };
    # As the first step, when there is no manifest yet.
    "pullImageFromManifest: getManifest needs no manifest" = {
      actual = (strata.pullImageFromManifest { imageName = "library/alpine"; }).getManifest.name;
      expected = "get-manifest";
    };

    # Annotations
    "annotations: from meta" = {
      actual = annotations {
        title = "App";
        description = "Does things";
        homepage = [
          "https://example.org"
          "https://example.com"
        ];
        license = [
          lib.licenses.mit
          lib.licenses.asl20
          lib.licenses.unfree
        ];
        version = "1.0";
        mainProgram = "app";
      };
      expected = {
        "org.opencontainers.image.title" = "App";
        "org.opencontainers.image.description" = "Does things";
        "org.opencontainers.image.url" = "https://example.org";
        "org.opencontainers.image.licenses" = "MIT AND Apache-2.0 AND LicenseRef-nixpkgs-unfree";
        "org.opencontainers.image.version" = "1.0";
      };
    };
    "annotations: a licence of text" = {
      actual = annotations { license = "MIT OR Apache-2.0"; };
      expected."org.opencontainers.image.licenses" = "MIT OR Apache-2.0";
    };
    "annotations: nothing from nulls and empty lists" = {
      actual =
        annotations {
          description = null;
          homepage = null;
          license = null;
        }
        // annotations {
          homepage = [ ];
          license = [ ];
        };
      expected = { };
    };
    "annotations: a licence without names" = {
      actual = annotations { license.free = true; };
      expected."org.opencontainers.image.licenses" = "LicenseRef-nixpkgs-unknown";
    };
    "annotations: the user's win" = {
      actual =
        (strata.buildImage {
          name = "x";
          meta.description = "from meta";
          annotations."org.opencontainers.image.description" = "from the user";
        }).request.image.annotations;
      expected."org.opencontainers.image.description" = "from the user";
    };
  };
in
lib.concatLists (
  lib.mapAttrsToList (
    name: test:
    lib.optional (
      test.actual != test.expected
    ) "${name}: expected ${builtins.toJSON test.expected}, got ${builtins.toJSON test.actual}"
  ) tests
)
