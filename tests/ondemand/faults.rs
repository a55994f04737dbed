//! What goes wrong is told in the words of registries, and is over when it is over.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::serving::{Serving, signal};
use strata_oci::Digest;
use strata_testing::nix::nix;

/// Status, code and message.
fn refused(serving: &Serving, name: &str) -> (u16, String, String) {
    let answer = serving.manifest(name);
    let json = &answer.headers["content-type"];
    assert_eq!(json, "application/json", "X7 of nixery: {}", answer.text());
    let (code, message) = answer.error();
    (answer.status, code, message)
}

#[test]
fn what_is_missing_is_told_by_name() {
    let serving = Serving::start("");
    let (status, code, message) = refused(&serving, "shell/hello/nope/9zz");
    assert_eq!((status, code.as_str()), (404, "MANIFEST_UNKNOWN"));
    assert_eq!(message, "there is no package 9zz, nope");
    assert!(serving.builds().is_empty(), "no evaluation");
    // In a set, evaluation finds out.
    let (status, _, message) = refused(&serving, "python3packages.nope");
    assert_eq!(
        (status, message.as_str()),
        (404, "there is no package python3packages.nope")
    );
}

/// X6 of nixery: names were not bounded. Nothing of these gets to Nix.
#[test]
fn nixery_x6_hostile_names_go_no_further() {
    let serving = Serving::start("");
    let many = vec!["hello0"; 30].join("/");
    let distinct: Vec<String> = (0..60).map(|it| format!("a{it}")).collect();
    let distinct = distinct.join("/");
    let long = "a".repeat(300);
    for name in [
        "..%2f..%2fetc",
        "--option",
        "-A",
        "hello;ls",
        "$%7bhello%7d",
        "%22hello",
        "h%c3%a4llo",
        "Hello",
        "hello%00",
        "a..b",
        "nixostests.login",
        "a.b.c.d.e.f",
        &distinct,
        &long,
    ] {
        let answer = serving.manifest(name);
        assert_eq!(answer.status, 400, "{name}: {}", answer.text());
        assert_eq!(answer.error().0, "NAME_INVALID", "{name}");
    }
    assert_eq!(refused(&serving, &many).0, 404);
    assert!(serving.builds().is_empty());
}

#[test]
fn evaluations_and_builds_that_fail_say_why() {
    let serving = Serving::start("limits.failure_seconds = 60");
    let (status, code, message) = refused(&serving, "refuses");
    assert_eq!((status, code.as_str()), (500, "UNKNOWN"));
    assert!(
        message.contains("refuses is broken on purpose"),
        "{message}"
    );
    let (status, _, message) = refused(&serving, "fails");
    assert!(
        status == 500 && message.contains("the build failed"),
        "{message}"
    );
    assert!(message.contains("a reason"), "{message}");
    // Not tried again at once.
    assert_eq!(refused(&serving, "fails").0, 500);
    // Evaluation builds nothing.
    let (_, _, message) = refused(&serving, "imports");
    assert!(message.contains("import-from-derivation"), "{message}");
    assert_eq!(serving.builds().len(), 3);
}

#[test]
fn what_takes_too_long_or_too_much_ends() {
    let serving = Serving::start(
        "[limits]\nevaluation_seconds = 3\nevaluation_mib = 300\nbuild_seconds = 3\nbuilds = 4",
    );
    // The names of the package set are known first.
    assert_eq!(refused(&serving, "nope").0, 404);
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            let (status, _, message) = refused(&serving, "endless");
            assert_eq!(
                (status, message.as_str()),
                (504, "the evaluation took longer than 3 s")
            );
        });
        scope.spawn(|| {
            let (status, _, message) = refused(&serving, "slow");
            assert_eq!(
                (status, message.as_str()),
                (504, "the build took longer than 3 s")
            );
        });
        scope.spawn(|| assert!(matches!(refused(&serving, "huge").0, 500 | 504)));
    });
    assert!(begun.elapsed() < Duration::from_secs(40));
    assert_eq!(serving.manifest("hello").status, 200, "others go on");
}

/// X8 of nixery: a build that said a lot stood still.
#[test]
fn nixery_x8_a_build_may_say_a_lot() {
    let serving = Serving::start("");
    assert_eq!(serving.manifest("chatty").status, 200);
    let status = serving.get("/status");
    assert!(status.body.len() < 200_000, "{} bytes", status.body.len());
}

#[test]
fn who_finds_no_room_in_the_queue_may_come_again() {
    let serving = Serving::start("[limits]\nbuilds = 1\nqueue = 0\nbuild_seconds = 4");
    assert_eq!(refused(&serving, "nope").0, 404);
    thread::scope(|scope| {
        let slow = scope.spawn(|| refused(&serving, "slow").0);
        while !serving
            .get("/metrics")
            .text()
            .contains("queue{state=\"running\"} 1")
        {
            thread::yield_now();
        }
        let busy = serving.manifest("hello");
        assert_eq!(
            (busy.status, busy.error().0.as_str()),
            (429, "TOOMANYREQUESTS")
        );
        assert!(busy.headers.contains_key("retry-after"));
        assert_eq!(slow.join().unwrap(), 504);
    });
    assert_eq!(serving.manifest("hello").status, 200);
}

/// 10,000 names that do not exist cost one evaluation: that of what there is.
#[test]
fn names_that_do_not_exist_cost_no_evaluation() {
    let serving = Serving::start("");
    assert_eq!(refused(&serving, "nope").0, 404);
    let begun = Instant::now();
    thread::scope(|scope| {
        for part in 0..4 {
            let serving = &serving;
            scope.spawn(move || {
                for number in 0..2500 {
                    assert_eq!(
                        serving.manifest(&format!("nope-{part}-{number}")).status,
                        404
                    );
                }
            });
        }
    });
    assert!(
        begun.elapsed() < Duration::from_mins(1),
        "{:?}",
        begun.elapsed()
    );
    assert!(serving.builds().is_empty());
}

#[test]
fn a_client_that_goes_away_ends_nothing_for_others() {
    let serving = Serving::start("");
    let mut client = TcpStream::connect(&serving.host).unwrap();
    client
        .write_all(b"GET /v2/word/manifests/latest HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    thread::sleep(Duration::from_millis(300));
    drop(client);
    assert_eq!(serving.manifest("word").status, 200);
    assert_eq!(serving.builds().len(), 1);
}

fn damage(file: &Path) {
    let length = fs::metadata(file).unwrap().len();
    fs::write(file, vec![7; usize::try_from(length).unwrap()]).unwrap();
}

/// What is remembered is served without the daemon of Nix, and the rest when it is back.
#[test]
fn without_the_daemon_of_nix_the_error_says_so() {
    let settings = "limits.failure_seconds = 1";
    let serving = Serving::start(settings);
    let known = serving.manifest("hello").body;
    let directory = serving.directory();
    assert_eq!(serving.stop(), Some(0));
    let socket = directory.path().join("socket");
    let serving = Serving::start_with(directory, settings, |command| {
        command.env("NIX_REMOTE", format!("unix://{}", socket.display()));
    });
    assert_eq!(serving.manifest("hello").body, known);
    let (status, _, message) = refused(&serving, "gnugrep");
    assert!(
        status == 500 && message.contains("cannot connect to socket"),
        "{message}"
    );
    let mut daemon = nix("nix-daemon");
    daemon
        .env("NIX_DAEMON_SOCKET_PATH", &socket)
        .stderr(Stdio::null());
    let mut daemon = daemon.spawn().unwrap();
    while !socket.exists() {
        thread::yield_now();
    }
    thread::sleep(Duration::from_secs(1));
    let again = serving.manifest("gnugrep");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(again.status, 200, "{}", again.text());
}

/// Nothing wrong is served, whatever happens to the files of the state.
#[test]
fn damaged_files_are_made_anew() {
    let serving = Serving::start("");
    let manifest = serving.manifest("hello");
    let layers = manifest.json()["layers"].clone();
    let fetch = |serving: &Serving| {
        for layer in layers.as_array().unwrap() {
            let digest = layer["digest"].as_str().unwrap();
            let blob = serving.get(&format!("/v2/hello/blobs/{digest}"));
            assert_eq!(blob.status, 200, "{}", blob.text());
            assert_eq!(Digest::of(&blob.body).to_string(), digest);
        }
    };
    fetch(&serving);
    let files = || {
        let entries = fs::read_dir(serving.state().join("blobs")).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .collect::<BTreeSet<_>>()
    };
    for file in files() {
        damage(&file);
    }
    fetch(&serving);
    fs::remove_dir_all(serving.state().join("blobs")).unwrap();
    fetch(&serving);

    let database = serving.state().join("memory-1.sqlite");
    damage(&database);
    for _ in 0..3 {
        let again = serving.manifest("hello");
        if again.status == 200 {
            assert_eq!(again.body, manifest.body);
        }
    }
    assert_eq!(serving.manifest("hello").body, manifest.body);
    fetch(&serving);
    fs::remove_dir_all(serving.state()).unwrap();
    let directory = serving.directory();
    serving.kill();
    let serving = Serving::start_in(directory, "");
    assert_eq!(serving.manifest("hello").body, manifest.body);
    fetch(&serving);
}

#[test]
fn two_servers_share_a_state() {
    let one = Serving::start("");
    let other = Serving::start_in(one.directory(), "");
    let manifest = one.manifest("hello").body;
    assert_eq!(other.manifest("hello").body, manifest);
    assert!(other.builds().is_empty(), "it is remembered for both");
    thread::scope(|scope| {
        for serving in [&one, &other] {
            for name in ["shell/hello", "git", "word", "gnugrep"] {
                scope.spawn(move || assert_eq!(serving.manifest(name).status, 200, "{name}"));
            }
        }
    });
    for name in ["shell/hello", "git", "word", "gnugrep"] {
        assert_eq!(one.manifest(name).body, other.manifest(name).body);
    }
}

/// `kill -9` at any moment: the next server serves what is right.
#[test]
fn a_server_that_is_killed_leaves_nothing_wrong() {
    let directory = Serving::start("").directory();
    let expected = Serving::start("").manifest("shell/hello").body;
    for milliseconds in [0, 50, 200, 500, 900, 1500, 2500] {
        let serving = Serving::start_in(directory.clone(), "");
        let host = serving.host.clone();
        let asking = thread::spawn(move || {
            let path = "/v2/shell/hello/manifests/latest";
            let mut client = TcpStream::connect(host).unwrap();
            let _ = write!(client, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            let _ = std::io::copy(&mut client, &mut std::io::sink());
        });
        thread::sleep(Duration::from_millis(milliseconds));
        serving.kill();
        asking.join().unwrap();
    }
    let serving = Serving::start_in(directory, "");
    let manifest = serving.manifest("shell/hello");
    assert_eq!(manifest.body, expected);
    for layer in manifest.json()["layers"].as_array().unwrap() {
        let digest = layer["digest"].as_str().unwrap();
        let blob = serving.get(&format!("/v2/shell/hello/blobs/{digest}"));
        assert_eq!(Digest::of(&blob.body).to_string(), digest);
    }
    let names = fs::read_dir(serving.state().join("blobs")).unwrap();
    let left = names.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("incoming-")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn an_end_is_a_graceful_one() {
    let serving = Serving::start("");
    let host = serving.host.clone();
    let pid = serving.pid();
    let waiting =
        thread::spawn(move || crate::serving::ask(&host, "GET", "/v2/slow/manifests/latest", &[]));
    while !serving
        .get("/metrics")
        .text()
        .contains("queue{state=\"running\"} 1")
    {
        thread::yield_now();
    }
    let begun = Instant::now();
    signal(pid, "TERM");
    let answer = waiting.join().unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(serving.wait(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}",
        begun.elapsed()
    );
}

/// A disk that is full: images are served all the same, and nothing is kept.
#[test]
fn a_full_disk_keeps_nothing_and_serves_all() {
    let serving = Serving::start("");
    let blobs = serving.state().join("blobs");
    let mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs"];
    let mounted = std::process::Command::new(mount[0])
        .args(&mount[1..])
        .arg(&blobs)
        .status();
    assert!(mounted.unwrap().success(), "run the tests as root");
    let manifest = serving.manifest("hello");
    assert_eq!(manifest.status, 200, "{}", manifest.text());
    for layer in manifest.json()["layers"].as_array().unwrap() {
        let digest = layer["digest"].as_str().unwrap();
        let blob = serving.get(&format!("/v2/hello/blobs/{digest}"));
        assert_eq!(Digest::of(&blob.body).to_string(), digest);
    }
    let unmounted = std::process::Command::new("umount")
        .arg("-l")
        .arg(&blobs)
        .status();
    assert!(unmounted.unwrap().success());
}
