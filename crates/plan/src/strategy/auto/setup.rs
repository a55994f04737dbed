//! What is settled before layers are merged: which paths are roots, which layers are fixed, what may be merged with
//! what.

use std::num::NonZeroUsize;

use super::super::request::Request;

/// What may share a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Plain = 0,
    /// Roots and what is said to change often.
    Top = 1,
    /// What is said to change rarely.
    Stable = 2,
}

impl Class {
    pub(super) fn of(number: u8) -> Self {
        [Self::Plain, Self::Top, Self::Stable]
            .into_iter()
            .find(|class| *class as u8 == number)
            .unwrap_or(Self::Plain)
    }
}

/// How a layer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Top,
    Asked,
    Kept,
    Merged(Class),
}

/// A layer that stays as it is.
pub(super) struct Fixed {
    pub(super) members: Vec<u32>,
    pub(super) why: Why,
}

/// Where merging begins: each member is in one of these.
pub(super) struct Setup {
    pub(super) fixed: Vec<Fixed>,
    pub(super) free: Vec<(Vec<u32>, Class)>,
}

/// Roots have the room of a quarter of all layers; if they are more, they are merged as others are.
const ROOM_OF_ROOTS: usize = 4;

/// The roots and what is said to change often, ascending.
pub(super) fn tops(request: &Request<'_>) -> Vec<u32> {
    let mut tops = if request.roots.is_empty() {
        request.graph.without_users()
    } else {
        let roots = request.roots.iter().copied();
        roots
            .filter(|root| request.graph.users(*root).is_empty())
            .collect()
    };
    tops.extend(&request.hints.volatile);
    tops.sort_unstable();
    tops.dedup();
    tops
}

impl Setup {
    pub(super) fn new(request: &Request<'_>, tops: &[u32], previous: &[Vec<u32>]) -> Self {
        let budget = request.budget.most();
        let mut left = Left::new(request);
        let mut fixed = Vec::new();
        for layer in previous {
            let mut members = layer.clone();
            members.sort_unstable();
            members.dedup();
            if left.take(&members) {
                let why = Why::Kept;
                fixed.push(Fixed { members, why });
            }
        }
        for path in &request.hints.alone {
            if left.take(&[*path]) {
                fixed.push(Fixed {
                    members: vec![*path],
                    why: Why::Asked,
                });
            }
        }
        let mut free = Vec::new();
        let mut classes = vec![Class::Plain; request.graph.len()];
        for (list, class) in [(&*request.hints.stable, Class::Stable), (tops, Class::Top)] {
            for path in list {
                classes[*path as usize] = class;
            }
        }
        let class = |path: u32| classes[path as usize];
        for list in &request.hints.together {
            let mut members: Vec<u32> = list
                .iter()
                .copied()
                .filter(|path| left.take(&[*path]))
                .collect();
            members.sort_unstable();
            free.extend(
                members
                    .first()
                    .map(|path| class(*path))
                    .map(|class| (members, class)),
            );
        }
        let mut own: Vec<u32> = tops
            .iter()
            .copied()
            .filter(|path| left.has(*path))
            .collect();
        own.sort_by_key(|path| (std::cmp::Reverse(request.graph.size(*path)), *path));
        let room = NonZeroUsize::new(budget / ROOM_OF_ROOTS)
            .unwrap_or(NonZeroUsize::MIN)
            .get();
        let alone = if own.len() <= room { own.len() } else { 1 };
        for path in &own[..alone] {
            left.take(&[*path]);
            fixed.push(Fixed {
                members: vec![*path],
                why: Why::Top,
            });
        }
        let rest = request
            .members
            .iter()
            .copied()
            .filter(|path| left.has(*path));
        free.extend(rest.map(|path| (vec![path], class(path))));
        let mut setup = Self { fixed, free };
        setup.make_room(request, budget, class);
        setup
    }

    /// Gives up what there is no room for: what is alone because it was asked for, the smallest first; layers of
    /// the plan before, the smallest first; roots alone; stable paths apart; roots apart.
    fn make_room(&mut self, request: &Request<'_>, budget: usize, class: impl Fn(u32) -> Class) {
        let size = |members: &[u32]| -> u128 {
            members
                .iter()
                .map(|path| u128::from(request.graph.size(*path)))
                .sum()
        };
        for why in [Why::Asked, Why::Kept, Why::Top] {
            while self.least() > budget {
                let of_kind = self
                    .fixed
                    .iter()
                    .enumerate()
                    .filter(|(_, fixed)| fixed.why == why);
                let sizes = of_kind.map(|(number, fixed)| (size(&fixed.members), number));
                let Some((_, number)) = sizes.min() else {
                    break;
                };
                let given_up = self.fixed.remove(number).members;
                self.free
                    .extend(given_up.into_iter().map(|path| (vec![path], class(path))));
            }
        }
        for class in [Class::Stable, Class::Top] {
            if self.least() > budget {
                for (_, own) in self.free.iter_mut().filter(|(_, own)| *own == class) {
                    *own = Class::Plain;
                }
            }
        }
    }

    /// How many layers there are at least.
    fn least(&self) -> usize {
        let classes = [Class::Plain, Class::Top, Class::Stable];
        let is_there = |class: &&Class| self.free.iter().any(|(_, own)| own == *class);
        self.fixed.len() + classes.iter().filter(is_there).count()
    }
}

/// Members that are in no layer yet.
struct Left {
    has: Vec<bool>,
}

impl Left {
    fn new(request: &Request<'_>) -> Self {
        let mut has = vec![false; request.graph.len()];
        for member in request.members {
            has[*member as usize] = true;
        }
        Self { has }
    }

    fn has(&self, path: u32) -> bool {
        self.has.get(path as usize).copied().unwrap_or(false)
    }

    /// Takes a layer if all of it is left.
    fn take(&mut self, layer: &[u32]) -> bool {
        let fits = !layer.is_empty() && layer.iter().all(|path| self.has(*path));
        if fits {
            for path in layer {
                self.has[*path as usize] = false;
            }
        }
        fits
    }
}
