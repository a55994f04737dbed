//! Servers that answer in the middle of a request and hang up.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};

/// Whether the server of the latest connection reads no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct HangUp(Arc<AtomicBool>);

impl HangUp {
    /// Whether it reads no more.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, hung_up: bool) {
        self.0.store(hung_up, Ordering::Relaxed);
    }
}

/// Notes that a server reads no more, where that is no error. Stands before TLS, which could not go
/// on after an error.
#[derive(Debug)]
pub(crate) struct HangUpConnector(pub(crate) Option<HangUp>);

impl<In: Transport> Connector<In> for HangUpConnector {
    type Out = Either<In, HangUpTransport<In>>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|transport| match &self.0 {
            None => Either::A(transport),
            Some(hang_up) => {
                hang_up.set(false);
                Either::B(HangUpTransport {
                    transport,
                    hang_up: hang_up.clone(),
                })
            }
        }))
    }
}

/// A connection on which nothing is lost by writing in vain.
#[derive(Debug)]
pub(crate) struct HangUpTransport<T> {
    transport: T,
    hang_up: HangUp,
}

impl<T: Transport> Transport for HangUpTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        match self.transport.transmit_output(amount, timeout) {
            // A server that refuses a body in its middle answers and hangs up. The response is there
            // to be read.
            Err(Error::Io(error)) if is_hang_up(&error) => {
                self.hang_up.set(true);
                Ok(())
            }
            result => result,
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}
