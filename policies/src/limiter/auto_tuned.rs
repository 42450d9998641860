//! Auto-tuned: the rate follows how often the background had to wait for it.
//!
//! Source: RocksDB's auto-tuned rate limiter (`GenericRateLimiter::TuneLocked`,
//! util/rate_limiter.cc): look at the share of periods in which the budget was drained. Without
//! any, the rate drops to a twentieth of the limit; below a half, it is divided by 1.05; above nine
//! tenths, multiplied by it. It begins at half of the limit.
//! State: none but the rate, which the mechanism holds.
//! Cost: O(1) a decision.
//! Invariants: the rate is a twentieth of the limit or more, and the limit at most; a decision
//! moves it by 5 %, or to the least.
//! Weak where: bursts are shorter than `periods` periods: from the least to the limit it takes 62
//! decisions, a quarter of an hour in RocksDB's periods.

use super::{Build, LimiterFacts, RateControl, Watch};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "auto-tuned",
    about: "the rate follows the share of periods that drained it (RocksDB)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { period_ms, periods } = params(spec)?;
        in_range(spec, "period_ms", period_ms, 1..=10_000)?;
        in_range(spec, "periods", periods, 1..=10_000)?;
        Ok(Box::new(AutoTuned {
            watch: Watch {
                period_nanos: period_ms * 1_000_000,
                periods,
            },
        }))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Milliseconds of a period, in which a wait counts once (1 to 10000).
    period_ms: u64,
    /// Periods between two decisions (1 to 10000).
    periods: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            period_ms: 100,
            periods: 100,
        }
    }
}

/// The largest rate over the least.
const RANGE: u64 = 20;

/// Where a limit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the least: nothing waited.
    Least,
    /// Down by a step.
    Down,
    /// Nowhere.
    Stay,
    /// Up by a step.
    Up,
}

/// Where a limit goes that was drained in `drained` of `periods`.
pub(crate) fn step_for(drained: u64, periods: u64) -> Step {
    let percent = u128::from(drained) * 100 / u128::from(periods.max(1));
    match percent {
        0 => Step::Least,
        1..50 => Step::Down,
        50..=90 => Step::Stay,
        _ => Step::Up,
    }
}

struct AutoTuned {
    watch: Watch,
}

impl RateControl for AutoTuned {
    fn start(&self, limit: u64) -> u64 {
        limit / 2
    }

    fn watch(&self) -> Option<Watch> {
        Some(self.watch)
    }

    fn rate(&mut self, facts: &LimiterFacts) -> u64 {
        let least = facts.limit / RANGE;
        let times = |by: u128, over: u128| {
            let rate = u128::from(facts.rate) * by / over;
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        match step_for(facts.drained, facts.periods) {
            Step::Least => least,
            Step::Down => times(100, 105).max(least),
            Step::Stay => facts.rate,
            Step::Up => times(105, 100).min(facts.limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn rate(drained: u64, rate: u64) -> u64 {
        let watch = Watch {
            period_nanos: 1,
            periods: 100,
        };
        let facts = LimiterFacts {
            limit: 100 * MIB,
            rate,
            nanos: 100,
            periods: 100,
            drained,
            ..LimiterFacts::default()
        };
        AutoTuned { watch }.rate(&facts)
    }

    /// The numbers follow from RocksDB's source: integers, rounded down.
    #[test]
    fn the_rate_follows_the_share_of_drained_periods() {
        let now = 50 * MIB;
        assert_eq!(rate(0, now), 5 * MIB);
        assert_eq!(rate(1, now), 49_932_190);
        assert_eq!(rate(49, now), 49_932_190);
        assert_eq!(rate(50, now), now);
        assert_eq!(rate(90, now), now);
        assert_eq!(rate(91, now), 55_050_240);
        assert_eq!(rate(100, 99 * MIB), 100 * MIB, "the limit");
        assert_eq!(rate(1, 5 * MIB), 5 * MIB, "the least");
    }

    #[test]
    fn from_the_least_to_the_limit_it_takes_62_decisions() {
        let mut now = 5 * MIB;
        let mut decisions = 0;
        while now < 100 * MIB {
            now = rate(100, now);
            decisions += 1;
        }
        assert_eq!(decisions, 62);
    }
}
