//! Which Docker engine is meant: the one that the user says, else the environment, else the current context,
//! as in Docker's own command line (docker/cli, "Environment variables" and "Docker contexts").

use std::path::Path;

use super::context;
use super::endpoint::{Endpoint, SOCKET, TlsFiles};
use super::environment::{configuration, path, text};
use strata_error::Result;
use strata_http::Environment;
use strata_progress::Context;

/// Finds the engine: `given`, else `DOCKER_HOST`, else the current context, else the socket of
/// the machine's engine or of the user's own (rootless) one.
pub(super) fn resolve(
    given: Option<&str>,
    environment: Environment<'_>,
    context: Context<'_>,
) -> Result<Endpoint> {
    let named = given
        .map(str::to_owned)
        .or_else(|| text(environment, "DOCKER_HOST"));
    if let Some(host) = named {
        return Endpoint::new(&host, environment_tls(environment));
    }
    if let Some(endpoint) = context::current(environment, context)? {
        return Ok(endpoint);
    }
    let own = path(environment, "XDG_RUNTIME_DIR").map(|directory| directory.join("docker.sock"));
    let socket = own
        .filter(|own| own.exists() && !Path::new(SOCKET).exists())
        .unwrap_or_else(|| SOCKET.into());
    Ok(Endpoint::unix(socket))
}

/// `DOCKER_TLS_VERIFY`, with the files in `DOCKER_CERT_PATH`, else beside Docker's configuration.
fn environment_tls(environment: Environment<'_>) -> Option<TlsFiles> {
    text(environment, "DOCKER_TLS_VERIFY")?;
    let directory = path(environment, "DOCKER_CERT_PATH").or_else(|| configuration(environment));
    Some(directory.map_or_else(TlsFiles::default, |directory| {
        TlsFiles::in_directory(&directory)
    }))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;
    use crate::docker::endpoint::Address;

    fn find(given: Option<&str>, variables: &[(&str, &str)]) -> Result<Endpoint> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        resolve(given, &environment, Context::silent())
    }

    #[test]
    fn the_user_wins_over_the_environment() {
        let host = |given, variables: &[_]| find(given, variables).unwrap().host;
        let variable = [("DOCKER_HOST", "tcp://v:1"), ("DOCKER_CONTEXT", "absent")];
        assert_eq!(host(Some("tcp://g:1"), &variable), "tcp://g:1");
        assert_eq!(host(None, &variable), "tcp://v:1");
        assert_eq!(
            host(None, &[("DOCKER_HOST", "")]),
            "unix:///var/run/docker.sock"
        );
    }

    #[test]
    fn the_environment_asks_for_tls_over_tcp_only() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path();
        std::fs::write(place.join("ca.pem"), "").unwrap();
        let verify = ("DOCKER_TLS_VERIFY", "1");
        let tls = |variables: &[_]| find(None, variables).unwrap().tls;
        let tcp = ("DOCKER_HOST", "tcp://h:1");
        let expected = TlsFiles {
            authority: Some(place.join("ca.pem")),
            ..TlsFiles::default()
        };
        for variable in ["DOCKER_CERT_PATH", "DOCKER_CONFIG"] {
            let found = tls(&[tcp, verify, (variable, place.to_str().unwrap())]);
            assert_eq!(found.as_ref(), Some(&expected), "{variable}");
        }
        assert_eq!(tls(&[tcp, ("DOCKER_TLS_VERIFY", "")]), None);
        assert_eq!(tls(&[("DOCKER_HOST", "unix:///s"), verify]), None);
    }

    #[test]
    fn the_socket_of_the_user_is_found() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("docker.sock"), "").unwrap();
        let variable = ("XDG_RUNTIME_DIR", directory.path().to_str().unwrap());
        let found = find(None, &[variable]).unwrap().address;
        let expected = if Path::new(SOCKET).exists() {
            PathBuf::from(SOCKET)
        } else {
            directory.path().join("docker.sock")
        };
        assert_eq!(found, Address::Unix(expected));
    }
}
