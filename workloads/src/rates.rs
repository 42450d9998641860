//! Rates of an open loop that change over time: ramps, waves and bursts.
//!
//! A rate is a curve r(t); the operations expected until t are its integral. The arrivals of a
//! process of rate 1 are moved to the times at which the integral reaches them, so that each law of
//! arrivals keeps its shape at each moment's rate, and an evenly spaced one has exactly the
//! integral's operations in every window.
//!
//! Source: Çınlar, "Introduction to Stochastic Processes", 1975 (time change of a Poisson process);
//! the sine is that of RocksDB's `--sine_write_rate`, and of Cao et al., FAST 2020.
//! Cost: a square root for a ramp, 60 cosines for a wave.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Operations a second, all clients together: a number, or how it changes over a phase.
///
/// ```
/// use aura_workloads::{Load, Rate};
///
/// let text = r#"{ "arrival": "constant", "rate": { "from": 100, "to": 300, "over": "10s" } }"#;
/// let load: Load = serde_json::from_str(text)?;
/// assert_eq!(load.rate(), Some(200.0), "on average");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a number of operations a second, { from, to, over }, { mean, amplitude, period, \
                 phase } or { base, burst, every, length }"
)]
pub enum Rate {
    /// Always this many (above 0, at most 1e9).
    Constant(f64),
    /// Changes evenly.
    Ramp(Ramp),
    /// Follows a sine, as over a day.
    Wave(Wave),
    /// Is higher for a while, again and again.
    Bursts(Bursts),
}

/// A rate that changes evenly, and then stays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// The rate at the start (at least 0).
    pub from: f64,
    /// The rate at the end (above 0, for it then stays).
    pub to: f64,
    /// How long the change takes. Default: the phase's duration, or as long as its operations take.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "humantime_serde"
    )]
    #[schemars(with = "Option<String>")]
    pub over: Option<Duration>,
}

/// A rate that follows a sine: mean + amplitude * sin(2 pi t / period + phase).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// The rate on average over a period (above 0).
    pub mean: f64,
    /// How far it goes above and below (0 to `mean`).
    pub amplitude: f64,
    /// The time of one wave, such as `"24h"`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub period: Duration,
    /// Where in the wave the phase begins, in radians (-100 to 100). Default 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub phase: f64,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// A rate that is higher for a while, again and again; each stretch begins with the burst.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bursts {
    /// The rate between bursts (at least 0).
    pub base: f64,
    /// The rate in a burst (above 0).
    pub burst: f64,
    /// The time from the start of a burst to the start of the next.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub every: Duration,
    /// How long a burst lasts (below `every`).
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub length: Duration,
}

impl From<f64> for Rate {
    fn from(rate: f64) -> Self {
        Self::Constant(rate)
    }
}

impl Rate {
    /// Operations a second on average: of a ramp while it changes.
    pub fn mean(self) -> f64 {
        match self {
            Self::Constant(rate) => rate,
            Self::Ramp(ramp) => f64::midpoint(ramp.from, ramp.to),
            Self::Wave(wave) => wave.mean,
            Self::Bursts(bursts) => {
                let every = bursts.every.as_secs_f64();
                let share = bursts.length.as_secs_f64() / every;
                bursts.burst * share + bursts.base * (1.0 - share)
            }
        }
    }

    /// The rate in a phase of this duration or number of operations, which a ramp takes if it does
    /// not say how long it is.
    #[must_use]
    pub(crate) fn in_phase(self, duration: Option<Duration>, operations: Option<u64>) -> Self {
        match self {
            Self::Ramp(ramp) if ramp.over.is_none() => {
                let counted = || {
                    let seconds = operations? as f64 / self.mean();
                    Duration::try_from_secs_f64(seconds).ok()
                };
                let over = duration.or_else(counted);
                Self::Ramp(Ramp { over, ..ramp })
            }
            other => other,
        }
    }

    /// Operations expected until a time, in seconds from the start. The integral of the rate.
    pub(crate) fn operations_until(self, seconds: f64) -> f64 {
        match self {
            Self::Constant(rate) => rate * seconds,
            Self::Ramp(ramp) => ramp.operations_until(seconds),
            Self::Wave(wave) => wave.operations_until(seconds),
            Self::Bursts(bursts) => bursts.operations_until(seconds),
        }
    }

    /// When this number of operations is expected, in seconds from the start.
    pub(crate) fn time_of(self, operations: f64) -> f64 {
        match self {
            Self::Constant(rate) => operations / rate,
            Self::Ramp(ramp) => ramp.time_of(operations),
            Self::Wave(wave) => wave.time_of(operations),
            Self::Bursts(bursts) => bursts.time_of(operations),
        }
    }
}

impl Ramp {
    fn operations_until(self, seconds: f64) -> f64 {
        let over = self.over.map_or(0.0, |over| over.as_secs_f64());
        if seconds >= over {
            return f64::midpoint(self.from, self.to) * over + (seconds - over) * self.to;
        }
        let reached = self.from + (self.to - self.from) * (seconds / over);
        f64::midpoint(self.from, reached) * seconds
    }

    fn time_of(self, operations: f64) -> f64 {
        let over = self.over.map_or(0.0, |over| over.as_secs_f64());
        let in_ramp = f64::midpoint(self.from, self.to) * over;
        if operations >= in_ramp {
            return over + (operations - in_ramp) / self.to;
        }
        // operations = from t + slope t^2 / 2, solved without a difference of near numbers.
        let slope = (self.to - self.from) / over;
        let root = libm::sqrt((self.from * self.from + 2.0 * slope * operations).max(0.0));
        2.0 * operations / (self.from + root).max(f64::MIN_POSITIVE)
    }
}

impl Wave {
    fn operations_until(self, seconds: f64) -> f64 {
        let turn = std::f64::consts::TAU / self.period.as_secs_f64();
        let begun = libm::cos(self.phase) - libm::cos(turn * seconds + self.phase);
        self.mean * seconds + self.amplitude / turn * begun
    }

    fn time_of(self, operations: f64) -> f64 {
        let period = self.period.as_secs_f64();
        // Whole periods have the mean rate: only the rest is looked for.
        let periods = libm::floor(operations / (self.mean * period));
        let rest = operations - periods * self.mean * period;
        let (mut low, mut high) = (0.0, period);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.operations_until(middle) < rest {
                low = middle;
            } else {
                high = middle;
            }
        }
        periods * period + high
    }
}

impl Bursts {
    fn operations_until(self, seconds: f64) -> f64 {
        let (every, length) = (self.every.as_secs_f64(), self.length.as_secs_f64());
        let in_all = self.burst * length + self.base * (every - length);
        let times = libm::floor(seconds / every);
        let rest = seconds - times * every;
        let in_rest = self.burst * rest.min(length) + self.base * (rest - length).max(0.0);
        times * in_all + in_rest
    }

    fn time_of(self, operations: f64) -> f64 {
        let (every, length) = (self.every.as_secs_f64(), self.length.as_secs_f64());
        let in_burst = self.burst * length;
        let in_all = in_burst + self.base * (every - length);
        let times = libm::floor(operations / in_all);
        let rest = operations - times * in_all;
        let within = if rest < in_burst || self.base == 0.0 {
            rest / self.burst
        } else {
            length + (rest - in_burst) / self.base
        };
        times * every + within
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Load, Schedule, Seed};

    /// Arrivals of all clients in windows of `window` seconds.
    fn counts(load: Load, clients: u32, window: f64, windows: usize) -> Vec<u32> {
        let mut counts = vec![0; windows];
        for client in 0..clients {
            let seed = Seed(7).numbered(u64::from(client));
            let schedule = Schedule::new(load, client, clients, seed).expect("an open loop");
            let mut last = 0;
            for time in schedule {
                assert!(time >= last, "{time} after {last}");
                last = time;
                match counts.get_mut((time as f64 / 1e9 / window) as usize) {
                    Some(count) => *count += 1,
                    None => break,
                }
            }
        }
        counts
    }

    fn constant(rate: Rate) -> Load {
        Load::Constant { rate }
    }

    #[test]
    fn a_ramp_has_the_operations_of_its_integral_in_every_window() {
        let over = Some(Duration::from_secs(10));
        let (from, to) = (100.0, 300.0);
        let ramp = Rate::Ramp(Ramp { from, to, over });
        // In second t: 100 + 20 t + 10; then 300.
        let expected: Vec<u32> = (0..10).map(|t| 110 + 20 * t).chain([300, 300]).collect();
        for clients in [1, 3] {
            let counted = counts(constant(ramp), clients, 1.0, 12);
            let near = counted
                .iter()
                .zip(&expected)
                .all(|(a, b)| a.abs_diff(*b) <= 1);
            assert!(near, "{counted:?}");
        }
        let down = Rate::Ramp(Ramp {
            from: 300.0,
            to: 1.0,
            over,
        });
        let counted = counts(constant(down), 1, 1.0, 10);
        assert!(
            counted[0].abs_diff(285) <= 1 && counted[9].abs_diff(16) <= 1,
            "{counted:?}"
        );
    }

    #[test]
    fn a_wave_rises_and_falls_around_its_mean() {
        let period = Duration::from_secs(8);
        let wave = Rate::Wave(Wave {
            mean: 1000.0,
            amplitude: 800.0,
            period,
            phase: 0.0,
        });
        let counted = counts(constant(wave), 2, 1.0, 16);
        // The integral over second t: 1000 + 800 * 8 / 2 pi * (cos(t pi/4) - cos((t + 1) pi/4)).
        for (at, count) in counted.iter().enumerate() {
            let turn = |t: usize| libm::cos(t as f64 * std::f64::consts::FRAC_PI_4);
            let expected = 1000.0 + 800.0 * 8.0 / std::f64::consts::TAU * (turn(at) - turn(at + 1));
            assert!(
                (f64::from(*count) - expected).abs() <= 2.0,
                "{at}: {count}, {expected}"
            );
        }
    }

    #[test]
    fn bursts_come_every_so_often() {
        let (every, length) = (Duration::from_secs(5), Duration::from_secs(1));
        let bursts = Rate::Bursts(Bursts {
            base: 100.0,
            burst: 2000.0,
            every,
            length,
        });
        let counted = counts(constant(bursts), 1, 1.0, 10);
        let expected = [2000, 100, 100, 100, 100, 2000, 100, 100, 100, 100];
        assert!(
            counted
                .iter()
                .zip(expected)
                .all(|(a, b)| a.abs_diff(b) <= 1),
            "{counted:?}"
        );
        assert!((bursts.mean() - 480.0).abs() < 1e-9);
        let silent = Rate::Bursts(Bursts {
            base: 0.0,
            burst: 500.0,
            every,
            length,
        });
        let counted = counts(constant(silent), 1, 1.0, 10);
        assert_eq!(counted, [500, 0, 0, 0, 0, 500, 0, 0, 0, 0]);
    }

    #[test]
    fn the_operations_until_a_time_are_those_whose_time_comes_before() {
        let seconds = Duration::from_secs;
        let rates = [
            Rate::Constant(50.0),
            Rate::Ramp(Ramp {
                from: 10.0,
                to: 300.0,
                over: Some(seconds(10)),
            }),
            Rate::Wave(Wave {
                mean: 100.0,
                amplitude: 80.0,
                period: seconds(8),
                phase: 2.5,
            }),
            Rate::Bursts(Bursts {
                base: 10.0,
                burst: 500.0,
                every: seconds(5),
                length: seconds(1),
            }),
        ];
        for rate in rates {
            for at in [0.5, 1.0, 3.0, 9.0, 12.5] {
                let operations = rate.operations_until(at);
                let back = rate.time_of(operations);
                assert!((back - at).abs() < 1e-6, "{rate:?}: {at}, {back}");
            }
        }
        assert!((rates[3].operations_until(0.5) - 250.0).abs() < 1e-9);
    }

    #[test]
    fn other_arrivals_keep_their_law_at_a_changing_rate() {
        let period = Duration::from_secs(10);
        let rate = Rate::Wave(Wave {
            mean: 10_000.0,
            amplitude: 9_000.0,
            period,
            phase: 0.0,
        });
        let counted = counts(Load::Poisson { rate }, 4, 5.0, 2);
        // Half a period above the mean, half below: 5 * 10,000 +- 9,000 * 10 / pi.
        for (count, expected) in counted.iter().zip([78_648.0, 21_352.0_f64]) {
            let error = (f64::from(*count) - expected).abs();
            assert!(error < 5.0 * expected.sqrt(), "{count}, {expected}");
        }
    }

    #[test]
    fn a_ramp_without_a_length_takes_the_phase() {
        let ramp = Rate::Ramp(Ramp {
            from: 0.0,
            to: 200.0,
            over: None,
        });
        let timed = ramp.in_phase(Some(Duration::from_secs(7)), Some(10));
        let counted = ramp.in_phase(None, Some(1000));
        for (rate, seconds) in [(timed, 7), (counted, 10)] {
            let over = Some(Duration::from_secs(seconds));
            assert_eq!(
                rate,
                Rate::Ramp(Ramp {
                    from: 0.0,
                    to: 200.0,
                    over
                })
            );
        }
        assert!((counted.time_of(1000.0) - 10.0).abs() < 1e-9);
    }
}
