//! What a registry or its authorization server is shown.

use std::fmt;

/// What to log in with. Its debug form shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name and a password (or an access token in its place).
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// An `OAuth2` refresh token, which some registries give out at login in place of a password.
    IdentityToken(String),
    /// A token that the registry itself takes, in place of one from its authorization server.
    RegistryToken(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Basic { .. } => "Basic(…)",
            Self::IdentityToken(_) => "IdentityToken(…)",
            Self::RegistryToken(_) => "RegistryToken(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let secret = || "secret".to_owned();
        for credentials in [
            Credentials::Basic {
                username: secret(),
                password: secret(),
            },
            Credentials::IdentityToken(secret()),
            Credentials::RegistryToken(secret()),
        ] {
            assert!(!format!("{credentials:?}").contains("secret"));
        }
    }
}
