//! Merges that pay: which levels to merge at once, for reads to come.
//!
//! Source: ArceKV's score, "long-term gain of fewer runs minus the price of the merge" (PVLDB
//! 19(5), 2026), and EcoTune's view of compaction as an investment (SIGMOD 2025).

use super::cost::cost_of_a_run;
use super::setting::Hand;
use crate::facts::{TreeShape, WindowStats};
use crate::mix::Watch;
use crate::referee::Referee;

/// The share of writes below which limits do not act, because nothing moves.
const QUIET: f64 = 0.05;

/// The runs of `from..=to` as one run of `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Bytes that are read, and about as many that are written.
    pub(super) bytes: u64,
    /// By how many the number of runs falls.
    pub(super) fewer: usize,
}

impl Candidate {
    /// Gain minus price, if a run less is worth `value` and a byte costs `price`.
    pub(super) fn score(&self, value: f64, price: f64) -> f64 {
        self.fewer as f64 * value - 2.0 * self.bytes as f64 * price
    }
}

/// Sorted runs that hold a table, in all levels.
pub(super) fn runs(tree: &TreeShape) -> usize {
    (0..tree.levels.len())
        .map(|level| runs_of(tree, level))
        .sum()
}

/// Sorted runs of `level` that hold a table.
pub(super) fn runs_of(tree: &TreeShape, level: usize) -> usize {
    let runs = tree.levels.get(level).map_or(&[][..], |level| &level.runs);
    runs.iter().filter(|run| !run.tables.is_empty()).count()
}

/// All merges of neighbouring levels that lower the number of runs and meet no busy table.
/// O(tables + levels^2).
pub(super) fn candidates(tree: &TreeShape) -> Vec<Candidate> {
    let deepest = tree.deepest();
    let is_busy = |level: usize| {
        let runs = &tree.levels[level].runs;
        let mut tables = runs.iter().flat_map(|run| &run.tables);
        tables.any(|table| tree.busy.contains(&table.id))
    };
    let busy: Vec<bool> = (0..tree.levels.len()).map(is_busy).collect();
    let levels: Vec<(usize, u64)> = (0..tree.levels.len())
        .map(|level| (runs_of(tree, level), tree.levels[level].bytes()))
        .collect();
    let mut candidates = Vec::new();
    for from in 0..levels.len().min(deepest + 1) {
        let (mut all, mut bytes) = (0, 0_u64);
        for to in from..=deepest {
            if busy[to] {
                break;
            }
            all += levels[to].0;
            bytes = bytes.saturating_add(levels[to].1);
            // A level without runs at either end names the merge of the levels between.
            if to >= 1 && all >= 2 && levels[from].0 > 0 && levels[to].0 > 0 {
                let fewer = all - 1;
                candidates.push(Candidate {
                    from,
                    to,
                    bytes,
                    fewer,
                });
            }
        }
        // Runs of level 0 alone can only leave it.
        if from == 0 && deepest == 0 && !busy[0] && all >= 2 {
            let fewer = all - 1;
            candidates.push(Candidate {
                from,
                to: 1,
                bytes,
                fewer,
            });
        }
    }
    candidates
}

/// The merge with the largest score above 0. Of equal scores, the first in the order of levels
/// wins.
pub(super) fn best(tree: &TreeShape, value: f64, price: f64) -> Option<Candidate> {
    let mut best: Option<(f64, Candidate)> = None;
    for candidate in candidates(tree) {
        let score = candidate.score(value, price);
        if score > best.map_or(0.0, |(most, _)| most) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Asks for the merge that pays until the expected end of the mix, in a tree that is hardly written
/// to. Elsewhere limits do the work.
pub(super) fn for_reads(
    hand: &mut Hand,
    window: &WindowStats,
    tree: &TreeShape,
    watch: &Watch,
    referee: &Referee,
) {
    if watch.mix().writes >= QUIET || window.operations() == 0 {
        return;
    }
    let value = cost_of_a_run(window, runs(tree)) * watch.windows_left(window);
    if let Some(merge) = best(tree, value, referee.price()) {
        hand.merge(merge, "reads-pay-for-merge");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> TreeShape {
        "L0 9[1-9]=10\nL0 8[1-9]=10\nL1 7[1-9]=100\nL1 6[1-9]=100\nL2 5[1-9]=1000"
            .parse()
            .unwrap()
    }

    fn named(candidate: Option<Candidate>) -> Option<(usize, usize)> {
        candidate.map(|it| (it.from, it.to))
    }

    #[test]
    fn the_more_a_run_costs_the_deeper_the_merge() {
        let best = |value| named(best(&tree(), value, 1.0));
        assert_eq!(best(10.0), None);
        assert_eq!(best(150.0), Some((0, 1)), "three runs less for 440 bytes");
        assert_eq!(best(3000.0), Some((0, 2)), "one more for 2,000");
    }

    #[test]
    fn every_candidate_lowers_the_number_of_runs() {
        let found: Vec<_> = candidates(&tree())
            .iter()
            .map(|it| (it.from, it.to, it.bytes, it.fewer))
            .collect();
        assert_eq!(
            found,
            [
                (0, 1, 220, 3),
                (0, 2, 1220, 4),
                (1, 1, 200, 1),
                (1, 2, 1200, 2)
            ]
        );
        let level0: TreeShape = "L0 2[1-9]=1\nL0 1[1-9]=1".parse().unwrap();
        assert_eq!(named(best(&level0, 10.0, 1.0)), Some((0, 1)));
        let one: TreeShape = "L1 1[1-9]=1".parse().unwrap();
        assert_eq!(candidates(&one), []);
        assert_eq!(candidates(&TreeShape::default()), []);
    }

    #[test]
    fn levels_at_work_are_left_alone() {
        let busy: TreeShape = "L0 2[1-9]=1\nL0 1[1-9]=1\nL1 3*[1-9]=5".parse().unwrap();
        assert_eq!(candidates(&busy), []);
    }
}
