//! What to log in with, and where it is looked for: the command line, the files of `podman login` and
//! `docker login`, the programs that those name, and netrc.
//!
//! No crate does this: those that read `config.json` know neither podman's files and their keys for
//! repositories, nor netrc, nor a user who gives up while a helper waits.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::auth::auth_file::AuthFile;
use crate::auth::credentials::Credentials;
use crate::auth::{credential_helper, netrc};
use strata_error::{Result, small_file};
use strata_oci::Reference;
use strata_progress::Cancel;

/// What the source of credentials is called that were given.
pub(crate) const COMMAND_LINE: &str = "the command line";

/// The largest file that is read, in bytes.
const LARGEST_FILE: u64 = 4 << 20;

/// What was found to log in with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Keychain {
    /// The credentials; without them the registry is asked anonymously.
    pub(crate) credentials: Option<Credentials>,
    /// Where they are from, for messages.
    pub(crate) source: String,
    /// Why files in the usual places, and credential helpers that files name for this registry, gave none.
    pub(crate) troubles: Vec<String>,
}

impl Keychain {
    /// What to log in with at the registry of `reference`: what was `given`, else the first match in
    /// the files of [`files`] and what they point to.
    pub(crate) fn find(
        given: Option<&Credentials>,
        auth_file: Option<&Path>,
        default_file: Option<&Path>,
        reference: &Reference,
        environment: &Environment<'_>,
        cancel: &dyn Cancel,
    ) -> Result<Self> {
        let mut keychain = Self::default();
        if let Some(credentials) = given {
            keychain.found(credentials.clone(), COMMAND_LINE);
            return Ok(keychain);
        }
        let files = files(auth_file, default_file, environment);
        let only = files.iter().any(|file| file.named);
        for file in files {
            let name = file.path.display().to_string();
            let parsed = match read(&file) {
                Ok(None) => continue,
                Ok(Some(bytes)) => AuthFile::parse(&name, &bytes),
                Err(error) => Err(error),
            };
            let document = match parsed {
                Ok(document) => document,
                Err(error) if file.named => return Err(error),
                // Another user's, or a broken one: as if it were not there.
                Err(error) => {
                    keychain.troubles.push(error.to_string());
                    continue;
                }
            };
            let ask = |helper: Option<&str>, keychain: &mut Self| match helper {
                Some(helper) => keychain.ask(helper, &name, reference, environment, cancel),
                None => Ok(()),
            };
            ask(document.helper(reference), &mut keychain)?;
            if keychain.credentials.is_none()
                && let Some(credentials) = document.credentials(reference)?
            {
                keychain.found(credentials, &name);
            }
            if keychain.credentials.is_none() {
                ask(document.store(), &mut keychain)?;
            }
            if keychain.credentials.is_some() {
                return Ok(keychain);
            }
        }
        if !only && let Some(file) = netrc_file(environment) {
            let bytes = match read(&file) {
                Ok(bytes) => bytes.unwrap_or_default(),
                Err(error) if file.named => return Err(error),
                Err(error) => {
                    keychain.troubles.push(error.to_string());
                    return Ok(keychain);
                }
            };
            let hosts = hosts(&reference.registry);
            if let Some(credentials) = netrc::find(&String::from_utf8_lossy(&bytes), &hosts) {
                keychain.found(credentials, file.path.display());
            }
        }
        Ok(keychain)
    }

    fn found(&mut self, credentials: Credentials, source: impl fmt::Display) {
        self.credentials = Some(credentials);
        self.source = source.to_string();
    }

    /// Asks a helper that `file` names. One that is not there or fails is remembered, and no more:
    /// much is readable without credentials, and the registry says what is not.
    fn ask(
        &mut self,
        helper: &str,
        file: &str,
        reference: &Reference,
        environment: &Environment<'_>,
        cancel: &dyn Cancel,
    ) -> Result<()> {
        let path = environment("PATH").unwrap_or_default();
        for server in servers(&reference.registry) {
            match credential_helper::ask(helper, server, &path, cancel)? {
                Ok(Some(credentials)) => {
                    let source = format!("docker-credential-{helper} ({file})");
                    self.found(credentials, source);
                    return Ok(());
                }
                Ok(None) => {}
                Err(trouble) => {
                    self.troubles
                        .push(format!("{file} names a credential helper: {trouble}"));
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// What the variables of the environment say.
pub(crate) type Environment<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// What helpers know a registry by. `docker login` gives Docker Hub the URL that it once had.
fn servers(registry: &str) -> Vec<&str> {
    match registry {
        "docker.io" => vec!["https://index.docker.io/v1/", "docker.io"],
        other => vec![other],
    }
}

/// The hosts that netrc may know a registry by.
fn hosts(registry: &str) -> Vec<&str> {
    match registry {
        "docker.io" => {
            vec!["docker.io", "index.docker.io", "registry-1.docker.io"]
        }
        other => vec![match other.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => other,
        }],
    }
}

/// A file that may hold credentials.
struct CredentialFile {
    path: PathBuf,
    /// Whether the user named it, so that it has to be there.
    named: bool,
}

/// Where credentials are looked for: the file that the user named (`--authfile`,
/// `REGISTRY_AUTH_FILE`) and no other, or `default_file` and the usual places, podman's before Docker's.
fn files(
    auth_file: Option<&Path>,
    default_file: Option<&Path>,
    environment: &Environment<'_>,
) -> Vec<CredentialFile> {
    let variable = |name| variable(environment, name);
    if let Some(path) = auth_file
        .map(Path::to_path_buf)
        .or_else(|| variable("REGISTRY_AUTH_FILE"))
    {
        return vec![CredentialFile { path, named: true }];
    }
    let home = variable("HOME");
    let user = rustix::process::getuid().as_raw();
    let in_home = |directory: &str| home.as_ref().map(|home| home.join(directory));
    [
        default_file.map(Path::to_path_buf),
        Some(match variable("XDG_RUNTIME_DIR") {
            Some(directory) => directory.join("containers/auth.json"),
            None => format!("/run/containers/{user}/auth.json").into(),
        }),
        variable("XDG_CONFIG_HOME")
            .or_else(|| in_home(".config"))
            .map(|directory| directory.join("containers/auth.json")),
        variable("DOCKER_CONFIG")
            .or_else(|| in_home(".docker"))
            .map(|directory| directory.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .map(|path| CredentialFile { path, named: false })
    .collect()
}

/// The netrc file of curl: the one that `NETRC` names, or the one in the home directory.
fn netrc_file(environment: &Environment<'_>) -> Option<CredentialFile> {
    let named = variable(environment, "NETRC");
    let path = named
        .clone()
        .or_else(|| Some(variable(environment, "HOME")?.join(".netrc")))?;
    Some(CredentialFile {
        path,
        named: named.is_some(),
    })
}

fn variable(environment: &Environment<'_>, name: &str) -> Option<PathBuf> {
    environment(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The bytes of a file, `None` if it is a usual place where there is none. That one cannot be read is an
/// error; whether it matters depends on who named it.
fn read(file: &CredentialFile) -> Result<Option<Vec<u8>>> {
    let path = &file.path;
    if file.named {
        return small_file::read(path, LARGEST_FILE).map(Some);
    }
    small_file::read_usual(path, LARGEST_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::write_script;

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    #[test]
    fn files_are_looked_for_in_order() {
        let paths = |auth_file: Option<&str>, variables: &[(&str, &str)]| -> Vec<String> {
            let environment = |name: &str| {
                variables
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).into())
            };
            let found = files(auth_file.map(Path::new), None, &environment);
            found
                .into_iter()
                .map(|file| file.path.display().to_string())
                .collect()
        };
        let all = [
            ("HOME", "/h"),
            ("XDG_RUNTIME_DIR", "/run"),
            ("REGISTRY_AUTH_FILE", "/r"),
        ];
        let user = rustix::process::getuid().as_raw();
        let own = format!("/run/containers/{user}/auth.json");
        assert_eq!(paths(Some("/a"), &all), ["/a"]);
        assert_eq!(paths(None, &all), ["/r"]);
        assert_eq!(
            paths(None, &all[..2]),
            [
                "/run/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json"
            ]
        );
        assert_eq!(
            paths(
                None,
                &[
                    ("HOME", "/h"),
                    ("XDG_CONFIG_HOME", "/c"),
                    ("DOCKER_CONFIG", "/d")
                ]
            ),
            [own.as_str(), "/c/containers/auth.json", "/d/config.json"]
        );
        assert_eq!(paths(None, &[("HOME", "")]), [own.as_str()]);
    }

    #[test]
    fn the_first_file_with_a_match_is_used() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "runtime/containers/auth.json",
            r#"{"auths":{"a.example":{"auth":"YTp4"}}}"#,
        );
        write(
            "docker/config.json",
            r#"{"auths":{"a.example":{"auth":"Yjp4"},"b.example":{"auth":"Yjp4"}},"credsStore":"pass"}"#,
        );
        let environment = |name: &str| {
            let place = match name {
                "PATH" => return Some("/nonexistent".into()),
                "HOME" => "home",
                "XDG_RUNTIME_DIR" => "runtime",
                "DOCKER_CONFIG" => "docker",
                _ => return None,
            };
            Some(directory.path().join(place).into_os_string())
        };
        let find = |given: Option<&Credentials>, file: Option<&Path>, reference: &str| {
            Keychain::find(
                given,
                file,
                Some(&directory.path().join("default.json")),
                &Reference::parse(reference).unwrap(),
                &environment,
                &|| Ok(()),
            )
        };
        let credentials = |reference| find(None, None, reference).unwrap().credentials;
        assert_eq!(credentials("a.example/x"), Some(basic("a", "x")));
        assert_eq!(credentials("b.example/x"), Some(basic("b", "x")));
        // It need not be there, and the others count besides.
        write("default.json", r#"{"auths":{"b.example":{"auth":"ZDp4"}}}"#);
        assert_eq!(credentials("a.example/x"), Some(basic("a", "x")));
        assert_eq!(credentials("b.example/x"), Some(basic("d", "x")));
        let none = find(None, None, "c.example/x").unwrap();
        assert_eq!(none.credentials, None);
        let trouble =
            "config.json names a credential helper: docker-credential-pass is not installed";
        assert!(none.troubles[0].ends_with(trouble), "{:?}", none.troubles);
        let given = basic("given", "x");
        let missing = directory.path().join("missing");
        assert_eq!(
            find(Some(&given), Some(&missing), "a.example/x")
                .unwrap()
                .credentials,
            Some(given)
        );
        let error = find(None, Some(&missing), "a.example/x").unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }

    /// `unreadable-default-auth` of the small inputs that fail: a usual place that cannot be used counts as
    /// absent, and is told to who has no other credentials; one that was named is an error.
    #[test]
    fn usual_places_that_cannot_be_used_do_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(path("run/containers")).unwrap();
        std::fs::create_dir_all(path("docker")).unwrap();
        std::fs::write(
            path("docker/config.json"),
            r#"{"auths":{"r.example":{"auth":"dTpw"}}}"#,
        )
        .unwrap();
        let bad = path("run/containers/auth.json");
        let find = |reference: &str, named: bool| {
            let environment = |name: &str| match name {
                "REGISTRY_AUTH_FILE" if named => Some(bad.clone().into_os_string()),
                "XDG_RUNTIME_DIR" => Some(path("run").into_os_string()),
                "DOCKER_CONFIG" => Some(path("docker").into_os_string()),
                "HOME" => Some(path("home").into_os_string()),
                _ => None,
            };
            let reference = Reference::parse(reference).unwrap();
            Keychain::find(None, None, None, &reference, &environment, &|| Ok(()))
        };
        let make: [fn(&Path); 3] = [
            |path| std::fs::write(path, "{").unwrap(),
            |path| std::fs::create_dir(path).unwrap(),
            // As unreadable for root as for others.
            |path| std::os::unix::fs::symlink(path, path).unwrap(),
        ];
        for make in make {
            let _ = std::fs::remove_file(&bad);
            let _ = std::fs::remove_dir(&bad);
            make(&bad);
            let found = find("r.example/a", false).unwrap();
            assert_eq!(found.credentials, Some(basic("u", "p")));
            let none = find("other.example/a", false).unwrap();
            assert_eq!(none.credentials, None);
            assert!(none.troubles[0].contains("auth.json"), "{none:?}");
            assert!(find("r.example/a", true).is_err());
        }
        // A netrc that cannot be read is none, too.
        std::fs::create_dir_all(path("home/.netrc")).unwrap();
        assert!(find("other.example/a", false).is_ok());
    }

    #[test]
    fn sources_have_an_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let helper = |name: &str, script: &str| {
            write_script(&path(&format!("docker-credential-{name}")), script);
        };
        // One that knows a single server, and one that knows all.
        let known = r#"[ "$(cat)" = https://index.docker.io/v1/ ] &&
            echo '{"Username":"hub","Secret":"x"}' && exit
            echo credentials not found in native keychain; exit 1"#;
        helper("hub", known);
        helper("all", r#"echo '{"Username":"all","Secret":"x"}'"#);
        let netrc = "machine r.example login netrc password x";
        std::fs::write(path(".netrc"), netrc).unwrap();
        let find = |document: &str, reference: &str, alone: bool| {
            std::fs::write(path("config.json"), document).unwrap();
            let environment = |name: &str| match name {
                "DOCKER_CONFIG" | "HOME" if !alone => Some(path("").into_os_string()),
                "REGISTRY_AUTH_FILE" if alone => Some(path("config.json").into_os_string()),
                "PATH" => Some(format!("{}:/usr/bin:/bin", path("").display()).into()),
                _ => None,
            };
            let reference = Reference::parse(reference).unwrap();
            let keychain =
                Keychain::find(None, None, None, &reference, &environment, &|| Ok(())).unwrap();
            let user = match keychain.credentials {
                Some(Credentials::Basic { username, .. }) => username,
                other => format!("{other:?}"),
            };
            (user, keychain.source)
        };
        // The user `file`.
        let auths = r#""auths":{"r.example":{"auth":"ZmlsZTp4"}}"#;
        for (document, reference, user, source) in [
            (
                format!(r#"{{{auths},"credsStore":"hub"}}"#),
                "r.example/a",
                "file",
                "config.json",
            ),
            (
                format!(r#"{{{auths},"credHelpers":{{"r.example":"all"}}}}"#),
                "r.example/a",
                "all",
                "docker-credential-all (",
            ),
            (
                r#"{"credsStore":"all"}"#.to_owned(),
                "r.example/a",
                "all",
                "docker-credential-all (",
            ),
            (
                r#"{"credsStore":"hub"}"#.to_owned(),
                "r.example:5000/a",
                "netrc",
                ".netrc",
            ),
            (
                r#"{"credsStore":"hub"}"#.to_owned(),
                "hello",
                "hub",
                "docker-credential-hub (",
            ),
            (
                r#"{"credsStore":"hub"}"#.to_owned(),
                "ghcr.io/a",
                "None",
                "",
            ),
        ] {
            let found = find(&document, reference, false);
            assert_eq!(found.0, user, "{document} {reference}");
            assert!(found.1.contains(source), "{found:?}");
        }
        // A file that the user names is the only one.
        assert_eq!(find("{}", "r.example/a", true).0, "None");
    }
}
