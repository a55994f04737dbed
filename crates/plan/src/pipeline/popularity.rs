//! `popularity_contest`: each path alone, in the order of how much depends on it.
//!
//! A path's score is the sum, over itself and all paths that need it directly or not, of the ways that lead to
//! each of those from the paths that nothing refers to. So it counts for each level above a path how often
//! that level occurs, were the graph spelled out as a tree.
//!
//! With the references A → B, A → G, B → C, B → E, C → D, C → E, D → F and E → F, one way leads to each of A,
//! B, C, D and G, two to E (over B and over C), and three to F. F needs all but G above it: 1 + 1 + 1 + 1 + 2 + 3
//! = 9. E has A, B, C and itself: 5. D has 4, C 3, B 2, G 2, A 1.

use std::cmp::Reverse;

use super::count::Count;
use super::graph::Graph;
use super::value::Value;

/// How many numbers a mask of a block has. Each block is a walk over all references, which takes most of the time.
const WORDS: usize = 8;

/// How many paths' users are looked for at once: the bits of a mask.
const BLOCK: usize = WORDS * u64::BITS as usize;

/// Which paths of a block a path is or is needed by.
type Mask = [u64; WORDS];

/// Each path alone, that with the highest score first; equal ones by name, then by hash.
pub(super) fn contest(graph: Graph<'_>) -> Value<'_> {
    let scores = scores(&graph);
    let mut order: Vec<usize> = (0..graph.len()).collect();
    order.sort_by_cached_key(|place| {
        let base = graph.paths()[*place].base_name();
        let (hash, name) = base.split_once('-').unwrap_or(("", base));
        (Reverse(scores[*place]), format!("{name}-{hash}"))
    });
    let mut rank = vec![0; graph.len()];
    for (number, place) in order.iter().enumerate() {
        rank[*place] = number;
    }
    let count = graph.len();
    Value::list(graph.divide(&rank, count))
}

/// The score of each path. Paths that circles lead to, which Nix does not make, have 0.
fn scores(graph: &Graph<'_>) -> Vec<Count> {
    let order = users_first(graph);
    let mut position = vec![None; graph.len()];
    for (number, place) in order.iter().enumerate() {
        position[*place] = Some(number);
    }
    // From here on, paths are called by their position: references lead to later ones.
    let references: Vec<Vec<u32>> = order
        .iter()
        .map(|place| graph.references()[*place].iter())
        .map(|references| references.filter_map(|place| position[*place]))
        .map(|references| {
            references
                .filter_map(|place| u32::try_from(place).ok())
                .collect()
        })
        .collect();
    let ways = ways(&references);
    let mut sums = vec![Count::ZERO; order.len()];
    let mut masks = vec![Mask::default(); order.len()];
    for start in (0..order.len()).step_by(BLOCK) {
        // Those before the block are needed by none of it.
        let sums_of_block = SumsOfBlock::new(&ways[start..order.len().min(start + BLOCK)]);
        masks[start..].fill(Mask::default());
        for own in start..order.len() {
            if own - start < BLOCK {
                let bit = own - start;
                masks[own][bit / u64::BITS as usize] |= 1 << (bit % u64::BITS as usize);
            }
            let mask = masks[own];
            if mask != Mask::default() {
                sums[own] = sums[own].plus(sums_of_block.get(&mask));
                for reference in &references[own] {
                    let of_reference = &mut masks[*reference as usize];
                    for (word, own) in of_reference.iter_mut().zip(mask) {
                        *word |= own;
                    }
                }
            }
        }
    }
    let score = |position: Option<usize>| position.map_or(Count::ZERO, |position| sums[position]);
    position.into_iter().map(score).collect()
}

/// All sums of some of the numbers of a block, a byte of the mask at a time: every path asks for one.
struct SumsOfBlock {
    of_bytes: Vec<[Count; 1 << u8::BITS]>,
}

impl SumsOfBlock {
    fn new(numbers: &[Count]) -> Self {
        let of_byte = |numbers: &[Count]| {
            let mut sums = [Count::ZERO; 1 << u8::BITS];
            for (bit, number) in numbers.iter().enumerate() {
                // Those with this bit as their highest one are those below with the number added.
                for without in 0..1 << bit {
                    sums[without | 1 << bit] = sums[without].plus(*number);
                }
            }
            sums
        };
        let bytes = numbers.chunks(u8::BITS as usize);
        Self {
            of_bytes: bytes.map(of_byte).collect(),
        }
    }

    /// The sum of the numbers whose bits are set.
    fn get(&self, mask: &Mask) -> Count {
        let bytes = mask.iter().flat_map(|word| word.to_le_bytes());
        let bytes = bytes.zip(&self.of_bytes);
        let set = bytes.filter(|(byte, _)| *byte != 0);
        set.fold(Count::ZERO, |sum, (byte, sums)| {
            sum.plus(sums[usize::from(byte)])
        })
    }
}

/// How many ways lead to each path from those that nothing refers to; for those it is one.
fn ways(references: &[Vec<u32>]) -> Vec<Count> {
    let mut has_users = vec![false; references.len()];
    for reference in references.iter().flatten() {
        has_users[*reference as usize] = true;
    }
    let of_root = |has_users: &bool| Count::new(u128::from(!has_users));
    let mut ways: Vec<Count> = has_users.iter().map(of_root).collect();
    for (own, references) in references.iter().enumerate() {
        let passed_on = ways[own];
        for reference in references {
            let of_reference = &mut ways[*reference as usize];
            *of_reference = of_reference.plus(passed_on);
        }
    }
    ways
}

/// The places of paths, each behind all that refer to it; without those that circles lead to.
fn users_first(graph: &Graph<'_>) -> Vec<usize> {
    let mut users: Vec<usize> = graph.users().iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..graph.len())
        .filter(|place| users[*place] == 0)
        .collect();
    let mut next = 0;
    while let Some(place) = order.get(next) {
        for reference in &graph.references()[*place] {
            users[*reference] -= 1;
            if users[*reference] == 0 {
                order.push(*reference);
            }
        }
        next += 1;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::super::tests::parse;
    use super::*;

    fn scores_of(graph: &str) -> Vec<Count> {
        let closure = parse(graph);
        let members = closure.iter().map(|(path, _)| path).collect();
        scores(&Graph::new(&closure, &members))
    }

    #[test]
    fn scores_are_those_of_the_examples() {
        let graph = "A>B A>G B>C B>E C>D C>E D>F E>F";
        let of_a_to_g = [1, 2, 3, 4, 5, 9, 2].map(Count::new);
        assert_eq!(scores_of(graph), of_a_to_g);
        let graph = "R1>A R2>B R3>C A>B A>C B>D B>E B>G E>F";
        let of_a_to_g_and_roots = [2, 5, 5, 7, 7, 9, 7, 1, 1, 1].map(Count::new);
        assert_eq!(scores_of(graph), of_a_to_g_and_roots);
    }

    /// More paths than a block has.
    #[test]
    fn scores_of_a_chain_go_up_by_one() {
        let edges: Vec<String> = (0..1199)
            .map(|n| format!("n{n:04}>n{:04}", n + 1))
            .collect();
        let expected: Vec<Count> = (1..=1200).map(Count::new).collect();
        assert_eq!(scores_of(&edges.join(" ")), expected);
    }
}
