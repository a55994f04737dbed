//! `strata serve IMAGE...`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use indicatif::HumanBytes;

use super::Failure;
use super::arguments::ServeArguments;
use super::interruption::Interruption;
use super::printer::Printer;
use super::progress::Unseen;
use strata_error::{Error, Result};
use strata_image::ManifestOrIndex;
use strata_oci::Descriptor;
use strata_progress::{Outcome, Progress};
use strata_serve::{Catalog, Limits, Observer, Server, compress_all_images};

/// How often to look whether the user wants it to end.
const POLL: Duration = Duration::from_millis(50);

pub(super) fn run(
    arguments: &ServeArguments,
    printer: &Printer,
    interruption: &Interruption,
) -> Result<(), Failure> {
    let address = resolve(&arguments.listen).map_err(Failure::Usage)?;
    let said = Printer::new(arguments.quiet);
    let log = Log(&said);
    let images = arguments.images.iter().map(|path| {
        let built = ManifestOrIndex::open(path)?;
        compress_all_images(
            built,
            arguments.compression,
            interruption.context(&Unseen(printer)),
        )
    });
    let images = images.collect::<Result<Vec<_>>>()?;
    let server = Server::bind(address, Limits::default())?;
    let address = server.address();

    let mut catalog = Catalog::default();
    let mut lines = format!("http://{address}\n");
    for image in &images {
        let name = catalog.add(image.borrowed())?;
        let digest = image.borrowed().digest();
        lines.extend([format!("{address}/{name}@{digest}\n")]);
    }
    if !address.ip().is_loopback() {
        said.note("whoever reaches this address can read the images");
    }
    let observer = Observer {
        context: interruption.context(&log),
        failed: &|error| printer.error(&error.report()),
    };
    server.run(&catalog, observer, || {
        // Only now, so that whoever reads this finds the server ready.
        printer.data(&lines)?;
        while !interruption.happened() {
            thread::sleep(POLL);
        }
        Ok(())
    })
}

/// The address that `HOST:PORT` means.
fn resolve(text: &str) -> Result<SocketAddr> {
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

/// Says what was sent.
struct Log<'a>(&'a Printer);

impl Progress for Log<'_> {
    fn finish(&self, blob: &Descriptor, _: Outcome) {
        let (digest, size) = (blob.digest, HumanBytes(blob.size));
        self.0.note(&format!("sent {digest} ({size})"));
    }
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
