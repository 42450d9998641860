//! Limiter: the I/O limit of the background follows how often jobs had to wait for it.
//!
//! Source: RocksDB's auto-tuned rate limiter (util/rate_limiter.cc, 2017): look at the share of
//! periods in which the budget was drained. Without any, the limit drops to a twentieth of the
//! largest; below a half, it is divided by 1.05; above nine tenths, multiplied by it. The periods
//! here are windows of operations, and the engine judges each change; the family
//! [`limiter`](crate::limiter) has the rule as RocksDB does, by time.
//! State: the periods since the last decision, and how many were drained.
//! Cost: O(1) a window.
//! Invariants: the limit stays in its range; no proposal comes before `periods` windows are over.
//! Weak where: bursts are shorter than `periods` windows, or a drained budget is what the operator
//! wants.

use super::{Build, Change, Proposal, SelfTuner};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};
use crate::facts::{Knob, Standing, TuningFacts};
use crate::limiter::{Step, step_for};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "limiter",
    about: "the I/O limit follows the share of windows that drained it (RocksDB's auto-tuning)",
    params: describe::<Params>,
    build: |_seed, spec: &PolicySpec| {
        let Params { periods } = params(spec)?;
        in_range(spec, "periods", periods, 1..=10_000)?;
        Ok(Box::new(Limiter {
            periods,
            passed: 0,
            drained: 0,
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Windows between two decisions (1 to 10000).
    periods: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { periods: 20 }
    }
}

/// The least limit that is chosen for a background that never waits, as a share of the largest.
const IDLE_SHARE: f64 = 0.05;

/// The factor of a step.
const STEP: f64 = 1.05;

struct Limiter {
    periods: u32,
    passed: u32,
    drained: u32,
}

impl SelfTuner for Limiter {
    fn step(&mut self, facts: &TuningFacts) -> Option<Proposal> {
        self.passed = self.passed.saturating_add(1);
        self.drained = self
            .drained
            .saturating_add(u32::from(facts.limiter_wait_nanos > 0));
        if self.passed < self.periods || facts.standing != Standing::Free {
            return None;
        }
        let step = step_for(self.drained.into(), self.passed.into());
        (self.passed, self.drained) = (0, 0);
        let limit = facts.knob(Knob::IoLimit)?;
        // No limit is one that nothing reaches.
        let now = if limit.value == 0.0 {
            limit.most
        } else {
            limit.value
        };
        let (wanted, reason) = match step {
            Step::Least => (limit.most * IDLE_SHARE, "never-drained"),
            Step::Down => (now / STEP, "seldom-drained"),
            Step::Up => (now * STEP, "mostly-drained"),
            Step::Stay => return None,
        };
        let value = wanted.floor().clamp(limit.least, limit.most);
        let change = Change::Set {
            knob: Knob::IoLimit,
            value,
        };
        (value != limit.value).then(|| Proposal::new(change, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::KnobFacts;

    /// The limit after ten windows of which `drained` were drained, from a limit of 1000.
    fn after(drained: u64, value: f64) -> Option<f64> {
        let spec = PolicySpec::named("limiter").with("periods", 10);
        let mut limiter = (ENTRY.build)(0, &spec).expect("in range");
        let mut last = None;
        for window in 0..10 {
            let facts = TuningFacts {
                limiter_wait_nanos: u64::from(window < drained),
                knobs: vec![KnobFacts {
                    knob: Knob::IoLimit,
                    value,
                    least: 100.0,
                    most: 4000.0,
                }],
                ..TuningFacts::default()
            };
            assert_eq!(last, None, "only after ten windows");
            last = limiter.step(&facts);
        }
        last.map(|proposal| match proposal.change {
            Change::Set { value, .. } => value,
            Change::Shift { .. } => panic!("{proposal:?}"),
        })
    }

    #[test]
    fn the_limit_follows_the_share_of_drained_windows() {
        assert_eq!(after(0, 1000.0), Some(200.0));
        assert_eq!(after(3, 1000.0), Some(952.0));
        assert_eq!(after(7, 1000.0), None);
        assert_eq!(after(10, 1000.0), Some(1050.0));
        assert_eq!(after(10, 4000.0), None, "the range ends there");
        assert_eq!(after(4, 0.0), Some(3809.0), "from no limit");
    }
}
