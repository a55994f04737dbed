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

  # For another processor, as far as the functions look at that.
  armv7l = import ../../nix {
    pkgs = pkgs // {
      go = {
        GOARCH = "arm";
        GOARM = "7";
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
    # The context of all would be too much where there are thousands (NixOS/nixpkgs#140908).
    "roots: each has its own context" = {
      actual = map getContext (configRoots [ "${app}:${other}" ]);
      expected = map getContext (
        lib.sort (one: two: one < two) [
          "${app}"
          "${other}"
        ]
      );
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

    # Images by name
    "names: nixery's look-up" =
      let
        leaf = name: drv { inherit name; };
        found = import ../../nix/internal/find-packages.nix { inherit lib; } {
          packages = {
            a = leaf "a";
            bC = leaf "bC";
            bc = leaf "bc";
            Set.x = leaf "x";
            set2.Y = leaf "Y";
            _1p = leaf "1p";
            failed = leaf "failed" // {
              error = "X of nixery: it took this for a miss";
            };
            nothing = null;
          };
          names = [
            "a"
            "bc"
            "set.x"
            "set2.y"
            "1p"
            "failed"
            "nothing"
            "Set"
            "a.b"
            "1x"
          ];
        };
      in
      {
        actual = map (it: it.name) found.found ++ found.missing;
        expected = [
          "a"
          "bc"
          "x"
          "1p"
          "failed"
          "set2.y"
          "nothing"
          "Set"
          "a.b"
          "_1x"
        ];
      };
    "names: words at the front" = {
      actual = map (name: (strata.fromName { inherit name; }).request.image.arch or null) [
        "hello"
        "shell/hello"
      ];
      expected = [
        "amd64"
        "amd64"
      ];
    };
    "registry: the service of the module" =
      let
        settings = {
          listen = "[::]:5001";
          images.app = "path:/srv/app#image";
        };
        module = import ../../nix/registry-module.nix { strataFor = _: strata; } {
          config = {
            nix.package = app;
            services.strata-registry = {
              inherit settings;
              package = other;
              openFirewall = true;
            };
          };
          lib = lib // {
            mkIf = _: content: content;
            mkOption = option: option;
            mkEnableOption = text: text;
            literalExpression = text: text;
            toInt = builtins.fromJSON;
            types = lib.types or { } // {
              bool = "bool";
              package = "package";
            };
          };
          pkgs = pkgs // {
            gitMinimal = app;
            formats.toml = _: {
              type = "toml";
              generate = _: builtins.toJSON;
            };
          };
        };
        service = module.config.systemd.services.strata-registry.serviceConfig;
        start = builtins.match "(.*)/bin/strata-registry --config (.*)" service.ExecStart;
      in
      {
        actual = [
          (lib.head start)
          (builtins.fromJSON (lib.elemAt start 1))
          service.ExecStartPre
          module.config.networking.firewall.allowedTCPPorts
        ];
        expected = [
          "${other}"
          (settings // { state = "/var/lib/strata-registry"; })
          "${service.ExecStart} --check-config"
          [ 5001 ]
        ];
      };

    # Mistakes in arguments (issue 11, new users 3)
    "mistakes: each is a sentence with a hint" =
      let
        hint = lib.splitString "\nhint: ";
        said =
          function: arguments:
          let
            mistakes = strata.${function}.mistakes arguments;
          in
          if mistakes == [ ] then null else hint (lib.head mistakes);
        cases = [
          [
            "buildImage"
            {
              name = "x";
              perms = { };
            }
            "buildImage: attribute perms: expected a list, found an attribute set"
            "write it in brackets, as in [ { path = files; mode = \"0755\"; } ]"
          ]
          [
            "buildImage"
            {
              name = "x";
              limits.size = 200;
            }
            "buildImage: attribute limits.size: expected a string, found the number 200"
            "write it in quotes, as in \"200M\""
          ]
          [
            "buildImage"
            {
              name = "x";
              limits.deny = [ 1 ];
            }
            "buildImage: attribute limits.deny[0]: expected a path, found the number 1"
            "write a name in quotes, as in \"gcc\", or a package"
          ]
          [
            "buildImage"
            {
              name = "x";
              limits.growth.against = "x";
            }
            "buildImage: attribute limits.growth.size: is missing"
            "write limits.growth with size"
          ]
          [
            "buildImage"
            {
              name = "x";
              limits.bytes = "200M";
            }
            "buildImage: attribute limits.bytes: is not an attribute of this"
            "write one of deny, growth, layers, size"
          ]
          [
            "buildImage"
            {
              name = "x";
              files = [ ];
            }
            "buildImage: attribute files: expected an attribute set, found a list"
            "write { .. }"
          ]
          [
            "buildImage"
            {
              name = "x";
              files."/etc/x" = "text";
            }
            "buildImage: attribute files.\"/etc/x\": expected an attribute set, found the string \"text\""
            "write files.\"/etc/x\".source = .., or .text or .link"
          ]
          [
            "buildImage"
            {
              name = "x";
              files."/x".mode = 755;
            }
            "buildImage: attribute files.\"/x\".mode: expected a string, found the number 755"
            "write it in quotes, as in \"0755\""
          ]
          [
            "buildLayer"
            { files."/x".owner = "app"; }
            "buildLayer: attribute files.\"/x\".owner: is not an attribute of this"
            "write one of capabilities, gid, group, hardlink, link, major, minor, mode, source, text, type, uid, user, xattrs"
          ]
          [
            "buildLayer"
            { files."/x".user = 1000; }
            "buildLayer: attribute files.\"/x\".user: expected a string, found the number 1000"
            "a number is `uid`"
          ]
          [
            "buildLayer"
            { files."/x".xattrs."user.a" = true; }
            "buildLayer: attribute files.\"/x\".xattrs.\"user.a\": expected a string, found true"
            "write it in quotes"
          ]
          [
            "buildLayer"
            { files."/x".capabilities = [ 5 ]; }
            "buildLayer: attribute files.\"/x\".capabilities: expected a list of names, found a list"
            "write it in brackets, as in [ \"CAP_NET_RAW\" ]"
          ]
          [
            "buildLayer"
            { compressor = "zstd"; }
            "buildLayer: there is no argument `compressor`"
            "it is called `compression` here: \"gzip\", \"zstd\" or \"none\""
          ]
          [
            "buildImage"
            {
              name = "x";
              keepContentsDirlinks = true;
            }
            "buildImage: there is no argument `keepContentsDirlinks`"
            "links to directories in `copyToRoot` stay links here: leave it out; `pkgs.symlinkJoin` makes directories of them"
          ]
          [
            "buildImage"
            {
              name = "x";
              fromTar = ./x.tar;
            }
            "buildImage: there is no argument `fromTar`"
            "`tarLayers` of `buildImage` are layers as they are; or unpack it in a derivation for `copyToRoot`, and give owners and modes with `perms` or `files`"
          ]
          [
            "buildLayer"
            { ensureDirs = [ "/tmp" ]; }
            "buildLayer: there is no argument `ensureDirs`"
            "say `files.\"/tmp\" = { type = \"directory\"; mode = \"1777\"; }` for each"
          ]
          [
            "buildImage"
            {
              name = "x";
              system = "x86_64-linux";
            }
            "buildImage: attribute system: expected an attribute set, found the string \"x86_64-linux\""
            "it is what goes to /, as in { users.app.uid = 1000; }; which machine the image is for is said with `platform`"
          ]
          [
            "buildImage"
            { tag = "1"; }
            "buildImage: the argument `name` is missing"
            "write buildImage { name = ..; }"
          ]
          [
            "buildImage"
            "app"
            "buildImage: expected an attribute set of arguments"
            "write buildImage { name = ..; }"
          ]
          [
            "buildImage"
            {
              name = "x";
              copytoroot = app;
            }
            "buildImage: there is no argument `copytoroot`"
            "did you mean `copyToRoot`?"
          ]
          [
            "buildImage"
            {
              name = "x";
              permsFile = "p";
            }
            "buildImage: there is no argument `permsFile`"
            "say `perms = lib.importJSON ..`"
          ]
          [
            "buildImage"
            {
              name = "x";
              fromImage = 5;
            }
            "buildImage: attribute fromImage: expected an image, found the number 5"
            "write one of `buildImage` or `pullImage`, the path of an archive, or { image = ..; tag = ..; }"
          ]
          [
            "buildImage"
            {
              name = "x";
              config = app;
            }
            "buildImage: attribute config: expected an attribute set, found a derivation"
            "write { .. }"
          ]
          [
            "buildLayer"
            { deps = [ [ 5 ] ]; }
            "buildLayer: attribute deps: expected derivations, paths or strings, found a list"
            "write one, or several in brackets, as in [ pkgs.hello ]"
          ]
          [
            "buildLayer"
            { capabilities = [ { path = app; } ]; }
            "buildLayer: attribute capabilities[0].caps: is missing"
            "write capabilities[0] with path, caps"
          ]
          [
            "buildLayer"
            {
              capabilities = [
                {
                  path = app;
                  caps = [ ];
                  "a b" = 1;
                }
              ];
            }
            "buildLayer: attribute capabilities[0].\"a b\": is not an attribute of this"
            "write one of caps, path, regex"
          ]
          [
            "buildLayer"
            { layeringPipeline.limit_layers = 5; }
            "buildLayer: attribute layeringPipeline: expected a list of operations, or a file of them, found an attribute set"
            "write [ [ \"popularity_contest\" ] [ \"limit_layers\" 50 ] ], or the path of a JSON file"
          ]
          [
            "buildImage"
            {
              name = "x";
              layeringPipeline = [
                [ "flatten" ]
                "popularity_contest"
              ];
            }
            "buildImage: attribute layeringPipeline[1]: expected an operation, found the string \"popularity_contest\""
            "write its name and its arguments, as in [ \"limit_layers\" 50 ]"
          ]
          [
            "buildLayer"
            { name = "x"; }
            "buildLayer: there is no argument `name`"
            "it is one of `buildImage`, whose `layers` take the result of this function"
          ]
          [
            "buildIndex"
            {
              name = "x";
              images = app;
            }
            "buildIndex: attribute images: expected a list, found a derivation"
            "write it in brackets, as in [ .. ]"
          ]
          [
            "baseSystem"
            { users.app = "1000"; }
            "baseSystem: attribute users.app: expected an attribute set, found the string \"1000\""
            "write users.app.uid = 1000"
          ]
          [
            "baseSystem"
            { users."a.b".createHome = "yes"; }
            "baseSystem: attribute users.\"a.b\".createHome: expected true or false, found the string \"yes\""
            "write it without quotes"
          ]
          [
            "baseSystem"
            { groups.app = 1000; }
            "baseSystem: attribute groups.app: expected an attribute set, found the number 1000"
            "write groups.app.gid = 1000"
          ]
          [
            "baseSystem"
            { user = { }; }
            "baseSystem: attribute user: expected a string, found an attribute set"
            "write it in quotes"
          ]
          [
            "buildNixImage"
            { extraPackages = [ ]; }
            "buildNixImage: there is no argument `extraPackages`"
            "did you mean `extraPkgs`?"
          ]
          [
            "pullImage"
            { finalImageTag = "1"; }
            "pullImage: there is no argument `finalImageTag`"
            "it is one of `dockerTools.pullImage`, which is there, too; leave it out here"
          ]
          [
            "pullImage"
            { xyz = 1; }
            "pullImage: there is no argument `xyz`"
            "the arguments are arch, authFile, hash, imageDigest, imageName, lock, name, os, sha256, tlsVerify, variant"
          ]
          [
            "buildImages"
            [ { name = "x"; } ]
            "buildImages: expected images by their names"
            "write buildImages { web = { config = ..; }; worker = { .. }; }"
          ]
          [
            "buildImages"
            { "a/b" = { }; }
            "buildImages: \"a/b\" is no name for an image here"
            "take letters, digits, `-` and `_`; with `name` in its arguments it is called what you like"
          ]
          [
            "buildImages"
            { copyTo = { }; }
            "buildImages: \"copyTo\" is no name for an image here"
            "take letters, digits, `-` and `_`; with `name` in its arguments it is called what you like"
          ]
          [
            "buildImages"
            { web = app; }
            "buildImages: attribute web: expected the arguments of buildImage"
            "write web = { config = ..; }"
          ]
          [
            "buildImages"
            {
              web.strategy = "biggest";
              worker = { };
            }
            "buildImages: attribute web.strategy: the layers of all images are planned together"
            "leave it out, or build this image with `buildImage`"
          ]
          [
            "pullImageFromManifest"
            { imageName = null; }
            "pullImageFromManifest: attribute imageName: expected a string, found null"
            "write it in quotes"
          ]
        ];
      in
      {
        actual = map (case: said (lib.elemAt case 0) (lib.elemAt case 1)) cases;
        expected = map (case: [
          (lib.elemAt case 2)
          (lib.elemAt case 3)
        ]) cases;
      };
    "mistakes: every argument has a type" =
      let
        untyped =
          function: exceptions:
          let
            formals = lib.functionArgs strata.${function};
            given = lib.mapAttrs (_: _: app) (lib.filterAttrs (_: hasDefault: !hasDefault) formals);
            mistakes = argument: strata.${function}.mistakes (given // { ${argument} = throws; });
            isTold =
              argument:
              lib.any (lib.hasPrefix "${function}: attribute ${argument}: expected ") (mistakes argument);
          in
          lib.filter (argument: !isTold argument) (lib.subtractLists exceptions (lib.attrNames formals));
      in
      {
        actual = [
          (untyped "buildImage" [ ])
          (untyped "buildLayer" [ ])
          (untyped "buildIndex" [ ])
          (untyped "baseSystem" [ ])
          (untyped "pullImage" [ ])
          (untyped "pullImageFromManifest" [ ])
        ];
        expected = [
          [ ]
          [ ]
          [ ]
          [ ]
          [ ]
          [ ]
        ];
      };
    "mistakes: they are thrown" = {
      actual = map (value: (builtins.tryEval (builtins.seq value.drvPath true)).success) [
        (strata.buildImage { })
        (strata.buildImage {
          name = "x";
          perms = { };
        })
        (strata.buildImage {
          name = "x";
          system.users.app = "1000";
        })
        ((strata.buildImage { name = "x"; }).override { tga = "1"; })
        ((strata.buildLayer { }).override { deps = 5; })
        ((strata.buildImage { name = "x"; }).compressed.override { compresion = "gzip"; })
        ((strata.buildImage { name = "x"; }).rootfs.override { platform = 1; })
        ((strata.buildImage { name = "x"; }).debug.override { packages = [ "bash" ]; })
        (strata.buildIndex { name = "x"; })
        (strata.buildImage {
          name = "x";
          tag = "1";
        })
      ];
      expected = [
        false
        false
        false
        false
        false
        false
        false
        false
        false
        true
      ];
    };
    "limits: what is denied is not built, and growth is measured by the layers before" =
      let
        before = strata.buildImage {
          name = "before";
          tag = "1";
        };
        image = strata.buildImage {
          name = "x";
          tag = "1";
          previousLayers = before;
          limits = {
            deny = [
              app
              "gcc"
            ];
            growth.size = "5 %";
          };
        };
        inherit (image.request.image) limits;
        fails = value: !(builtins.tryEval value.drvPath).success;
      in
      {
        actual = [
          limits
          (lib.any (name: getContext name != { }) limits.deny)
          (fails (
            strata.buildImage {
              name = "x";
              limits.growth.size = "5 %";
            }
          ))
          (fails before.checks)
          (fails image.checks)
          (before.checks.override { limits.size = "1M"; }).args
        ];
        expected = [
          {
            deny = [
              (free "${app}")
              "gcc"
            ];
            growth = {
              size = "5 %";
              against = "${before}";
            };
          }
          false
          true
          true
          false
          [
            "check"
            before
            "--report=${placeholder "out"}"
            "--max-size=1M"
          ]
        ];
      };
    "mistakes: what nobody asks for is not looked at" = {
      actual =
        let
          image = strata.buildImage {
            name = "x";
            tag = "1";
            meta = throw "meta";
            config = throw "config";
          };
        in
        [
          image.imageName
          image.imageTag
          (lib.functionArgs strata.buildImage).name
        ];
      expected = [
        "x"
        "1"
        false
      ];
    };
    "dockerTools: what is wrong is told before anything is built" =
      let
        inherit (strata.dockerTools)
          buildImage
          buildLayeredImage
          streamLayeredImage
          streamNixShellImage
          ;
        fails = value: !(builtins.tryEval value.drvPath).success;
      in
      {
        actual = map fails [
          (buildImage {
            name = "a";
            compressor = "xz";
          })
          (buildLayeredImage {
            name = "a";
            compressor = "xz";
          })
          (buildImage {
            name = "a";
            contents = [ ];
            copyToRoot = [ ];
          })
          (streamLayeredImage {
            name = "a";
            maxLayers = 1;
          })
          (streamNixShellImage {
            drv = pkgs.hello;
            run = "";
            command = "";
          })
          (streamNixShellImage { drv = strata.buildImage { name = "a"; }; })
          (streamLayeredImage {
            name = "a";
            maxLayers = 1;
            layeringPipeline = [ [ "popularity_contest" ] ];
          })
        ];
        expected = [
          true
          true
          true
          true
          true
          true
          false
        ];
      };
    "dockerTools: mistakes in arguments are sentences" = {
      actual = lib.concatMap (mistakes: map (lib.replaceStrings [ "\n" ] [ " " ]) mistakes) [
        (strata.dockerTools.streamLayeredImage.mistakes {
          name = "a";
          copyToRoot = [ ];
        })
        (strata.dockerTools.buildImage.mistakes {
          name = "a";
          fakeRootCommands = "";
        })
        (strata.dockerTools.buildImage.mistakes { name = 1; })
        (strata.dockerTools.buildNixShellImage.mistakes { name = "a"; })
      ];
      expected = [
        "streamLayeredImage: there is no argument `copyToRoot` hint: it is called `contents` here, and its files are linked, not copied"
        "dockerTools.buildImage: there is no argument `fakeRootCommands` hint: say `runAsRoot`"
        "dockerTools.buildImage: attribute name: expected a string, found the number 1 hint: write it in quotes"
        "buildNixShellImage: the argument `drv` is missing hint: write buildNixShellImage { drv = ..; }"
      ];
    };
    "dockerTools: results have the attributes of nixpkgs" =
      let
        inherit (strata.dockerTools) buildImage buildLayeredImage streamLayeredImage;
        named = {
          name = "Registry:5000/Some/Image";
          tag = "T";
          passthru.mine = 1;
        };
        stream = streamLayeredImage named;
        layered = buildLayeredImage named;
        image = buildImage {
          name = "A";
          meta.description = "d";
        };
      in
      {
        actual = [
          stream.imageName
          stream.imageTag
          stream.isExe
          stream.mine
          stream.passthru.mine
          stream.name
          layered.name
          layered.imageTag
          (layered ? isExe)
          layered.stream.isExe
          (layered.conf.drvPath == stream.conf.drvPath)
          image.name
          image.imageName
          (image.imageTag == builtins.substring 11 32 image.outPath)
          image.buildArgs.name
          image.meta.description
          (image.override { compressor = "zstd"; }).name
          (image.overrideAttrs (_: {
            extra = "x";
          })).drvAttrs.extra
          (image ? copyTo && layered ? copyTo && stream ? copyTo)
          stream.imageReferences
          (strata.dockerTools.override { storeDir = "/store"; } ? buildImage)
        ];
        expected = [
          "registry:5000/some/image"
          "T"
          true
          1
          1
          "stream-Image"
          "Image.tar.gz"
          "T"
          false
          true
          true
          "docker-image-A.tar.gz"
          "a"
          true
          "A"
          "d"
          "docker-image-A.tar.zst"
          "x"
          true
          [ "registry:5000/some/image:T" ]
          true
        ];
      };
    # Issue 11, new users 4.
    "nix2container: its skopeo says what to run" =
      let
        package = import ../../nix/internal/skopeo-nix2container.nix { tools = pkgs; };
      in
      {
        actual = [
          (builtins.tryEval strata.skopeo-nix2container).success
          package.meta.mainProgram
          (lib.hasInfix "nix run .#image.copyTo -- DESTINATION" package.message)
          (lib.hasInfix package.message package.text)
        ];
        expected = [
          false
          "skopeo"
          true
          true
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

    "layer: a pipeline of operations with packages in them" =
      let
        written =
          layeringPipeline:
          builtins.toJSON (strata.buildLayer { inherit layeringPipeline; }).request.layeringPipeline;
        list = written [
          [
            "split_paths"
            [
              app
              { children_of = app; }
            ]
          ]
          [
            "over"
            "rest"
            [
              "popularity"
              5
            ]
          ]
        ];
        path = "\"${app}\"";
      in
      {
        actual = [
          list
          (builtins.hasContext list)
          (written app)
          (lib.hasPrefix "\"${builtins.storeDir}/" (written ./unit.nix))
        ];
        expected = [
          ''[["split_paths",[${path},{"children_of":${path}}]],["over","rest",["popularity",5]]]''
          true
          path
          true
        ];
      };

    "layer: compression" = {
      actual =
        (strata.buildLayer {
          deps = [ app ];
          compression = "zstd:7";
        }).request.compression;
      expected = "zstd:7";
    };

    # What only evaluation knows
    "evaluation: packages are found in arguments, and in what they are built from" =
      let
        evaluation = import ../../nix/internal/evaluation.nix { inherit lib pkgs; };
        image = strata.buildImage { name = "x"; };
        package =
          name: attributes:
          drv (
            {
              inherit name;
            }
            // attributes
          )
          // {
            meta = {
              description = "The ${name}";
              license = [
                lib.licenses.mit
                { fullName = "Ours"; }
                "Theirs"
              ];
              homepage = [
                "https://a.example"
                "https://b.example"
              ];
              identifiers.cpe = "cpe:2.3:a:x:x:1:*:*:*:*:*:*:*";
            };
          };
        library = package "library-2.0" { };
        tool = package "tool-1.0" {
          outputs = [
            "out"
            "dev"
          ];
          inputs = [ [ library ] ];
        };
        broken = drv { name = "broken-1"; } // {
          meta = throw "no meta";
        };
        given = package "given-3" { };
        found = evaluation {
          inherit image;
          arguments = [
            "${pkgs.hello}/bin/hello"
            { nested = [ tool ]; }
            broken
            null
          ];
          packages = [ given ];
          provenance = { };
        };
        byName = lib.mapAttrs' (path: about: lib.nameValuePair (builtins.substring 44 99 path) about);
        packages = byName found.packages;
      in
      {
        actual = [
          (lib.attrNames packages)
          packages."library-2.0"
          packages.${builtins.substring 44 99 (free "${pkgs.hello}")}.homepage
          (found.build.derivation == free image.drvPath)
          (found.build ? flake)
        ];
        expected = [
          (lib.sort builtins.lessThan [
            "given-3"
            (builtins.substring 44 99 (free "${pkgs.hello}"))
            "library-2.0"
            "tool-1.0"
            "tool-1.0-dev"
          ])
          {
            name = "library";
            version = "2.0";
            description = "The library-2.0";
            homepage = "https://a.example";
            cpe = "cpe:2.3:a:x:x:1:*:*:*:*:*:*:*";
            licences = [
              {
                spdxId = "MIT";
                name = "mit";
              }
              { name = "Ours"; }
              {
                spdxId = "Theirs";
                name = "Theirs";
              }
            ];
          }
          "https://www.gnu.org/software/hello/manual/"
          true
          false
        ];
      };
    "evaluation: where an image is from" =
      let
        evaluation = import ../../nix/internal/evaluation.nix { inherit lib pkgs; };
        about =
          provenance:
          (evaluation {
            image = strata.buildImage { name = "x"; };
            arguments = [ ];
            packages = [ ];
            inherit provenance;
          }).build.flake;
        flake = about {
          source = {
            outPath = toString ../..;
            rev = "abc";
            narHash = "sha256-x";
          };
          uri = "github:me/app";
          attribute = "image";
        };
      in
      {
        actual = [
          (removeAttrs flake [ "inputs" ])
          (map (input: input.uri) flake.inputs)
          (about { uri = "path:/x"; })
        ];
        expected = [
          {
            uri = "github:me/app";
            attribute = "image";
            revision = "abc";
            narHash = "sha256-x";
          }
          [ "github:NixOS/nixpkgs" ]
          {
            uri = "path:/x";
            inputs = [ ];
          }
        ];
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
        maxLayers = null;
        reproducible = true;
        compression = null;
        metadata = null;
        image = {
          name = "x";
          tag = null;
          arch = pkgs.go.GOARCH;
          created = "1970-01-01T00:00:01Z";
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
    "image: files as the builder reads them" =
      let
        image = strata.buildImage {
          name = "x";
          system = {
            users.app = {
              uid = 1000;
              gid = 100;
            };
            users.other.uid = 7;
            groups.app.gid = 1000;
            groups.users.gid = 100;
          };
          files = {
            "/data" = {
              type = "directory";
              user = "app";
            };
            "/more" = {
              type = "directory";
              user = "other";
              group = "app";
            };
            "/root" = {
              type = "directory";
              user = "root";
              gid = 5;
            };
            "/bin/app" = {
              source = "${app}/bin/app";
              capabilities = "cap_net_raw+ep";
            };
            "/conf".source = other;
            "/bin/other".link = "${multi}/bin/other";
          };
        };
        inherit (image.request) files;
      in
      {
        actual = {
          owners = map (path: removeAttrs files.${path} [ "type" ]) [
            "/data"
            "/more"
            "/root"
          ];
          inherit (files."/bin/app") capabilities;
          sources = map (path: files.${path}.source) [
            "/bin/app"
            "/conf"
          ];
          # The base system is not known by its path here.
          deps = map free image.request.deps;
          closure = lib.subtractLists (map free image.request.copyToRoot) (
            map free image.exportReferencesGraph.closure
          );
        };
        expected = {
          owners = [
            {
              uid = 1000;
              uname = "app";
              gid = 100;
              gname = "users";
            }
            {
              uid = 7;
              uname = "other";
              gid = 1000;
              gname = "app";
            }
            {
              uid = 0;
              uname = "root";
              gid = 5;
            }
          ];
          capabilities = [ "cap_net_raw+ep" ];
          sources = [
            "${app}/bin/app"
            "${other}"
          ];
          deps = [ (free "${multi}") ];
          closure = map free (unique [
            "${app}"
            "${multi}"
            "${other}"
          ]);
        };
      };
    "image: users that files name and nobody knows" = throws (
      (strata.buildImage {
        name = "x";
        files."/data" = {
          type = "directory";
          user = "app";
        };
      }).request.files."/data".uid
    );
    "layer: files with two owners" = throws (
      (strata.buildLayer {
        files."/data" = {
          type = "directory";
          user = "root";
          uid = 5;
        };
      }).request.files."/data".uid
    );
    "layer: files with two contents" = throws (
      (strata.buildLayer {
        files."/data" = {
          text = "";
          source = app;
        };
      }).request.files."/data".source
    );
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
    "results: overrideAttrs and override keep each other" =
      let
        image = strata.buildImage {
          name = "x";
          tag = "1";
          passthru.mine = 1;
          meta.description = "d";
        };
        rename = previous: { name = "${previous.name}-renamed"; };
        both = (image.overrideAttrs rename).override { tag = "2"; };
        other = (image.override { tag = "2"; }).overrideAttrs rename;
        passed = image.overrideAttrs (previous: {
          passthru = previous.passthru // {
            more = 2;
          };
          meta = previous.meta // {
            homepage = "h";
          };
        });
        final = image.overrideAttrs (
          final: previous: {
            passthru.is = final.name;
            name = "y";
          }
        );
        isAbout = drv: lib.hasInfix (free "${drv}") drv.copyTo.text;
        # Of all that is in it, the small set has nothing.
        nixImage = strata.buildNixImage (
          {
            tag = "1";
            nix = app // {
              pname = "nix";
            };
            bashInteractive = app;
            nixConf.substituters = [ ];
          }
          // lib.genAttrs [
            "cacert"
            "coreutils-full"
            "curl"
            "findutils"
            "gitMinimal"
            "gnugrep"
            "gnutar"
            "gzip"
            "iana-etc"
            "less"
            "libxml2"
            "man"
            "openssh"
            "shadow"
            "sqlite"
            "wget"
            "which"
          ] (_: app)
        );
        changed = nixImage.overrideAttrs rename;
        others = lib.mapAttrs (_: result: (result.overrideAttrs rename).name == "${result.name}-renamed") {
          layer = strata.buildLayer { };
          index = strata.buildIndex {
            name = "x";
            images = [ image ];
          };
          ofSeveral = (strata.buildImages { web = { }; }).web;
          pulled = strata.pullImage {
            imageName = "alpine";
            imageDigest = "sha256:${zeros}";
            sha256 = zeros;
          };
        };
      in
      {
        actual = {
          inherit others;
          same = both.drvPath == other.drvPath;
          inherit (both) name imageRefUnsafe;
          commands = [
            (isAbout both)
            (isAbout changed)
            (isAbout passed)
            (passed.drvPath == image.drvPath)
          ];
          passed = [
            passed.mine
            passed.more
            passed.meta.homepage
            passed.meta.description
          ];
          final = [
            final.is
            final.name
          ];
          nix = [
            changed.name
            (changed ? baseSystem)
            (changed.tarball.drvPath != nixImage.tarball.drvPath)
          ];
        };
        expected = {
          others = {
            layer = true;
            index = true;
            ofSeveral = true;
            pulled = true;
          };
          same = true;
          name = "image-x-renamed";
          imageRefUnsafe = "x:2";
          commands = [
            true
            true
            true
            true
          ];
          passed = [
            1
            2
            "h"
            "d"
          ];
          final = [
            "y"
            "y"
          ];
          nix = [
            "image-nix-renamed"
            true
            true
          ];
        };
      };
    "image: what its layers have besides content" = {
      actual =
        let
          inherit
            (strata.buildImage {
              name = "x";
              uid = 1000;
              mtime = "now";
              includeStorePaths = false;
              tarLayers = [ "${app}/layer.tar" ];
            })
            request
            exportReferencesGraph
            ;
        in
        [
          (lib.filterAttrs (
            name: _:
            lib.elem name [
              "includeStorePaths"
              "mtime"
              "storeOwner"
              "tarLayers"
              "ignore"
            ]
          ) request)
          exportReferencesGraph.closure
          (lib.filter (field: (strata.buildImage { name = "x"; }).request ? ${field}) [
            "files"
            "includeStorePaths"
            "mtime"
            "storeOwner"
            "tarLayers"
          ])
        ];
      expected = [
        {
          includeStorePaths = false;
          mtime = "now";
          storeOwner = {
            uid = 1000;
            gid = 0;
          };
          tarLayers = [ "${app}/layer.tar" ];
          ignore = [ "${app}" ];
        }
        [ "${app}" ]
        [ ]
      ];
    };
    "image: for nodes with nix-snapshotter" =
      let
        base = strata.buildImage { name = "base"; };
        image = strata.buildImage {
          name = "x";
          tag = "1";
          format = "docker";
          maxLayers = 7;
          strategy = "biggest";
          layerHints.stable = [ app ];
          copyToRoot = [ app ];
          fromImage = base;
          config.Cmd = [ "${app}/bin/app" ];
        };
        inherit (image) snapshotter;
        index = strata.buildIndex {
          name = "all";
          images = [ image ];
        };
      in
      {
        actual = [
          (
            snapshotter.request.image == removeAttrs image.request.image [ "format" ]
            // {
              mountStorePaths = true;
              fromImage = image.request.image.fromImage // {
                path = "${base.snapshotter}";
              };
            }
          )
          (
            removeAttrs snapshotter.request [
              "image"
              "maxLayers"
            ] == removeAttrs image.request [
              "image"
              "layerHints"
              "maxLayers"
              "strategy"
            ]
          )
          snapshotter.request.maxLayers
          (snapshotter.exportReferencesGraph == image.exportReferencesGraph)
          snapshotter.imageRefUnsafe
          (snapshotter ? copyToContainerd)
          (snapshotter ? copyToDockerDaemon)
          (image.request.image ? mountStorePaths)
          index.snapshotter.request.index.images
        ];
        expected = [
          true
          true
          1
          true
          "x:1"
          true
          false
          false
          [ "${snapshotter}" ]
        ];
      };
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
        variant =
          arguments: (armv7l.buildImage ({ name = "x"; } // arguments)).request.image.variant or null;
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
    # Issue 11, new users 2 and 5.
    "image: several tags" =
      let
        arguments = {
          name = "H.x/App";
          tags = [
            "abc"
            "latest"
          ];
        };
        image = strata.buildImage arguments;
        named = strata.buildImage (arguments // { tag = "latest"; });
        index = strata.buildIndex (arguments // { images = [ image ]; });
        last = text: lib.last (lib.splitString "/bin/strata copy " text);
        pushed = image: "${image} 'docker://h.x/app:abc' --additional-tag='latest' \"$@\"\n";
      in
      {
        actual = [
          image.imageRefUnsafe
          image.request.image.tag
          (last image.copyToRegistry.text == pushed image)
          (lib.hasInfix "for reference in 'h.x/app:abc' 'h.x/app:latest'; do" image.copyToPodman.text)
          (lib.hasInfix "--additional-tag" image.copyTo.text)
          named.imageTag
          (lib.hasInfix "'docker://h.x/app:latest' --additional-tag='abc'" named.copyToRegistry.text)
          (last index.copyToRegistry.text == pushed index)
          (lib.hasInfix "--additional-tag='latest'" index.compressed.copyToRegistry.text)
          (lib.hasInfix "--additional-tag='latest'" image.compressed.copyToRegistry.text)
          # Without more of them, nothing is said of them.
          (lib.hasInfix "additional" (strata.buildImage { name = "x"; }).copyToRegistry.text)
        ];
        expected = [
          "h.x/app:abc"
          "abc"
          true
          true
          false
          "latest"
          true
          true
          true
          true
          false
        ];
      };
    "image: the same with a shell and tools on top" =
      let
        image = strata.buildImage {
          name = "H.x/app";
          tag = "1";
          platform = "linux/arm/v7";
          fromImage = {
            image = app // {
              baseName = "h.x/base";
            };
          };
          config.env = [
            "PATH=${app}/bin"
            "A=b"
          ];
          initializeNixDatabase = true;
          nixUid = 7;
          annotations.k = "v";
          meta.description = "d";
        };
        plain = strata.buildImage { name = "x"; };
        debug = image.debug.request.image;
      in
      {
        actual = [
          (debug.fromImage.path == "${image}")
          {
            inherit (debug)
              name
              tag
              platform
              inheritConfig
              nixDatabase
              ;
          }
          debug.config
          (lib.attrNames debug.annotations)
          plain.debug.request.image.config
          (strata.buildImage {
            name = "y";
            fromImage.image = image;
            config.Env = [ "B=c" ];
          }).debug.request.image.config
          (lib.hasSuffix "-debug" plain.debug.imageTag)
          (plain.debug ? debug)
          (plain.debug ? copyTo)
        ];
        expected = [
          true
          {
            name = "H.x/app";
            tag = "1-debug";
            platform = "linux/arm/v7";
            inheritConfig = true;
            nixDatabase = {
              uid = 7;
              gid = 0;
            };
          }
          { Env = [ "PATH=${app}/bin:/usr/local/bin" ]; }
          [
            "k"
            "org.opencontainers.image.base.name"
            "org.opencontainers.image.description"
          ]
          { Env = [ ]; }
          { Env = [ "PATH=${app}/bin:/usr/local/bin" ]; }
          true
          false
          true
        ];
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
    # Issue 11, wrong images 5: the same programs are not for two processors.
    "index: the example has other programs for each platform" =
      let
        index = import ../../examples/platforms.nix { inherit pkgs strata; };
        of = pkgs: (strata.forPackages pkgs).buildImage { name = "x"; };
      in
      {
        actual = [
          (lib.length (lib.unique (map free index.request.index.images)))
          (of pkgs.pkgsCross.aarch64-multiplatform).request.image.arch
          (of pkgs).request.image.arch
        ];
        expected = [
          2
          "arm64"
          pkgs.go.GOARCH
        ];
      };
    "index: the same with a shell and tools on top" =
      let
        image = strata.buildImage { name = "x"; };
        index = strata.buildIndex {
          name = "y";
          tag = "1";
          images = [
            image
            image.compressed
          ];
        };
        packages = [ other ];
      in
      {
        actual = [
          index.debug.imageTag
          index.debug.request.index.images
          (index.debug.override { inherit packages; }).request.index.images
          (index.debug ? debug)
        ];
        expected = [
          "1-debug"
          [
            "${image.debug}"
            "${image.compressed}"
          ]
          [
            "${image.debug.override { inherit packages; }}"
            "${image.compressed}"
          ]
          false
        ];
      };
    # Issue 11, other machines 2: where none fits the machine, one has to be named.
    "index: the root file system for a platform" =
      let
        index = strata.buildIndex {
          name = "x";
          images = [ (strata.buildImage { name = "x"; }) ];
        };
        arguments = rootfs: lib.drop 3 rootfs.args;
      in
      {
        actual = [
          (arguments index.rootfs)
          (arguments (index.rootfs.override { platform = "linux/arm/v7"; }))
        ];
        expected = [
          [ ]
          [ "--platform=linux/arm/v7" ]
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

    # For flake-parts (issue 11, new users 8), without its functions.
    "flake-parts: packages, apps and checks of images" =
      let
        module =
          pkgs:
          (import ../../nix/flake-module.nix {
            strataFor = pkgs: import ../../nix { inherit pkgs; };
          })
            {
              lib = lib // {
                mkOption = option: option;
                types = {
                  raw = "raw";
                  lazyAttrsOf = type: "attributes of ${type}";
                };
              };
              flake-parts-lib.mkPerSystemOption = perSystem: perSystem { inherit config pkgs; };
            };
        config.images = {
          app = {
            tag = "1";
            config.Cmd = [ "${app}/bin/app" ];
          };
          named.name = "other";
          given = strata.buildIndex {
            name = "x";
            images = [ (strata.buildImage { name = "x"; }) ];
          };
        };
        linux = (module pkgs).options.perSystem;
        darwin =
          (module (
            pkgs
            // {
              stdenv = pkgs.stdenv // {
                hostPlatform = pkgs.stdenv.hostPlatform // {
                  isLinux = false;
                  isDarwin = true;
                };
              };
            }
          )).options.perSystem;
      in
      {
        actual = [
          linux.options.images.type
          linux.options.images.default
          (lib.mapAttrs (_: image: image.imageName) linux.config.packages)
          (lib.mapAttrs (_: app: "${app.type} ${baseNameOf app.program}") linux.config.apps)
          (lib.attrNames linux.config.checks)
          (lib.hasInfix (free "${linux.config.packages.app}") (
            free linux.config.checks.app-verify.buildCommand
          ))
          (linux.config._module.args.strata ? buildLayer)
          # Whoever lists all systems does not mean those.
          (lib.attrNames darwin.config.packages)
        ];
        expected = [
          "attributes of raw"
          { }
          {
            app = "app";
            named = "other";
            given = "x";
          }
          {
            app-push = "app copy-to-registry";
            named-push = "app copy-to-registry";
            given-push = "app copy-to-registry";
          }
          [
            "app-verify"
            "given-verify"
            "named-verify"
          ]
          true
          true
          [ "given" ]
        ];
      };

    # For NixOS (issue 13), with a stand-in for its module system.
    "nixos: services of images" =
      let
        system =
          settings:
          import ./nixos.nix {
            inherit pkgs;
            settings.virtualisation = settings;
          };
        image = strata.buildImage {
          name = "app";
          tag = "1";
          tags = [ "2" ];
        };
        inherit
          (system {
            strata.images = { inherit image; };
            oci-containers = {
              backend = "docker";
              containers = {
                first.image = "app:1";
                second.image = "app:2";
                third.image = "alpine:3";
              };
            };
          })
          systemd
          virtualisation
          assertions
          ;
        inherit (systemd.services) strata-images strata-images-prune;
        wrong = system { strata.images.app = image.stream; };
        alone = system { strata.images.app = image; };
        removed = system { strata.enable = true; };
        kept = system {
          strata = {
            images.app = image;
            prune = false;
          };
        };
      in
      {
        actual = [
          strata-images.requiredBy
          strata-images.before
          strata-images.requires
          strata-images-prune.after
          virtualisation
          (map (check: check.assertion) assertions)
          (map (check: lib.hasInfix "hint: give the result" check.message) wrong.assertions)
          alone.virtualisation
          (lib.attrNames alone.systemd.services)
          alone.systemd.services.strata-images.before
          (lib.attrNames removed.systemd.services)
          (lib.attrNames kept.systemd.services)
          (system { })
        ];
        expected = [
          [
            "docker-first.service"
            "docker-second.service"
          ]
          [
            "docker-first.service"
            "docker-second.service"
          ]
          [
            "docker.service"
            "docker.socket"
          ]
          [
            "docker.service"
            "docker.socket"
            "strata-images.service"
            "docker-first.service"
            "docker-second.service"
          ]
          {
            docker.enable = true;
            podman = { };
          }
          [ true ]
          [ true ]
          {
            docker = { };
            podman.enable = true;
          }
          [
            "strata-images"
            "strata-images-prune"
          ]
          [ ]
          [
            "strata-images"
            "strata-images-prune"
          ]
          [ "strata-images" ]
          { }
        ];
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
    # Issue 11, new users 5.
    "system: a directory of a user" =
      let
        system =
          directories:
          strata.baseSystem {
            users.app = {
              uid = 7;
              home = "/home/app";
            };
            groups.app.gid = 8;
            groups.web.gid = 9;
            inherit directories;
          };
        made = system [
          "/a"
          {
            path = "/var/lib/app";
            user = "app";
          }
          {
            path = "/srv";
            user = "app";
            group = "web";
            mode = "0770";
          }
        ];
        rule = regex: {
          path = made;
          regex = "^${lib.escapeRegex "${made}"}${regex}";
        };
      in
      {
        actual = [
          (lib.filter (rule: lib.hasInfix "/srv" rule.regex || lib.hasInfix "lib/app" rule.regex) made.perms)
          (builtins.genList (builtins.elemAt made.request.system.directories) 3)
          (map (directory: (builtins.tryEval (builtins.deepSeq (system [ directory ]).perms true)).success) [
            {
              path = "/a";
              user = "nobody";
            }
            {
              path = "/a";
              user = "somebody";
            }
            {
              path = "/a";
              group = "somebody";
            }
            {
              path = "/a";
              owner = "app";
            }
          ])
        ];
        expected = [
          [
            (
              rule "/var/lib/app$"
              // {
                uid = 7;
                gid = 8;
                uname = "app";
                gname = "app";
                mode = "0755";
              }
            )
            (
              rule "/srv$"
              // {
                uid = 7;
                gid = 9;
                uname = "app";
                gname = "web";
                mode = "0770";
              }
            )
          ]
          [
            "/a"
            "/var/lib/app"
            "/srv"
          ]
          [
            true
            false
            false
            false
          ]
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

    # Issue 11, new users 6: the set of the tests may lack what only this brings.
    "system: programs of others" =
      let
        of =
          pkgs: arguments:
          let
            all = pkgs // {
              cacert = app;
            };
          in
          (import ../../nix { pkgs = all; }).baseSystem ({ fhs = true; } // arguments);
        system = of pkgs { };
        cross = of pkgs.pkgsCross.aarch64-multiplatform { };
        own = of pkgs {
          nix-ld = other;
          fhsLibraries = [ multi ];
          binSh = "/x";
          osRelease.ID = "own";
          links."/bin/bash" = "/y";
        };
        inherit (pkgs.stdenv.cc.bintools) dynamicLinker;
        has = links: name: links ? ${name};
        value =
          name: list: lib.removePrefix "${name}=" (lib.head (lib.filter (lib.hasPrefix "${name}=") list));
        isLibrary = lib.hasPrefix "${lib.getLib pkgs.stdenv.cc.cc}";
      in
      {
        actual = [
          system.request.system.links."/${pkgs.stdenv.hostPlatform.libDir}/${baseNameOf (free dynamicLinker)}"
          (map (has system.request.system.links) [
            "/bin/sh"
            "/bin/bash"
            "/usr/bin/env"
            "/usr/lib/libstdc++.so.6"
            "/etc/ssl/certs/ca-bundle.crt"
          ])
          (has cross.request.system.links "/lib/ld-linux-aarch64.so.1")
          system.request.system.nsswitch
          (isLibrary (value "LD_LIBRARY_PATH" system.imageEnv))
          (value "NIX_LD" own.imageEnv)
          (lib.hasSuffix ":${multi}/lib" (value "NIX_LD_LIBRARY_PATH" own.imageEnv))
          own.request.system.links."/${pkgs.stdenv.hostPlatform.libDir}/${baseNameOf (free dynamicLinker)}"
          own.request.system.links."/bin/sh"
          own.request.system.links."/bin/bash"
          own.request.system.osRelease
          ((strata.baseSystem { }).imageEnv)
          (builtins.tryEval (strata.baseSystem { nix-ld = app; }).drvPath).success
        ];
        expected = [
          dynamicLinker
          [
            true
            true
            true
            true
            true
          ]
          true
          true
          true
          dynamicLinker
          true
          "${other}/libexec/nix-ld"
          "/x"
          "/y"
          { ID = "own"; }
          [ ]
          false
        ];
      };
    "system: its variables go to the image, whose own win" =
      let
        env =
          config:
          (strata.buildImage {
            name = "x";
            # As a base system, which may be in a list.
            copyToRoot = [
              (
                app
                // {
                  imageEnv = [
                    "A=${other}"
                    "B=2"
                  ];
                }
              )
            ];
            inherit config;
          }).request;
      in
      {
        actual = [
          (env { }).image.config
          (env { env = [ "B=3" ]; }).image.config
          (env { Env = "no list"; }).image.config
          (env { }).deps
        ];
        expected = [
          {
            Env = [
              "A=${other}"
              "B=2"
            ];
          }
          {
            env = [
              "A=${other}"
              "B=3"
            ];
          }
          { Env = "no list"; }
          [ "${other}" ]
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
        {
          lock = lockFile;
          arch = "amd64";
        }
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
          image = strata.pullImage {
            lock = lockFile;
            arch = "amd64";
          };
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
    # Issue 11, other machines 2: a registry without a variant in the question gives the newest.
    "pullImage: the variant of the packages" =
      let
        platformOf = image: lib.last image.args;
        digest = arguments: (armv7l.pullImage ({ lock = lockFile; } // arguments)).imageDigest;
        pull =
          arguments:
          platformOf (
            armv7l.pullImage (
              {
                imageName = "a";
                imageDigest = digestOf "1";
                sha256 = zeros;
              }
              // arguments
            )
          );
        manifest =
          arguments: (armv7l.pullImageFromManifest ({ imageName = "a"; } // arguments)).getManifest.text;
      in
      {
        actual = [
          (pull { })
          (pull { variant = "v6"; })
          (pull { arch = "arm64"; })
          (digest { })
          (digest { arch = "amd64"; })
          (lib.hasInfix "--platform 'linux/arm/v7'" (manifest { }))
          (lib.hasInfix "--platform 'linux/arm/v6'" (manifest {
            variant = "v6";
          }))
          (lib.hasInfix "--platform 'linux/amd64'" (manifest {
            arch = "amd64";
          }))
        ];
        expected = [
          "--platform=linux/arm/v7"
          "--platform=linux/arm/v6"
          "--platform=linux/arm64"
          (digestOf "2")
          (digestOf "1")
          true
          true
          true
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
          (annotations {
            image = strata.pullImage {
              lock = lockFile;
              arch = "amd64";
            };
          } { })
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
