//! How a closure is cut into layers: one file for each strategy, and its name here.
//!
//! - `graph`: store paths as numbers; `reach`: how much each needs, and how much needs it
//! - `request`, `reason`: what a strategy is asked and what it answers
//! - `auto`: the one that sends least again
//! - `popularity`, `docker_tools`, `nixery`, `biggest`: those of other tools, each in its file
//!
//! Strategies are pure: the same paths make the same plan, in whatever order they were listed.

mod auto;
mod biggest;
mod docker_tools;
#[cfg(test)]
mod fixture;
mod graph;
mod nixery;
mod popularity;
mod reach;
mod reason;
mod request;
#[cfg(test)]
mod tests;

use strata_nix::StrategyName;

pub use graph::{Fault, Graph, Node};
pub use reason::Reason;
pub use request::{Budget, Hints, MOST_WORTHWHILE, PlannedLayer, Request};

/// Puts each member into exactly one of the layers that there may be, lowest first, as the strategy of this name
/// does it.
pub fn layers(strategy: StrategyName, request: &Request<'_>) -> Vec<PlannedLayer> {
    match strategy {
        StrategyName::Auto => auto::layers(request),
        StrategyName::Popularity => popularity::layers(request),
        StrategyName::DockerTools => docker_tools::layers(request),
        StrategyName::Nixery => nixery::layers(request),
        StrategyName::Biggest => biggest::layers(request),
    }
}

/// Plans images that live together: the layers of each, as [`layers`] makes them, so that what several images have
/// lies in layers that several have.
pub fn fleet(requests: &[Request<'_>]) -> Vec<Vec<PlannedLayer>> {
    auto::fleet(requests)
}
