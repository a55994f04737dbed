//! How much a server puts up with.

use std::time::Duration;

/// How much a server puts up with.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many clients are served at a time; the others wait.
    pub connections: usize,
    /// How long the head of a request may take.
    pub head: Duration,
    /// How long a client may stay silent between two requests.
    pub idle: Duration,
    /// How long each of both may take while others wait for their turn. Who takes longer has to go then,
    /// the slowest first: else a few that never say what they want would keep everybody out.
    pub crowded: Duration,
    /// How many bytes a second a client has to read, measured while it is waited for, when others wait for
    /// their turn. The slowest has to go first, after `crowded`: else a few that read next to nothing would
    /// keep everybody out.
    pub least_rate: u64,
    /// How long a client may read nothing while it is sent something. An engine that unpacks what it
    /// read may take a while.
    pub stall: Duration,
    /// How long who is being answered may take until the server ends.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            crowded: Duration::from_secs(1),
            least_rate: 64 << 10,
            stall: Duration::from_mins(5),
            grace: Duration::ZERO,
        }
    }
}
