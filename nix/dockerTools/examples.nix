/**
  Images as those of nixpkgs' `dockerTools.examples`, written from what they are for. Each builds and runs.
*/
{
  pkgs,
  tools,
  dockerTools,
}:
let
  inherit (dockerTools)
    buildImage
    buildLayeredImage
    streamLayeredImage
    ;

  binaries =
    paths:
    pkgs.buildEnv {
      name = "image-root";
      inherit paths;
      pathsToLink = [ "/bin" ];
    };
  script = name: text: pkgs.writeScriptBin name "#!${pkgs.runtimeShell}\n${text}";
  onTop = {
    Env = [ "PATH=${pkgs.coreutils}/bin" ];
    WorkingDir = "/example-output";
    Cmd = [
      "${pkgs.bash}/bin/bash"
      "-c"
      "echo hello > foo; cat foo"
    ];
  };
  layer =
    arguments:
    buildImage (
      {
        name = "layers-order";
        tag = "latest";
      }
      // arguments
    );
in
rec {
  # Programs in /bin.
  bash = buildImage {
    name = "bash";
    tag = "latest";
    copyToRoot = binaries [ pkgs.bashInteractive ];
  };

  # A service with a volume, a health check, and a directory that root makes.
  service = buildImage {
    name = "service";
    tag = "latest";
    copyToRoot = binaries [ pkgs.busybox ];
    runAsRoot = ''
      mkdir -p /data
      chown 65534:65534 /data
    '';
    config = {
      Cmd = [
        "/bin/sh"
        "-c"
        "echo kept > /data/file && cat /data/file"
      ];
      WorkingDir = "/data";
      User = "65534:65534";
      Volumes."/data" = { };
      Healthcheck = {
        Test = [
          "CMD"
          "/bin/true"
        ];
        Interval = 30000000000;
      };
    };
  };

  # A server whose user is in a file of `contents`, with directories that a script makes.
  web =
    let
      root = pkgs.writeTextDir "index.html" "<h1>served</h1>\n";
    in
    buildLayeredImage {
      name = "web";
      tag = "latest";
      contents = [
        (dockerTools.fakeNss.override {
          extraPasswdLines = [ "web:x:500:500:web:/var/empty:/bin/sh" ];
          extraGroupLines = [ "web:x:500:" ];
        })
        pkgs.busybox
      ];
      extraCommands = "mkdir -p tmp/web var/log/web";
      fakeRootCommands = "chown -R 500:500 tmp/web var/log/web";
      config = {
        Cmd = [
          "${pkgs.busybox}/bin/httpd"
          "-f"
          "-p"
          "8080"
          "-h"
          root
        ];
        User = "web";
        ExposedPorts."8080/tcp" = { };
      };
    };

  # Both scripts, with quotes and parentheses (NixOS/nixpkgs#34779).
  runAsRootExtraCommands = buildImage {
    name = "runAsRootExtraCommands";
    tag = "latest";
    copyToRoot = binaries [ pkgs.coreutils ];
    runAsRoot = ''echo "(runAsRoot)" > runAsRoot'';
    extraCommands = ''echo "(extraCommands)" > extraCommands'';
  };

  # Nix, which knows what is in the image.
  nix = dockerTools.buildImageWithNixDb {
    name = "nix";
    tag = "latest";
    copyToRoot = pkgs.buildEnv {
      name = "image-root";
      paths = [
        pkgs.coreutils
        pkgs.nix
        pkgs.bash
      ];
      pathsToLink = [ "/bin" ];
    };
    config.Env = [
      "NIX_PAGER=cat"
      "USER=nobody"
    ];
  };
  nixLayered = dockerTools.buildLayeredImageWithNixDb {
    name = "nix-layered";
    tag = "latest";
    contents = [
      pkgs.coreutils
      pkgs.nix
      pkgs.bash
    ];
    config.Env = [
      "NIX_PAGER=cat"
      "USER=nobody"
    ];
  };
  nixDbStream = streamLayeredImage {
    name = "nix-db-stream";
    tag = "latest";
    contents = [
      pkgs.bashInteractive
      pkgs.nix
    ];
    includeNixDB = true;
    config.Env = [ "USER=nobody" ];
  };

  # Layers of what is in `config` alone, with a file of a script.
  layeredImage = buildLayeredImage {
    name = "layered-image";
    tag = "latest";
    extraCommands = ''echo "(extraCommands)" > extraCommands'';
    config.Cmd = [ "${pkgs.hello}/bin/hello" ];
    contents = [
      pkgs.hello
      pkgs.bash
      pkgs.coreutils
    ];
  };
  anotherLayeredImage = buildLayeredImage {
    name = "another-layered-image";
    tag = "latest";
    config.Cmd = [ "${pkgs.hello}/bin/hello" ];
    contents = [
      pkgs.coreutils
      pkgs.hello
    ];
  };
  bulkLayer = buildLayeredImage {
    name = "bulk-layer";
    tag = "latest";
    contents = [
      pkgs.coreutils
      pkgs.hello
    ];
    maxLayers = 2;
  };
  twoLayers = buildLayeredImage {
    name = "two-layers";
    tag = "latest";
    contents = [
      pkgs.coreutils
      pkgs.hello
      pkgs.bash
    ];
    maxLayers = 3;
  };

  # On top of layers.
  onTopOfLayered = buildImage {
    name = "layered-on-top";
    tag = "latest";
    fromImage = layeredImage;
    extraCommands = ''
      mkdir -p example-output
      chmod 777 example-output
    '';
    config = onTop;
  };
  layeredOnTopOfLayered = buildLayeredImage {
    name = "layered-on-top-layered";
    tag = "latest";
    fromImage = layeredImage;
    extraCommands = ''
      mkdir -p example-output
      chmod 777 example-output
    '';
    config = onTop;
  };
  fourLayers = buildLayeredImage {
    name = "four-layers";
    tag = "latest";
    fromImage = bulkLayer;
    contents = [
      pkgs.hello
      pkgs.bash
    ];
    maxLayers = 4;
    config.Cmd = [ "/bin/hello" ];
  };

  # When it was made.
  unstableDate = buildImage {
    name = "unstable-date";
    tag = "latest";
    copyToRoot = binaries [ pkgs.coreutils ];
    created = "now";
  };
  unstableDateLayered = buildLayeredImage {
    name = "unstable-date-layered";
    tag = "latest";
    contents = [ pkgs.coreutils ];
    created = "now";
  };
  anyDate = streamLayeredImage {
    name = "any-date";
    tag = "latest";
    contents = [ pkgs.coreutils ];
    created = "2024-02-29 12:34:56";
    mtime = "2001-01-01";
  };

  # The topmost file wins.
  layersOrder =
    let
      l1 = layer {
        tag = "layer1";
        extraCommands = ''
          mkdir -p tmp
          echo layer1 > tmp/layer1
          echo layer1 > tmp/layer2
          echo layer1 > tmp/layer3
        '';
      };
      l2 = layer {
        tag = "layer2";
        fromImage = l1;
        extraCommands = ''
          mkdir -p tmp
          echo layer2 > tmp/layer2
          echo layer2 > tmp/layer3
        '';
      };
    in
    buildImage {
      name = "layers-order";
      tag = "layer3";
      fromImage = l2;
      copyToRoot = binaries [ pkgs.coreutils ];
      extraCommands = ''
        mkdir -p tmp
        echo layer3 > tmp/layer3
      '';
    };

  # Scripts see what those of the layers below made.
  layersUnpackOrder =
    let
      append = letter: fromImage: {
        name = "layers-unpack-order";
        tag = "layer-${letter}";
        inherit fromImage;
        runAsRoot = ''echo -n "${letter}" >> /layer-order'';
      };
      base = buildImage {
        name = "layers-unpack-order";
        tag = "base";
        copyToRoot = binaries [
          pkgs.coreutils
          pkgs.bash
        ];
      };
    in
    buildImage (append "c" (buildImage (append "b" (buildImage (append "a" base)))));

  # Variables of a base.
  environmentVariablesParent = buildImage {
    name = "parent";
    tag = "latest";
    config.Env = [
      "FROM_PARENT=true"
      "LAST_LAYER=parent"
    ];
  };
  environmentVariables = buildImage {
    name = "child";
    tag = "latest";
    fromImage = environmentVariablesParent;
    copyToRoot = binaries [ pkgs.coreutils ];
    config.Env = [
      "FROM_CHILD=true"
      "LAST_LAYER=child"
    ];
  };
  environmentVariablesLayered = buildLayeredImage {
    name = "child-layered";
    tag = "latest";
    fromImage = environmentVariablesParent;
    contents = [ pkgs.coreutils ];
    config.Env = [
      "FROM_CHILD=true"
      "LAST_LAYER=child"
    ];
  };

  # Names with a registry.
  prefixedImage = buildImage {
    name = "registry-1.docker.io/image";
    tag = "latest";
    config.Cmd = [ "${pkgs.hello}/bin/hello" ];
  };
  prefixedLayeredImage = buildLayeredImage {
    name = "registry-1.docker.io/layered-image";
    tag = "latest";
    config.Cmd = [ "${pkgs.hello}/bin/hello" ];
  };

  # No store path but that of a static program, which a script copied.
  noStorePaths = buildLayeredImage {
    name = "no-store-paths";
    tag = "latest";
    extraCommands = ''
      cp -r ${pkgs.busybox}/. .
      ${tools.hello}/bin/hello > /dev/null
    '';
  };

  # Whoever the user is.
  bashLayeredWithUser = buildLayeredImage {
    name = "bash-layered-with-user";
    tag = "latest";
    contents = [
      pkgs.bash
      pkgs.coreutils
    ];
    fakeRootCommands = ''
      mkdir -p etc
      echo 'somebody:x:1000:1000::/:/bin/sh' > etc/passwd
      echo 'somebody:x:1000:' > etc/group
    '';
    config = {
      User = "somebody";
      Cmd = [
        "bash"
        "-c"
        "stat -c '%a %n' /nix /nix/store && id -u"
      ];
      Env = [ "PATH=/bin" ];
    };
  };
  layeredStoreSymlink =
    let
      target = pkgs.writeTextDir "dir/target" "Content doesn't matter.";
      symlink = pkgs.runCommand "symlink" { } "ln -s ${target} $out";
    in
    buildLayeredImage {
      name = "layeredStoreSymlink";
      tag = "latest";
      contents = [
        pkgs.bash
        symlink
      ];
    };
  storeOwner = streamLayeredImage {
    name = "store-owner";
    tag = "latest";
    contents = [ pkgs.coreutils ];
    uid = 12345;
    gid = 12345;
    uname = "user";
    gname = "group";
  };

  # Owners that scripts set.
  fakeRoot = buildLayeredImage {
    name = "layered-fakeroot";
    tag = "latest";
    contents = [ pkgs.coreutils ];
    fakeRootCommands = ''
      mkdir -p home/somebody
      chown 1000 home/somebody
      chmod 4755 home/somebody
      ln -s ${pkgs.hello}/bin/hello hello
    '';
  };
  fakeChroot = streamLayeredImage {
    name = "layered-fakechroot";
    tag = "latest";
    contents = [
      pkgs.bash
      pkgs.coreutils
    ];
    enableFakechroot = true;
    fakeRootCommands = ''
      mkdir -p /tools /home/somebody
      ln -s ${pkgs.hello}/bin/hello /tools/hello
      chown 12345:12345 /home/somebody
      chmod 0700 /home/somebody
    '';
  };
  shadow = buildImage {
    name = "shadow";
    tag = "latest";
    copyToRoot = binaries [
      pkgs.coreutils
      pkgs.bash
    ];
    runAsRoot = ''
      ${dockerTools.shadowSetup}
      echo 'somebody:x:1000:1000::/home/somebody:/bin/sh' >> /etc/passwd
      mkdir -p /home/somebody
      chown 1000:1000 /home/somebody
    '';
  };

  # Several in one file.
  merged = dockerTools.mergeImages [
    bash
    layeredImage
  ];
  mergedWithoutTag = dockerTools.mergeImages [
    (bash.override { tag = null; })
    layeredImage
  ];
  mergedFakeRoot = dockerTools.mergeImages [
    fakeRoot
    bash
  ];
  mergedCompressors = dockerTools.mergeImages [
    (bash.override { compressor = "none"; })
    (anotherLayeredImage.override { compressor = "zstd"; })
    layeredImage
  ];

  # The files alone.
  exportBash = dockerTools.exportImage { fromImage = bash; };

  # The program in /, with the store in the image, or of the host.
  helloOnRoot = streamLayeredImage {
    name = "hello";
    tag = "latest";
    contents = [
      (pkgs.buildEnv {
        name = "hello-root";
        paths = [ pkgs.hello ];
      })
    ];
    config.Cmd = [ "hello" ];
    config.Env = [ "PATH=/bin" ];
  };
  helloOnRootNoStore = helloOnRoot.override {
    includeStorePaths = false;
  };
  helloOnRootNoStoreFakechroot = helloOnRoot.override {
    includeStorePaths = false;
    enableFakechroot = true;
    fakeRootCommands = "mkdir -p /made";
  };

  # A configuration that a script makes in the image's own root.
  etc = streamLayeredImage {
    name = "etc";
    tag = "latest";
    contents = [ pkgs.coreutils ];
    enableFakechroot = true;
    fakeRootCommands = ''
      mkdir -p /etc
      cat > /etc/some-config-file << END
      127.0.0.1 localhost
      END
    '';
    config.Cmd = [
      "${pkgs.coreutils}/bin/cat"
      "/etc/some-config-file"
    ];
  };

  # Directories as they are.
  imageWithPath = buildImage {
    name = "image-with-path";
    tag = "latest";
    copyToRoot = [
      pkgs.busybox
      ./example-files
    ];
  };
  layeredImageWithPath = streamLayeredImage {
    name = "layered-image-with-path";
    tag = "latest";
    contents = [
      pkgs.busybox
      ./example-files
    ];
  };

  imageWithArchitecture = buildImage {
    name = "image-with-architecture";
    tag = "latest";
    architecture = "arm64";
  };
  layeredImageWithArchitecture = streamLayeredImage {
    name = "layered-image-with-architecture";
    tag = "latest";
    architecture = "arm64";
  };

  # Certificates where programs look for them.
  certificates = buildLayeredImage {
    name = "image-with-certs";
    tag = "latest";
    contents = [
      pkgs.coreutils
      dockerTools.caCertificates
    ];
  };
  environment = buildLayeredImage {
    name = "environment";
    tag = "latest";
    contents = [
      dockerTools.binSh
      dockerTools.usrBinEnv
      dockerTools.fakeNss
      (script "greet" "echo greeted")
    ];
    config.Cmd = [
      "/bin/sh"
      "-c"
      "/bin/greet"
    ];
  };

  # Other compressors.
  zstd = layeredImage.override { compressor = "zstd"; };
  uncompressed = layeredImage.override { compressor = "none"; };
  imageZstd = bash.override { compressor = "zstd"; };
  imageUncompressed = bash.override { compressor = "none"; };
}
