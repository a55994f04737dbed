//! Where servers listen.

use std::net::{SocketAddr, ToSocketAddrs};

use strata_error::{Error, Result};

/// The address that `HOST:PORT` means.
pub(super) fn resolve(text: &str) -> Result<SocketAddr> {
    let error = |message: String| Error::Name {
        what: "address",
        value: text.to_owned(),
        message,
        hint: "write ADDRESS:PORT, as in 127.0.0.1:5000; port 0 is any that is free".to_owned(),
    };
    let mut addresses = text
        .to_socket_addrs()
        .map_err(|source| error(source.to_string()))?;
    addresses
        .next()
        .ok_or_else(|| error("no such host".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_port() {
        assert_eq!(resolve("127.0.0.1:0").unwrap().port(), 0);
        assert!(resolve("localhost:5000").unwrap().ip().is_loopback());
        assert!(resolve("[::1]:5000").unwrap().is_ipv6());
        for text in ["", "127.0.0.1", "5000", "127.0.0.1:x", "127.0.0.1:70000"] {
            let error = resolve(text).unwrap_err();
            assert!(error.hint().unwrap().contains("ADDRESS:PORT"), "{text}");
        }
    }
}
