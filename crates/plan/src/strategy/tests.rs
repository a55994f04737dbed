//! What holds of every strategy and every graph, and what other tools got wrong.

use proptest::prelude::*;
use strata_nix::StrategyName;

use super::fixture::path;
use super::graph::{Graph, Node};
use super::*;

const MB: u64 = 1_000_000;

/// Paths of a size with references to those before, and what is said of them.
#[derive(Clone, Debug)]
struct Case {
    nodes: Vec<Node<'static>>,
    budget: usize,
    previous: Vec<Vec<u32>>,
    alongside: Vec<Vec<u32>>,
    hints: Hints,
}

fn cases() -> impl Strategy<Value = Case> {
    let node = (0..40 * MB, proptest::collection::vec(any::<u16>(), 0..6));
    let lists = || proptest::collection::vec(proptest::collection::vec(0..60_u32, 0..6), 0..4);
    let nodes = proptest::collection::vec(node, 1..60);
    (nodes, 1..70_usize, lists(), lists(), lists(), lists()).prop_map(
        |(nodes, budget, previous, alongside, together, mut lists)| {
            let count = nodes.len();
            let nodes = nodes
                .into_iter()
                .enumerate()
                .map(|(number, (size, references))| {
                    let name = |number: usize| path(&format!("p{number:02}"));
                    let below = references
                        .into_iter()
                        .map(|draw| usize::from(draw) % (number + 1));
                    Node {
                        path: name(number).into(),
                        size,
                        references: below.map(|below| name(below).into()).collect(),
                    }
                });
            let fitting = |lists: Vec<Vec<u32>>| -> Vec<Vec<u32>> {
                let fits = |list: &Vec<u32>| list.iter().all(|path| (*path as usize) < count);
                lists.into_iter().filter(fits).collect()
            };
            lists = fitting(lists);
            let mut next = || lists.pop().unwrap_or_default();
            Case {
                nodes: nodes.collect(),
                budget,
                previous: fitting(previous),
                alongside: fitting(alongside),
                hints: Hints {
                    stable: next(),
                    volatile: next(),
                    alone: next(),
                    together: fitting(together),
                },
            }
        },
    )
}

impl Case {
    fn request<'a>(&'a self, graph: &'a Graph, members: &'a [u32], budget: Budget) -> Request<'a> {
        Request {
            graph,
            members,
            roots: &[],
            budget,
            previous: &self.previous,
            alongside: &self.alongside,
            hints: &self.hints,
        }
    }

    fn budgets(&self) -> [Budget; 2] {
        let most = self.budget.try_into().unwrap();
        [Budget::AtMost(most), Budget::Worthwhile(most)]
    }
}

/// Whether each member is in exactly one layer, in order, and there are no more than may be.
fn check(plan: &[PlannedLayer], members: &[u32], budget: usize) {
    assert!(plan.len() <= budget, "{} of {budget}", plan.len());
    assert!(
        plan.iter()
            .all(|layer| !layer.paths.is_empty() && layer.paths.is_sorted())
    );
    let mut all: Vec<u32> = plan
        .iter()
        .flat_map(|layer| &layer.paths)
        .copied()
        .collect();
    all.sort_unstable();
    assert_eq!(all, members);
    assert!(
        plan.iter()
            .all(|layer| !layer.reason.to_string().is_empty())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn plans_are_partitions_within_the_budget(case in cases(), skipped in 0..60_usize) {
        let graph = Graph::new(case.nodes.clone()).unwrap();
        let members: Vec<u32> = graph.all().filter(|path| *path as usize != skipped).collect();
        for budget in case.budgets() {
            for strategy in StrategyName::ALL {
                check(&layers(strategy, &case.request(&graph, &members, budget)), &members, case.budget);
            }
            let request = case.request(&graph, &members, budget);
            for plan in fleet(&[request, request]) {
                check(&plan, &members, case.budget);
            }
        }
    }

    #[test]
    fn the_order_of_a_list_leaves_no_trace(case in cases()) {
        let graph = Graph::new(case.nodes.clone()).unwrap();
        let mut nodes = case.nodes.clone();
        nodes.reverse();
        for node in &mut nodes {
            node.references.reverse();
        }
        let turned = Graph::new(nodes).unwrap();
        let members: Vec<u32> = graph.all().collect();
        let mut other = case.clone();
        other.previous.reverse();
        for layer in &mut other.alongside {
            layer.reverse();
        }
        for list in [&mut other.hints.stable, &mut other.hints.volatile] {
            list.reverse();
        }
        // Layers that share a path exclude each other, the first one wins; without those the order is nothing.
        let is_disjoint = case.previous.iter().map(Vec::len).sum::<usize>()
            == case.previous.iter().flatten().collect::<std::collections::BTreeSet<_>>().len();
        prop_assume!(is_disjoint);
        for budget in case.budgets() {
            for strategy in StrategyName::ALL {
                let one = layers(strategy, &case.request(&graph, &members, budget));
                prop_assert_eq!(one, layers(strategy, &other.request(&turned, &members, budget)));
            }
        }
    }

    #[test]
    fn the_plan_of_a_plan_is_itself(case in cases()) {
        let graph = Graph::new(case.nodes.clone()).unwrap();
        let members: Vec<u32> = graph.all().collect();
        let [budget, _] = case.budgets();
        let hints = Hints::default();
        let plain = Case { previous: Vec::new(), alongside: Vec::new(), hints, ..case.clone() };
        let first = layers(StrategyName::Auto, &plain.request(&graph, &members, budget));
        let previous: Vec<Vec<u32>> = first.iter().map(|layer| layer.paths.clone()).collect();
        let again = Case { previous: previous.clone(), ..plain };
        let second = layers(StrategyName::Auto, &again.request(&graph, &members, budget));
        let second: Vec<Vec<u32>> = second.into_iter().map(|layer| layer.paths).collect();
        prop_assert_eq!(previous, second);
    }
}

/// An application on 40 libraries on a libc, each as large as they are in real images.
fn web_application() -> Graph {
    let library = |number: u32| path(&format!("library{number}"));
    let mut nodes = vec![
        Node {
            path: path("libc").into(),
            size: 30 * MB,
            references: vec![],
        },
        Node {
            path: path("application").into(),
            size: 300_000,
            references: (0..40).map(|number| library(number).into()).collect(),
        },
    ];
    nodes.extend((0..40).map(|number| {
        let below = [number / 2, number / 3].map(|below| library(below).into());
        let references = if number < 2 {
            vec![path("libc").into()]
        } else {
            below.to_vec()
        };
        Node {
            path: library(number).into(),
            size: 4096 << (number % 13),
            references,
        }
    }));
    Graph::new(nodes).unwrap()
}

fn auto(graph: &Graph, budget: Budget, hints: &Hints) -> Vec<PlannedLayer> {
    let members: Vec<u32> = graph.all().collect();
    let request = Request {
        graph,
        members: &members,
        roots: &[],
        budget,
        previous: &[],
        alongside: &[],
        hints,
    };
    layers(StrategyName::Auto, &request)
}

fn at_most(layers: usize) -> Budget {
    Budget::AtMost(layers.try_into().unwrap())
}

fn places(plan: &[PlannedLayer], path: u32) -> usize {
    plan.iter()
        .position(|layer| layer.paths.contains(&path))
        .unwrap()
}

/// <https://github.com/NixOS/nixpkgs/issues/48462>, <https://github.com/NixOS/nixpkgs/issues/178497>,
/// <https://github.com/nlewo/nix2container/issues/31>: the application shares a layer with what was not popular
/// enough, so that an edit sends that again.
#[test]
fn nixpkgs_48462_178497_nix2container_31_the_application_is_alone_on_top() {
    let graph = web_application();
    let application = graph.find(&path("application")).unwrap();
    for budget in 2..50 {
        for budget in [
            at_most(budget),
            Budget::Worthwhile(budget.try_into().unwrap()),
        ] {
            let plan = auto(&graph, budget, &Hints::default());
            assert_eq!(plan.last().unwrap().paths, [application], "{budget:?}");
            assert_eq!(plan.last().unwrap().reason, Reason::Edited(1));
        }
    }
}

/// The same issues: layers are spent on tiny paths while large ones share one.
#[test]
fn nix2container_27_large_paths_are_alone_and_tiny_ones_are_not() {
    let graph = web_application();
    let plan = auto(&graph, at_most(12), &Hints::default());
    let libc = graph.find(&path("libc")).unwrap();
    let largest = graph.find(&path("library38")).unwrap();
    for path in [libc, largest] {
        assert_eq!(
            plan[places(&plan, path)].paths,
            [path],
            "{}",
            graph.path(path)
        );
    }
    let tiny = graph.find(&path("library26")).unwrap();
    assert!(plan[places(&plan, tiny)].paths.len() > 1);
}

/// <https://github.com/NixOS/nix/issues/13155>: images have more layers than engines or sandboxes take.
#[test]
fn nix_13155_forty_tiny_paths_are_not_forty_layers() {
    let name = |number: usize| path(&format!("p{number}"));
    let nodes = (0..40).map(|number| Node {
        path: name(number).into(),
        size: 4096,
        references: (0..number).map(|below| name(below).into()).collect(),
    });
    let graph = Graph::new(nodes.collect()).unwrap();
    let plan = auto(
        &graph,
        Budget::Worthwhile(MOST_WORTHWHILE),
        &Hints::default(),
    );
    assert_eq!(plan.len(), 2, "the application and the rest");
    assert!(
        auto(
            &web_application(),
            Budget::Worthwhile(MOST_WORTHWHILE),
            &Hints::default()
        )
        .len()
            < 30
    );
}

#[test]
fn roots_are_alone_while_there_is_room() {
    let name = |number: usize| path(&format!("root{number}"));
    let mut nodes: Vec<Node<'_>> = (0..8)
        .map(|number| Node {
            path: name(number).into(),
            size: MB * (number as u64 + 1),
            references: vec![path("libc").into()],
        })
        .collect();
    nodes.push(Node {
        path: path("libc").into(),
        size: 30 * MB,
        references: vec![],
    });
    let graph = Graph::new(nodes).unwrap();
    let plan = auto(&graph, at_most(60), &Hints::default());
    assert_eq!(plan.len(), 9);
    // Three layers: libc, and on top of it the largest root alone and the others together.
    let plan = auto(&graph, at_most(3), &Hints::default());
    let sizes: Vec<usize> = plan.iter().map(|layer| layer.paths.len()).collect();
    let largest = graph.find(&name(7)).unwrap();
    assert_eq!(plan[0].paths, [graph.find(&path("libc")).unwrap()]);
    assert_eq!(
        (plan.len(), plan[places(&plan, largest)].paths.len()),
        (3, 1),
        "{sizes:?}"
    );
}

#[test]
fn hints_are_heeded() {
    let graph = web_application();
    let library = |number: u32| graph.find(&path(&format!("library{number}"))).unwrap();
    let hints = Hints {
        stable: vec![library(3), library(17)],
        volatile: vec![library(5)],
        together: vec![vec![library(7), library(25)]],
        alone: vec![library(13)],
    };
    let plan = auto(&graph, at_most(10), &hints);
    let of = |number| &plan[places(&plan, library(number))];
    assert!(of(3).paths.iter().all(|path| hints.stable.contains(path)));
    assert_eq!(places(&plan, library(3)), 0);
    assert!(places(&plan, library(5)) >= plan.len() - 2);
    assert_eq!(of(7), of(25));
    assert_eq!(of(13).reason, Reason::AskedAlone);
}

/// What several images have and is small enough to be merged is merged alike, so that it is sent once.
#[test]
fn fleets_share_layers() {
    let image = |image: usize| {
        let own = path(&format!("application{image}"));
        let common = |number: usize| path(&format!("common{number:02}"));
        let private = |number: usize| path(&format!("private{image}x{number}"));
        let leaf = |name: String| Node {
            path: name.into(),
            size: 3 * MB,
            references: vec![],
        };
        let mut nodes: Vec<Node<'_>> = (0..30).map(|number| leaf(common(number))).collect();
        nodes.extend((0..20 * image).map(|number| leaf(private(number))));
        let references = nodes.iter().map(|node| node.path.clone()).collect();
        nodes.push(Node {
            path: own.into(),
            size: MB,
            references,
        });
        Graph::new(nodes).unwrap()
    };
    let graphs = [image(0), image(1), image(2)];
    let members: Vec<Vec<u32>> = graphs.iter().map(|graph| graph.all().collect()).collect();
    let hints = Hints::default();
    let requests: Vec<Request<'_>> = graphs
        .iter()
        .zip(&members)
        .map(|(graph, members)| Request {
            graph,
            members,
            roots: &[],
            budget: at_most(12),
            previous: &[],
            alongside: &[],
            hints: &hints,
        })
        .collect();
    let sent_twice = |plans: &[Vec<PlannedLayer>]| -> u64 {
        let mut layers = std::collections::BTreeSet::new();
        let mut paths = std::collections::BTreeSet::new();
        let mut bytes = 0;
        for (graph, layer) in graphs
            .iter()
            .zip(plans)
            .flat_map(|(graph, plan)| plan.iter().map(move |layer| (graph, layer)))
        {
            let names: Vec<&str> = layer.paths.iter().map(|path| graph.path(*path)).collect();
            let has_been_sent = !layers.insert(names);
            for path in layer.paths.iter().filter(|_| !has_been_sent) {
                bytes += if paths.insert(graph.path(*path)) {
                    0
                } else {
                    graph.size(*path)
                };
            }
        }
        bytes
    };
    let alone: Vec<Vec<PlannedLayer>> = requests
        .iter()
        .map(|request| layers(StrategyName::Auto, request))
        .collect();
    assert!(sent_twice(&alone) > 0);
    assert_eq!(sent_twice(&fleet(&requests)), 0);
}

/// Of paths that differ in nothing but their size the small ones share a layer, whatever they are called.
#[test]
fn large_paths_are_spared_company() {
    for large in 0..8 {
        let name = |number: usize| path(&format!("leaf{number}"));
        let mut nodes: Vec<Node<'_>> = (0..8)
            .map(|number| Node {
                path: name(number).into(),
                size: if number == large { 90 * MB } else { MB },
                references: vec![],
            })
            .collect();
        let references = nodes.iter().map(|node| node.path.clone()).collect();
        let application = path("application").into();
        nodes.push(Node {
            path: application,
            size: MB,
            references,
        });
        let graph = Graph::new(nodes).unwrap();
        let plan = auto(&graph, at_most(3), &Hints::default());
        let large = graph.find(&name(large)).unwrap();
        assert_eq!(plan[places(&plan, large)].paths, [large]);
    }
}

fn auto_after(graph: &Graph, previous: &[Vec<u32>], alongside: &[Vec<u32>]) -> Vec<PlannedLayer> {
    let members: Vec<u32> = graph.all().collect();
    let request = Request {
        graph,
        members: &members,
        roots: &[],
        budget: at_most(12),
        previous,
        alongside,
        hints: &Hints::default(),
    };
    layers(StrategyName::Auto, &request)
}

/// Two tiny paths of different layers of the plan made anew, exchanged.
#[test]
fn layers_of_the_plan_before_stay_unless_they_cost_much() {
    let graph = web_application();
    let anew = auto_after(&graph, &[], &[]);
    let mut previous: Vec<Vec<u32>> = anew.iter().map(|layer| layer.paths.clone()).collect();
    let several = previous.iter_mut().filter(|layer| layer.len() > 1);
    let [one, other, ..] = &mut *several.collect::<Vec<_>>() else {
        panic!("{anew:?}");
    };
    let place = |layer: &[u32]| {
        let places = (0..layer.len()).min_by_key(|place| graph.size(layer[*place]));
        places.unwrap()
    };
    let places = (place(one), place(other));
    std::mem::swap(&mut one[places.0], &mut other[places.1]);
    one.sort_unstable();
    other.sort_unstable();
    let exchanged = [one.clone(), other.clone()];
    let kept = auto_after(&graph, &previous, &[]);
    for layer in &exchanged {
        let found = kept.iter().find(|own| own.paths == *layer);
        assert_eq!(
            found.map(|own| &own.reason),
            Some(&Reason::Kept),
            "{kept:?}"
        );
    }
    // Everything in one layer was a plan, too, and a bad one.
    let all = graph.all().collect();
    assert_eq!(auto_after(&graph, &[all], &[]), anew);
}

#[test]
fn layers_of_other_images_are_adopted_where_that_costs_little() {
    let graph = web_application();
    let library = |number: u32| graph.find(&path(&format!("library{number}"))).unwrap();
    let mut little = vec![library(23), library(36)];
    little.sort_unstable();
    let plan = auto_after(&graph, &[], &[little.clone()]);
    let layer = &plan[places(&plan, little[0])];
    assert_eq!((&layer.paths, &layer.reason), (&little, &Reason::Adopted));
    // The application is in no layer that another image has by accident.
    let much: Vec<u32> = graph.all().collect();
    assert!(auto_after(&graph, &[], &[much]).len() > 1);
}
