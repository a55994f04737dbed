//! TLS: trust in exactly the certificates of the user, and client certificates.

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

use crate::certificates::{ClientCertificate, TrustStore};

/// How TLS is spoken with a server.
#[derive(Clone, Debug)]
pub struct Tls(pub(crate) Arc<ClientConfig>);

/// Certificates that cannot be used, in the words of rustls.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TlsError(#[from] Error);

impl Tls {
    /// With a server whose certificate `trust` vouches for, or Mozilla's list if that is empty. Shows one
    /// of `certificates` to a server that asks for one.
    pub fn new(trust: TrustStore, certificates: Vec<ClientCertificate>) -> Result<Self, TlsError> {
        let verifier = Verifier::new(trust.0, provider())?;
        configuration(Arc::new(verifier), certificates)
    }

    /// The same with any server.
    pub fn insecure(certificates: Vec<ClientCertificate>) -> Result<Self, TlsError> {
        configuration(Arc::new(Anybody), certificates)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn configuration(
    verifier: Arc<dyn ServerCertVerifier>,
    certificates: Vec<ClientCertificate>,
) -> Result<Tls, TlsError> {
    let provider = provider();
    let certificates = certificates
        .into_iter()
        .map(|certificate| certified(certificate, &provider))
        .collect::<Result<_, _>>()?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(Clients(certificates)));
    Ok(Tls(Arc::new(config)))
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
/// `openssl req -x509` makes and what Go's programs take.
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

/// Believes everybody, because the user said so.
#[derive(Debug)]
struct Anybody;

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
        // Nothing is checked, so that also those will do that `ring` cannot check.
        let mut schemes = provider()
            .signature_verification_algorithms
            .supported_schemes();
        schemes.extend([
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED448,
        ]);
        schemes
    }
}

/// The client certificates that a server may ask for.
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
        let verifier = Verifier::new(vec![trusted.clone()], provider()).unwrap();
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
        assert!(Tls::new(TrustStore::default(), Vec::new()).is_ok());
    }
}
