//! How the bits of all filters are shared out among the levels of the tree.
//!
//! A read of an absent key looks at each run whose filter errs, so it looks in vain at as many
//! tables as the rates of false positives add up to. The bits a key that keep this sum least for
//! the bits of the whole tree are more for small levels and fewer for the deepest.
//!
//! Source: Dayan, Athanassoulis and Idreos, "Monkey", SIGMOD 2017, with a weight for each level.
//! Only the table that is being built takes the share that is computed for it: what is written
//! already keeps its filter until a compaction rewrites it, also if it is moved to another level,
//! so that the bits of the whole tree are near the budget and not at it. That most of the gain of
//! tracking the tree all the time is left is the result of a preprint (Kunkunuru, arXiv
//! 2606.18138).
//! Cost: O(levels^2) for each table.

use super::{FilterFacts, LevelLoad};

/// How the bits of all filters are shared out.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Allocation {
    /// All keys get equally many.
    #[default]
    Uniform,
    /// More for small runs, as if every look-up went through all levels.
    Monkey,
    /// More for small runs and for levels at which look-ups often find nothing.
    ByAccess,
}

/// Fruitless look-ups for each run that access counts as seen before the first one: until reads
/// come, the runs decide.
const ASSUMED: f64 = 1000.0;

impl Allocation {
    /// Bits a key for a table with `keys` keys, at most `most`, where all keys of the tree get
    /// `bits_per_key` on average; 0 if the table should have no filter. A filter with b bits a key
    /// passes a share of exp(-b * `nats_per_bit`) of absent keys.
    pub(super) fn bits(
        self,
        bits_per_key: f64,
        most: f64,
        nats_per_bit: f64,
        keys: usize,
        facts: &FilterFacts,
    ) -> f64 {
        if self == Self::Uniform {
            return bits_per_key;
        }
        let mut levels = facts.levels.clone();
        let level = facts.level;
        if levels.len() <= level {
            levels.resize(level + 1, LevelLoad::default());
        }
        // The tree does not hold the table yet.
        levels[level].entries = levels[level].entries.max(keys as u64);
        levels[level].runs = levels[level].runs.max(1);
        let weighed = levels.iter().map(|it| (it.entries as f64, self.weight(it)));
        let rates = rates(&weighed.collect::<Vec<_>>(), bits_per_key * nats_per_bit);
        (-libm::log(rates[level]) / nats_per_bit).min(most)
    }

    /// How often a look-up asks a level in vain, on a scale of its own.
    fn weight(self, level: &LevelLoad) -> f64 {
        let runs = level.runs.max(1) as f64;
        match self {
            Self::Uniform | Self::Monkey => runs,
            Self::ByAccess => level.fruitless as f64 + ASSUMED * runs,
        }
    }
}

/// The rates of false positives that keep the sum of weight times rate least, for levels of
/// (entries, weight) whose keys get `nats` on average: p = exp(-nats) where all are equal.
///
/// A rate is proportional to entries / weight. A level that would have more than 1 gets no filter,
/// and the others share what is left. O(levels^2).
fn rates(levels: &[(f64, f64)], nats: f64) -> Vec<f64> {
    let budget = nats * levels.iter().map(|(entries, _)| entries).sum::<f64>();
    let mut rates = vec![0.0; levels.len()];
    loop {
        let filtered = || levels.iter().zip(&rates).filter(|(_, rate)| **rate < 1.0);
        let entries: f64 = filtered().map(|((entries, _), _)| entries).sum();
        let spread = filtered().map(|((entries, weight), _)| match *entries > 0.0 {
            true => entries * libm::log(entries / weight),
            false => 0.0,
        });
        let log = -(budget + spread.sum::<f64>()) / entries.max(1.0);
        let mut has_changed = false;
        for ((entries, weight), rate) in levels.iter().zip(&mut rates) {
            if *rate < 1.0 {
                *rate = (libm::exp(log) * entries / weight).min(1.0);
                has_changed |= *rate == 1.0;
            }
        }
        if !has_changed {
            return rates;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOOM: f64 = std::f64::consts::LN_2 * std::f64::consts::LN_2;

    /// Levels of `entries` with one run each.
    fn tree(entries: &[u64]) -> Vec<LevelLoad> {
        let level = |entries: &u64| LevelLoad {
            entries: *entries,
            runs: 1,
            fruitless: 0,
        };
        entries.iter().map(level).collect()
    }

    /// Bits of each level's tables.
    fn bits(allocation: Allocation, levels: &[LevelLoad], bits_per_key: f64) -> Vec<f64> {
        (0..levels.len())
            .map(|level| {
                let facts = FilterFacts {
                    level,
                    deepest: levels.len() - 1,
                    levels: levels.to_vec(),
                };
                allocation.bits(bits_per_key, 50.0, BLOOM, 1, &facts)
            })
            .collect()
    }

    /// Tables that an absent key is looked for in vain, if each look-up goes through all levels.
    fn in_vain(bits: &[f64]) -> f64 {
        bits.iter().map(|bits| libm::exp(-bits * BLOOM)).sum()
    }

    #[test]
    fn monkey_gives_the_bits_of_the_paper_s_closed_form() {
        type Row = (&'static [u64], f64, f64, f64, &'static [f64]);
        let three: &[u64] = &[1000, 10_000, 100_000];
        let four: &[u64] = &[1000, 10_000, 100_000, 1_000_000];
        let rows: [Row; 4] = [
            (three, 10.0, 0.024578, 0.011664, &[19.07, 14.27, 9.48]),
            (three, 5.0, 0.271538, 0.128867, &[14.07, 9.27, 4.48]),
            (three, 2.0, 1.147638, 0.544647, &[11.07, 6.27, 1.48]),
            (four, 1.0, 2.474013, 0.886680, &[14.85, 10.05, 5.26, 0.47]),
        ];
        for (entries, bits_per_key, uniform, monkey, expected) in rows {
            let found = bits(Allocation::Uniform, &tree(entries), bits_per_key);
            assert!((in_vain(&found) - uniform).abs() < 1e-6, "{found:?}");
            let found = bits(Allocation::Monkey, &tree(entries), bits_per_key);
            assert!((in_vain(&found) - monkey).abs() < 1e-6, "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 0.01, "{found} for {expected}");
            }
        }
    }

    #[test]
    fn the_sum_of_rates_is_never_above_that_of_equal_bits() {
        let mut draws = crate::splitmix::SplitMix64::new(3);
        // A number of up to `bits` bits, the small ones as often as the large.
        let below = |draws: &mut crate::splitmix::SplitMix64, bits: usize| {
            let bound = 1 << draws.below(bits);
            draws.below(bound) as u64
        };
        for case in 0..500 {
            let levels: Vec<LevelLoad> = (0..1 + draws.below(6))
                .map(|_| LevelLoad {
                    entries: below(&mut draws, 30),
                    runs: 1 + draws.below(5) as u64,
                    fruitless: below(&mut draws, 20),
                })
                .collect();
            let nats = 0.1 + 6.0 * draws.fraction();
            for allocation in [Allocation::Monkey, Allocation::ByAccess] {
                let weighed: Vec<_> = levels
                    .iter()
                    .map(|it| (it.entries as f64, allocation.weight(it)))
                    .collect();
                let rates = rates(&weighed, nats);
                let filled = || weighed.iter().zip(&rates).filter(|((n, _), _)| *n > 0.0);
                let used: f64 = filled().map(|((n, _), p)| -n * libm::log(*p)).sum();
                let budget: f64 = nats * filled().map(|((n, _), _)| n).sum::<f64>();
                assert!((used - budget).abs() <= 1e-9 * budget, "case {case}");
                let cost: f64 = filled().map(|((_, w), p)| w * p).sum();
                let uniform: f64 = filled().map(|((_, w), _)| w * libm::exp(-nats)).sum();
                assert!(
                    cost <= uniform * (1.0 + 1e-9),
                    "case {case}: {cost} {uniform}"
                );
            }
        }
    }

    #[test]
    fn a_level_that_reads_seldom_leave_empty_handed_gives_its_bits_to_others() {
        let mut levels = tree(&[1000, 10_000, 100_000]);
        let before = bits(Allocation::ByAccess, &levels, 4.0);
        let monkey = bits(Allocation::Monkey, &levels, 4.0);
        for (before, monkey) in before.iter().zip(&monkey) {
            assert!((before - monkey).abs() < 1e-9, "{before} {monkey}");
        }
        // Most keys exist, and lie in the deepest level.
        levels[0].fruitless = 99_000;
        levels[1].fruitless = 90_000;
        let after = bits(Allocation::ByAccess, &levels, 4.0);
        assert!(after[0] > before[0] && after[1] > before[1], "{after:?}");
        assert!(after[2] < before[2], "{after:?}");
        // Twice the access is one over the nats a bit times ln 2 more bits.
        levels[0].fruitless = 2 * 99_000 + 1000;
        let doubled = bits(Allocation::ByAccess, &levels, 4.0);
        let apart = (doubled[0] - doubled[1]) - (after[0] - after[1]);
        assert!(
            (apart - std::f64::consts::LN_2 / BLOOM).abs() < 1e-9,
            "{apart}"
        );
    }

    #[test]
    fn a_level_without_bits_has_no_filter_and_more_runs_have_more_bits() {
        let found = bits(Allocation::Monkey, &tree(&[1000, 2000]), 0.1);
        assert_eq!(found[1], 0.0);
        assert!((found[0] - 0.3).abs() < 1e-9, "all of {found:?}");
        let mut levels = tree(&[4000, 100_000]);
        let one = bits(Allocation::Monkey, &levels, 5.0);
        levels[0].runs = 4;
        let four = bits(Allocation::Monkey, &levels, 5.0);
        assert!(four[0] > one[0] + 2.0, "{one:?} {four:?}");
    }

    #[test]
    fn an_unknown_tree_is_the_table_alone() {
        let facts = FilterFacts {
            level: 3,
            deepest: 3,
            ..FilterFacts::default()
        };
        for allocation in [
            Allocation::Uniform,
            Allocation::Monkey,
            Allocation::ByAccess,
        ] {
            for keys in [0, 1, 1000] {
                let bits = allocation.bits(6.0, 50.0, BLOOM, keys, &facts);
                assert!(keys == 0 || (bits - 6.0).abs() < 1e-9, "{bits}");
            }
        }
    }
}
