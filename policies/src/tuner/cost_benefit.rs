//! Cost-benefit: a table is trained where the look-ups of the level's past tables were worth it.
//!
//! Source: the cost-benefit analyzer of Dai et al., "From WiscKey to Bourbon", OSDI 2020, with the
//! thresholds of its code: score = (time saved by a look-up that finds * such look-ups a table +
//! the same for those that do not find) / table bytes, and a table is learned above 10 ns a byte.
//! Variant: Bourbon trains a file that has lived for the waiting time. Here a table is trained when
//! it is built, or not at all if the mean life of the level's dead tables is below the waiting
//! time. Bourbon times look-ups. Here counts are priced, so that a simulation decides like a real
//! machine, and there is no minimum of timed look-ups.
//! State: none; all facts come with the call.
//! Cost: O(kinds of index on the level) a table.
//! Invariants: the answer is the configured index, or the one that trains nothing.
//! Weak where: the workload changes, since dead tables describe the past.

use super::{
    Build, IndexChoice, IndexFacts, IndexReason, IndexTuner, Observed, Prices, ratio, untrained,
};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "cost-benefit",
    about: "trains where the look-ups of a level's past tables were worth it (Bourbon, OSDI 2020)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let params: Params = params(spec)?;
        params.prices().check(spec)?;
        in_range(spec, "threshold", params.threshold, 0.0..)?;
        Ok(Box::new(CostBenefit { params }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Mean life, in milliseconds, below which the tables of a level are not trained.
    wait_millis: u64,
    /// Nanoseconds saved for each byte of a table above which it is trained (0 or more).
    threshold: f64,
    /// Dead tables of levels 0, 1, ... below which a level's tables are trained anyway. The last
    /// number holds for all deeper levels; an empty list means 0.
    bootstrap: Vec<u64>,
    /// Look-ups of a kind (that found, or did not) below which the kind is ignored.
    lookups_min: u64,
    /// Nanoseconds of one step of the search over fence pointers (0 or more).
    comparison_nanos: f64,
    /// Nanoseconds in which a model answers (0 or more).
    model_nanos: f64,
    /// Nanoseconds of examining another data block (0 or more).
    block_nanos: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            wait_millis: 50,
            threshold: 10.0,
            bootstrap: vec![10, 20, 20, 20, 20, 500, 500],
            lookups_min: 500,
            comparison_nanos: 8.0,
            model_nanos: 20.0,
            block_nanos: 500.0,
        }
    }
}

impl Params {
    fn prices(&self) -> Prices {
        Prices {
            comparison_nanos: self.comparison_nanos,
            model_nanos: self.model_nanos,
            block_nanos: self.block_nanos,
        }
    }
}

struct CostBenefit {
    params: Params,
}

impl CostBenefit {
    /// Nanoseconds that a model saves over a table's life, for each byte of the table.
    fn score(&self, facts: &IndexFacts<'_>, dead: &Observed) -> f64 {
        let prices = self.params.prices();
        let saved = prices.halving(dead)
            - prices.model_nanos
            - prices.block_nanos * facts.of(facts.configured).extra_probes();
        let counted = [dead.found, dead.absent]
            .into_iter()
            .filter(|lookups| *lookups >= self.params.lookups_min);
        saved * counted.sum::<u64>() as f64 / (dead.table_bytes.max(1) as f64)
    }
}

impl IndexTuner for CostBenefit {
    fn choose(&self, facts: &IndexFacts<'_>) -> IndexChoice {
        let Params {
            bootstrap,
            wait_millis,
            threshold,
            ..
        } = &self.params;
        let dead = facts.dead();
        let enough = bootstrap
            .get(facts.level)
            .or(bootstrap.last())
            .copied()
            .unwrap_or(0);
        if dead.tables < enough {
            return IndexChoice::configured(facts, IndexReason::Bootstrap);
        }
        if dead.tables > 0 && ratio(dead.life_nanos, dead.tables) < *wait_millis as f64 * 1e6 {
            return IndexChoice {
                index: untrained(),
                reason: IndexReason::ShortLived,
            };
        }
        if self.score(facts, &dead) > *threshold {
            return IndexChoice::configured(facts, IndexReason::Pays);
        }
        IndexChoice {
            index: untrained(),
            reason: IndexReason::DoesNotPay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::KindFacts;
    use super::*;

    fn choose(level: usize, dead: Observed) -> (bool, IndexReason) {
        let configured = PolicySpec::named("learned");
        let tuner = (ENTRY.build)(&PolicySpec::named("cost-benefit")).unwrap();
        let kinds = [KindFacts {
            index: "learned".to_owned(),
            dead,
            live: Observed::default(),
        }];
        let choice = tuner.choose(&IndexFacts {
            level,
            deepest: 6,
            configured: &configured,
            kinds: &kinds,
        });
        (choice.index == configured, choice.reason)
    }

    /// Twenty dead tables of 1 MB and 256 blocks: a model saves 8 * 8 - 20 = 44 ns a look-up.
    fn twenty() -> Observed {
        Observed {
            tables: 20,
            blocks: 20 * 256,
            table_bytes: 20_000_000,
            life_nanos: 20 * 60_000_000,
            ..Observed::default()
        }
    }

    #[test]
    fn a_level_is_trained_until_enough_of_its_tables_have_died() {
        assert_eq!(
            choose(
                0,
                Observed {
                    tables: 9,
                    ..twenty()
                }
            ),
            (true, IndexReason::Bootstrap)
        );
        assert_eq!(
            choose(
                1,
                Observed {
                    tables: 19,
                    ..twenty()
                }
            ),
            (true, IndexReason::Bootstrap)
        );
        assert_eq!(choose(1, twenty()), (false, IndexReason::DoesNotPay));
        assert_eq!(choose(5, twenty()), (true, IndexReason::Bootstrap));
        assert_eq!(choose(60, twenty()), (true, IndexReason::Bootstrap));
    }

    #[test]
    fn short_lives_and_few_look_ups_are_not_worth_it() {
        let short = Observed {
            life_nanos: 20 * 49_000_000,
            found: 1 << 40,
            probes: 1 << 40,
            ..twenty()
        };
        assert_eq!(choose(1, short), (false, IndexReason::ShortLived));
        // 44 ns * look-ups / 20 MB > 10 ns a byte from 4,545,455 look-ups on.
        let asked = |found| {
            choose(
                1,
                Observed {
                    found,
                    probes: found,
                    ..twenty()
                },
            )
        };
        assert_eq!(asked(4_545_454), (false, IndexReason::DoesNotPay));
        assert_eq!(asked(4_545_455), (true, IndexReason::Pays));
        let rare = Observed {
            found: 4_545_000,
            absent: 499,
            probes: 4_545_499,
            ..twenty()
        };
        assert_eq!(
            choose(1, rare),
            (false, IndexReason::DoesNotPay),
            "499 look-ups of a kind are ignored"
        );
        let both = Observed {
            found: 4_545_000,
            absent: 500,
            probes: 4_545_500,
            ..twenty()
        };
        assert_eq!(choose(1, both), (true, IndexReason::Pays));
    }

    #[test]
    fn examining_further_blocks_can_cost_more_than_a_model_saves() {
        let wide = Observed {
            found: 1 << 40,
            probes: (1 << 40) + (1 << 37),
            ..twenty()
        };
        assert_eq!(
            choose(1, wide),
            (false, IndexReason::DoesNotPay),
            "an eighth of 500 ns is more than 44 ns"
        );
    }
}
