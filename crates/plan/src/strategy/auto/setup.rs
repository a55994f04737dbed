//! What is settled before layers are merged: which paths are roots, which layers are fixed, what may be merged with
//! what.

use std::cmp::Reverse;

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
    pub(super) fn of(number: u32) -> Self {
        [Self::Plain, Self::Top, Self::Stable]
            .into_iter()
            .find(|class| *class as u32 == number)
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

/// A layer that may be merged with others of its class.
pub(super) struct Free {
    pub(super) members: Vec<u32>,
    pub(super) class: Class,
    /// Whether another image has it as it is.
    pub(super) is_whole: bool,
}

/// Where merging begins: each member is in one of these.
#[derive(Default)]
pub(super) struct Setup {
    pub(super) fixed: Vec<Fixed>,
    pub(super) free: Vec<Free>,
    classes: Vec<Class>,
}

/// Roots have the room of a quarter of all layers; if they are more, they are merged as others are, among
/// themselves.
const ROOM_OF_ROOTS: usize = 4;

/// The roots and what is said to change often, ascending.
pub(super) fn tops(request: &Request<'_>) -> Vec<u32> {
    let mut tops = if request.roots.is_empty() {
        request.graph.without_users()
    } else {
        request.roots.to_vec()
    };
    tops.extend(&request.hints.volatile);
    tops.sort_unstable();
    tops.dedup();
    tops
}

impl Setup {
    /// `adopts` says whether a layer of another image is worth being one here.
    pub(super) fn new(
        request: &Request<'_>,
        tops: &[u32],
        previous: &[Vec<u32>],
        adopts: impl Fn(&[u32]) -> bool,
    ) -> Self {
        let mut classes = vec![Class::Plain; request.graph.len()];
        for (list, class) in [(&*request.hints.stable, Class::Stable), (tops, Class::Top)] {
            for path in list {
                classes[*path as usize] = class;
            }
        }
        let mut setup = Self {
            classes,
            ..Self::default()
        };
        let mut left = Left::new(request);
        for layer in previous {
            setup.fix(&mut left, layer, Why::Kept);
        }
        for path in &request.hints.alone {
            setup.fix(&mut left, &[*path], Why::Asked);
        }
        setup.fix_roots(request, &mut left, tops);
        for list in &request.hints.together {
            let members = list.iter().copied().filter(|path| left.take(&[*path]));
            let members = sorted(members.collect());
            setup.free(members, false);
        }
        let mut alongside: Vec<&Vec<u32>> = request.alongside.iter().collect();
        alongside.sort_by_key(|layer| (Reverse(size(request, layer)), *layer));
        for layer in alongside {
            let members = sorted(layer.clone());
            let is_plain = members
                .iter()
                .all(|path| setup.class(*path) == Class::Plain);
            if is_plain && left.has_all(&members) && adopts(&members) {
                left.take(&members);
                setup.free(members, true);
            }
        }
        for path in request.members {
            if left.take(&[*path]) {
                setup.free(vec![*path], false);
            }
        }
        setup.make_room(request);
        setup
    }

    fn class(&self, path: u32) -> Class {
        let class = self.classes.get(path as usize);
        class.copied().unwrap_or(Class::Plain)
    }

    fn fix(&mut self, left: &mut Left, members: &[u32], why: Why) {
        let members = sorted(members.to_vec());
        if left.take(&members) {
            self.fixed.push(Fixed { members, why });
        }
    }

    fn free(&mut self, members: Vec<u32>, is_whole: bool) {
        if let Some(first) = members.first() {
            self.free.push(Free {
                class: self.class(*first),
                members,
                is_whole,
            });
        }
    }

    /// Roots are alone while there is room, else only the largest is.
    fn fix_roots(&mut self, request: &Request<'_>, left: &mut Left, tops: &[u32]) {
        let mut own: Vec<u32> = tops
            .iter()
            .copied()
            .filter(|path| left.has(*path))
            .collect();
        own.sort_by_key(|path| (Reverse(request.graph.size(*path)), *path));
        let has_room = own.len() <= request.budget.most() / ROOM_OF_ROOTS;
        let alone = if has_room {
            own.len()
        } else {
            own.len().min(1)
        };
        for path in &own[..alone] {
            self.fix(left, &[*path], Why::Top);
        }
    }

    /// Gives up what there is no room for: what is alone because it was asked for, the smallest first; layers of
    /// the plan before, the smallest first; roots alone; stable paths apart; roots apart.
    fn make_room(&mut self, request: &Request<'_>) {
        let budget = request.budget.most();
        for why in [Why::Asked, Why::Kept, Why::Top] {
            while self.least() > budget {
                let of_kind = self
                    .fixed
                    .iter()
                    .enumerate()
                    .filter(|(_, fixed)| fixed.why == why);
                let sizes = of_kind.map(|(number, fixed)| (size(request, &fixed.members), number));
                let Some((_, number)) = sizes.min() else {
                    break;
                };
                for path in self.fixed.remove(number).members {
                    self.free(vec![path], false);
                }
            }
        }
        for class in [Class::Stable, Class::Top] {
            if self.least() > budget {
                for free in self.free.iter_mut().filter(|free| free.class == class) {
                    free.class = Class::Plain;
                }
            }
        }
    }

    /// How many layers there are at least.
    fn least(&self) -> usize {
        let classes = [Class::Plain, Class::Top, Class::Stable];
        let is_there = |class: &&Class| self.free.iter().any(|free| free.class == **class);
        self.fixed.len() + classes.iter().filter(is_there).count()
    }
}

fn sorted(mut members: Vec<u32>) -> Vec<u32> {
    members.sort_unstable();
    members.dedup();
    members
}

fn size(request: &Request<'_>, members: &[u32]) -> u128 {
    let sizes = members
        .iter()
        .map(|path| u128::from(request.graph.size(*path)));
    sizes.sum()
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

    fn has_all(&self, layer: &[u32]) -> bool {
        !layer.is_empty() && layer.iter().all(|path| self.has(*path))
    }

    /// Takes a layer if all of it is left.
    fn take(&mut self, layer: &[u32]) -> bool {
        let fits = self.has_all(layer);
        if fits {
            for path in layer {
                self.has[*path as usize] = false;
            }
        }
        fits
    }
}
