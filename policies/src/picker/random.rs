//! Random: any table of the level, each as likely as the others.
//!
//! Source: the baseline of Sarkar et al., "Constructing and Analyzing the LSM Compaction Design
//! Space", PVLDB 14(11), 2021.
//! State: for each level, how many of its tables were moved.
//! Cost: O(log levels) a partial compaction.
//! Invariants: the choice follows from the seed, the level and the number of moves from it, so
//! asking draws nothing.
//! Weak where: anything is known of the tables, which makes it the baseline.

use std::collections::BTreeMap;

use super::{Build, Candidates, Picker};
use crate::PolicySpec;
use crate::entry::{Entry, describe, params};
use crate::facts::TableFacts;
use crate::splitmix::{SplitMix64, remix};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "random",
    about: "any table, drawn from a seed: the baseline",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { seed } = params(spec)?;
        let moves = BTreeMap::new();
        Ok(Box::new(Random { seed, moves }))
    },
};

#[derive(Debug, Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// What the choices are drawn from (0 to 2^63 - 1).
    seed: u64,
}

struct Random {
    seed: u64,
    moves: BTreeMap<usize, u64>,
}

impl Picker for Random {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let level = candidates.level as u64;
        let moves = self.moves.get(&candidates.level).copied().unwrap_or(0);
        let mixed = remix(remix(remix(self.seed) ^ level) ^ moves);
        SplitMix64::new(mixed).below(candidates.tables.len())
    }

    fn on_moved(&mut self, level: usize, _table: &TableFacts) {
        *self.moves.entry(level).or_default() += 1;
    }
}
