//! The flags about a registry: what to log in with, and how it is reached.
//!
//! `pull` and `lock` have them as they are here; `copy`, whose registry is its destination, has them
//! with `--dest-` before the name. skopeo's `copy` knows them all, with `--src-` and `--dest-`.

use std::path::PathBuf;

use clap::{Arg, Args};

use strata_error::Result;
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
    #[arg(long, value_name = "USER", requires = "password")]
    #[arg(conflicts_with_all = ["creds", "no_creds"])]
    username: Option<String>,

    /// Log in to the registry with this password
    #[arg(long, value_name = "PASSWORD", requires = "username")]
    password: Option<String>,

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

impl SourceRegistryArgs {
    /// What the flags mean.
    pub(super) fn options(self) -> Options {
        Options {
            default_auth_file: self.default_authfile,
            ..options(self.login, self.connection)
        }
    }
}

impl DestinationRegistryArgs {
    /// What the flags mean.
    pub(super) fn options(self) -> Options {
        let options = options(self.login, self.connection);
        Options {
            auth_file: self.dest_authfile.or(options.auth_file),
            ..options
        }
    }
}

fn options(login: LoginArgs, connection: ConnectionArgs) -> Options {
    let mut options = Options {
        tls_verify: connection.tls_verify,
        anonymous: login.no_creds,
        credentials: credentials(login.creds, login.username, login.password)
            .or(login.registry_token.map(Credentials::RegistryToken)),
        auth_file: login.authfile,
        certificate_directory: connection.cert_dir,
        ..Options::default()
    };
    if let Some(times) = connection.retry_times {
        options.retry.tries = u32::from(times) + 1;
        options.retry.awaits_start = true;
    }
    options
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
    }

    fn of_source(flags: &[&str]) -> Options {
        let arguments = parse::<SourceRegistryArgs>(flags);
        arguments
            .unwrap_or_else(|error| panic!("{error}"))
            .options()
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
}
