//! Programs that keep credentials for Docker and podman (docker-credential-helpers): they get the name
//! of a server on standard input and answer in JSON.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::auth::credentials::Credentials;
use strata_error::{Result, printable};
use strata_oci::go_object;
use strata_progress::Cancel;

/// The longest output that is read, in bytes. Tokens in it can have some kilobytes.
const LONGEST_OUTPUT: u64 = 256 << 10;
/// How long a helper may take: some ask their cloud, some the user.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How often is looked whether the user gave up.
const STEP: Duration = Duration::from_millis(20);
/// What helpers say that keep nothing for a server.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name that stands for an identity token.
const TOKEN_USER: &str = "<token>";

/// Asks `docker-credential-HELPER`, found in `path`, for what it keeps for `server`: none, or why it
/// did not answer. Fails only when the user gives up.
pub(super) fn ask(
    helper: &str,
    server: &str,
    path: &OsStr,
    cancel: &dyn Cancel,
) -> Result<Result<Option<Credentials>, String>> {
    if !is_name(helper) {
        return Ok(Err("its name is not one of a program".to_owned()));
    }
    let program = format!("docker-credential-{helper}");
    let started = Command::new(&program)
        .arg("get")
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err(format!("{program} is not installed")));
        }
        Err(error) => return Ok(Err(format!("{program} cannot be run: {error}"))),
    };
    let result = converse(&mut child, server, cancel);
    // It has ended, or must.
    let _ = child.kill();
    let _ = child.wait();
    Ok(result?.map_err(|trouble| format!("{program} {trouble}")))
}

/// Whether `docker-credential-NAME` is a program's name and no path.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

/// Tells the helper the server, and waits for what it says and for its end.
fn converse(
    child: &mut Child,
    server: &str,
    cancel: &dyn Cancel,
) -> Result<Result<Option<Credentials>, String>> {
    if let Some(mut input) = child.stdin.take() {
        // A helper need not read it.
        let _ = input.write_all(server.as_bytes());
    }
    let end = Instant::now() + LONGEST_WAIT;
    let output = read(child);
    let output = loop {
        match output.recv_timeout(STEP) {
            Ok(output) => break output,
            Err(RecvTimeoutError::Timeout) if Instant::now() < end => cancel.check()?,
            Err(_) => return Ok(Err("did not answer in time".to_owned())),
        }
    };
    if output.len() as u64 > LONGEST_OUTPUT {
        return Ok(Err("answered too much".to_owned()));
    }
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < end => cancel.check()?,
            _ => return Ok(Err("did not end in time".to_owned())),
        }
        thread::sleep(STEP);
    };
    Ok(if status.success() {
        parse(&output)
    } else {
        refusal(&output)
    })
}

/// What the helper writes, on a thread of its own: something that it started may keep the pipe open.
fn read(child: &mut Child) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(pipe) = child.stdout.take() {
        thread::spawn(move || {
            let mut output = Vec::new();
            // What was read before an error does not parse, or is enough.
            let _ = pipe.take(LONGEST_OUTPUT + 1).read_to_end(&mut output);
            // Nobody listens any more if it took too long.
            let _ = sender.send(output);
        });
    }
    receiver
}

/// The credentials of an output.
fn parse(output: &[u8]) -> Result<Option<Credentials>, String> {
    // The parser's own message can quote a secret.
    let fields = go_object(output, &["Username", "Secret"])
        .map_err(|_| "answered what is not JSON".to_owned())?;
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("answered a {name} that is no text")),
    };
    let (username, secret) = (text("Username")?, text("Secret")?);
    Ok(match (username.as_str(), secret.is_empty()) {
        (_, true) => None,
        (TOKEN_USER, false) => Some(Credentials::IdentityToken(secret)),
        (_, false) => Some(Credentials::Basic {
            username,
            password: secret,
        }),
    })
}

/// What a helper means that ends with a failure.
fn refusal(output: &[u8]) -> Result<Option<Credentials>, String> {
    let text = printable(&String::from_utf8_lossy(output));
    if text == NOT_FOUND {
        return Ok(None);
    }
    // Words are for people; anything else may be a secret.
    let is_document = text.is_empty() || text.contains(['{', '[']);
    Err(if is_document {
        "failed".to_owned()
    } else {
        format!("failed: {text}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::write_script;
    use strata_error::Error;

    /// What `docker-credential-test` gives that is this shell script.
    fn run(script: &str, cancel: &dyn Cancel) -> Result<Result<Option<Credentials>, String>> {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("docker-credential-test");
        write_script(&program, script);
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        ask("test", "r.example:5000", path.as_ref(), cancel)
    }

    fn result(script: &str) -> Result<Option<Credentials>, String> {
        run(script, &|| Ok(())).unwrap()
    }

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    #[test]
    fn outputs_are_understood() {
        let script = r#"[ "$*:$(cat)" = get:r.example:5000 ] &&
            echo '{"ServerURL":"r.example:5000","Username":"me","Secret":"secret"}'"#;
        assert_eq!(result(script), Ok(Some(basic("me", "secret"))));
        assert_eq!(
            result(r#"echo '{"Username":"<token>","Secret":"secret"}'"#),
            Ok(Some(Credentials::IdentityToken("secret".to_owned())))
        );
        for nothing in [
            "echo credentials not found in native keychain; exit 1",
            r#"echo '{"Username":"","Secret":""}'"#,
            "echo '{}'",
        ] {
            assert_eq!(result(nothing), Ok(None), "{nothing}");
        }
        for (script, trouble) in [
            (
                "echo the keychain is locked; exit 1",
                "failed: the keychain is locked",
            ),
            (r#"echo '{"Secret":"secret"}'; exit 1"#, "failed"),
            ("exit 1", "failed"),
            ("echo secret", "answered what is not JSON"),
            ("exec cat /dev/zero", "answered too much"),
        ] {
            assert_eq!(
                result(script),
                Err(format!("docker-credential-test {trouble}")),
                "{script}"
            );
        }
    }

    #[test]
    fn helpers_are_programs_in_the_path() {
        let ask = |helper| ask(helper, "r", OsStr::new("/nonexistent"), &|| Ok(())).unwrap();
        let trouble = "docker-credential-test is not installed".to_owned();
        assert_eq!(ask("test"), Err(trouble));
        for name in ["", "../test", "a/b", "a b", "a\0", "é"] {
            let trouble = "its name is not one of a program".to_owned();
            assert_eq!(ask(name), Err(trouble), "{name}");
        }
    }

    /// One that waits for the user, who gives up instead.
    #[test]
    fn a_wait_can_be_interrupted() {
        let start = Instant::now();
        let cancel = || {
            if start.elapsed() < Duration::from_millis(200) {
                return Ok(());
            }
            Err(Error::Interrupted)
        };
        let result = run("sleep 60", &cancel);
        assert!(matches!(result, Err(Error::Interrupted)));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
