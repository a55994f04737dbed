/**
  Fixed-output derivations whose builder is `strata pull`, and what they have in common.

  # Inputs

  `repository` (string)
  : The registry and the repository; a part of an image is found by its own digest.

  `tlsVerify` (boolean)
  : Whether to insist on HTTPS with a good certificate.

  `authFile` (string)
  : The file inside of the sandbox that may have credentials.
*/
{
  lib,
  tools,
  strata,
}:
{
  repository,
  tlsVerify,
  authFile,
}:
let
  # `reference`: what to pull; `arguments`: more of them; `hash`: how the output is fixed.
  fetch =
    {
      name,
      reference,
      arguments,
      hash,
    }:
    derivation (
      {
        inherit name;
        inherit (tools.stdenv.buildPlatform) system;
        builder = "${strata}/bin/strata";
        args = [
          "pull"
          reference
          (placeholder "out")
          "--tls-verify=${lib.boolToString tlsVerify}"
          "--default-authfile=${authFile}"
        ]
        ++ arguments;
        # The network is what takes time, and it is here.
        preferLocalBuild = true;
        impureEnvVars = lib.unique (
          lib.fetchers.proxyImpureEnvVars
          ++ [
            "NIX_SSL_CERT_FILE"
            "NETRC"
            "REGISTRY_AUTH_FILE"
          ]
        );
      }
      // hash
    );

  byDigest =
    digest: reference: part:
    fetch {
      name = hex digest;
      inherit reference;
      arguments = [ "--only=${part}" ];
      hash = {
        outputHashMode = "flat";
        outputHashAlgo = "sha256";
        outputHash = hex digest;
      };
    };

  hex = lib.removePrefix "sha256:";
in
{
  /**
    A whole image as a directory.
  */
  image =
    {
      name,
      digest,
      platform,
      hash,
    }:
    fetch {
      inherit name;
      reference = "${repository}@${digest}";
      arguments = [ "--platform=${platform}" ];
      hash = {
        outputHashMode = "recursive";
        outputHashAlgo = "sha256";
        outputHash = hash;
      };
    };

  /**
    The manifest that has this digest.
  */
  manifest = digest: byDigest digest "${repository}@${digest}" "manifest";

  /**
    An image as a directory of links: its manifest, and the blobs that it names, each a derivation of
    its own, so that images share them.
  */
  join =
    {
      name,
      manifest,
      config,
      layers,
    }:
    let
      blob = descriptor: lib.nameValuePair (hex descriptor.digest) descriptor.digest;
      blobs = lib.listToAttrs (map blob (layers ++ [ config ]));
      link = name: path: { inherit name path; };
    in
    tools.linkFarm name (
      [
        (link "manifest.json" manifest)
        (link "version" (builtins.toFile "version" "Directory Transport Version: 1.1\n"))
      ]
      ++ lib.mapAttrsToList (name: digest: link name (byDigest digest repository digest)) blobs
    );
}
