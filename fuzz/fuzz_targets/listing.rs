//! What `strata layers` reads, and the plans of it: each path is in one layer, and there are no more than may be.

#![no_main]

use std::num::NonZeroUsize;

use strata_nix::StrategyName;
use strata_plan::listing;
use strata_plan::strategy::{self, Budget, Graph, MOST_WORTHWHILE, PlannedLayer, Request};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(listing) = listing::parse(bytes) else {
        return;
    };
    let members = listing.images.iter().map(|image| image.graph.all().collect());
    let members: Vec<Vec<u32>> = members.collect();
    // A limit, and as many as are worth it.
    let few = listing.max_layers.unwrap_or(NonZeroUsize::MIN);
    for budget in [Budget::AtMost(few), Budget::Worthwhile(MOST_WORTHWHILE)] {
        let images = listing.images.iter().zip(&members);
        let requests: Vec<Request<'_>> = images
            .map(|(image, members)| image.request(members, budget))
            .collect();
        for request in &requests {
            for name in StrategyName::ALL {
                check(request.graph, budget, &strategy::layers(name, request));
            }
        }
        for (request, layers) in requests.iter().zip(strategy::fleet(&requests)) {
            check(request.graph, budget, &layers);
        }
    }
});

fn check(graph: &Graph, budget: Budget, layers: &[PlannedLayer]) {
    assert!(layers.len() <= budget.most());
    assert!(layers.iter().all(|layer| !layer.paths.is_empty()));
    let paths = layers.iter().flat_map(|layer| layer.paths.iter().copied());
    let mut paths: Vec<u32> = paths.collect();
    paths.sort_unstable();
    assert!(paths.into_iter().eq(graph.all()));
}
