//! The read-only registry: what the OCI distribution specification expects of whoever serves pulls,
//! and clients that behave badly.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use strata_testing as support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use strata_error::{Error, Result};
use strata_image::Image;
use strata_layer::{ImageName, Layer};
use strata_oci::{Descriptor, Digest, media_type};
use strata_progress::{Context, Outcome, Progress};
use strata_serve::{Catalog, Limits, Observer, Server};
use strata_tree::Recipe;
use support::memory_image::{self, MemoryLayer};
use support::oci::check;

/// Every wait of the tests ends at the latest then.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a server answered.
#[derive(Debug)]
struct Reply {
    status: u16,
    fields: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Reply {
    /// Reads one answer to the end of its body; nothing if there is no whole head.
    fn read(stream: &mut TcpStream, has_body: bool) -> Option<Self> {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if !matches!(stream.read(&mut byte), Ok(1)) {
                return None;
            }
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap();
        let (version, status) = status.split_once(' ').unwrap();
        assert!(version.starts_with("HTTP/1."), "{head}");
        let fields: BTreeMap<String, String> = lines
            .take_while(|line| !line.is_empty())
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut body = Vec::new();
        if let Some(length) = fields.get("content-length").filter(|_| has_body) {
            let length: u64 = length.parse().unwrap();
            // Less is for the test to notice.
            let _ = stream.take(length).read_to_end(&mut body);
        }
        Some(Self {
            status: status[..3].parse().unwrap(),
            fields,
            body,
        })
    }

    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The code of the only error.
    #[track_caller]
    fn code(&self) -> String {
        assert_eq!(self.field("content-type"), "application/json");
        let errors = self.json()["errors"].clone();
        let [error] = errors.as_array().unwrap().as_slice() else {
            panic!("{errors}");
        };
        assert!(error["message"].as_str().unwrap().len() > 5, "{error}");
        error["code"].as_str().unwrap().to_owned()
    }
}

/// A server that runs, as a client sees it.
#[derive(Clone, Copy)]
struct Client(SocketAddr);

impl Client {
    fn connect(self) -> TcpStream {
        TcpStream::connect(self.0).unwrap()
    }

    /// Sends bytes on a connection of their own and reads an answer.
    fn send(self, bytes: &[u8]) -> Option<Reply> {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        Reply::read(&mut stream, true)
    }

    #[track_caller]
    fn ask(self, method: &str, target: &str, fields: &[&str]) -> Reply {
        let mut stream = self.connect();
        let first = format!("{method} {target} HTTP/1.1");
        let lines = [&[first.as_str(), "Host: h"], fields, &["", ""]].concat();
        let head = lines.join("\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        Reply::read(&mut stream, method != "HEAD").expect("an answer")
    }

    #[track_caller]
    fn get(self, target: &str) -> Reply {
        self.ask("GET", target, &[])
    }
}

/// An image of these layers, called `me/hello:TAG`.
fn image(tag: &str, layers: Vec<MemoryLayer>) -> Image {
    let mut image = memory_image::image(layers);
    image.name = Some(ImageName {
        name: "me/hello".to_owned(),
        tag: tag.to_owned(),
    });
    image
}

/// Serves images while `test` runs; gives what could not be made.
fn serve_with(
    images: &[Image],
    limits: Limits,
    context: Context<'_>,
    test: impl FnOnce(Client),
) -> Vec<String> {
    let mut catalog = Catalog::default();
    for image in images {
        catalog.add(image).unwrap();
    }
    let failures = Mutex::new(Vec::new());
    let failed = |error: Error| failures.lock().unwrap().push(error.report());
    let observer = Observer {
        context,
        failed: &failed,
    };
    let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into(), limits).unwrap();
    server.run(&catalog, observer, || test(Client(server.address())));
    failures.into_inner().unwrap()
}

fn serve(images: &[Image], test: impl FnOnce(Client)) {
    let failures = serve_with(images, Limits::default(), Context::silent(), test);
    assert_eq!(failures, [""; 0]);
}

/// Two tags of one name, of which the first image has the layers `one` and `two`.
fn two_tags() -> [Image; 2] {
    let layer = |bytes: &[u8]| MemoryLayer::new(bytes);
    [
        image("v1", vec![layer(b"layer one"), layer(b"layer two")]),
        image("v2", vec![layer(b"layer one"), layer(b"layer three")]),
    ]
}

const ACCEPT: &str = "Accept: application/vnd.oci.image.manifest.v1+json";

/// A digest of nothing that there is, as the conformance tests use it.
fn dummy() -> Digest {
    Digest::of(b"hello world")
}

// What the conformance tests of the specification (conformance/01_pull_test.go) check for pulling,
// in their order and words.

#[test]
fn head_request_to_nonexistent_blob_should_result_in_404_response() {
    serve(&two_tags(), |client| {
        let path = format!("/v2/me/hello/blobs/{}", dummy());
        assert_eq!(client.ask("HEAD", &path, &[]).status, 404);
    });
}

#[test]
fn head_request_to_existing_blob_should_yield_200() {
    let images = two_tags();
    let config = &images[0].manifest.config;
    serve(&images, |client| {
        let path = format!("/v2/me/hello/blobs/{}", config.digest);
        let reply = client.ask("HEAD", &path, &[]);
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.field("docker-content-digest"),
            config.digest.to_string()
        );
        assert_eq!(reply.field("content-length"), config.size.to_string());
    });
}

#[test]
fn get_nonexistent_blob_should_result_in_404_response() {
    serve(&two_tags(), |client| {
        let reply = client.get(&format!("/v2/me/hello/blobs/{}", dummy()));
        assert_eq!((reply.status, reply.code().as_str()), (404, "BLOB_UNKNOWN"));
    });
}

#[test]
fn get_request_to_existing_blob_url_should_yield_200() {
    let images = two_tags();
    serve(&images, |client| {
        for blob in images[0]
            .manifest
            .layers
            .iter()
            .chain([&images[0].manifest.config])
        {
            let reply = client.get(&format!("/v2/me/hello/blobs/{}", blob.digest));
            assert_eq!(reply.status, 200);
            assert_eq!(Digest::of(&reply.body), blob.digest);
            assert_eq!(reply.field("content-type"), "application/octet-stream");
        }
    });
}

#[rstest]
#[case::as_in_the_conformance_tests(".INVALID_MANIFEST_NAME")]
#[case::tag("v3")]
#[case::digest("sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9")]
#[case::other_algorithm("sha512:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9")]
fn get_and_head_of_nonexistent_manifest_should_return_404(#[case] reference: &str) {
    serve(&two_tags(), |client| {
        let path = format!("/v2/me/hello/manifests/{reference}");
        assert_eq!(client.ask("HEAD", &path, &[ACCEPT]).status, 404);
        let reply = client.ask("GET", &path, &[ACCEPT]);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (404, "MANIFEST_UNKNOWN")
        );
    });
}

#[test]
fn get_and_head_of_manifest_path_by_digest_and_tag_should_yield_200() {
    let images = two_tags();
    serve(&images, |client| {
        for image in &images {
            let digest = image.manifest_descriptor.digest.to_string();
            for reference in [&digest, &image.name.as_ref().unwrap().tag] {
                let path = format!("/v2/me/hello/manifests/{reference}");
                for method in ["HEAD", "GET"] {
                    let reply = client.ask(method, &path, &[ACCEPT]);
                    assert_eq!(reply.status, 200);
                    assert_eq!(reply.field("docker-content-digest"), digest);
                    assert_eq!(reply.field("content-type"), media_type::MANIFEST);
                    let size = image.manifest_bytes.len().to_string();
                    assert_eq!(reply.field("content-length"), size);
                    if method == "GET" {
                        assert_eq!(reply.body, image.manifest_bytes);
                    }
                }
            }
        }
    });
}

#[test]
fn error_400_should_contain_oci_conforming_json_message() {
    serve(&two_tags(), |client| {
        let path = "/v2/me/hello/manifests/sha256:totallywrong";
        let reply = client.ask("PUT", path, &["Content-Length: 0"]);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "DIGEST_INVALID")
        );
        for kind in ["blobs", "referrers"] {
            let reply = client.get(&format!("/v2/me/hello/{kind}/sha256:abc"));
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (400, "DIGEST_INVALID")
            );
        }
    });
}

// What they check for finding content (conformance/03_discovery_test.go).

#[test]
fn get_request_to_list_tags_should_yield_200_response() {
    serve(&two_tags(), |client| {
        let reply = client.get("/v2/me/hello/tags/list");
        assert_eq!(reply.status, 200);
        assert_eq!(
            reply.json(),
            json!({ "name": "me/hello", "tags": ["v1", "v2"] })
        );
        let reply = client.get("/v2/other/tags/list");
        assert_eq!((reply.status, reply.code().as_str()), (404, "NAME_UNKNOWN"));
    });
}

#[test]
fn number_of_tags_is_limited_by_n_and_their_start_set_by_last() {
    serve(&two_tags(), |client| {
        let tags = |query: &str| {
            let reply = client.get(&format!("/v2/me/hello/tags/list?{query}"));
            assert_eq!(reply.status, 200, "{query}");
            (reply.json()["tags"].clone(), reply.field("link").to_owned())
        };
        let next = "</v2/me/hello/tags/list?n=1&last=v1>; rel=\"next\"";
        assert_eq!(tags("n=1"), (json!(["v1"]), next.to_owned()));
        assert_eq!(tags("n=1&last=v1"), (json!(["v2"]), String::new()));
        assert_eq!(tags("n=2").0, json!(["v1", "v2"]));
        assert_eq!(tags("n=0").0, json!([]));
        assert_eq!(tags("last=v2").0, json!([]));
        assert_eq!(tags("last=v11").0, json!(["v2"]));
        let reply = client.get("/v2/me/hello/tags/list?n=many");
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (400, "PAGINATION_NUMBER_INVALID")
        );
    });
}

#[test]
fn referrers_are_an_empty_index_whether_or_not_the_manifest_exists() {
    let images = two_tags();
    serve(&images, |client| {
        for digest in [dummy(), images[0].manifest_descriptor.digest] {
            let path = format!("/v2/me/hello/referrers/{digest}");
            let reply = client.get(&path);
            assert_eq!(reply.status, 200);
            assert_eq!(reply.field("content-type"), media_type::INDEX);
            check("index", &reply.json());
            assert_eq!(reply.json()["manifests"], json!([]));
            assert_eq!(reply.field("oci-filters-applied"), "");
            let reply = client.get(&format!("{path}?artifactType=a%2Fb"));
            assert_eq!(reply.field("oci-filters-applied"), "artifactType");
        }
        let reply = client.get(&format!("/v2/other/referrers/{}", dummy()));
        assert_eq!((reply.status, reply.code().as_str()), (404, "NAME_UNKNOWN"));
    });
}

// What the specification says besides.

#[test]
fn the_version_is_told_and_names_are_listed() {
    let mut images = two_tags();
    images[1].name.as_mut().unwrap().name = "h.x:5000/other".to_owned();
    serve(&images, |client| {
        for path in ["/v2/", "/v2"] {
            let reply = client.get(path);
            assert_eq!((reply.status, reply.json()), (200, json!({})));
            assert_eq!(
                reply.field("docker-distribution-api-version"),
                "registry/2.0"
            );
        }
        let reply = client.get("/v2/_catalog");
        assert_eq!(
            reply.json(),
            json!({ "repositories": ["me/hello", "other"] })
        );
        let reply = client.get("/v2/_catalog?n=1");
        assert_eq!(reply.json(), json!({ "repositories": ["me/hello"] }));
        assert_eq!(
            reply.field("link"),
            "</v2/_catalog?n=1&last=me%2Fhello>; rel=\"next\""
        );
        // What one name has, another has not.
        let reply = client.get("/v2/other/manifests/v1");
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (404, "MANIFEST_UNKNOWN")
        );
        for path in [
            "/",
            "/v1/",
            "/v2/me/hello",
            "/v2/me/hello/blobs/",
            "/v2/me/hello/tags",
        ] {
            assert!([400, 404].contains(&client.get(path).status), "{path}");
        }
    });
}

#[rstest]
#[case::post("POST", "/v2/me/hello/blobs/uploads/")]
#[case::put("PUT", "/v2/me/hello/manifests/v3")]
#[case::patch("PATCH", "/v2/me/hello/blobs/uploads/1")]
#[case::delete("DELETE", "/v2/me/hello/manifests/v1")]
#[case::unknown_name("POST", "/v2/other/blobs/uploads/?mount=sha256:1&from=me/hello")]
fn what_writes_is_refused(#[case] method: &str, #[case] path: &str) {
    serve(&two_tags(), |client| {
        let reply = client.ask(method, path, &["Content-Length: 0"]);
        assert_eq!((reply.status, reply.code().as_str()), (405, "UNSUPPORTED"));
        assert_eq!(reply.field("allow"), "GET, HEAD");
        assert_eq!(client.get("/v2/me/hello/manifests/v1").status, 200);
    });
}

/// As docker-registry answers.
#[test]
fn manifests_are_not_there_for_who_does_not_accept_them() {
    serve(&two_tags(), |client| {
        let path = "/v2/me/hello/manifests/v1";
        let others = "Accept: application/vnd.docker.distribution.manifest.v2+json";
        let reply = client.ask("GET", path, &[others]);
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (404, "MANIFEST_UNKNOWN")
        );
        assert_eq!(reply.field("vary"), "Accept");
        for accept in [&[others, ACCEPT][..], &["Accept: */*"], &[]] {
            assert_eq!(client.ask("GET", path, accept).status, 200, "{accept:?}");
        }
    });
}

#[test]
fn parts_of_blobs_are_served() {
    let images = [image("v1", vec![MemoryLayer::new(b"0123456789")])];
    let digest = images[0].manifest.layers[0].digest;
    let path = &format!("/v2/me/hello/blobs/{digest}");
    serve(&images, |client| {
        let ask = |fields: &[&str]| client.ask("GET", path, fields);
        let whole = ask(&[]);
        assert_eq!(whole.field("accept-ranges"), "bytes");
        let tag = whole.field("etag");
        assert_eq!(tag, format!("\"{digest}\""));

        for (range, part, bytes) in [
            ("0-0", "0-0", "0"),
            ("4-6", "4-6", "456"),
            ("7-", "7-9", "789"),
            ("-2", "8-9", "89"),
            ("8-99", "8-9", "89"),
        ] {
            let reply = ask(&[&format!("Range: bytes={range}")]);
            assert_eq!(reply.status, 206, "{range}");
            assert_eq!(reply.field("content-range"), format!("bytes {part}/10"));
            assert_eq!(String::from_utf8(reply.body).unwrap(), bytes);
        }
        for range in ["10-", "500-0"] {
            let reply = ask(&[&format!("Range: bytes={range}")]);
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (416, "RANGE_INVALID")
            );
            assert_eq!(reply.field("content-range"), "bytes */10");
        }
        let reply = ask(&["Range: bytes=0-1, 3-4,9-"]);
        assert_eq!(reply.status, 206);
        let boundary = digest.hex();
        assert_eq!(
            reply.field("content-type"),
            format!("multipart/byteranges; boundary={boundary}")
        );
        let part = |range: &str, bytes: &str| {
            format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                 Content-Range: bytes {range}/10\r\n\r\n{bytes}"
            )
        };
        let parts = [part("0-1", "01"), part("3-4", "34"), part("9-9", "9")].concat();
        assert_eq!(
            String::from_utf8(reply.body).unwrap(),
            format!("{parts}\r\n--{boundary}--\r\n")
        );
        // Ranges in another order than the blob's, or those of another blob, are the whole.
        for fields in [
            &["Range: bytes=3-4,0-1"][..],
            &["Range: bytes=0-1", "If-Range: \"x\""],
        ] {
            let reply = ask(fields);
            assert_eq!((reply.status, reply.body.len()), (200, 10), "{fields:?}");
        }
        let same = ask(&["Range: bytes=0-1", &format!("If-Range: {tag}")]);
        assert_eq!(same.status, 206);
        let known = ask(&[&format!("If-None-Match: W/{tag}")]);
        assert_eq!((known.status, known.body.len()), (304, 0));
        let head = client.ask("HEAD", path, &["Range: bytes=0-1"]);
        assert_eq!((head.status, head.field("content-length")), (200, "10"));
    });
}

// Bad clients, and bad luck.

#[test]
fn one_connection_takes_many_requests() {
    serve(&two_tags(), |client| {
        let mut stream = client.connect();
        let first =
            b"GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\nHEAD /v2/me/hello/manifests/v1 HTTP/1.1\r\n";
        stream.write_all(first).unwrap();
        assert_eq!(Reply::read(&mut stream, true).unwrap().status, 200);
        stream
            .write_all(b"Host: h\r\n\r\nGET /v2/x/tags/list HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap();
        assert_eq!(Reply::read(&mut stream, false).unwrap().status, 200);
        assert_eq!(Reply::read(&mut stream, true).unwrap().status, 404);
        stream.write_all(b"GET /v2/ HTTP/1.0\r\n\r\n").unwrap();
        let last = Reply::read(&mut stream, true).unwrap();
        assert_eq!((last.status, last.field("connection")), (200, "close"));
        assert!(Reply::read(&mut stream, true).is_none());
    });
}

/// <https://github.com/tiny-http/tiny-http/issues/173>: what follows a body of unclear length must not
/// be taken for a request.
#[rstest]
#[case::length("GET", "Content-Length: 40", 400)]
#[case::two_lengths("GET", "Content-Length: 0\r\nContent-Length: 40", 400)]
#[case::chunked("GET", "Transfer-Encoding: chunked", 400)]
#[case::both("GET", "Content-Length: 0\r\nTransfer-Encoding: chunked", 400)]
#[case::space("GET", "Transfer-Encoding : chunked", 400)]
#[case::odd("GET", "Transfer-Encoding: \u{b}chunked", 400)]
#[case::upload("PUT", "Content-Length: 40", 405)]
fn tiny_http_173_requests_with_a_body_end_the_connection(
    #[case] method: &str,
    #[case] fields: &str,
    #[case] status: u16,
) {
    serve(&two_tags(), |client| {
        let mut stream = client.connect();
        let inner = "GET /v2/_catalog HTTP/1.1\r\nHost: h\r\n\r\n";
        let head = format!("{method} /v2/ HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n0\r\n\r\n{inner}");
        stream.write_all(head.as_bytes()).unwrap();
        let reply = Reply::read(&mut stream, true).unwrap();
        assert_eq!((reply.status, reply.field("connection")), (status, "close"));
        assert_eq!(reply.code(), "UNSUPPORTED");
        assert!(Reply::read(&mut stream, true).is_none());
    });
}

#[test]
fn what_is_not_a_request_is_refused() {
    let long = format!("GET /v2/{} HTTP/1.1\r\n\r\n", "a".repeat(80 << 10));
    serve(&two_tags(), |client| {
        for (bytes, status) in [
            ("nonsense\r\n\r\n", 400),
            ("GET /v2/ HTTP/1.1\r\n\r\n", 400),
            ("GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            (&long, 431),
        ] {
            let reply = client.send(bytes.as_bytes()).unwrap();
            assert_eq!(reply.status, status, "{bytes:.20}");
            assert_eq!(reply.field("connection"), "close");
        }
    });
}

/// Docker's containerd store goes on with plain HTTP only after an answer that is HTTP.
#[test]
fn who_speaks_tls_is_told_not_to() {
    serve(&two_tags(), |client| {
        let mut stream = client.connect();
        // A handshake record with a ClientHello (RFC 8446, sections 5.1 and 4.1.2).
        let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
        hello.resize(517, 7);
        stream.write_all(&hello).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.0 400 Bad Request\r\n"),
            "{answer}"
        );
    });
}

/// Waits that are short enough for a test.
fn impatient() -> Limits {
    Limits {
        head: Duration::from_millis(300),
        idle: Duration::from_millis(500),
        stall: Duration::from_millis(300),
        ..Limits::default()
    }
}

#[test]
fn slow_clients_are_not_waited_for() {
    serve_with(&two_tags(), impatient(), Context::silent(), |client| {
        let silent = client.connect();
        let reply = client.send(b"GET /v2/ HT").unwrap();
        assert_eq!(reply.status, 408);
        let mut byte = [0];
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(
            (&silent).read(&mut byte).unwrap(),
            0,
            "the end without a word"
        );
    });
}

/// Some who never say what they want do not keep others out.
#[test]
fn half_requests_make_room_for_whole_ones() {
    let hour = Duration::from_hours(1);
    let limits = Limits {
        connections: 3,
        head: hour,
        idle: hour,
        crowded: Duration::from_millis(1),
        ..Limits::default()
    };
    serve_with(&two_tags(), limits, Context::silent(), |client| {
        let halves: Vec<_> = (0..5)
            .map(|_| {
                let mut half = client.connect();
                half.write_all(b"GET /v2/ HTTP/1.1\r\nHost: h\r\n").unwrap();
                half
            })
            .collect();
        assert_eq!(client.get("/v2/").status, 200);
        drop(halves);
    });
}

/// Issue 11, row 12: as many as are served at a time, who read next to nothing, do not keep others out, nor
/// does one who reads have to go for them.
#[test]
fn slow_readers_make_room_for_others() {
    const BYTES: usize = 16 << 20;
    let bytes = vec![7; BYTES];
    let layer = MemoryLayer::new(&bytes[..]);
    let target = format!("/v2/me/hello/blobs/{}", Digest::of(&bytes));
    let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    let limits = Limits::default();
    serve_with(
        &[image("v1", vec![layer])],
        limits,
        Context::silent(),
        |client| {
            let begin = || {
                let mut reader = client.connect();
                rustix::net::sockopt::set_socket_recv_buffer_size(&reader, 4096).unwrap();
                reader.write_all(request.as_bytes()).unwrap();
                reader.read_exact(&mut [0; 2048]).unwrap();
                reader
            };
            let mut slow: Vec<TcpStream> = (0..limits.connections - 1).map(|_| begin()).collect();
            let mut good = client.connect();
            good.write_all(request.as_bytes()).unwrap();
            let good = std::thread::spawn(move || {
                // Some megabytes a second.
                for _ in 0..64 {
                    good.read_exact(&mut vec![0; BYTES / 64]).unwrap();
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
            for round in 0..8 {
                let mut newcomer = client.connect();
                let start = std::time::Instant::now();
                newcomer
                    .write_all(b"GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n")
                    .unwrap();
                assert_eq!(Reply::read(&mut newcomer, true).unwrap().status, 200);
                let took = start.elapsed();
                assert!(took < Duration::from_secs(2), "{round}: {took:?}");
                // It leaves, and somebody slow takes its place.
                drop(newcomer);
                slow.push(begin());
            }
            good.join().unwrap();
            drop(slow);
        },
    );
}

#[test]
fn others_are_served_when_somebody_leaves() {
    let limits = Limits {
        connections: 1,
        crowded: Duration::from_hours(1),
        ..Limits::default()
    };
    serve_with(&two_tags(), limits, Context::silent(), |client| {
        let mut first = client.connect();
        first
            .write_all(b"GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap();
        assert_eq!(Reply::read(&mut first, true).unwrap().status, 200);
        let mut second = client.connect();
        second
            .write_all(b"GET /v2/ HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap();
        second
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        assert!(second.read(&mut [0]).is_err(), "it waits its turn");
        drop(first);
        assert_eq!(Reply::read(&mut second, true).unwrap().status, 200);
    });
}

/// A layer whose bytes do not end, and how many were made.
struct EndlessLayer {
    descriptor: Descriptor,
    made: std::sync::Arc<AtomicU64>,
    ended: Mutex<std::sync::mpsc::Sender<()>>,
}

impl Layer for EndlessLayer {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn diff_id(&self) -> Digest {
        self.descriptor.digest
    }

    fn recipe(&self) -> Option<&Recipe> {
        None
    }

    fn write_to(&self, writer: &mut dyn Write) -> Result<()> {
        let result = loop {
            if let Err(error) = writer.write_all(&[0; 4096]) {
                break Err(Error::stream("a layer")(error));
            }
            self.made.fetch_add(4096, Ordering::Relaxed);
        };
        self.ended.lock().unwrap().send(()).unwrap();
        result
    }
}

/// An image whose layer does not end; the number of bytes that were made of it, and its end.
fn endless() -> (
    Image,
    std::sync::Arc<AtomicU64>,
    std::sync::mpsc::Receiver<()>,
) {
    let mut image = image("v1", vec![MemoryLayer::new(b"in its place")]);
    let (sender, receiver) = channel();
    let made = std::sync::Arc::new(AtomicU64::new(0));
    let descriptor = Descriptor::new(media_type::LAYER_TAR, dummy(), 1 << 50);
    image.manifest.layers = vec![descriptor.clone()];
    image.layers = vec![std::sync::Arc::new(EndlessLayer {
        descriptor,
        made: made.clone(),
        ended: Mutex::new(sender),
    })];
    (image, made, receiver)
}

fn request_for_dummy() -> String {
    format!(
        "GET /v2/me/hello/blobs/{} HTTP/1.1\r\nHost: h\r\n\r\n",
        dummy()
    )
}

#[test]
fn nothing_is_made_for_who_went_away_or_reads_nothing() {
    let (image, made, ended) = endless();
    let failures = serve_with(&[image], impatient(), Context::silent(), |client| {
        let mut goes = client.connect();
        goes.write_all(request_for_dummy().as_bytes()).unwrap();
        goes.read_exact(&mut [0; 1000]).unwrap();
        drop(goes);
        ended.recv_timeout(PATIENCE).unwrap();

        made.store(0, Ordering::Relaxed);
        let mut stays = client.connect();
        stays.write_all(request_for_dummy().as_bytes()).unwrap();
        ended.recv_timeout(PATIENCE).unwrap();
        assert!(made.load(Ordering::Relaxed) < 64 << 20, "what sockets hold");
    });
    assert_eq!(failures, [""; 0], "it is the client's affair");
}

#[test]
fn a_part_is_made_no_further_than_its_end() {
    let (image, made, ended) = endless();
    serve(&[image], |client| {
        let path = format!("/v2/me/hello/blobs/{}", dummy());
        let reply = client.ask("GET", &path, &["Range: bytes=1000000-1000009"]);
        assert_eq!((reply.status, reply.body), (206, vec![0; 10]));
        ended.recv_timeout(PATIENCE).unwrap();
        assert!(made.load(Ordering::Relaxed) <= 1_000_010);
    });
}

#[test]
fn the_end_of_a_server_ends_what_it_makes() {
    let (image, _, ended) = endless();
    let mut stream = None;
    serve(&[image], |client| {
        let mut client = client.connect();
        client.write_all(request_for_dummy().as_bytes()).unwrap();
        client.read_exact(&mut [0; 1000]).unwrap();
        stream = Some(client);
    });
    ended.try_recv().expect("it ended before the server");
    let mut rest = Vec::new();
    let _ = stream.unwrap().take(1 << 30).read_to_end(&mut rest);
    assert!(rest.len() < 1 << 30, "and so did the answer");
}

/// A client that checks nothing must not take a wrong layer for a whole one.
#[test]
fn a_layer_that_is_wrong_is_not_sent_whole() {
    for size in [1_usize, 1000, 128 << 10, 1 << 20] {
        let (promised, given) = (vec![1; size], vec![2; size]);
        let images = [image("v1", vec![MemoryLayer::broken(&promised, &given)])];
        let path = format!("/v2/me/hello/blobs/{}", Digest::of(&promised));
        let failures = serve_with(&images, Limits::default(), Context::silent(), |client| {
            let reply = client.get(&path);
            assert_eq!(reply.field("content-length"), size.to_string());
            assert!(reply.body.len() < size, "{size}");
        });
        let [failure] = failures.as_slice() else {
            panic!("{failures:?}");
        };
        assert!(failure.contains("layer in memory"), "{failure}");
    }
}

/// Counts what is sent.
#[derive(Default)]
struct Counter {
    bytes: AtomicU64,
    blobs: AtomicU64,
}

impl Progress for Counter {
    fn advance(&self, _: &Descriptor, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn finish(&self, _: &Descriptor, _: Outcome) {
        self.blobs.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn many_clients_get_what_they_ask_for() {
    let images = [image("v1", vec![MemoryLayer::zeros(3 << 20)])];
    let layer = &images[0].manifest.layers[0];
    let path = format!("/v2/me/hello/blobs/{}", layer.digest);
    let counter = Counter::default();
    serve_with(
        &images,
        Limits::default(),
        Context::silent().watched_by(&counter),
        |client| {
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| {
                        let reply = client.get(&path);
                        assert_eq!(Digest::of(&reply.body), layer.digest);
                    });
                }
            });
        },
    );
    assert_eq!(counter.bytes.into_inner(), 8 * layer.size);
    assert_eq!(counter.blobs.into_inner(), 8);
}

#[test]
fn an_address_in_use_is_an_error_with_a_way_out() {
    let server = Server::on_loopback().unwrap();
    let error = Server::bind(server.address(), Limits::default())
        .err()
        .unwrap();
    assert!(
        error.to_string().contains(&server.address().to_string()),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("127.0.0.1:0"), "{error}");
}
