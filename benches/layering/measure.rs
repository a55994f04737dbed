//! Asks `strata layers` for plans and counts what they send.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::closure::{Closure, State, images};
use crate::events::{Event, Kind, of_fleet, of_image};
use crate::universe::Universe;

/// The layers of an image, each its store paths.
type Plan = Vec<Vec<String>>;

/// Who plans, and what it is told.
#[derive(Clone, Copy)]
pub(crate) struct Planner {
    /// As `strata layers --strategy` knows it.
    pub(crate) strategy: &'static str,
    pub(crate) layers: usize,
    /// Whether it is told the plan before.
    pub(crate) remembers: bool,
    /// Whether images that live together are planned at once; nothing else is measured then.
    pub(crate) at_once: bool,
}

/// What events of one kind send: parts of images, as means over the events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// What changed, and no plan can spare.
    pub(crate) least: f64,
    /// What is sent beyond that, because it shares a layer with what changed.
    pub(crate) excess: f64,
}

/// What each kind of event sends.
pub(crate) fn measure(universe: &Universe, planner: Planner) -> Result<BTreeMap<Kind, Sent>> {
    let events = |image| of_image(universe, image);
    let mut work: Vec<Vec<Event>> = vec![of_fleet(universe)];
    if !planner.at_once {
        work.extend(images().rev().map(events));
    }
    let measured = work.par_iter().map(|events| {
        let mut asker = Asker {
            universe,
            planner,
            plans: BTreeMap::new(),
        };
        let sent = events
            .iter()
            .map(|event| Ok((event.kind, asker.send(event)?)));
        sent.collect::<Result<Vec<(Kind, Sent)>>>()
    });
    let measured: Vec<Vec<(Kind, Sent)>> = measured.collect::<Result<_>>()?;
    let mut kinds: BTreeMap<Kind, Vec<Sent>> = BTreeMap::new();
    for (kind, sent) in measured.into_iter().flatten() {
        kinds.entry(kind).or_default().push(sent);
    }
    let mean =
        |all: &[Sent], part: fn(&Sent) -> f64| all.iter().map(part).sum::<f64>() / all.len() as f64;
    let means = kinds.into_iter().map(|(kind, all)| {
        let sent = Sent {
            least: mean(&all, |sent| sent.least),
            excess: mean(&all, |sent| sent.excess),
        };
        (kind, sent)
    });
    Ok(means.collect())
}

struct Asker<'a> {
    universe: &'a Universe,
    planner: Planner,
    /// Plans that were made: many events begin alike.
    plans: BTreeMap<(State, Option<Plan>), Plan>,
}

impl Asker<'_> {
    fn send(&mut self, event: &Event) -> Result<Sent> {
        let closures = event
            .states
            .iter()
            .map(|state| Closure::new(self.universe, state));
        let closures: Vec<Closure> = closures.collect();
        let plans = if self.planner.at_once {
            self.plan_at_once(event, &closures)?
        } else {
            self.plan_each(event, &closures)?
        };
        let mut layers_there: BTreeSet<&Vec<String>> = BTreeSet::new();
        let mut paths_there: BTreeSet<&String> = BTreeSet::new();
        let (mut sent, mut least, mut total) = (0, 0, 0);
        for (number, (closure, plan)) in closures.iter().zip(&plans).enumerate() {
            let is_new = |path: &&String| !paths_there.contains(path);
            let size = |path: &String| closure.paths[path].0;
            if number >= event.before {
                let new = plan.iter().filter(|layer| !layers_there.contains(layer));
                sent += new.flatten().map(size).sum::<u64>();
                least += closure.paths.keys().filter(is_new).map(size).sum::<u64>();
                total += closure.size();
            }
            layers_there.extend(plan);
            paths_there.extend(closure.paths.keys());
        }
        Ok(Sent {
            least: least as f64 / total as f64,
            excess: (sent - least) as f64 / total as f64,
        })
    }

    fn plan_each(&mut self, event: &Event, closures: &[Closure]) -> Result<Vec<Plan>> {
        let mut last: BTreeMap<usize, Plan> = BTreeMap::new();
        let mut plans = Vec::new();
        for (state, closure) in event.states.iter().zip(closures) {
            let previous = last.get(&state.image).filter(|_| self.planner.remembers);
            let key = (state.clone(), previous.cloned());
            if !self.plans.contains_key(&key) {
                let mut request = json!({ "graph": closure.listed() });
                if let Some(previous) = previous {
                    request["previous"] = json!(previous);
                }
                let plan = checked(
                    serde_json::from_value(self.ask(&request)?)?,
                    closure,
                    self.planner,
                )?;
                self.plans.insert(key.clone(), plan);
            }
            let plan = self.plans[&key].clone();
            last.insert(state.image, plan.clone());
            plans.push(plan);
        }
        Ok(plans)
    }

    /// All images at a time are planned together: in an event of the fleet there are so many states of each time.
    fn plan_at_once(&self, event: &Event, closures: &[Closure]) -> Result<Vec<Plan>> {
        let mut plans: Vec<Plan> = Vec::new();
        for closures in closures.chunks(images().len()) {
            ensure!(
                closures.len() == images().len(),
                "{:?} has part of a fleet",
                event.kind
            );
            let last = plans.len().checked_sub(images().len());
            let image = |(number, closure): (usize, &Closure)| {
                let mut image = json!({ "graph": closure.listed() });
                if let Some(last) = last.filter(|_| self.planner.remembers) {
                    image["previous"] = json!(plans[last + number]);
                }
                image
            };
            let fleet: Vec<Value> = closures.iter().enumerate().map(image).collect();
            let answers: Vec<Plan> = serde_json::from_value(self.ask(&json!({ "fleet": fleet }))?)?;
            for (answer, closure) in answers.into_iter().zip(closures) {
                plans.push(checked(answer, closure, self.planner)?);
            }
        }
        Ok(plans)
    }

    fn ask(&self, request: &Value) -> Result<Value> {
        let mut program = Command::new(env!("CARGO_BIN_EXE_strata"))
            .args(["layers", "--strategy", self.planner.strategy])
            .arg(format!("--max-layers={}", self.planner.layers))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut input = program.stdin.take().context("it has an input")?;
        input.write_all(&serde_json::to_vec(request)?)?;
        drop(input);
        let output = program.wait_with_output()?;
        ensure!(
            output.status.success(),
            "strata layers failed: {}",
            output.status
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// A plan with the paths of each layer in order. It must have each path of the closure once.
fn checked(mut plan: Plan, closure: &Closure, planner: Planner) -> Result<Plan> {
    let Planner {
        strategy, layers, ..
    } = planner;
    let mut paths: Vec<&String> = plan.iter().flatten().collect();
    paths.sort_unstable();
    ensure!(
        paths.into_iter().eq(closure.paths.keys()),
        "{strategy} has not each path once"
    );
    ensure!(
        plan.len() <= layers,
        "{strategy} has {} layers, and may have {layers}",
        plan.len()
    );
    for layer in &mut plan {
        layer.sort_unstable();
    }
    Ok(plan)
}
