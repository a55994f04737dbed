//! What happens to images: each event is a list of states, and what one of them needs and none before it brought is
//! sent.

use std::collections::{BTreeMap, BTreeSet};

use crate::closure::{State, images};
use crate::universe::{Universe, draw};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Edit,
    PrivateEdit,
    Security,
    Version,
    Library,
    Batch,
    Release,
    Trace,
    Share,
    CLibrary,
    Fleet,
    FleetUpdate,
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::Edit,
        Self::PrivateEdit,
        Self::Security,
        Self::Version,
        Self::Library,
        Self::Batch,
        Self::Release,
        Self::Trace,
        Self::Share,
        Self::CLibrary,
        Self::Fleet,
        Self::FleetUpdate,
    ];

    /// As the tables name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Edit => "edit",
            Self::PrivateEdit => "edit with a dependency",
            Self::Security => "security",
            Self::Version => "version",
            Self::Library => "library",
            Self::Batch => "six at once",
            Self::Release => "release",
            Self::Trace => "eight in a row",
            Self::Share => "another image",
            Self::CLibrary => "libc",
            Self::Fleet => "fleet",
            Self::FleetUpdate => "fleet, security",
        }
    }

    /// Of a hundred updates that a user sees, how many are of this kind.
    pub(crate) fn lived(self) -> f64 {
        match self {
            Self::Edit => 60.0,
            Self::PrivateEdit => 10.0,
            Self::Security => 12.0,
            Self::Library | Self::Release => 5.0,
            Self::Version | Self::Batch => 3.0,
            Self::Share => 2.0,
            Self::Trace | Self::CLibrary | Self::Fleet | Self::FleetUpdate => 0.0,
        }
    }

    /// Whether it counts where all kinds count alike. The C library changes almost everything, whatever the plan.
    pub(crate) fn is_counted(self) -> bool {
        self != Self::CLibrary
    }
}

pub(crate) struct Event {
    pub(crate) kind: Kind,
    pub(crate) states: Vec<State>,
    /// How many of the states are there before anything is counted.
    pub(crate) before: usize,
}

impl Event {
    fn new(kind: Kind, states: Vec<State>) -> Self {
        Self {
            kind,
            states,
            before: 1,
        }
    }
}

/// The events of an image.
pub(crate) fn of_image(universe: &Universe, image: usize) -> Vec<Event> {
    let now = State::new(image);
    let edited = State {
        edits: 1,
        ..now.clone()
    };
    let private = State {
        edits: 1,
        private_edits: 1,
        ..now.clone()
    };
    let mut events = vec![
        Event::new(Kind::Edit, vec![now.clone(), edited]),
        Event::new(Kind::PrivateEdit, vec![now.clone(), private]),
    ];
    let mut add = |kind, states| events.push(Event::new(kind, states));
    let updated = |what: &str, count| sources(universe, image, what, count);
    for source in updated("security", 6) {
        add(Kind::Security, vec![now.clone(), patched(&now, [source])]);
    }
    for source in updated("version", 3) {
        let mut new = now.clone();
        new.versions.insert(source, 1);
        add(Kind::Version, vec![now.clone(), new]);
    }
    for source in libraries(universe, image) {
        add(Kind::Library, vec![now.clone(), patched(&now, [source])]);
    }
    let batch = updated("batch", 6);
    add(Kind::Batch, vec![now.clone(), patched(&now, batch)]);
    let all = weights(universe, image);
    let release = all
        .keys()
        .copied()
        .filter(|source| draw(&format!("release of {source}"), 5) < 2);
    add(Kind::Release, vec![now.clone(), patched(&now, release)]);
    add(Kind::Trace, trace(universe, image));
    add(
        Kind::CLibrary,
        vec![now.clone(), patched(&now, [universe.c_library()])],
    );
    for place in 0..3 {
        let others = images().len() - 1;
        let other = (image + 1 + draw(&format!("{image} beside {place}"), others)) % (others + 1);
        add(Kind::Share, vec![State::new(other), now.clone()]);
    }
    events
}

/// The events of all images together.
pub(crate) fn of_fleet(universe: &Universe) -> Vec<Event> {
    let first: Vec<State> = images().map(State::new).collect();
    let mut events = vec![Event {
        kind: Kind::Fleet,
        states: first.clone(),
        before: 0,
    }];
    let largest = images().len() - 1;
    for source in sources(universe, largest, "all images", 4) {
        let new = first.iter().map(|state| patched(state, [source]));
        events.push(Event {
            kind: Kind::FleetUpdate,
            states: first.iter().cloned().chain(new).collect(),
            before: first.len(),
        });
    }
    events
}

fn patched(state: &State, sources: impl IntoIterator<Item = usize>) -> State {
    let mut state = state.clone();
    for source in sources {
        *state.patches.entry(source).or_default() += 1;
    }
    state
}

/// Six of ten are edits of the application, one of its dependency, three of the distribution's updates.
fn trace(universe: &Universe, image: usize) -> Vec<State> {
    let mut states = vec![State::new(image)];
    for step in 0..8 {
        let mut state = states[step].clone();
        match draw(&format!("{image} step {step}"), 10) {
            0..6 => state.edits += 1,
            6 => {
                state.edits += 1;
                state.private_edits += 1;
            }
            _ => state = patched(&state, sources(universe, image, &format!("step {step}"), 1)),
        }
        states.push(state);
    }
    states
}

/// How often the sources of an image are updated, the C library apart.
fn weights(universe: &Universe, image: usize) -> BTreeMap<usize, usize> {
    let packages = State::new(image).packages(universe);
    let sources = packages.iter().map(|package| universe.get(*package).source);
    sources
        .filter(|source| *source != universe.c_library())
        .map(|source| (source, Universe::updates(source)))
        .collect()
}

/// So many sources that are updated at some time, rather those that often are.
fn sources(universe: &Universe, image: usize, what: &str, count: usize) -> Vec<usize> {
    let mut weights = weights(universe, image);
    let mut chosen = Vec::new();
    while chosen.len() < count {
        let all: usize = weights.values().sum();
        let mut left = draw(&format!("{image} {what} {}", chosen.len()), all);
        let found = weights
            .iter()
            .find(|(_, weight)| match left.checked_sub(**weight) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => true,
            });
        let Some((&source, _)) = found else {
            break;
        };
        weights.remove(&source);
        chosen.push(source);
    }
    chosen
}

/// Up to three sources on which 15 to 80 % of the packages depend.
fn libraries(universe: &Universe, image: usize) -> Vec<usize> {
    let packages = State::new(image).packages(universe);
    let part = |source: usize| {
        let mut changed = BTreeSet::new();
        for package in &packages {
            let needs = universe.needs(*package, 0);
            if universe.get(*package).source == source
                || needs.iter().any(|need| changed.contains(need))
            {
                changed.insert(*package);
            }
        }
        100 * changed.len() / packages.len()
    };
    let mut found: Vec<usize> = weights(universe, image)
        .into_keys()
        .filter(|source| (15..=80).contains(&part(*source)))
        .collect();
    found.sort_by_key(|source| draw(&format!("{image} library {source}"), usize::MAX));
    found.truncate(3);
    found
}
