//! A network whose delay is counted and not measured: what is sent arrives when nobody has anything more to send, all at
//! once, and that is a step. So a program waits as many steps as it would wait for delays, however busy the machine is.
//! Handshakes, of TCP and of TLS, count like everything else.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long nobody must have sent anything before all of it arrives: much longer than anybody needs to answer, on a busy
/// machine too.
const QUIET: Duration = Duration::from_millis(250);

/// The network. Its threads end with the test's process.
pub struct Lockstep(Arc<Mutex<Network>>);

#[derive(Default)]
struct Network {
    /// How often something arrived.
    steps: usize,
    /// When something was sent last.
    last: Option<Instant>,
    /// What is on its way.
    sent: Vec<Sent>,
}

/// Something on its way.
enum Sent {
    /// A connection to a server that is being opened, and how many steps that still takes.
    Opening(TcpStream, String, u8),
    /// Bytes, or the end, for this end of a connection.
    Bytes(Arc<Mutex<TcpStream>>, Vec<u8>),
}

impl Lockstep {
    /// A network without anybody in it.
    pub fn start() -> Self {
        let network = Arc::new(Mutex::new(Network::default()));
        let ours = Arc::clone(&network);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(5));
                step(&ours);
            }
        });
        Self(network)
    }

    /// The address, `127.0.0.1:PORT`, at which `server` is reached through the network.
    pub fn way_to(&self, server: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (network, server) = (Arc::clone(&self.0), server.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                send(&network, Sent::Opening(client, server.clone(), 2));
            }
        });
        host
    }

    /// How many times the delay of a way there and back passed since this was called last.
    pub fn round_trips(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().steps).div_ceil(2)
    }
}

fn send(network: &Mutex<Network>, sent: Sent) {
    let mut network = network.lock().unwrap();
    network.last = Some(Instant::now());
    network.sent.push(sent);
}

/// Lets arrive what is on its way, if nobody sends anything.
fn step(network: &Arc<Mutex<Network>>) {
    let mut locked = network.lock().unwrap();
    if locked.sent.is_empty() || locked.last.is_none_or(|last| last.elapsed() < QUIET) {
        return;
    }
    let arrived = std::mem::take(&mut locked.sent);
    // Nobody waits for the end of a connection.
    let is_waited_for = |sent: &Sent| match sent {
        Sent::Opening(..) => true,
        Sent::Bytes(_, bytes) => !bytes.is_empty(),
    };
    locked.steps += usize::from(arrived.iter().any(is_waited_for));
    locked.last = Some(Instant::now());
    drop(locked);
    for sent in arrived {
        match sent {
            Sent::Opening(client, server, 1) => connect(client, network, &server),
            Sent::Opening(client, server, steps) => {
                send(network, Sent::Opening(client, server, steps - 1));
            }
            Sent::Bytes(to, bytes) => {
                let mut to = to.lock().unwrap();
                if bytes.is_empty() {
                    let _ = to.shutdown(Shutdown::Write);
                } else {
                    let _ = to.write_all(&bytes);
                }
            }
        }
    }
}

/// Connects both ends.
fn connect(client: TcpStream, network: &Arc<Mutex<Network>>, server: &str) {
    let Ok(server) = TcpStream::connect(server) else {
        return;
    };
    for (mut from, to) in [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ] {
        let (network, to) = (Arc::clone(network), Arc::new(Mutex::new(to)));
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            loop {
                let count = from.read(&mut buffer).unwrap_or_default();
                send(
                    &network,
                    Sent::Bytes(Arc::clone(&to), buffer[..count].to_vec()),
                );
                if count == 0 {
                    return;
                }
            }
        });
    }
}
