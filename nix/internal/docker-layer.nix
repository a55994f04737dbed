/**
  The layer of a `buildImage` of `dockerTools`: `layer.tar`, and what Docker's images had besides of old.

  # Inputs

  `name`, `baseJson`, `copyToRoot`, `keepContentsDirlinks`
  : As of `mkPureLayer`.

  The rest goes to `dockerImage.scripts`.
*/
{ dockerImage, strata }:
{
  name,
  baseJson,
  copyToRoot,
  keepContentsDirlinks,
  ...
}@arguments:
dockerImage.scripts (
  removeAttrs arguments [
    "baseJson"
    "copyToRoot"
    "keepContentsDirlinks"
  ]
  // {
    name = "docker-layer-${name}";
    root = dockerImage.tree {
      name = "${name}-root";
      function = "buildImage";
      form = "copies";
      sources = copyToRoot;
      keepDirectoryLinks = keepContentsDirlinks;
    };
    finish = ''
      json=$(cat ${baseJson})
      sum=$(${strata}/bin/strata tarsum < $out/layer.tar)
      printf '%s,"checksum":"%s"}' "''${json%\}}" "$sum" > $out/json
      printf 1.0 > $out/VERSION
    '';
  }
)
