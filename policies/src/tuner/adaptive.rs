//! Adaptive: for each level, the index that has cost the least for each key so far.
//!
//! Source: our own. The cost adds up, with stated prices, what surveys of learned indexes report
//! side by side: look-up time, blocks touched, training and memory.
//!
//! ```text
//! cost a key = look-ups a key * (search + further blocks * block price) + training + bytes *
//! seconds lived * memory price
//! ```
//!
//! State: none; all facts come with the call.
//! Cost: O(candidates * kinds of index on the level) a table.
//! Invariants: the answer is the configured index or a candidate. Without candidates, or with all
//! prices 0 and nothing to explore, it is the configured one. Of equal costs the configured index
//! wins, then the first listed.
//! Weak where: a level has few tables, or the workload changes faster than tables die, since sums
//! never forget.

use super::{Build, IndexChoice, IndexFacts, IndexReason, IndexTuner, Observed, Prices, ratio};
use crate::PolicySpec;
use crate::entry::{Entry, bad, describe, in_range, params};
use crate::index;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "adaptive",
    about: "for each level the index that cost least: look-ups, further blocks, training, memory",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let params: Params = params(spec)?;
        params.prices().check(spec)?;
        in_range(spec, "training_weight", params.training_weight, 0.0..)?;
        in_range(spec, "memory_nanos", params.memory_nanos, 0.0..)?;
        for candidate in &params.candidates {
            index::build(candidate).map_err(|error| bad(spec, "candidates", &error.to_string()))?;
        }
        Ok(Box::new(Adaptive { params }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Indexes to choose from, beside the configured one.
    candidates: Vec<PolicySpec>,
    /// Tables of a level that each index gets before it is judged.
    explore: u64,
    /// Nanoseconds of one step of the search over fence pointers (0 or more).
    comparison_nanos: f64,
    /// Nanoseconds in which a model answers (0 or more).
    model_nanos: f64,
    /// Nanoseconds of examining another data block (0 or more).
    block_nanos: f64,
    /// The weight of a nanosecond of training, where one of a look-up weighs 1 (0 or more).
    training_weight: f64,
    /// The price of a byte of memory for a second, in nanoseconds of look-ups (0 or more).
    memory_nanos: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            candidates: Vec::new(),
            explore: 2,
            comparison_nanos: 8.0,
            model_nanos: 20.0,
            block_nanos: 500.0,
            training_weight: 1.0,
            memory_nanos: 0.01,
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

struct Adaptive {
    params: Params,
}

impl Adaptive {
    /// Nanoseconds that a key of tables like those of `kind` costs; infinite if there are no such
    /// tables.
    fn cost(&self, level: &Observed, kind: &Observed) -> f64 {
        if kind.tables == 0 {
            return f64::INFINITY;
        }
        let prices = self.params.prices();
        let by_model = ratio(kind.models, kind.tables);
        let search = by_model * prices.model_nanos + (1.0 - by_model) * prices.halving(kind);
        let lookup = search + prices.block_nanos * kind.extra_probes();
        let seconds = ratio(level.life_nanos, level.tables) / 1e9;
        ratio(level.lookups(), level.keys) * lookup
            + ratio(kind.training_nanos, kind.keys) * self.params.training_weight
            + ratio(kind.index_bytes, kind.keys) * seconds * self.params.memory_nanos
    }
}

impl IndexTuner for Adaptive {
    fn choose(&self, facts: &IndexFacts<'_>) -> IndexChoice {
        let mut level = Observed::default();
        for kind in facts.kinds {
            level.add(&kind.dead);
            level.add(&kind.live);
        }
        let pool = || std::iter::once(facts.configured).chain(&self.params.candidates);
        if self.params.candidates.is_empty() || facts.of(facts.configured).tables == 0 {
            return IndexChoice::configured(facts, IndexReason::Configured);
        }
        if let Some(index) = pool().find(|index| facts.of(index).tables < self.params.explore) {
            return IndexChoice {
                index: index.clone(),
                reason: IndexReason::Explore,
            };
        }
        let mut best = (f64::INFINITY, facts.configured);
        for index in pool() {
            let cost = self.cost(&level, &facts.of(index));
            if cost < best.0 {
                best = (cost, index);
            }
        }
        IndexChoice {
            index: best.1.clone(),
            reason: IndexReason::Cheapest,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::KindFacts;
    use super::*;

    fn tables(models: u64, probes: u64, index_bytes: u64, training_nanos: u64) -> Observed {
        Observed {
            tables: 4,
            models,
            keys: 40_000,
            blocks: 4 * 256,
            life_nanos: 4_000_000_000,
            found: 100_000,
            probes,
            index_bytes,
            training_nanos,
            ..Observed::default()
        }
    }

    fn choose(with: &[(&str, serde_json::Value)], kinds: &[(&str, Observed)]) -> IndexChoice {
        let spec = PolicySpec::named("adaptive").with("candidates", json!(["fence"]));
        let spec = with
            .iter()
            .fold(spec, |spec, (name, value)| spec.with(name, value.clone()));
        let live = Observed::default();
        let kinds: Vec<KindFacts> = kinds
            .iter()
            .map(|(index, dead)| KindFacts {
                index: (*index).to_owned(),
                dead: *dead,
                live,
            })
            .collect();
        let configured = PolicySpec::named("learned");
        let facts = IndexFacts {
            level: 1,
            deepest: 3,
            configured: &configured,
            kinds: &kinds,
        };
        (ENTRY.build)(&spec).unwrap().choose(&facts)
    }

    #[test]
    fn each_candidate_is_tried_and_then_the_cheapest_stays() {
        let explored = choose(&[], &[("learned", tables(4, 100_000, 0, 0))]);
        assert_eq!(
            (&explored.index.policy[..], explored.reason),
            ("fence", IndexReason::Explore)
        );
        let fence = ("fence", tables(0, 100_000, 30_000, 0));
        let by = |learned| choose(&[], &[("learned", learned), fence]).index.policy;
        assert_eq!(
            by(tables(4, 100_000, 1_000, 400_000)),
            "learned",
            "44 ns saved 2.5 times a key, 10 ns to train it"
        );
        assert_eq!(
            by(tables(4, 110_000, 1_000, 400_000)),
            "fence",
            "one look-up in ten examines a second block"
        );
        assert_eq!(
            by(tables(4, 100_000, 1_000, 9_000_000)),
            "fence",
            "training at 225 ns a key"
        );
        assert_eq!(
            by(tables(0, 100_000, 30_000, 400_000)),
            "fence",
            "trained and refused"
        );
    }

    #[test]
    fn memory_has_its_price() {
        let kinds = [
            ("learned", tables(4, 110_000, 100, 0)),
            ("fence", tables(0, 100_000, 4_000_000, 0)),
        ];
        assert_eq!(choose(&[], &kinds).index.policy, "fence");
        assert_eq!(
            choose(&[("memory_nanos", json!(1.0))], &kinds).index.policy,
            "learned"
        );
    }

    #[test]
    fn a_candidate_that_is_no_index_is_refused() {
        assert!(
            (ENTRY.build)(&PolicySpec::named("adaptive").with("candidates", json!(["no such"])))
                .is_err()
        );
    }
}
