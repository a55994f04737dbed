//! Where a registry is.

/// The host that answers for a registry. Docker Hub's API is not where its name says.
pub(super) fn api_host(registry: &str) -> &str {
    match registry {
        "docker.io" => "registry-1.docker.io",
        other => other,
    }
}
