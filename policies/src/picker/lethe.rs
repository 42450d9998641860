//! Lethe: a deadline by which deletes take effect on disk, shared out over the levels.
//!
//! Source: Sarkar et al., "Lethe: A Tunable Delete-Aware LSM Engine", SIGMOD 2020 (FADE). The level
//! below another gets `ratio` times its share of the deadline; the shares of all levels above the
//! deepest add up to the deadline. A table whose oldest tombstone is older than the shares of its
//! level and of those above it is overdue: it moves on, though its level may not be full.
//! Variant: age is counted in sequence numbers, that is in writes, up to the newest entry in a
//! table. Lethe counts seconds. A tombstone that has reached the deepest level without meeting what
//! it deletes is dropped there, by rewriting its table in place, once the deadline is over. Range
//! deletes, which lie in no table, have no deadline.
//! State: none.
//! Cost: O(tables) a plan; O(tables of the level and of the next) a partial compaction.
//! Invariants: when nothing is due, no tombstone is older than the deadline, unless a snapshot
//! needs it. Of the candidates, the one with the oldest tombstone wins among those whose share is
//! over; if there is no such table, the least overlap with the next level wins.
//! Weak where: little is deleted and the deadline is short: each stray tombstone moves a table.
//! After the database was opened, the age of a table's oldest tombstone is taken to be that of its
//! oldest entry until the table is rewritten.

use super::min_overlap::least_overlap;
use super::{Asks, Build, Candidates, Picker, Waiting};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "lethe",
    about: "no tombstone outlives a deadline; else the least overlap (Lethe, SIGMOD 2020)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { deadline, ratio } = params(spec)?;
        in_range(spec, "deadline", deadline, 1..)?;
        in_range(spec, "ratio", ratio, 1..=100)?;
        Ok(Box::new(Lethe { deadline, ratio }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The age at which a tombstone must be gone, in sequence numbers (at least 1): each put and
    /// each delete is one.
    deadline: u64,
    /// How many times longer tombstones may stay in a level than in the one above (1 to 100). The
    /// ratio of the layout is a good choice.
    ratio: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            deadline: 1_000_000,
            ratio: 10,
        }
    }
}

struct Lethe {
    deadline: u64,
    ratio: u32,
}

impl Lethe {
    /// The age up to which tombstones may be in `level` or above, if `deepest` is the deepest
    /// level.
    fn age_max(&self, level: usize, deepest: usize) -> u64 {
        if level + 1 >= deepest {
            return self.deadline;
        }
        // The shares of the levels above the deepest, as multiples of the smallest.
        let mut share = 1.0;
        let mut sum = 0.0;
        let mut upto = 0.0;
        for above in 0..deepest {
            sum += share;
            if above <= level {
                upto += share;
            }
            share *= f64::from(self.ratio);
        }
        (self.deadline as f64 * upto / sum) as u64
    }
}

impl Picker for Lethe {
    fn pick(&self, candidates: &Candidates<'_>) -> usize {
        let Candidates {
            level,
            tables,
            tree,
            ..
        } = *candidates;
        let age_max = self.age_max(level, tree.deepest());
        let now = tree.newest_sequence();
        let is_over = |written: &u64| now.saturating_sub(*written) > age_max;
        let overdue = tables.iter().enumerate().filter_map(|(index, table)| {
            let written = tree.oldest_deletion(table).filter(is_over)?;
            Some((written, index))
        });
        let oldest = overdue.min();
        oldest.map_or_else(|| least_overlap(candidates), |(_, index)| index)
    }

    fn asks(&self) -> Asks {
        Asks::Deletions
    }

    fn is_overdue(&self, waiting: &Waiting<'_>) -> bool {
        waiting.age > self.age_max(waiting.level, waiting.deepest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_by_the_ratio_and_add_up_to_the_deadline() {
        let lethe = Lethe {
            deadline: 1110,
            ratio: 10,
        };
        // 10 in level 0, 100 in level 1, 1000 in level 2.
        let ages = [0, 1, 2, 3, 4].map(|level| lethe.age_max(level, 3));
        assert_eq!(ages, [10, 110, 1110, 1110, 1110]);
        assert_eq!(lethe.age_max(0, 0), 1110);
        let even = Lethe { ratio: 1, ..lethe };
        assert_eq!(
            [0, 1, 2].map(|level| even.age_max(level, 3)),
            [370, 740, 1110]
        );
        let longest = Lethe {
            deadline: u64::MAX,
            ratio: 100,
        };
        assert_eq!(longest.age_max(0, 64), 0);
        assert_eq!(longest.age_max(63, 64), u64::MAX);
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let build = |name, value: u64| (ENTRY.build)(&PolicySpec::named("lethe").with(name, value));
        assert!(build("deadline", 0).is_err());
        assert!(build("ratio", 0).is_err());
        assert!(build("ratio", 101).is_err());
        assert!(build("deadline", u64::MAX).is_ok());
    }
}
