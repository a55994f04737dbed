//! An HTTP proxy that leads to one server, whatever it is asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running proxy. Its threads end with the test's process.
pub struct Proxy {
    /// `127.0.0.1:PORT`.
    pub host: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Starts one that leads to `server`. If there are `credentials`, it wants them, as they stand in
    /// the header.
    pub fn start(server: &str, credentials: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (server, shared) = (server.to_owned(), Arc::clone(&seen));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, seen) = (server.clone(), Arc::clone(&shared));
                thread::spawn(move || serve(&client, &server, credentials, &seen));
            }
        });
        Self { host, seen }
    }

    /// The methods and targets of the requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(
    mut client: &TcpStream,
    server: &str,
    credentials: Option<&str>,
    seen: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut reader = BufReader::new(client);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let mut words = head.first()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    seen.lock().unwrap().push(format!("{method} {target}"));
    let given = head
        .iter()
        .find_map(|line| line.strip_prefix("Proxy-Authorization: "));
    if given != credentials {
        let refusal = b"HTTP/1.1 407 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(refusal).ok();
    }
    let mut upstream = TcpStream::connect(server).unwrap();
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 X\r\n\r\n").ok()?;
    } else {
        // In absolute form, as proxies get it; servers get the path.
        let (_, path) = target.strip_prefix("http://")?.split_once('/')?;
        head[0] = format!("{method} /{path} HTTP/1.1");
        head.retain(|line| !line.starts_with("Proxy-"));
        head.push("connection: close\r\n\r\n".to_owned());
        upstream.write_all(head.join("\r\n").as_bytes()).ok()?;
    }
    let (mut back, mut answers) = (client.try_clone().ok()?, upstream.try_clone().ok()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    // What the reader has already comes first.
    let mut rest = vec![0; reader.buffer().len()];
    reader.read_exact(&mut rest).ok()?;
    upstream.write_all(&rest).ok()?;
    let _ = std::io::copy(&mut client, &mut upstream);
    let _ = upstream.shutdown(Shutdown::Write);
    Some(())
}
