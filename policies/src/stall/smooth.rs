//! Smooth: writers slow down linearly towards the stop.
//!
//! Source: AuraDB. The wait is spread over many writes rather than met at a cliff, as in bLSM's
//! spring and gear scheduler (Sears and Ramakrishnan, SIGMOD 2012), which paces writes by the
//! progress of merges.
//! State: none.
//! Cost: O(1).
//! Invariants: the rate is `rate` where slowing down begins, falls linearly, and is a sixteenth of
//! it at the least. At a stop writers wait.
//! Weak where: the background's speed is far from `rate`. Then writers wait too early, or run into
//! the stop all the same. If several measures are beyond their points, the first one sets the rate,
//! even where another one would set a lower one.

use super::{Build, Decision, RATES, StallControl, StallFacts, Zone};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "smooth",
    about: "the rate falls linearly from where slowing down begins to the stop",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { rate } = params(spec)?;
        in_range(spec, "rate", rate, RATES)?;
        Ok(Box::new(Smooth { rate }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Bytes a second let through where slowing down begins (16 KiB to 1 TiB).
    rate: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { rate: 64 << 20 }
    }
}

struct Smooth {
    rate: u64,
}

impl Smooth {
    /// The rate `over` a point whose stop lies `span` beyond it.
    fn rate(&self, over: u64, span: u64) -> u64 {
        let left = span.saturating_sub(over).max(span.div_ceil(16));
        (u128::from(self.rate) * u128::from(left) / u128::from(span.max(1))).max(1) as u64
    }
}

impl StallControl for Smooth {
    fn decide(&self, facts: &StallFacts) -> Decision {
        if let Some(cause) = facts.stopped_by() {
            return Decision::Stop { cause };
        }
        let mut zones = facts.zones().into_iter();
        let slow = zones.find_map(|(cause, zone)| match zone {
            Zone::Slow { over, span } => {
                let rate = self.rate(over, span);
                Some(Decision::Slow { cause, rate })
            }
            Zone::Free | Zone::Stop => None,
        });
        slow.unwrap_or(Decision::Go)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stall::Cause;

    const RATE: u64 = 64 << 20;

    #[test]
    fn the_rate_falls_smoothly_to_a_sixteenth() {
        let smooth = Smooth { rate: RATE };
        assert_eq!(smooth.rate(0, 16), RATE);
        assert_eq!(smooth.rate(8, 16), RATE / 2);
        assert_eq!(smooth.rate(15, 16), RATE / 16);
        assert_eq!(smooth.rate(16, 16), RATE / 16);
        assert!((0..16).all(|over| smooth.rate(over, 16) >= smooth.rate(over + 1, 16)));
    }

    #[test]
    fn a_stop_comes_first_and_then_the_first_measure() {
        let smooth = Smooth { rate: RATE };
        let mut facts = StallFacts {
            debt: Zone::Slow { over: 8, span: 16 },
            garbage: Zone::Slow { over: 4, span: 16 },
            ..StallFacts::default()
        };
        let debt = Decision::Slow {
            cause: Cause::Debt,
            rate: RATE / 2,
        };
        assert_eq!(smooth.decide(&facts), debt);
        facts.garbage = Zone::Stop;
        let cause = Cause::Garbage;
        assert_eq!(smooth.decide(&facts), Decision::Stop { cause });
    }
}
