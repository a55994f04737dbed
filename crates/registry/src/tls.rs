//! TLS as registries need it: trust in exactly the certificates of the user, and client certificates.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::certificates::{ClientCertificate, Trust};

/// How TLS is spoken with a registry. `insecure` believes every certificate.
pub(super) fn configuration(trust: Trust, insecure: bool) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if insecure {
        Arc::new(Anybody(Arc::clone(&provider)))
    } else {
        Arc::new(Verifier::new(trust.authorities, Arc::clone(&provider))?)
    };
    let clients = trust
        .clients
        .into_iter()
        .map(|client| certified(client, &provider))
        .collect::<Result<_, _>>()?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(Clients(clients)));
    Ok(Arc::new(config))
}

fn certified(
    client: ClientCertificate,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, Error> {
    let key = provider.key_provider.load_private_key(client.key)?;
    Ok(Arc::new(CertifiedKey::new(client.chain, key)))
}

/// Checks certificates as usual, and takes a server's certificate as its own proof if it is exactly
/// one of those that are trusted. rustls alone refuses it if it is also an authority's, which is what
/// `openssl req -x509` makes and what other programs for registries take.
#[derive(Debug)]
struct Verifier {
    usual: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl Verifier {
    fn new(
        trusted: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        if trusted.is_empty() {
            // A system that has none gets Mozilla's list.
            roots
                .roots
                .extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        roots.add_parsable_certificates(trusted.iter().cloned());
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { usual, trusted })
    }
}

/// Whether the only thing wrong is that an authority's certificate is used by a server. Its dates were
/// found good before that.
fn is_authority(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(CertificateError::Other(other))
        if format!("{:?}", other.0) == "CaUsedAsEndEntity")
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(error) if is_authority(&error) && self.trusted.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// Believes everybody, because the user said so (`--dest-tls-verify=false`).
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The client certificates that a registry may ask for.
#[derive(Debug)]
struct Clients(Vec<Arc<CertifiedKey>>);

impl ResolvesClientCert for Clients {
    /// The first that one of the authorities signed which the server names, else the first.
    fn resolve(
        &self,
        authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let mut usable = self
            .0
            .iter()
            .filter(|client| client.key.choose_scheme(schemes).is_some());
        let first = usable.clone().next();
        usable
            .find(|client| {
                authorities
                    .iter()
                    .any(|authority| client.cert.iter().any(|link| names(link, authority)))
            })
            .or(first)
            .cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}

/// Whether `name`, in DER, is in a certificate: as its issuer, or else as its own, which does no harm
/// to the choice.
fn names(certificate: &CertificateDer<'_>, name: &[u8]) -> bool {
    !name.is_empty() && certificate.windows(name.len()).any(|window| window == name)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use rustls::pki_types::pem::PemObject;

    use super::*;

    /// What plain `openssl req -x509` makes: an authority's certificate, good for two days.
    fn authority(name: &str) -> CertificateDer<'static> {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let mut openssl = Command::new("openssl");
        openssl
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=x", "-addext"])
            .arg(format!("subjectAltName=DNS:{name}"))
            .arg("-keyout")
            .arg(at("key"))
            .arg("-out")
            .arg(at("certificate"));
        assert!(openssl.output().unwrap().status.success());
        CertificateDer::from_pem_file(at("certificate")).unwrap()
    }

    #[test]
    fn an_authority_is_believed_for_itself_alone() {
        let (trusted, other) = (authority("r.example"), authority("r.example"));
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(vec![trusted.clone()], provider).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let day = Duration::from_hours(24);
        let verify = |certificate: &CertificateDer<'_>, name: &str, time| {
            let name = ServerName::try_from(name.to_owned()).unwrap();
            let time = UnixTime::since_unix_epoch(time);
            verifier
                .verify_server_cert(certificate, &[], &name, &[], time)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        assert_eq!(verify(&trusted, "r.example", now), Ok(()));
        for (certificate, name, time, message) in [
            (&other, "r.example", now, "CaUsedAsEndEntity"),
            (&trusted, "other.example", now, "not valid for name"),
            (&trusted, "r.example", now + 3 * day, "expired"),
            (
                &trusted,
                "r.example",
                now.saturating_sub(day),
                "not valid yet",
            ),
        ] {
            let error = verify(certificate, name, time).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_system_without_authorities_gets_a_list() {
        assert!(configuration(Trust::default(), false).is_ok());
    }
}
