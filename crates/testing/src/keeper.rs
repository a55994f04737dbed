//! Daemons and directories that go when the tests do, however those end.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Waits for the end of standard input, which comes with the end of the test's process even if that
/// panics or is killed, so it works for statics, whose `drop` nobody calls.
const SCRIPT: &str = r#"
    directory=$1
    shift
    pid=
    if [ $# -gt 0 ]; then
        "$@" </dev/null &
        pid=$!
    fi
    cat >/dev/null
    if [ -n "$pid" ]; then
        kill "$pid"
        wait "$pid"
    fi
    remove() {
        # Shims of containerd stay, by design, and so does a container of a test that was killed.
        pgrep -f -- "-address $directory/" | xargs -r kill -KILL
        grep -F " $directory/" /proc/self/mounts | cut -d ' ' -f 2 | sort -r | xargs -r umount
        rm -rf "$directory"
    }
    remove
    # What was still at work when the tests were killed may have come back to it.
    (sleep 5; [ ! -e "$directory" ] || remove) &
"#;

/// A temporary directory, and perhaps a daemon that works in it.
pub struct Keeper {
    shell: Child,
    directory: PathBuf,
}

impl Keeper {
    /// A directory of its own.
    pub fn directory() -> Self {
        Self::start(new_directory(), &[])
    }

    /// Starts a daemon, which owns the directory from here on.
    pub fn daemon(directory: PathBuf, command: &[&str]) -> Self {
        Self::start(directory, command)
    }

    fn start(directory: PathBuf, command: &[&str]) -> Self {
        let log = File::create(log_file(&directory)).unwrap();
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(&directory)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // An interrupt from the terminal is for the tests alone.
            .process_group(0)
            .spawn()
            .unwrap();
        Self { shell, directory }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Waits until `is_ready`; panics with the daemon's log if that takes too long.
    pub fn wait_until(&self, is_ready: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !is_ready() {
            if Instant::now() > end {
                let log = std::fs::read_to_string(log_file(&self.directory));
                panic!("the daemon does not start: {}", log.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A temporary directory that stays. Its path is short: names of sockets may have 107 bytes.
pub fn new_directory() -> PathBuf {
    tempfile::Builder::new()
        .prefix("strata-")
        .tempdir()
        .unwrap()
        .keep()
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("log")
}
