/**
  Fetch the image of a manifest that is kept beside the Nix expressions, for `fromImage`.

  Each layer and the config are derivations of their own, fixed by the digests in the manifest, so no
  other hash is needed, and what two images share is fetched once. The result is a directory of links
  to them. This is nix2container's way to pin an image.

  The result has the attributes `imageName`, `imageTag`, `getManifest` and `override`. `getManifest`
  fetches the manifest that a name means now; for an image that has this one as its `fromImage`:

  ```sh
  nix run .#image.fromImage.getManifest > manifest.json
  ```

  Proxies and credentials are those of `pullImage`. A lock file (`pullImage { lock = ..; }`) has several
  platforms, and can be brought up to date by one command.

  # Inputs

  `imageName` (string)
  : The repository in the registry, such as `"library/alpine"`.

  `imageManifest` (path; default: `null`)
  : The manifest of one image, not of an index. Without it there is only `getManifest`.

  `imageTag` (string; default: `"latest"`)
  : The tag that `getManifest` asks for.

  `os` (string; default: `"linux"`)
  : The operating system that `getManifest` chooses of several, as Go names it.

  `arch` (string; default: `pkgs.go.GOARCH`)
  : The architecture that `getManifest` chooses of several, as Go names it.

  `variant` (string; default: `null`)
  : The variant of the architecture that `getManifest` chooses of several, such as `"v7"`. `null` takes
    that of `pkgs` for 32-bit ARM, and else none.

  `tlsVerify` (boolean; default: `true`)
  : Whether to insist on HTTPS with a good certificate. `false` also allows plain HTTP.

  `registryUrl` (string; default: `"registry-1.docker.io"`)
  : The registry, without a scheme.

  `authFile` (string; default: `"/etc/skopeo/auth.json"`)
  : A file with credentials, as for `pullImage`.

  `meta` (attribute set; default: `{ }`)
  : The `meta` of the derivation.
*/
{ pkgs, internal }:
let
  inherit (pkgs) lib;

  # The names of Docker Hub, so that credentials for it are found.
  hub = [
    "index.docker.io"
    "registry-1.docker.io"
    "registry.hub.docker.com"
  ];
  makeOverridable = internal.publicFunction {
    name = "pullImageFromManifest";
    types = with internal.types; {
      imageName = string;
      imageManifest = orNull path;
      imageTag = string;
      os = string;
      arch = string;
      variant = orNull string;
      tlsVerify = boolean;
      registryUrl = string;
      authFile = string;
      meta = attributes;
    };
  };
in
makeOverridable (
  {
    imageName,
    imageManifest ? null,
    imageTag ? "latest",
    os ? "linux",
    arch ? pkgs.go.GOARCH,
    variant ? null,
    tlsVerify ? true,
    registryUrl ? "registry-1.docker.io",
    authFile ? "/etc/skopeo/auth.json",
    meta ? { },
  }:
  let
    ownVariant = internal.variant { inherit variant arch; };
    registry = if lib.elem registryUrl hub then "docker.io" else registryUrl;
    repository = "${registry}/${imageName}";
    manifest = lib.importJSON imageManifest;
    fetch = internal.fetch { inherit repository tlsVerify authFile; };
    error =
      message: throw "pullImageFromManifest: ${message}\nhint: write it with the attribute `getManifest`";
    image =
      if imageManifest == null then
        { outPath = error "there is no `imageManifest`"; }
      else if manifest ? manifests then
        error "${toString imageManifest} is an index of several images, not the manifest of one"
      else if !(manifest ? config && manifest ? layers) then
        error "${toString imageManifest} is no manifest of Docker's second schema or of OCI"
      else
        fetch.join {
          name = lib.replaceStrings [ "/" ":" ] [ "-" "-" ] "docker-image-${imageName}";
          manifest = "${imageManifest}";
          inherit (manifest) config layers;
        };
  in
  image
  // {
    inherit imageName imageTag meta;
    baseName = repository;
    getManifest = internal.getManifest {
      reference = "${repository}:${imageTag}";
      platform = "${os}/${arch}${lib.optionalString (ownVariant != null) "/${ownVariant}"}";
      inherit tlsVerify;
    };
  }
)
