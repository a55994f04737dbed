//! Settings: arguments that were checked and understood.

use std::path::PathBuf;

use super::arguments::CopyArguments;
use super::printer::Printer;
use super::push_arguments::PushSettings;
use crate::destination::{self, Destination};
use crate::platform::of_this_machine;
use strata_engine::{containerd, docker};
use strata_error::Result;
use strata_oci::Platform;
use strata_registry::{Credentials, Options};

/// What `copy` does.
pub(super) struct CopySettings {
    /// The output of the image's derivation.
    pub(super) image: PathBuf,
    /// Where it goes.
    pub(super) destination: Box<dyn Destination>,
    /// Which image of an index is copied.
    pub(super) platform: Option<Platform>,
    /// What the destination is handed.
    pub(super) options: destination::Options,
    /// Whether only to say what would be done.
    pub(super) dry_run: bool,
    /// The file that the digest is written to.
    pub(super) digest_file: Option<PathBuf>,
    /// Whether nothing but errors is to be said.
    pub(super) quiet: bool,
}

impl TryFrom<CopyArguments> for CopySettings {
    type Error = strata_error::Error;

    fn try_from(arguments: CopyArguments) -> Result<Self> {
        let destination = destination::parse(&arguments.destination)?;
        let PushSettings { options, dry_run } = arguments
            .push
            .settings(destination.as_ref(), &|name| std::env::var_os(name))?;
        let mut registry = Options {
            tls_verify: arguments.dest_tls_verify,
            anonymous: arguments.dest_no_creds,
            credentials: credentials(
                arguments.dest_creds,
                arguments.dest_username,
                arguments.dest_password,
            )
            .or(arguments
                .dest_registry_token
                .map(Credentials::RegistryToken)),
            auth_file: arguments.dest_authfile.or(arguments.authfile),
            certificate_directory: arguments.dest_cert_dir,
            ..Options::default()
        };
        if let Some(times) = arguments.retry_times {
            registry.retry.tries = u32::from(times) + 1;
            registry.retry.awaits_start = true;
        }
        Ok(Self {
            image: arguments.image,
            destination,
            platform: match arguments.multi_arch.as_deref() {
                Some("system") => Some(of_this_machine()),
                _ => arguments.platform,
            },
            options: destination::Options {
                registry,
                push: options,
                docker: docker::Options {
                    host: arguments.dest_daemon_host,
                },
                containerd: containerd::Options {
                    address: arguments.containerd_address,
                    namespace: arguments.containerd_namespace,
                    cluster: arguments.cluster,
                },
                stdout: Printer::stdout,
            },
            dry_run,
            digest_file: arguments.digestfile,
            quiet: arguments.quiet,
        })
    }
}

/// `USER[:PASSWORD]`, where the password may hold colons, or the two flags.
pub(super) fn credentials(
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

#[cfg(test)]
mod tests {
    use super::super::arguments::{Command, Parsed, parse};
    use super::*;

    fn settings(flags: &[&str]) -> CopySettings {
        let line = ["strata", "copy", "image", "docker://hello"]
            .iter()
            .chain(flags);
        match parse(line.map(Into::into), None) {
            Parsed::Command(Command::Copy(arguments)) => (*arguments).try_into().unwrap(),
            _ => panic!("{flags:?} is not parsed"),
        }
    }

    #[test]
    fn flags_become_options_of_the_registry() {
        let none = settings(&[]);
        assert_eq!(none.options.registry.tls_verify, None);
        assert_eq!(
            none.options.registry.retry.tries,
            Options::default().retry.tries
        );
        assert!(!none.options.registry.anonymous && !none.quiet);
        assert!(settings(&["--dest-no-creds"]).options.registry.anonymous);
        for (flag, verify) in [
            ("--dest-tls-verify", true),
            ("--dest-tls-verify=1", true),
            ("--dest-tls-verify=False", false),
        ] {
            assert_eq!(settings(&[flag]).options.registry.tls_verify, Some(verify));
        }
        assert_eq!(
            settings(&["--retry-times=0"]).options.registry.retry.tries,
            1
        );
        assert_eq!(
            settings(&["--retry-times=7"]).options.registry.retry.tries,
            8
        );
        assert!(
            settings(&["--retry-times=7"])
                .options
                .registry
                .retry
                .awaits_start
        );
        assert!(!none.options.registry.retry.awaits_start);
        let path = |text: &str| Some(PathBuf::from(text));
        let all = settings(&["--authfile=a", "--dest-cert-dir=c", "--digestfile=d"]);
        assert_eq!(all.options.registry.auth_file, path("a"));
        assert_eq!(all.options.registry.certificate_directory, path("c"));
        assert_eq!(all.digest_file, path("d"));
        let token = settings(&["--dest-registry-token=t"])
            .options
            .registry
            .credentials;
        assert_eq!(token, Some(Credentials::RegistryToken("t".into())));
        let both = settings(&["--authfile=a", "--dest-authfile=b"]);
        assert_eq!(both.options.registry.auth_file, path("b"));
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
