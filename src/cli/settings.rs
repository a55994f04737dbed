//! Settings: arguments that were checked and understood.

use std::path::PathBuf;

use super::arguments::CopyArguments;
use super::platform::of_this_machine;
use super::push_arguments::PushSettings;
use crate::destination::Destination;
use strata_engine::{containerd, docker};
use strata_error::Result;
use strata_oci::Platform;
use strata_registry::{Credentials, Options};

/// What `copy` does.
pub(super) struct CopySettings {
    /// The output of the image's derivation.
    pub(super) image: PathBuf,
    /// Where it goes.
    pub(super) destination: Destination,
    /// Which image of an index is copied.
    pub(super) platform: Option<Platform>,
    /// How to reach a registry.
    pub(super) registry: Options,
    /// What goes to a registry, and how.
    pub(super) push: PushSettings,
    /// How to reach a Docker engine.
    pub(super) docker: docker::Options,
    /// How to reach containerd.
    pub(super) containerd: containerd::Options,
    /// The file that the digest is written to.
    pub(super) digest_file: Option<PathBuf>,
    /// Whether nothing but errors is to be said.
    pub(super) quiet: bool,
}

impl TryFrom<CopyArguments> for CopySettings {
    type Error = strata_error::Error;

    fn try_from(arguments: CopyArguments) -> Result<Self> {
        let destination = arguments.destination.parse()?;
        let push = arguments
            .push
            .settings(&destination, &|name| std::env::var_os(name))?;
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
            registry,
            push,
            docker: docker::Options {
                host: arguments.dest_daemon_host,
            },
            containerd: containerd::Options {
                address: arguments.containerd_address,
                namespace: arguments.containerd_namespace,
                cluster: arguments.cluster,
            },
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
        assert_eq!(none.registry.tls_verify, None);
        assert_eq!(none.registry.retry.tries, Options::default().retry.tries);
        assert!(!none.registry.anonymous && !none.quiet);
        assert!(settings(&["--dest-no-creds"]).registry.anonymous);
        for (flag, verify) in [
            ("--dest-tls-verify", true),
            ("--dest-tls-verify=1", true),
            ("--dest-tls-verify=False", false),
        ] {
            assert_eq!(settings(&[flag]).registry.tls_verify, Some(verify));
        }
        assert_eq!(settings(&["--retry-times=0"]).registry.retry.tries, 1);
        assert_eq!(settings(&["--retry-times=7"]).registry.retry.tries, 8);
        assert!(settings(&["--retry-times=7"]).registry.retry.awaits_start);
        assert!(!none.registry.retry.awaits_start);
        let path = |text: &str| Some(PathBuf::from(text));
        let all = settings(&["--authfile=a", "--dest-cert-dir=c", "--digestfile=d"]);
        assert_eq!(all.registry.auth_file, path("a"));
        assert_eq!(all.registry.certificate_directory, path("c"));
        assert_eq!(all.digest_file, path("d"));
        let token = settings(&["--dest-registry-token=t"]).registry.credentials;
        assert_eq!(token, Some(Credentials::RegistryToken("t".into())));
        let both = settings(&["--authfile=a", "--dest-authfile=b"]);
        assert_eq!(both.registry.auth_file, path("b"));
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
