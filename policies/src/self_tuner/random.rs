//! Random: any knob, to any value of its range, drawn from the seed.
//!
//! Source: the control of every experiment on tuning: what a tuner that knows nothing costs, and
//! what an engine must bear.
//! State: the generator.
//! Cost: O(1) a window.
//! Invariants: the same seed and the same facts give the same proposals, all within the ranges.
//! Weak where: anything can be known of what comes.

use super::{Build, Change, Proposal, SelfTuner, shiftable, weight};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{Knob, KnobFacts, TuningFacts};
use crate::splitmix::SplitMix64;

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "random",
    about: "any knob, to any value of its range: the control that self-tuners are compared with",
    params: describe::<Params>,
    build: |seed, spec: &PolicySpec| {
        let Params { rate } = params(spec)?;
        in_range(spec, "rate", rate, 0.0..=1.0)?;
        let draws = SplitMix64::new(seed);
        Ok(Box::new(Random { rate, draws }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// The share of windows that a proposal follows (0 to 1).
    rate: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { rate: 0.5 }
    }
}

struct Random {
    rate: f64,
    draws: SplitMix64,
}

impl SelfTuner for Random {
    fn step(&mut self, facts: &TuningFacts) -> Option<Proposal> {
        if self.draws.fraction() >= self.rate || facts.knobs.is_empty() {
            return None;
        }
        let knob = facts.knobs[self.draws.below(facts.knobs.len())];
        let shift = self.draws.below(2) == 0;
        let value = self.value(&knob);
        let change = match other_memory(&knob, facts) {
            Some(other) if shift => {
                let bytes = (knob.value - value).abs() * weight(knob.knob, facts);
                let (from, to) = match value < knob.value {
                    true => (&knob, other),
                    false => (other, &knob),
                };
                Change::Shift {
                    from: from.knob,
                    to: to.knob,
                    bytes: shiftable(from, to, bytes, facts),
                }
            }
            _ => Change::Set {
                knob: knob.knob,
                value,
            },
        };
        Some(Proposal::new(change, "drawn"))
    }

    fn is_active(&self) -> bool {
        self.rate > 0.0
    }
}

impl Random {
    /// A value of the knob's range: one of its ends in a quarter of all cases.
    fn value(&mut self, knob: &KnobFacts) -> f64 {
        let drawn = match self.draws.below(8) {
            0 => knob.least,
            1 => knob.most,
            _ => knob.least + self.draws.fraction() * (knob.most - knob.least),
        };
        drawn.floor().clamp(knob.least, knob.most)
    }
}

/// The memory knob that `knob` shares memory with, if both have a range.
fn other_memory<'a>(knob: &KnobFacts, facts: &'a TuningFacts) -> Option<&'a KnobFacts> {
    match knob.knob {
        Knob::Memtable => facts.knob(Knob::CacheSize),
        Knob::CacheSize => facts.knob(Knob::Memtable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn build(rate: f64) -> Box<dyn SelfTuner> {
        let spec = PolicySpec::named("random").with("rate", rate);
        (ENTRY.build)(7, &spec).expect("the rate is in range")
    }

    #[test]
    fn every_knob_is_turned_at_the_given_rate() {
        let knobs = Knob::ALL.map(|knob| KnobFacts {
            knob,
            value: 50.0,
            least: 0.0,
            most: 100.0,
        });
        let facts = TuningFacts {
            knobs: knobs.to_vec(),
            ..TuningFacts::default()
        };
        let mut random = build(0.5);
        let mut set = BTreeSet::new();
        let mut shifted = 0;
        let mut proposals = 0;
        for _ in 0..1_000 {
            let proposal = random.step(&facts);
            proposals += u32::from(proposal.is_some());
            match proposal.map(|proposal| proposal.change) {
                Some(Change::Set { knob, .. }) => drop(set.insert(knob)),
                Some(Change::Shift { bytes, .. }) => shifted += u32::from(bytes > 0),
                None => {}
            }
        }
        assert_eq!(set.len(), Knob::ALL.len());
        assert!(shifted > 50, "{shifted}");
        assert!(
            (400..600).contains(&proposals),
            "{proposals} of 1000 windows"
        );
    }

    #[test]
    fn at_rate_0_it_is_idle() {
        assert!(!build(0.0).is_active());
        assert!(build(1.0).is_active());
    }
}
