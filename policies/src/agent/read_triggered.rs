//! Read-triggered: levels are merged once reads have paid for it, and level 0 at one run while
//! reads dominate.
//!
//! Source: read-triggered compaction of LevelDB, Pebble and RocksDB: a merge of a byte moves
//! 2 (1 + F) bytes, each read of a run that could have been spared costs (1 - h) B, so the merge is
//! due at r = 2 (1 + F) / ((1 - h) B) reads a byte (ski rental: at most twice the best cost).
//! State: bytes of needless reads since the last merge; the trigger found at the start.
//! Cost: O(tables + levels^2) a window.
//! Invariants: the device reads of needless probes since the last merge are at least the bytes that
//! a merge moves. Run limits stay as they are. The trigger returns when writes return.
//! Weak where: reads change their place: the levels that were read are merged, not those that will
//! be.

use super::merges::{self, Candidate};
use super::setting::{Bounds, Hand};
use super::{Agent, Build, Decision};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{TreeShape, WindowStats};
use crate::mix::Watch;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "read-triggered",
    about: "merges that reads have paid for; level 0 at one run while reads dominate",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let params: Params = params(spec)?;
        in_range(spec, "reads", params.reads, 0.0..=1.0)?;
        in_range(spec, "block", params.block, 1..=1 << 20)?;
        in_range(spec, "rent", params.rent, 0.0..=1000.0)?;
        Ok(Box::new(ReadTriggered {
            params,
            rent: 0.0,
            configured: None,
            watch: Watch::default(),
            hand: Hand::new(Bounds {
                ratio: u32::MAX,
                level0_max: u32::MAX,
            }),
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The share of reads at which level 0 is merged at one run (0 to 1).
    reads: f64,
    /// B: bytes of a data block (1 to 1048576).
    block: u32,
    /// How many times the merge's bytes reads must have paid (0 to 1000).
    rent: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            reads: 0.7,
            block: 4096,
            rent: 1.0,
        }
    }
}

struct ReadTriggered {
    params: Params,
    /// Bytes of needless reads, for each run that was there, since the last merge.
    rent: f64,
    /// The trigger of level 0 before the first change.
    configured: Option<u32>,
    watch: Watch,
    hand: Hand,
}

impl ReadTriggered {
    /// Bytes that this window's reads took from the device for each run they could have been
    /// spared: a scan needs a block of every run, a point read one for each false positive.
    fn needless(&self, window: &WindowStats, runs: usize) -> f64 {
        let missed = |hits: u64, misses: u64| match hits as f64 + misses as f64 {
            0.0 => 0.0,
            all => misses as f64 / all,
        };
        let scans = window.scans as f64 * missed(window.scan_hits, window.scan_misses);
        let gets = window.filter_false_positives as f64 / runs.max(1) as f64
            * missed(
                window.block_hits.saturating_sub(window.scan_hits),
                window.block_misses.saturating_sub(window.scan_misses),
            );
        (scans + gets) * f64::from(self.params.block)
    }

    /// The merge that most bytes of rent are paid for.
    fn due(&self, tree: &TreeShape) -> Option<Candidate> {
        let unpaid = 2.0 * self.params.rent;
        let paid = |it: &Candidate| it.fewer as f64 * self.rent - unpaid * it.bytes as f64;
        let due = merges::candidates(tree)
            .into_iter()
            .filter(|it| paid(it) >= 0.0 && self.rent > 0.0);
        due.max_by(|a, b| paid(a).total_cmp(&paid(b)))
    }
}

impl Agent for ReadTriggered {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        self.hand.begin(window);
        self.watch.see(window);
        let configured = *self.configured.get_or_insert(tree.level0_runs_trigger);
        if window.operations() > 0 {
            let reads = 1.0 - self.watch.mix().writes;
            if reads >= self.params.reads {
                self.hand.set_level0(1, tree, "reads-dominate");
            } else if configured > 0 {
                self.hand.set_level0(configured, tree, "writes-are-back");
            }
        }
        self.rent += self.needless(window, merges::runs(tree));
        if let Some(merge) = self.due(tree) {
            self.rent = 0.0;
            self.hand.merge(merge, "reads-paid");
        }
        self.hand.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Action;

    fn tree() -> TreeShape {
        "trigger 4\nL0 9[1-9]=50000\nL0 8[1-9]=50000\nL1 7[1-9]=300000"
            .parse()
            .unwrap()
    }

    fn window(scans: u64, writes: u64) -> WindowStats {
        WindowStats {
            scans,
            writes,
            scan_misses: scans,
            block_misses: scans,
            ..WindowStats::default()
        }
    }

    fn run(windows: &[WindowStats]) -> Vec<Vec<Action>> {
        let mut agent = (ENTRY.build)(0, &PolicySpec::named("read-triggered")).unwrap();
        windows
            .iter()
            .map(|window| {
                let decisions = agent.step(window, &tree());
                decisions.into_iter().map(|it| it.action).collect()
            })
            .collect()
    }

    #[test]
    fn a_merge_is_due_when_reads_have_paid_its_bytes() {
        // Three runs become one for 800,000 bytes: 400,000 of rent for each run less, 98 blocks.
        let steps = run(&[window(20, 80), window(28, 72), window(49, 102)]);
        assert!(steps.iter().all(Vec::is_empty), "{steps:?}");
        let steps = run(&[window(99, 901), window(10, 90), window(1, 99)]);
        assert_eq!(steps[0], [Action::Merge { from: 0, to: 1 }]);
        assert_eq!(steps[1], [], "the rent begins again");
    }

    #[test]
    fn level_zero_is_one_run_while_reads_dominate() {
        let steps = run(&[window(0, 10), window(9, 1), window(9, 1), window(1, 9)]);
        let set = |runs| Action::SetLevel0Trigger { runs };
        assert_eq!(steps, [vec![], vec![set(1)], vec![], vec![set(4)]]);
    }
}
