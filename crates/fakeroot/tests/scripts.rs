//! Scripts, run by root and by a user whom `strata-fakeroot` has believe to be root: what they leave is equal.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{as_user, assert_same, directory, fakeroot, listing, run, unpack};
use tempfile::TempDir;

/// Has a user run a script for a layer; the layer's file is `layer.tar` in the directory.
fn layer(place: &Path, options: &[&str], command: &[&str]) -> Command {
    let mut program = as_user(&fakeroot());
    program
        .arg("layer")
        .arg("--output")
        .arg(place.join("layer.tar"))
        .arg("--directory")
        .arg(place.join("root"))
        .args(options)
        .arg("--")
        .args(command)
        .current_dir(place);
    program
}

/// A directory with an empty directory `root` of the user's.
fn place() -> TempDir {
    let place = directory();
    run(as_user("mkdir").arg(place.path().join("root")));
    place
}

/// What a script does to `busybox`, which is static, and to programs that are not.
const OWNERS: &str = r#"
umask 022
busybox touch static; busybox chown 5:6 static; busybox chmod 6755 static
touch a; chown 1000:1000 a; chmod 4750 a; chgrp 7 a
mkdir shared; chgrp 50 shared; chmod 2775 shared
touch shared/file; mkdir shared/directory; busybox mkdir shared/other
mknod null c 1 3; busybox mknod loop b 7 0; chown 0:6 loop; chmod 660 loop; mkfifo pipe
ln a b; ln -s nowhere link; chown -h 8:9 link
install -o 11 -g 12 -m 6711 /bin/true installed
cp -a a copied; cp -a shared shared-copy
cp /bin/true ping; setcap cap_net_raw,cap_net_admin=ep ping
busybox cp -a installed busybox-copied
tar cpf all.tar a b shared null loop pipe link
mkdir unpacked other; tar -C unpacked -xpf all.tar; busybox tar -C other -xpf all.tar; rm all.tar
mv copied moved; chown 13 moved; rm b
python3 - <<'P'
import os
os.setxattr("a", "user.note", b"text")
os.setxattr("shared", "trusted.note", b"")
os.chown("a", 21, 22)
fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
os.fchown(fd, 31, 32)
os.fchmod(fd, 0o4711)
os.link(f"/proc/self/fd/{fd}", "named", src_dir_fd=fd, follow_symlinks=True)
if os.fork() == 0:
    os.setgroups([])
    os.setresgid(2000, 2000, 2000)
    os.setresuid(2000, 2000, 2000)
    os.umask(0)
    open("of-user", "w").close()
    os.mkdir("of-user-too")
    try:
        os.chown("of-user", 0, 0)
        os._exit(1)
    except PermissionError:
        os._exit(0)
assert os.wait()[1] == 0
P
chmod 1777 .; chown 3:4 .
"#;

#[test]
fn a_script_leaves_what_it_leaves_as_root() {
    let by_root = directory();
    let mut real = Command::new("bash");
    run(real.args(["-ec", OWNERS]).current_dir(by_root.path()));
    let by_user = place();
    run(&mut layer(by_user.path(), &[], &["bash", "-ec", OWNERS]));
    let unpacked = directory();
    unpack(&by_user.path().join("layer.tar"), unpacked.path());
    let expected = listing(by_root.path());
    assert!(expected.len() > 40, "{expected:?}");
    assert_same(&expected, &listing(unpacked.path()));
    // The root itself.
    let of = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        let found = path.metadata().unwrap();
        (found.mode(), found.uid(), found.gid())
    };
    assert_eq!(of(by_root.path()), of(unpacked.path()));
}

/// A script that shows what it sees, not what it leaves.
#[test]
fn a_script_sees_what_it_sees_as_root() {
    const SHOWS: &str = "
        id -u; id -g; touch a; chown 5:6 a; chmod 6755 a; mknod d c 10 229; mkdir e; chown 1:2 e
        ls -ln | sed 's/[A-Z][a-z][a-z] .*:/:/'; stat -c '%n %u %g %a %F %t:%T' *
        busybox stat -c '%n %u %g %a %t:%T' *; find . -user 5 -perm -4000; find . -gid 2
        cp /bin/true p; setcap cap_chown+ep p; getcap p; tar c a d e | tar tv --numeric-owner | cut -c1-20
        test -u a; test -g a; test -c d; test -O e && echo mine || echo not mine; chown 0 e; test -O e
    ";
    let by_root = directory();
    let mut real = Command::new("bash");
    let expected = run(real.args(["-ec", SHOWS]).current_dir(by_root.path()));
    let by_user = place();
    let found = run(&mut layer(by_user.path(), &[], &["bash", "-ec", SHOWS]));
    assert_eq!(
        String::from_utf8(expected.stdout).unwrap(),
        String::from_utf8(found.stdout).unwrap()
    );
}

#[test]
fn what_nobody_set_has_the_owner_of_the_layer() {
    let by_user = place();
    let options = [
        "--uid", "7", "--gid", "8", "--uname", "u", "--gname", "g", "--mtime", "99",
    ];
    let script = "touch a b c; chown 0:0 b; chown 5 c";
    run(&mut layer(by_user.path(), &options, &["sh", "-ec", script]));
    let mut tar = Command::new("tar");
    tar.args(["--full-time", "--utc", "-tvf"])
        .arg(by_user.path().join("layer.tar"));
    let text = String::from_utf8(run(&mut tar).stdout).unwrap();
    let words = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        format!("{} {} {}", words[1], words[4], words[5])
    });
    let words: Vec<String> = words.collect();
    assert_eq!(
        words,
        ["u/g 00:01:39 a", "0/0 00:01:39 b", "5/g 00:01:39 c"]
    );
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "-tvf"])
        .arg(by_user.path().join("layer.tar"));
    let text = String::from_utf8(run(&mut tar).stdout).unwrap();
    let owners = text
        .lines()
        .map(|line| line.split_whitespace().nth(1).unwrap());
    assert_eq!(owners.collect::<Vec<_>>(), ["7/8", "0/0", "5/8"]);
}

/// Issue 13, criterion 7: one clear message each, nothing left running.
#[test]
fn what_fails_says_what_and_leaves_nothing() {
    for (command, expected) in [
        (
            &["sh", "-c", "echo why >&2; exit 3"][..],
            "exit status 3; it said last: why\nhint: ",
        ),
        (&["sh", "-c", "kill -9 $$"], "ended by signal 9"),
        (&["no-such-program"], "cannot run no-such-program"),
        (
            &["bash", "-ec", "true\nfalse-command"],
            "line 2: false-command: command not found",
        ),
        (
            &["sh", "-c", "echo 'a: No space left on device' >&2; exit 1"],
            "hint: free some space where builds run",
        ),
        (
            &["sh", "-c", "echo x >/usr/outside"],
            "write etc/x in the place of /etc/x",
        ),
        (
            &[
                "python3",
                "-c",
                "import os, signal; os.kill(os.getpid(), 40)",
            ],
            "real-time signal 40",
        ),
    ] {
        let place = place();
        let output = layer(place.path(), &[], command).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{command:?}");
        assert!(text.contains(expected), "{command:?}: {text}");
        assert!(text.contains("error: "), "{command:?}: {text}");
        assert!(!place.path().join("layer.tar").exists(), "{command:?}");
    }
}

#[test]
fn what_a_script_leaves_running_is_ended() {
    let place = place();
    let script = "for i in 1 2 3; do (setsid sh -c 'while sleep 0.1; do date >>../late; done' &) ; done; \
        for i in $(seq 200); do test -s ../late && break; sleep 0.05; done";
    run(&mut layer(place.path(), &[], &["sh", "-c", script]));
    let late = place.path().join("late");
    let before = fs::read(&late).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(before, fs::read(&late).unwrap());
}

#[test]
fn the_command_line_is_checked() {
    for (arguments, expected) in [
        (&["layer", "--", "true"][..], "--output is missing"),
        (
            &["layer", "--output", "a", "--", "true"],
            "--directory is missing",
        ),
        (&["layer", "--output"], "--output needs a value"),
        (
            &["layer", "--what", "--", "true"],
            "\"--what\" is no option",
        ),
        (
            &["layer", "--uid", "x", "--", "true"],
            "--uid: \"x\" is not a number",
        ),
        (
            &[
                "layer",
                "--output",
                "a",
                "--directory",
                "b",
                "--base",
                "c",
                "--",
                "true",
            ],
            "--base and --bind need --chroot",
        ),
        (&["run"], "no command: it comes behind --"),
        (&["run", "--"], "no command behind --"),
        (&["paint"], "\"paint\" is no command"),
        (
            &[
                "layer",
                "--output",
                "/no/where",
                "--directory",
                "/",
                "--",
                "true",
            ],
            "cannot create /no/where",
        ),
    ] {
        let output = as_user(&fakeroot()).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
    let output = run(as_user(&fakeroot()).arg("--help"));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("--chroot")
    );
}

/// Where builds run in a container that allows no user namespaces, scripts that need no root of their own do.
#[test]
fn without_user_namespaces_there_is_no_root_directory() {
    const NONE: &str = "echo 0 >/proc/sys/user/max_user_namespaces; \
        exec setpriv --inh-caps=-all --bounding-set=-all --no-new-privs setpriv --ambient-caps=-all \"$@\"";
    let place = place();
    let run_layer = |options: &[&str]| {
        let mut command = as_user("unshare");
        command.args(["--user", "--map-root-user", "sh", "-ec", NONE, "sh"]);
        command
            .arg(fakeroot())
            .args(["layer", "--output", "layer.tar", "--directory", "root"]);
        command.args(options).args(["--", "sh", "-ec"]);
        command.arg("test $(id -u) = 0; touch a; chown 5:6 a; chmod 4755 a");
        command.current_dir(place.path());
        command
    };
    let output = run_layer(&["--chroot"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("no user namespace for the script"), "{text}");
    assert!(text.contains("hint: allow user namespaces"), "{text}");
    run(&mut run_layer(&[]));
    let mut tar = Command::new("tar");
    let listed = run(tar
        .args(["--numeric-owner", "-tvf", "layer.tar"])
        .current_dir(place.path()));
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.starts_with("-rwsr-xr-x 5/6 "), "{listed}");
}
