/**
  The module for NixOS: images that are in podman or Docker before containers of them start. Only layers that are not
  there are copied, and nothing if the image is; what was loaded and is no longer named goes away after the
  containers of this configuration have started.

  ```nix
  imports = [ inputs.strata.nixosModules.default ];
  virtualisation.strata.images.app = image;
  virtualisation.oci-containers.containers.app.image = image.imageRefUnsafe;
  ```
*/
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.virtualisation.strata;
  images = lib.attrValues cfg.images;
  references = lib.concatMap (image: image.imageReferences) images;

  containers = config.virtualisation.oci-containers.containers or { };
  isOurs = container: lib.elem (container.image or null) references;
  units = map (name: "${cfg.backend}-${name}.service") (
    lib.attrNames (lib.filterAttrs (_: isOurs) containers)
  );

  copy = {
    docker = image: "${image.copyToDockerDaemon}/bin/copy-to-docker-daemon";
    podman = image: "${image.copyToPodman}/bin/copy-to-podman";
  };
  daemon = lib.optionals (cfg.backend == "docker") [
    "docker.service"
    "docker.socket"
  ];

  # What was loaded is in `loaded`: an image's ID and a name of it, a line each.
  load = pkgs.writeShellScript "load-images" ''
    set -eu
    loaded=$STATE_DIRECTORY/loaded
    touch "$loaded"
    ${lib.concatMapStrings (image: ''
      ${copy.${cfg.backend} image}
      for reference in ${lib.escapeShellArgs image.imageReferences}; do
        id=$(${cfg.backend} image inspect --format '{{.Id}}' "$reference")
        line="''${id#sha256:} $reference"
        grep -qxF "$line" "$loaded" || echo "$line" >>"$loaded"
      done
    '') images}
  '';

  prune = pkgs.writeShellScript "prune-images" ''
    set -eu
    loaded=$STATE_DIRECTORY/loaded
    touch "$loaded"
    inspect() { ${cfg.backend} image inspect --format "$@" 2>/dev/null || true; }
    is_named() {
      for named in ${lib.escapeShellArgs references}; do
        [ "$1" != "$named" ] || return 0
      done
      return 1
    }
    while read -r id reference; do
      means=$(inspect '{{.Id}}' "$reference")
      means=''${means#sha256:}
      if [ "$means" = "$id" ]; then
        if is_named "$reference"; then
          echo "$id $reference"
          continue
        fi
        target=$reference
      elif [ "$(inspect '{{len .RepoTags}}' "$id")" = 0 ]; then
        target=$id
      else
        # It is gone, or somebody has given it another name.
        continue
      fi
      # While a container of it runs, it stays until the next time.
      ${cfg.backend} image rm "$target" >&2 || echo "$id $reference"
    done <"$loaded" >"$loaded.new"
    mv "$loaded.new" "$loaded"
  '';

  service = after: script: {
    wantedBy = [ "multi-user.target" ];
    after = daemon ++ after;
    requires = daemon;
    path = [ config.virtualisation.${cfg.backend}.package ];
    # What copies remember.
    environment.XDG_CACHE_HOME = "/var/cache";
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      StateDirectory = "strata-images";
      CacheDirectory = "strata";
      ExecStart = "${script}";
    };
  };
in
{
  options.virtualisation.strata = {
    enable = lib.mkOption {
      type = lib.types.bool;
      default = cfg.images != { };
      defaultText = lib.literalExpression "config.virtualisation.strata.images != { }";
      description = ''
        Whether images are loaded, and removed that are no longer named: without `images`, all that were loaded.
      '';
    };
    backend = lib.mkOption {
      type = lib.types.enum [
        "docker"
        "podman"
      ];
      default = config.virtualisation.oci-containers.backend or "podman";
      defaultText = lib.literalExpression "config.virtualisation.oci-containers.backend";
      description = "The engine that gets the images.";
    };
    images = lib.mkOption {
      type = lib.types.attrsOf lib.types.package;
      default = { };
      example = lib.literalExpression ''{ app = strata.buildImage { name = "app"; }; }'';
      description = ''
        Images of Strata that are to be in the engine, by names that matter only here. Containers of
        `virtualisation.oci-containers` whose `image` is one of them, `image.imageRefUnsafe`, start when it is there.
      '';
    };
    prune = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = ''
        Whether images that an earlier configuration had loaded, and this one does not name, are removed. Images that
        somebody else loaded stay, and so do those whose containers still run.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.mapAttrsToList (name: image: {
      assertion = image ? imageReferences;
      message = ''
        virtualisation.strata.images.${name} is no image of Strata
        hint: give the result of `buildImage` or `buildIndex`, and not its `stream` or `archive`'';
    }) cfg.images;

    virtualisation.docker.enable = lib.mkIf (cfg.backend == "docker") true;
    virtualisation.podman.enable = lib.mkIf (cfg.backend == "podman") true;
    systemd.services = {
      strata-images = service [ ] load // {
        description = "Images in ${cfg.backend}";
        before = units;
        requiredBy = units;
      };
      # Containers of images that go away are gone when the others have started.
      strata-images-prune = lib.mkIf cfg.prune (
        service ([ "strata-images.service" ] ++ units) prune
        // {
          description = "Images in ${cfg.backend} that nobody names any more";
        }
      );
    };
  };
}
