/**
  Fetch an image from a registry, for `fromImage`.

  Either `imageName`, `imageDigest` and a hash say which, or a lock file does, which needs no hash:

  ```sh
  strata lock alpine:3.20 > image.lock.json   # which manifests, configs and layers the name means now
  strata lock --update image.lock.json        # asks again, and rewrites the file
  ```

  A lock file has all platforms that the name has, and the one for `os`, `arch` and `variant` is taken.
  The result is a directory of links to the manifest, the config and each layer, which are derivations
  of their own, fixed by their digests: what two images share is fetched once.

  With a hash, the result is the directory that `skopeo copy docker://.. dir:..` writes, byte for byte, as
  with nix2container's function of this name, and the hash is the same.

  The result has the attributes `imageName`, `imageTag` (null without a lock file that has one),
  `imageDigest`, `baseName` and `baseDigest` (what an image on top of it says in its annotations
  `org.opencontainers.image.base.name` and `.digest`; of a lock file that is the digest of the index, if the
  name is one of several images), `override` and `overrideAttrs`.

  An image on a pulled one says so in its annotations (`org.opencontainers.image.base.name` and
  `.digest`).

  Fetching goes through the proxies of the environment (`https_proxy`, `no_proxy` and so on), or of the
  Nix daemon's environment if that builds. `NIX_SSL_CERT_FILE` comes from there, too.

  Credentials are found in `authFile`, in the file that the variable `REGISTRY_AUTH_FILE` or `NETRC`
  of that environment names, and nowhere else: Nix fetches in its sandbox, where your home is not.
  These files must be visible there, and readable for the group of the build users:

  ```
  extra-sandbox-paths = /etc/skopeo/auth.json=/etc/nix/skopeo/auth.json
  ```

  # Inputs

  `imageName` (string; default: `null`)
  : The name of the image, with or without a registry, as for `docker pull`. Without a tag.

  `imageDigest` (string; default: `null`)
  : The digest of its manifest, or of an index of images, of which the one for `os`, `arch` and
    `variant` is taken. The build log says which.

  `sha256` (string; default: `null`)
  : The hash of the directory, as Nix writes it for a recursive output: hexadecimal, base 32 or
    `"sha256-.."`.

  `hash` (string; default: `null`)
  : The same under the name that nixpkgs has for it.

  `lock` (path; default: `null`)
  : A lock file, in place of `imageName`, `imageDigest` and a hash.

  `os` (string; default: `"linux"`)
  : The operating system, as Go names it.

  `arch` (string; default: `pkgs.go.GOARCH`)
  : The architecture, as Go names it.

  `variant` (string; default: `null`)
  : The variant of the architecture, such as `"v7"`. `null` takes that of `pkgs` for 32-bit ARM, and
    else none; of a lock file also the only one that there is.

  `tlsVerify` (boolean; default: `true`)
  : Whether to insist on HTTPS with a good certificate. `false` also allows plain HTTP.

  `authFile` (string; default: `"/etc/skopeo/auth.json"`)
  : A file with credentials, as `docker login` or `podman login` writes it, if it is there. It is read
    while fetching, inside of the sandbox, and does not go to the store.

  `name` (string; default: `null`)
  : The name of the derivation. `null` takes `docker-image-` and the image's name.

  # Examples

  ```nix
  strata.pullImage { lock = ./image.lock.json; }
  ```

  With nix2container's arguments:

  ```nix
  strata.pullImage {
    imageName = "alpine";
    imageDigest = "sha256:beefdbd8a1da6d2915566fde36db9db0b524eb737fc57cd1367effd16dc0d06d";
    sha256 = "0000000000000000000000000000000000000000000000000000";
  }
  ```
*/
{ pkgs, internal }:
let
  inherit (pkgs) lib;

  error = message: hint: throw "pullImage: ${message}\nhint: ${hint}";
  makeOverridable = internal.publicFunction {
    name = "pullImage";
    types = with internal.types; {
      imageName = orNull string;
      imageDigest = orNull string;
      sha256 = orNull string;
      hash = orNull string;
      lock = orNull path;
      os = string;
      arch = string;
      variant = orNull string;
      tlsVerify = boolean;
      authFile = string;
      name = orNull string;
    };
    refused = lib.genAttrs [
      "finalImageName"
      "finalImageTag"
    ] (_: "it is one of `dockerTools.pullImage`, which is there, too; leave it out here");
  };
in
makeOverridable (
  {
    imageName ? null,
    imageDigest ? null,
    sha256 ? null,
    hash ? null,
    lock ? null,
    os ? "linux",
    arch ? pkgs.go.GOARCH,
    variant ? null,
    tlsVerify ? true,
    authFile ? "/etc/skopeo/auth.json",
    name ? null,
  }:
  let
    withVariant =
      variant:
      lib.concatStringsSep "/" (
        [
          os
          arch
        ]
        ++ lib.optional (variant != null) variant
      );
    platform = withVariant (
      internal.variant {
        inherit variant arch;
      }
    );
    nameFor =
      image:
      if name != null then name else lib.replaceStrings [ "/" ":" ] [ "-" "-" ] "docker-image-${image}";
    # The name with its registry, completed as Docker does it (crates/oci/src/reference.rs).
    fullName =
      name:
      let
        parts = builtins.match "([^/]*[.:][^/]*|localhost)/(.*)" name;
        isHub =
          parts == null
          || lib.elem (lib.head parts) [
            "docker.io"
            "index.docker.io"
          ];
        repository = if parts == null then name else lib.last parts;
      in
      if !isHub then
        name
      else if lib.hasInfix "/" repository then
        "docker.io/${repository}"
      else
        "docker.io/library/${repository}";

    fetcher =
      repository:
      internal.fetch {
        inherit repository tlsVerify authFile;
      };

    locked =
      let
        file = lib.importJSON lock;
        fetch = fetcher file.name;
        image = choose file.platforms;
      in
      lib.throwIf (file.version or null != 1)
        "pullImage: ${toString lock} is no lock file of this version of Strata\nhint: write it anew with `strata lock`"
        (
          internal.extend
            (fetch.join {
              name = nameFor file.name;
              manifest = fetch.manifest image.manifest.digest;
              inherit (image) config layers;
            })
            (_: {
              imageName = file.name;
              imageTag = file.tag or null;
              imageDigest = image.manifest.digest;
              # What the name refers to: the index, if there is one (image-spec, annotations.md).
              baseDigest = file.index.digest or image.manifest.digest;
              baseName = file.name + lib.optionalString (file ? tag) ":${file.tag}";
            })
        );

    # Who names no variant takes the only one that there is.
    choose =
      platforms:
      let
        known = lib.attrNames platforms;
        plain = withVariant null;
        fitting = lib.optionals (variant == null) (
          if platforms ? ${plain} then [ plain ] else lib.filter (lib.hasPrefix "${plain}/") known
        );
      in
      if platforms ? ${platform} then
        platforms.${platform}
      else if lib.length fitting == 1 then
        platforms.${lib.head fitting}
      else
        error "${toString lock} has no image for ${platform}" "it has ${lib.concatStringsSep ", " known}; `strata lock IMAGE --platform ${platform}` adds it";

    hashes = lib.filter (value: value != null) [
      sha256
      hash
    ];
    fixed =
      if imageName == null || imageDigest == null then
        error "`imageName` and `imageDigest` are needed, or `lock`" "write a lock file with `strata lock IMAGE`, and nothing else is needed"
      else if lib.length hashes != 1 then
        error "one of `sha256` and `hash` is needed" "with \"\" Nix says what it should be; a lock file needs none"
      else
        internal.overridable
          ((fetcher imageName).image {
            name = nameFor imageName;
            digest = imageDigest;
            inherit platform;
            hash = lib.head hashes;
          }).drvAttrs
          (
            drv:
            drv
            // {
              inherit imageName imageDigest;
              imageTag = null;
              baseDigest = imageDigest;
              baseName = fullName imageName;
            }
          );
  in
  if lock == null then
    fixed
  else if imageName == null && imageDigest == null && hashes == [ ] then
    locked
  else
    error "`lock` says already what `imageName`, `imageDigest` and the hash would say" "leave these out"
)
