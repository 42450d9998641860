//! RocksDB: a delayed write rate that is cut while debt grows and raised while it falls.
//!
//! Source: RocksDB's `SetupDelay` and `RecalculateWriteStallConditions` (db/column_family.cc), with
//! one column family. Delaying begins at the rate that is left from the last time. With each
//! change of the tree while writers are delayed, the rate is multiplied by 0.8 if the debt did not
//! fall and by 1.25 if it fell; near a stop by 0.6. When delaying ends it is multiplied by 1.4.
//! State: the rate, the debt at the last change, whether writers were delayed then.
//! Cost: O(1), under a lock of its own.
//! Invariants: the rate is 16 KiB a second or more, and `rate` at most. A stop and the end of one
//! leave it as it is. It moves at most once between two changes.
//! Weak where: compactions are large and few: the rate moves only when one of them ends. RocksDB
//! recalculates at each change; here the policy is asked when somebody writes, and changes between
//! two writes count as one. RocksDB also grants a millisecond's bytes at once, which the mechanism
//! here does not. Garbage, which RocksDB does not bound, is taken as debt is.

use std::sync::{Mutex, PoisonError};

use super::{Build, Cause, Decision, RATES, StallControl, StallFacts, Zone};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "rocksdb",
    about: "a delayed write rate, cut while debt grows and raised while it falls (RocksDB)",
    params: describe::<Params>,
    build: |spec: &PolicySpec| {
        let Params { rate } = params(spec)?;
        in_range(spec, "rate", rate, RATES)?;
        Ok(Box::new(RocksDb::new(rate)))
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Bytes a second at which delaying begins, and the most: RocksDB's `delayed_write_rate` (16
    /// KiB to 1 TiB).
    rate: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { rate: 16 << 20 }
    }
}

/// The factors of the rate: while the debt does not fall, while it falls, near a stop, and when
/// delaying ends.
const GROWING: f64 = 0.8;
const FALLING: f64 = 1.0 / GROWING;
const NEAR_STOP: f64 = 0.6;
const RECOVERED: f64 = 1.4;

/// Sealed memtables that must be allowed for writes to be delayed before the last memtable.
const MEMTABLES_MIN: u64 = 3;

struct RocksDb {
    rate_max: u64,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct State {
    rate: u64,
    /// Whether writers were delayed at the last change.
    delayed: bool,
    /// The debt at the last change.
    debt_bytes: u64,
    /// The last change; None before the first.
    changes: Option<u64>,
}

/// What the facts demand, without the rate.
#[derive(Clone, Copy)]
enum Condition {
    Normal,
    Delayed { cause: Cause, near_stop: bool },
    Stopped(Cause),
}

impl RocksDb {
    fn new(rate: u64) -> Self {
        Self {
            rate_max: rate,
            state: Mutex::new(State {
                rate,
                delayed: false,
                debt_bytes: 0,
                changes: None,
            }),
        }
    }

    /// The state after a change that left `facts`, of which `condition` follows.
    fn after(&self, state: State, facts: &StallFacts, condition: Condition) -> State {
        let least = *RATES.start();
        let times = |factor: f64| (state.rate as f64 * factor) as u64;
        let debt = facts.debt_bytes;
        let rate = match condition {
            Condition::Delayed { near_stop, .. } if state.delayed && self.rate_max > least => {
                if near_stop {
                    times(NEAR_STOP).max(least)
                } else if state.debt_bytes > debt {
                    times(FALLING).min(self.rate_max)
                } else if state.debt_bytes > 0 {
                    times(GROWING).max(least)
                } else {
                    state.rate
                }
            }
            Condition::Normal if state.delayed => times(RECOVERED).min(self.rate_max),
            Condition::Normal | Condition::Delayed { .. } | Condition::Stopped(_) => state.rate,
        };
        State {
            rate,
            delayed: matches!(condition, Condition::Delayed { .. }),
            debt_bytes: debt,
            changes: Some(facts.changes),
        }
    }
}

/// What `facts` demand.
fn condition(facts: &StallFacts) -> Condition {
    if let Some(cause) = facts.stopped_by() {
        return Condition::Stopped(cause);
    }
    let sealed_max = facts.memtables_sealed_max;
    if sealed_max >= MEMTABLES_MIN && facts.memtables_sealed >= sealed_max {
        return Condition::Delayed {
            cause: Cause::Memtables,
            near_stop: false,
        };
    }
    let mut zones = facts.zones().into_iter();
    let delayed = zones.find_map(|(cause, zone)| match zone {
        Zone::Slow { over, span } => {
            let near_stop = match cause {
                // The last two runs before the stop.
                Cause::Level0Runs => span.saturating_sub(over) <= 2,
                // The last quarter.
                _ => over > (u128::from(span) * 3 / 4) as u64,
            };
            Some(Condition::Delayed { cause, near_stop })
        }
        Zone::Free | Zone::Stop => None,
    });
    delayed.unwrap_or(Condition::Normal)
}

impl StallControl for RocksDb {
    fn decide(&self, facts: &StallFacts) -> Decision {
        let condition = condition(facts);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.changes != Some(facts.changes) {
            *state = self.after(*state, facts, condition);
        }
        match condition {
            Condition::Normal => Decision::Go,
            Condition::Delayed { cause, .. } => Decision::Slow {
                cause,
                rate: state.rate,
            },
            Condition::Stopped(cause) => Decision::Stop { cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 800_000;

    /// A controller, and the changes it has seen.
    struct Lab {
        control: RocksDb,
        changes: u64,
        facts: StallFacts,
    }

    impl Lab {
        fn new() -> Self {
            Self {
                control: RocksDb::new(RATE),
                changes: 0,
                facts: StallFacts::default(),
            }
        }

        /// Debt with a soft limit of 200 and a hard one of 2000, and runs with those of 20 and
        /// 10000.
        fn at(&mut self, debt: u64, runs: u64) -> Decision {
            let zone = |now: u64, slowdown: u64, stop: u64| match now {
                _ if now >= stop => Zone::Stop,
                _ if now >= slowdown => Zone::Slow {
                    over: now - slowdown,
                    span: stop - slowdown,
                },
                _ => Zone::Free,
            };
            self.changes += 1;
            self.facts = StallFacts {
                level0: zone(runs, 20, 10_000),
                debt: zone(debt, 200, 2000),
                debt_bytes: debt,
                changes: self.changes,
                ..self.facts
            };
            self.control.decide(&self.facts)
        }
    }

    fn slow(cause: Cause, rate: u64) -> Decision {
        Decision::Slow { cause, rate }
    }

    /// The numbers of RocksDB's own test, `ColumnFamilyTest.WriteStallSingleColumnFamily`.
    #[test]
    fn it_does_what_rocksdbs_test_says() {
        let mut lab = Lab::new();
        let (first, second, third) = (640_000, 512_000, 409_600);
        let stop = Decision::Stop { cause: Cause::Debt };
        for (debt, runs, expected) in [
            (50, 0, Decision::Go),
            (201, 0, slow(Cause::Debt, RATE)),
            (400, 0, slow(Cause::Debt, first)),
            (500, 0, slow(Cause::Debt, second)),
            (450, 0, slow(Cause::Debt, first)),
            (205, 0, slow(Cause::Debt, RATE)),
            (202, 0, slow(Cause::Debt, RATE)),
            (201, 0, slow(Cause::Debt, RATE)),
            (198, 0, Decision::Go),
            (399, 0, slow(Cause::Debt, RATE)),
            (599, 0, slow(Cause::Debt, first)),
            (2001, 0, stop),
            (3001, 0, stop),
            (390, 0, slow(Cause::Debt, first)),
            (100, 0, Decision::Go),
            (100, 100, slow(Cause::Level0Runs, RATE)),
            (100, 101, slow(Cause::Level0Runs, first)),
            (300, 0, slow(Cause::Debt, second)),
            (300, 101, slow(Cause::Level0Runs, third)),
            (200, 101, slow(Cause::Level0Runs, second)),
            (0, 0, Decision::Go),
        ] {
            assert_eq!(lab.at(debt, runs), expected, "debt {debt}, runs {runs}");
        }
    }

    #[test]
    fn near_a_stop_the_rate_falls_faster_and_never_below_the_least() {
        let mut lab = Lab::new();
        assert_eq!(lab.at(1551, 0), slow(Cause::Debt, RATE));
        assert_eq!(
            lab.at(1550, 0),
            slow(Cause::Debt, RATE),
            "paid, and at most the rate"
        );
        assert_eq!(
            lab.at(1551, 0),
            slow(Cause::Debt, 480_000),
            "the last quarter"
        );
        assert_eq!(
            lab.at(500, 9998),
            slow(Cause::Level0Runs, 288_000),
            "paid, but near"
        );
        for _ in 0..20 {
            lab.at(1999, 0);
        }
        assert_eq!(lab.at(1999, 0), slow(Cause::Debt, 16 << 10));
    }

    #[test]
    fn the_last_of_four_memtables_is_filled_slowly() {
        let mut lab = Lab::new();
        for (max, sealed, is_slow) in [(2, 2, false), (3, 2, false), (3, 3, true)] {
            lab.facts.memtables_sealed_max = max;
            lab.facts.memtables_sealed = sealed;
            let expected = match is_slow {
                true => slow(Cause::Memtables, RATE),
                false => Decision::Go,
            };
            assert_eq!(lab.at(0, 0), expected, "{sealed} of {max}");
        }
    }

    #[test]
    fn between_two_changes_the_rate_stays() {
        let mut lab = Lab::new();
        lab.at(300, 0);
        assert_eq!(lab.at(400, 0), slow(Cause::Debt, 640_000));
        for _ in 0..3 {
            assert_eq!(lab.control.decide(&lab.facts), slow(Cause::Debt, 640_000));
        }
    }
}
