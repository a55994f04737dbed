/**
  What people run with a finished image, and what it is called without Nix's context.

  # Inputs

  `image` (derivation)
  : The image's derivation.

  `baseName` (string)
  : How the scripts and archives are called.

  `reference` (string)
  : `NAME:TAG`.

  `moreTags` (list of strings; default: `[ ]`)
  : More tags for registries and engines.

  `ownLimits` (attribute set; default: `{ }`)
  : What the image must keep to, as of `internal.limits`.

  `about` (attribute set; default: `{ }`)
  : `evaluation`, a file of what only evaluation knows of the image. What is made of it is there if it is. It costs time,
    and is looked at where it is used.
*/
{
  tools,
  strata,
  publicFunction,
  types,
  limits,
}:
let
  inherit (tools) lib;
  inherit (lib) escapeShellArg;
in
{
  image,
  baseName,
  reference,
  moreTags ? [ ],
  ownLimits ? { },
  about ? { },
}:
let
  # Whatever `strata` runs (docker, podman, ctr, ..) is the user's own: `PATH` stays as it is.
  script =
    name: usage: arguments:
    tools.writeShellScriptBin name ''
      STRATA_USAGE=${escapeShellArg usage} exec ${strata}/bin/strata ${arguments} "$@"
    '';
  copyAsNamed =
    name: attribute: transport:
    script "copy-to-${name}" "${attribute} [OPTIONS]"
      "copy ${image} ${escapeShellArg "${transport}${reference}"}";
  # An engine gets each tag in a copy of its own, of which the first brings the layers.
  copyToEngine =
    name: attribute: transport:
    if moreTags == [ ] then
      copyAsNamed name attribute transport
    else
      tools.writeShellScriptBin "copy-to-${name}" ''
        set -e
        export STRATA_USAGE=${escapeShellArg "${attribute} [OPTIONS]"}
        for reference in ${lib.escapeShellArgs references}; do
          ${strata}/bin/strata copy ${image} ${transport}"$reference" "$@"
        done
      '';
  toRegistry = lib.concatStringsSep " " (
    [ "copy ${image} ${escapeShellArg "docker://${reference}"}" ]
    ++ map (tag: "--additional-tag=${escapeShellArg tag}") moreTags
  );
  repository = lib.head (builtins.match "(.*):[^:]*" reference);
  references = [ reference ] ++ map (tag: "${repository}:${tag}") moreTags;

  limitFlags = limits.flags;
  limitRequest = limits.request "checks" null;

  # A derivation whose builder is the command line.
  runStrata =
    name: args:
    derivation {
      inherit name args;
      inherit (tools.stdenv.buildPlatform) system;
      builder = "${strata}/bin/strata";
      preferLocalBuild = true;
    };
  toArchive =
    name: transport:
    runStrata name [
      "copy"
      image
      "${transport}:${placeholder "out"}:${reference}"
    ];
in
{
  imageRefUnsafe = builtins.unsafeDiscardStringContext reference;
  imageReferences = map builtins.unsafeDiscardStringContext references;

  copyTo = script "copy-to" "copyTo [OPTIONS] <DESTINATION>" "copy ${image}";
  copyToRegistry = script "copy-to-registry" "copyToRegistry [OPTIONS]" toRegistry;
  copyToDockerDaemon = copyToEngine "docker-daemon" "copyToDockerDaemon" "docker-daemon:";
  copyToPodman = copyToEngine "podman" "copyToPodman" "containers-storage:";
  copyToContainerd = copyToEngine "containerd" "copyToContainerd" "containerd:";
  inspect = script "inspect" "inspect [OPTIONS]" "inspect ${image}";
  why = script "why" "why [OPTIONS] <WHAT>" "why ${image}";
  # The other one is the image before.
  diff = tools.writeShellScriptBin "diff" ''
    STRATA_USAGE='diff [OPTIONS] <OTHER>' exec ${strata}/bin/strata diff "$@" ${image}
  '';
  browse = script "browse" "browse [OPTIONS]" "browse ${image}";
  explain = script "explain" "explain [OPTIONS]" "explain ${image}";
  lockLayers = script "lock-layers" "lockLayers [FILE]" "lock-layers ${image}";
  verify = script "verify" "verify [OPTIONS]" "verify ${image}";
  serve = script "serve" "serve [OPTIONS]" "serve ${image}";

  # The script is the output itself, as NixOS' `imageStream` wants it, and takes another name as that
  # of `streamLayeredImage` does.
  stream = tools.writeShellScript "stream-${baseName}" ''
    name=${escapeShellArg reference}
    usage="usage: stream-${baseName} [-t NAME:TAG] [OPTIONS]

    Writes the image $name to standard output, as an archive for docker load and podman load.

      -t, --repo_tag NAME:TAG  call it so in the archive
      --quiet                  say nothing but errors
      --help                   show this"
    arguments=()
    while [ $# -gt 0 ]; do
      case $1 in
        -h | --help) echo "$usage"; exit ;;
        -t | --repo_tag)
          [ $# -gt 1 ] || { echo "error: $1 is the last word, and NAME:TAG follows it" >&2; exit 2; }
          name=$2
          shift
          ;;
        -t*) name=''${1#-t} ;;
        --repo_tag=*) name=''${1#*=} ;;
        *) arguments+=("$1") ;;
      esac
      shift
    done
    STRATA_USAGE='stream-${baseName} [-t NAME:TAG] [OPTIONS]' exec ${strata}/bin/strata copy ${image} "docker-archive:-:$name" "''${arguments[@]}"
  '';

  archive = toArchive "${baseName}.tar" "docker-archive";
  # An index has several.
  rootfs =
    publicFunction
      {
        name = "rootfs";
        types.platform = types.orNull types.string;
      }
      (
        {
          platform ? null,
        }:
        runStrata "${baseName}-rootfs.tar" (
          [
            "export"
            image
            (placeholder "out")
          ]
          ++ lib.optional (platform != null) "--platform=${platform}"
        )
      )
      { };
  ociArchive = toArchive "${baseName}.oci.tar" "oci-archive";

  checks =
    publicFunction
      {
        name = "checks";
        types.limits = limits.type;
      }
      (
        arguments@{
          limits ? ownLimits,
        }:
        runStrata "${baseName}-checks.json" (
          lib.throwIf (limits == { })
            ''
              checks: there is nothing to check
              hint: give limits to the image, or write checks.override { limits = { size = "200M"; }; }''
            [
              "check"
              image
              "--report=${placeholder "out"}"
            ]
          ++ limitFlags (if arguments ? limits then limitRequest limits else limits)
        )
      )
      { };

  # The same image with the digests of its compressed layers, and what people run with that.
  compressed =
    publicFunction
      {
        name = "compressed";
        types.compression = types.orNull types.string;
      }
      (
        {
          compression ? null,
        }:
        let
          arguments = [
            "compress"
            image
            (placeholder "out")
          ]
          ++ lib.optional (compression != null) "--compression=${compression}";
          compressed = runStrata "${baseName}-compressed" arguments;
          commands = import ./commands.nix {
            inherit
              tools
              strata
              publicFunction
              types
              limits
              ;
          };
        in
        compressed
        // removeAttrs (commands {
          image = compressed;
          inherit baseName reference moreTags;
        }) [ "compressed" ]
      )
      { };
}
// lib.optionalAttrs (about ? evaluation) {
  inherit (about) evaluation;
  publish =
    script "publish" "publish [OPTIONS]"
      "${toRegistry} --attach=sbom,provenance --evaluation=${about.evaluation}";
  sbom = runStrata "${baseName}-sbom" [
    "sbom"
    image
    (placeholder "out")
    "--format=all"
    "--evaluation=${about.evaluation}"
  ];
}
