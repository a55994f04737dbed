/**
  Certificates of authorities, in the three places where programs look for them.
*/
{ cacert, tools }:
tools.runCommand "ca-certificates" { } ''
  mkdir -p $out/etc/ssl/certs $out/etc/pki/tls/certs
  for file in ssl/certs/ca-bundle.crt ssl/certs/ca-certificates.crt pki/tls/certs/ca-bundle.crt; do
    ln -s ${cacert}/etc/ssl/certs/ca-bundle.crt $out/etc/$file
  done
''
