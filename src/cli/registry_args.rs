//! The flags about a registry: what to log in with, and how it is reached.
//!
//! `pull` and `lock` have them as they are here; `copy`, whose registry is its destination, has them
//! with `--dest-` before the name. skopeo's `copy` knows them all, with `--src-` and `--dest-`.

use std::io::Read;
use std::path::PathBuf;

use clap::{Arg, Args};

use strata_error::{Error, Result};
use strata_oci::Reference;
use strata_registry::{Credentials, Options};

/// A flag by its id here, what it is called about a destination, and what skopeo calls it about a source.
const NAMES: [(&str, &str, &str); 8] = [
    ("creds", "dest-creds", "src-creds"),
    ("username", "dest-username", "src-username"),
    ("password", "dest-password", "src-password"),
    (
        "registry_token",
        "dest-registry-token",
        "src-registry-token",
    ),
    ("no_creds", "dest-no-creds", "src-no-creds"),
    ("authfile", "authfile", "src-authfile"),
    ("cert_dir", "dest-cert-dir", "src-cert-dir"),
    ("tls_verify", "dest-tls-verify", "src-tls-verify"),
];

#[derive(Args)]
struct LoginArgs {
    /// Log in to the registry as USER; without PASSWORD it is empty
    #[arg(long, value_name = "USER[:PASSWORD]")]
    #[arg(conflicts_with = "no_creds")]
    creds: Option<String>,

    /// Log in to the registry with this user name
    #[arg(long, value_name = "USER", requires = "secret")]
    #[arg(conflicts_with_all = ["creds", "no_creds"])]
    username: Option<String>,

    /// Log in to the registry with this password
    #[arg(long, value_name = "PASSWORD", requires = "username", group = "secret")]
    password: Option<String>,

    /// Log in to the registry with the password that standard input has
    #[arg(long, requires = "username", group = "secret")]
    password_stdin: bool,

    /// Show the registry this bearer token
    #[arg(long, value_name = "TOKEN")]
    #[arg(conflicts_with_all = ["creds", "username", "no_creds"])]
    registry_token: Option<String>,

    /// Do not log in, whatever the files of `docker login` and `podman login` say
    #[arg(long)]
    no_creds: bool,

    /// Look for credentials in this file instead of where `docker login` and `podman login` put them
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
}

#[derive(Args)]
struct ConnectionArgs {
    /// Also trust the authorities in the *.crt files of this directory; *.cert and *.key of the same
    /// name are client certificates
    #[arg(long, value_name = "DIRECTORY")]
    cert_dir: Option<PathBuf>,

    /// Whether to insist on HTTPS with a good certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1)]
    #[arg(require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    tls_verify: Option<bool>,

    /// Try again so many times when the registry fails or cannot be reached
    #[arg(long, value_name = "N")]
    retry_times: Option<u16>,
}

/// The flags about a registry that is read from.
#[derive(Args)]
#[command(mut_args = with_source_names)]
pub(super) struct SourceRegistryArgs {
    #[command(flatten)]
    login: LoginArgs,

    /// Look for credentials in this file first, if it is there
    #[arg(long, value_name = "FILE")]
    default_authfile: Option<PathBuf>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The flags about a registry that is written to.
#[derive(Args)]
#[command(mut_args = with_destination_name)]
pub(super) struct DestinationRegistryArgs {
    #[command(flatten)]
    login: LoginArgs,

    /// The same as --authfile, and stronger
    #[arg(long, value_name = "FILE")]
    dest_authfile: Option<PathBuf>,

    #[command(flatten)]
    connection: ConnectionArgs,
}

/// A flag, also by skopeo's name.
fn with_source_names(flag: Arg) -> Arg {
    match NAMES.iter().find(|(id, _, _)| flag.get_id() == id) {
        Some((_, _, skopeo)) => flag.alias(*skopeo),
        None => flag,
    }
}

/// A flag by its name about a destination, and by those that `copy` has had besides.
fn with_destination_name(flag: Arg) -> Arg {
    let flag = match NAMES.iter().find(|(id, _, _)| flag.get_id() == id) {
        Some((_, name, _)) => flag.long(*name),
        None => flag,
    };
    match flag.get_id().as_str() {
        "creds" => flag.alias("dcreds"),
        "tls_verify" => flag.alias("tls-verify"),
        _ => flag,
    }
}

/// A flag about a destination also without `dest-`, where the same registries are read from: hints about those name
/// it so.
pub(super) fn with_plain_name(flag: Arg) -> Arg {
    let named = NAMES.iter().find(|(id, _, _)| flag.get_id() == id);
    match named.and_then(|(_, name, _)| name.strip_prefix("dest-")) {
        // It has that name anyway.
        Some("tls-verify") | None => flag,
        Some(plain) => flag.alias(plain),
    }
}

impl SourceRegistryArgs {
    /// What the flags mean.
    pub(super) fn options(self) -> Result<Options> {
        Ok(Options {
            default_auth_file: self.default_authfile,
            ..options(self.login, self.connection)?
        })
    }
}

impl DestinationRegistryArgs {
    /// What the flags mean.
    pub(super) fn options(self) -> Result<Options> {
        let options = options(self.login, self.connection)?;
        Ok(Options {
            auth_file: self.dest_authfile.or(options.auth_file),
            ..options
        })
    }
}

fn options(login: LoginArgs, connection: ConnectionArgs) -> Result<Options> {
    let password = if login.password_stdin {
        Some(read_password(std::io::stdin().lock())?)
    } else {
        login.password
    };
    let mut options = Options {
        tls_verify: connection.tls_verify,
        anonymous: login.no_creds,
        credentials: credentials(login.creds, login.username, password)
            .or(login.registry_token.map(Credentials::RegistryToken)),
        auth_file: login.authfile,
        certificate_directory: connection.cert_dir,
        ..Options::default()
    };
    if let Some(times) = connection.retry_times {
        options.retry.tries = u32::from(times) + 1;
        options.retry.awaits_start = true;
    }
    Ok(options)
}

/// The most bytes that a password may have, of which tokens are the longest.
const LONGEST_PASSWORD: u64 = 64 << 10;

/// A password as `docker login --password-stdin` reads it: without the line break at its end.
fn read_password(reader: impl Read) -> Result<String> {
    let error = |message: &str, hint: &str| Error::Name {
        what: "standard input",
        value: "--password-stdin".to_owned(),
        message: message.to_owned(),
        hint: hint.to_owned(),
    };
    let mut bytes = Vec::new();
    let mut reader = reader.take(LONGEST_PASSWORD + 1);
    let read = reader.read_to_end(&mut bytes);
    read.map_err(Error::stream("standard input"))?;
    if bytes.len() as u64 > LONGEST_PASSWORD {
        return Err(error(
            "it is too long for a password",
            "give the password and nothing else",
        ));
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| error("it is not UTF-8", "give the password and nothing else"))?;
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(error(
            "there is no password",
            "pipe it, as in: pass show registry | strata …",
        ));
    }
    Ok(password.to_owned())
}

/// A name in a registry, with or without skopeo's `docker://`.
pub(super) fn reference(text: &str) -> Result<Reference> {
    Reference::parse_in_registry(text.strip_prefix("docker://").unwrap_or(text))
}

/// `USER[:PASSWORD]`, where the password may hold colons, or the two flags.
fn credentials(
    together: Option<String>,
    username: Option<String>,
    password: Option<String>,
) -> Option<Credentials> {
    let (username, password) = match (together, username, password) {
        (Some(together), _, _) => match together.split_once(':') {
            Some((username, password)) => (username.to_owned(), password.to_owned()),
            None => (together, String::new()),
        },
        (None, Some(username), Some(password)) => (username, password),
        (None, _, _) => return None,
    };
    Some(Credentials::Basic { username, password })
}

/// The words that Go's `strconv.ParseBool`, and so skopeo, takes.
fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;

    fn parse<A: Args>(flags: &[&str]) -> clap::error::Result<A> {
        let command = A::augment_args(Command::new("strata").no_binary_name(true));
        A::from_arg_matches(&command.try_get_matches_from(flags)?)
    }

    fn of_destination(flags: &[&str]) -> Options {
        let arguments = parse::<DestinationRegistryArgs>(flags);
        arguments
            .unwrap_or_else(|error| panic!("{error}"))
            .options()
            .unwrap()
    }

    fn of_source(flags: &[&str]) -> Options {
        let arguments = parse::<SourceRegistryArgs>(flags);
        arguments
            .unwrap_or_else(|error| panic!("{error}"))
            .options()
            .unwrap()
    }

    #[test]
    fn flags_become_options() {
        let none = of_destination(&[]);
        assert_eq!(none.tls_verify, None);
        assert_eq!(none.retry.tries, Options::default().retry.tries);
        assert!(!none.anonymous);
        assert!(of_destination(&["--dest-no-creds"]).anonymous);
        for (flag, verify) in [
            ("--dest-tls-verify", true),
            ("--dest-tls-verify=1", true),
            ("--dest-tls-verify=False", false),
        ] {
            assert_eq!(of_destination(&[flag]).tls_verify, Some(verify));
        }
        assert_eq!(of_destination(&["--retry-times=0"]).retry.tries, 1);
        assert_eq!(of_destination(&["--retry-times=7"]).retry.tries, 8);
        assert!(of_destination(&["--retry-times=7"]).retry.awaits_start);
        assert!(!none.retry.awaits_start);
        let path = |text: &str| Some(PathBuf::from(text));
        let all = of_destination(&["--authfile=a", "--dest-cert-dir=c"]);
        assert_eq!(all.auth_file, path("a"));
        assert_eq!(all.certificate_directory, path("c"));
        let token = of_destination(&["--dest-registry-token=t"]).credentials;
        assert_eq!(token, Some(Credentials::RegistryToken("t".into())));
        let both = of_destination(&["--authfile=a", "--dest-authfile=b"]);
        assert_eq!(both.auth_file, path("b"));
        let source = of_source(&["--authfile=a", "--default-authfile=b"]);
        assert_eq!(source.auth_file, path("a"));
        assert_eq!(source.default_auth_file, path("b"));
    }

    #[test]
    fn flags_have_the_names_of_their_side() {
        for flag in ["--creds=a", "--src-creds=a"] {
            assert!(of_source(&[flag]).credentials.is_some(), "{flag}");
            assert!(parse::<DestinationRegistryArgs>(&[flag]).is_err(), "{flag}");
        }
        for flag in ["--dest-creds=a", "--dcreds=a"] {
            assert!(of_destination(&[flag]).credentials.is_some(), "{flag}");
            assert!(parse::<SourceRegistryArgs>(&[flag]).is_err(), "{flag}");
        }
        for flag in ["--tls-verify=0", "--src-tls-verify=0"] {
            assert_eq!(of_source(&[flag]).tls_verify, Some(false));
        }
        assert_eq!(of_destination(&["--tls-verify=0"]).tls_verify, Some(false));
        for (id, _, skopeo) in NAMES {
            let source = SourceRegistryArgs::augment_args(Command::new("strata"));
            let flag = source.get_arguments().find(|flag| flag.get_id() == id);
            let aliases = flag.and_then(Arg::get_all_aliases);
            assert_eq!(aliases.unwrap_or_default(), [skopeo]);
        }
    }

    #[test]
    fn credentials_come_together_or_apart() {
        let basic = |username: &str, password: &str| {
            Some(Credentials::Basic {
                username: username.into(),
                password: password.into(),
            })
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(credentials(text("me:a:b"), None, None), basic("me", "a:b"));
        assert_eq!(credentials(text("me"), None, None), basic("me", ""));
        assert_eq!(credentials(None, text("me"), text("a")), basic("me", "a"));
        assert_eq!(credentials(None, None, None), None);
    }

    /// Issue 11, "What new users stumbled over" 2.
    #[test]
    fn row_2_passwords_are_read_from_standard_input() {
        assert_eq!(read_password(&b"a b\r\n"[..]).unwrap(), "a b");
        assert_eq!(read_password(&b"a"[..]).unwrap(), "a");
        let long = vec![b'a'; 70_000];
        for wrong in [&b"\n"[..], b"", b"\xff", &long] {
            let error = read_password(wrong).unwrap_err();
            assert!(
                error.hint().is_some() && !error.to_string().contains("aa"),
                "{error}"
            );
        }
        for flags in [
            &["--password-stdin"][..],
            &["--username=a"],
            &["--username=a", "--password=b", "--password-stdin"],
        ] {
            assert!(parse::<SourceRegistryArgs>(flags).is_err(), "{flags:?}");
        }
        parse::<SourceRegistryArgs>(&["--username=a", "--password-stdin"]).unwrap();
        parse::<DestinationRegistryArgs>(&["--dest-username=a", "--password-stdin"]).unwrap();
    }
}
