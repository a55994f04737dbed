//! A client that costs little: one connection for each pull, and nothing that is kept.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use strata_oci::Digest;

/// What is compared.
pub(crate) enum Check<'a> {
    /// Blobs with their digests, and manifests of one name with each other.
    Digests(&'a Mutex<BTreeMap<String, Vec<u8>>>),
    /// Their lengths.
    Lengths,
}

/// Pulls an image.
pub(crate) fn pull(host: &str, image: &str, check: &Check<'_>) -> Result<()> {
    let mut connection = Connection::open(host)?;
    let manifest = connection.get(host, &format!("/v2/{image}/manifests/latest"))?;
    if let Check::Digests(known) = check {
        let mut known = known.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        let first = known
            .entry(image.to_owned())
            .or_insert_with(|| manifest.clone());
        ensure!(*first == manifest, "another manifest");
    }
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let layers = manifest["layers"].as_array().context("no layers")?.iter();
    for blob in [&manifest["config"]].into_iter().chain(layers) {
        let digest = blob["digest"].as_str().context("no digest")?;
        let path = format!("/v2/{image}/blobs/{digest}");
        match check {
            Check::Digests(_) => {
                let bytes = connection.get(host, &path)?;
                ensure!(Digest::of(&bytes).to_string() == digest, "another blob");
            }
            Check::Lengths => {
                let length = connection.skip(host, &path)?;
                ensure!(Some(length) == blob["size"].as_u64(), "another length");
            }
        }
    }
    Ok(())
}

/// What is at a path.
pub(crate) fn get(host: &str, path: &str) -> Result<Vec<u8>> {
    Connection::open(host)?.get(host, path)
}

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(64 << 10, stream)))
    }

    fn get(&mut self, host: &str, path: &str) -> Result<Vec<u8>> {
        let length = self.ask(host, path)?;
        let mut body = vec![0; usize::try_from(length)?];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }

    fn skip(&mut self, host: &str, path: &str) -> Result<u64> {
        let length = self.ask(host, path)?;
        let mut left = length;
        while left > 0 {
            let ready = self.0.fill_buf()?.len();
            ensure!(ready > 0, "half a body");
            let count = ready.min(usize::try_from(left)?);
            self.0.consume(count);
            left -= count as u64;
        }
        Ok(length)
    }

    /// Asks, and gives the length of the body that follows.
    fn ask(&mut self, host: &str, path: &str) -> Result<u64> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n\
             Accept: application/vnd.oci.image.manifest.v1+json\r\n\r\n"
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        ensure!(line.starts_with("HTTP/1.1 200"), "{}", line.trim());
        let mut length = None;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse()?);
            }
        }
        length.context("no length")
    }
}
