//! How many threads a build may have.

use std::num::NonZeroUsize;

/// The number of threads: what Nix allots (`NIX_BUILD_CORES`, 0 means all), at most the cores
/// there are.
pub fn threads(build_cores: Option<&str>) -> NonZeroUsize {
    let all = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let allotted = build_cores
        .and_then(|cores| cores.parse().ok())
        .and_then(NonZeroUsize::new);
    allotted.map_or(all, |cores| cores.min(all))
}
