//! The default: layers whose expected bytes to send again are least.
//!
//! docs/internals/layering.md explains the model and says what it was measured with. In short: a layer is sent again
//! when any of its paths changes, and a path changes with all that it needs. So a layer costs its size times the
//! number of the updates (`weights`) that touch what its paths need together (`samples`), and, if it has several
//! paths, the bytes that another image had as a layer of their own (`cost`). Beginning with a layer for each path,
//! those two are merged whose cost rises least (`merge`), until there are as few as there may be; then single paths
//! move where they cost less (`moves`). What is set apart before and how plans follow each other is in `setup`.

mod cost;
mod fleet;
mod merge;
mod moves;
mod samples;
mod setup;
mod weights;

use self::cost::{Costs, Group};
use self::merge::{Goal, Start, merge};
use self::samples::Samples;
use self::setup::{Class, Setup, Why};
use super::reason::Reason;
use super::request::{Budget, PlannedLayer, Request};

/// A plan that keeps layers may cost so much more than one made anew, in tenths.
const DRIFT: i64 = 12;

/// The layers of a closure, lowest first.
pub(super) fn layers(request: &Request<'_>) -> Vec<PlannedLayer> {
    if request.members.is_empty() {
        return Vec::new();
    }
    let tops = setup::tops(request);
    let samples = Samples::new(request.graph, &tops, &request.hints.stable);
    let known: Vec<u32> = request.alongside.iter().flatten().copied().collect();
    let layers = request.budget.most();
    let costs = Costs::new(request.graph, samples, tops.len(), &known, layers);
    let anew = Plan::make(request, &costs, &tops, &[]);
    if request.previous.is_empty() {
        return anew.told(request, &costs);
    }
    let kept = Plan::make(request, &costs, &tops, request.previous);
    let is_good = i128::from(kept.cost()) * 10 <= i128::from(anew.cost()) * i128::from(DRIFT);
    if is_good { kept } else { anew }.told(request, &costs)
}

/// The layers of images that live together, of each lowest first.
pub(super) fn fleet(requests: &[Request<'_>]) -> Vec<Vec<PlannedLayer>> {
    let groups = fleet::groups(requests);
    let plan = |request: &Request<'_>| {
        let find = |group: &Vec<String>| -> Option<Vec<u32>> {
            group.iter().map(|path| request.graph.find(path)).collect()
        };
        let mut alongside: Vec<Vec<u32>> = groups.iter().filter_map(find).collect();
        alongside.extend(request.alongside.iter().cloned());
        layers(&Request {
            alongside: &alongside,
            ..*request
        })
    };
    requests.iter().map(plan).collect()
}

struct Plan {
    layers: Vec<(Group, Why)>,
}

impl Plan {
    fn make(request: &Request<'_>, costs: &Costs, tops: &[u32], previous: &[Vec<u32>]) -> Self {
        let mut is_top = vec![false; request.graph.len()];
        for path in tops {
            is_top[*path as usize] = true;
        }
        let mut may_move = vec![true; request.graph.len()];
        for path in request.hints.together.iter().flatten() {
            may_move[*path as usize] = false;
        }
        let setup = Setup::new(request, tops, previous, |members| {
            costs.is_worth_adopting(members, &is_top)
        });
        let mut layers: Vec<(Group, Why)> = setup
            .fixed
            .into_iter()
            .map(|fixed| (costs.group(fixed.members, &is_top, false), fixed.why))
            .collect();
        let mut place = vec![0; request.graph.len()];
        for (number, path) in costs.canonical().iter().enumerate() {
            place[*path as usize] = number;
        }
        let mut free = setup.free;
        free.sort_by_cached_key(|free| free.members.iter().map(|path| place[*path as usize]).min());
        let starts = free.into_iter().map(|free| Start {
            group: costs.group(free.members, &is_top, free.is_whole),
            class: free.class as u32,
        });
        let goal = Goal {
            layers: request.budget.most().saturating_sub(layers.len()),
            price: match request.budget {
                Budget::AtMost(_) => i64::MIN,
                Budget::Worthwhile(_) => costs.of_bytes(weights::PRICE),
            },
        };
        let merged = merge(request.graph, costs, starts.collect(), &goal);
        let improved = moves::improve(request.graph, costs, merged, &is_top, &may_move);
        layers.extend(improved.into_iter().map(|start| {
            let why = Why::Merged(Class::of(start.class));
            (start.group, why)
        }));
        Self { layers }
    }

    fn cost(&self) -> i64 {
        self.layers.iter().map(|(group, _)| group.cost).sum()
    }

    /// The layers from bottom to top: what needs little first, roots last.
    fn told(self, request: &Request<'_>, costs: &Costs) -> Vec<PlannedLayer> {
        let graph = request.graph;
        let mut seen = Vec::new();
        let layers = self.layers.into_iter().map(|(mut group, why)| {
            group.members.sort_unstable();
            let are_tops = group.are_tops();
            let height = match why {
                Why::Merged(Class::Stable) => 0,
                _ if are_tops => 2,
                _ => 1,
            };
            let size = graph.closure_size(&group.members, &mut seen);
            let reason = reason(request, costs, &group, why);
            (height, size, group.members, reason)
        });
        let mut layers: Vec<_> = layers.collect();
        layers.sort_by(|one, other| (one.0, one.1, &one.2).cmp(&(other.0, other.1, &other.2)));
        let layers = layers.into_iter();
        layers
            .map(|(_, _, paths, reason)| PlannedLayer { paths, reason })
            .collect()
    }
}

fn reason(request: &Request<'_>, costs: &Costs, group: &Group, why: Why) -> Reason {
    let paths = group.members.len();
    let (touched, shared) = costs.told(group);
    match why {
        Why::Kept => Reason::Kept,
        Why::Asked => Reason::AskedAlone,
        Why::Top | Why::Merged(Class::Top) => Reason::Edited(paths),
        Why::Merged(Class::Stable) => Reason::Stable(paths),
        Why::Merged(Class::Plain) if paths == request.members.len() && paths > 1 => {
            Reason::Everything(paths)
        }
        Why::Merged(Class::Plain) if group.is_shared_whole() => Reason::Adopted,
        Why::Merged(Class::Plain) if paths == 1 => Reason::Alone {
            size: request.graph.size(group.members[0]),
            touched,
            shared,
        },
        Why::Merged(Class::Plain) => Reason::Together { paths, touched },
    }
}
