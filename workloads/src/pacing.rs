//! When operations are meant to start: closed loop, or open loop at a given rate.
//!
//! In an open loop the times follow from the rate alone, never from how the engine does. An
//! operation that has to wait for a slow one was still meant for its own time, and its latency
//! counts from there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::laws::Law;
use crate::rates::Rate;
use crate::replay::Lane;
use crate::seed::{Generator, Seed};

/// When operations start.
///
/// In an open loop a client does not wait for its operations to end. `gamma`, `weibull`,
/// `lognormal` and `pareto` draw the gaps between a client's operations, rounded to nanoseconds, so
/// that each client is bursty by itself; several clients together are smoother.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "arrival", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Load {
    /// Closed loop: when the client's previous operation has ended. Latencies then leave out
    /// queueing.
    Closed {},
    /// Open loop, evenly spaced.
    Constant {
        /// Operations a second, all clients together: a number, or how it
        /// changes.
        rate: Rate,
    },
    /// Open loop, a Poisson process.
    Poisson {
        /// Operations a second on average, all clients together: a number, or how it
        /// changes.
        rate: Rate,
    },
    /// Open loop with gamma gaps: bursts if shape is below 1, Poisson at 1, more even above.
    Gamma {
        /// Operations a second on average, all clients together: a number, or how it
        /// changes.
        rate: Rate,
        /// The coefficient of variation of the gaps is 1 / sqrt(shape) (0.01 to 1000).
        shape: f64,
    },
    /// Open loop with Weibull gaps: bursts if shape is below 1, Poisson at 1, more even above.
    Weibull {
        /// Operations a second on average, all clients together: a number, or how it
        /// changes.
        rate: Rate,
        /// The exponent of the law (0.1 to 1000).
        shape: f64,
    },
    /// Open loop with lognormal gaps.
    Lognormal {
        /// Operations a second on average, all clients together: a number, or how it
        /// changes.
        rate: Rate,
        /// The standard deviation of the gaps' natural logarithm (0.01 to 4).
        sigma: f64,
    },
    /// Open loop with Pareto gaps: long silences between bursts.
    Pareto {
        /// Operations a second on average, all clients together: a number, or how it
        /// changes.
        rate: Rate,
        /// The tail's exponent; up to 2 the gaps' variance is infinite (1.01 to 1000).
        shape: f64,
    },
}

impl Load {
    /// Operations a second on average, all clients together; `None` in a closed loop.
    pub fn rate(self) -> Option<f64> {
        self.rates().map(Rate::mean)
    }

    /// Operations a second, all clients together; `None` in a closed loop.
    pub fn rates(self) -> Option<Rate> {
        match self {
            Self::Closed {} => None,
            Self::Constant { rate }
            | Self::Poisson { rate }
            | Self::Gamma { rate, .. }
            | Self::Weibull { rate, .. }
            | Self::Lognormal { rate, .. }
            | Self::Pareto { rate, .. } => Some(rate),
        }
    }

    /// These arrivals at another rate.
    #[must_use]
    pub(crate) fn at(mut self, other: Rate) -> Self {
        match &mut self {
            Self::Closed {} => {}
            Self::Constant { rate }
            | Self::Poisson { rate }
            | Self::Gamma { rate, .. }
            | Self::Weibull { rate, .. }
            | Self::Lognormal { rate, .. }
            | Self::Pareto { rate, .. } => *rate = other,
        }
        self
    }

    /// The law of the gaps, with mean 1, of the loads that have one.
    fn gaps(self) -> Option<Law> {
        match self {
            Self::Closed {} | Self::Constant { .. } | Self::Poisson { .. } => None,
            Self::Gamma { shape, .. } => Law::gamma(shape, 1.0 / shape),
            Self::Weibull { shape, .. } => {
                Law::weibull(shape, 1.0 / libm::tgamma(1.0 + 1.0 / shape))
            }
            Self::Lognormal { sigma, .. } => Law::lognormal(libm::exp(-sigma * sigma / 2.0), sigma),
            Self::Pareto { shape, .. } => Law::pareto((shape - 1.0) / shape, shape),
        }
    }
}

/// One client's intended start times, without end but those of a trace: nanoseconds since the phase
/// began, never decreasing.
///
/// ```
/// use aura_workloads::{Load, Schedule, Seed};
///
/// let load = Load::Constant { rate: 2000.0.into() };
/// let second_of_two = Schedule::new(load, 1, 2, Seed(7)).expect("an open loop");
/// assert_eq!(second_of_two.take(3).collect::<Vec<_>>(), [500_000, 1_500_000, 2_500_000]);
/// assert!(Schedule::new(Load::Closed {}, 0, 1, Seed(7)).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// The clients take turns: client c has the arrivals c, c + clients, c + 2 * clients, ...
    Constant {
        next: u64,
        step: u64,
        interval_ns: f64,
    },
    /// A Poisson process for each client; together they are one of the whole rate.
    Poisson {
        now_ns: f64,
        mean_ns: f64,
        generator: Box<Generator>,
    },
    /// Gaps of a law with mean 1, rounded one by one, so that rounding errors do not add up.
    Renewal {
        now_ns: u64,
        mean_ns: f64,
        gaps: Law,
        generator: Box<Generator>,
    },
    /// The times of a trace.
    Recorded(Lane),
    /// Arrivals at one operation a second, moved to when the rate has let as many come.
    Changing { steady: Box<Schedule>, rate: Rate },
}

impl Schedule {
    /// The times of a client's operations in a trace; it ends with them.
    pub(crate) fn recorded(lane: Lane) -> Self {
        Self {
            kind: Kind::Recorded(lane),
        }
    }

    /// The times of `client`, one of `clients`; `None` in a closed loop, where an operation starts
    /// when the previous one has ended, and for parameters out of range. Gaps are drawn from
    /// `seed`.
    pub fn new(load: Load, client: u32, clients: u32, seed: Seed) -> Option<Self> {
        let rate = load.rates()?;
        let Rate::Constant(rate) = rate else {
            let steady = Self::new(load.at(Rate::Constant(1.0)), client, clients, seed)?;
            let steady = Box::new(steady);
            let kind = Kind::Changing { steady, rate };
            return Some(Self { kind });
        };
        let kind = match load {
            Load::Closed {} => return None,
            Load::Constant { .. } => Kind::Constant {
                next: u64::from(client),
                step: u64::from(clients),
                interval_ns: 1e9 / rate,
            },
            Load::Poisson { .. } => Kind::Poisson {
                now_ns: 0.0,
                mean_ns: 1e9 / rate * f64::from(clients),
                generator: Box::new(seed.generator()),
            },
            Load::Gamma { .. }
            | Load::Weibull { .. }
            | Load::Lognormal { .. }
            | Load::Pareto { .. } => Kind::Renewal {
                now_ns: 0,
                mean_ns: 1e9 / rate * f64::from(clients),
                gaps: load.gaps()?,
                generator: Box::new(seed.generator()),
            },
        };
        Some(Self { kind })
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(match &mut self.kind {
            Kind::Recorded(lane) => {
                let at = lane.next()?;
                lane.time(at)
            }
            Kind::Changing { steady, rate } => {
                let operations = steady.next()? as f64 / 1e9;
                // The cast saturates: what never comes is as late as can be.
                (rate.time_of(operations) * 1e9) as u64
            }
            Kind::Constant {
                next,
                step,
                interval_ns,
            } => {
                let time_ns = *next as f64 * *interval_ns;
                *next += *step;
                time_ns as u64
            }
            Kind::Poisson {
                now_ns,
                mean_ns,
                generator,
            } => {
                // 1 - u lies in (0, 1]: its logarithm is finite.
                *now_ns -= libm::log(1.0 - generator.unit()) * *mean_ns;
                *now_ns as u64
            }
            Kind::Renewal {
                now_ns,
                mean_ns,
                gaps,
                generator,
            } => {
                let gap_ns = libm::round(gaps.draw(generator) * *mean_ns);
                *now_ns = now_ns.saturating_add(gap_ns as u64);
                *now_ns
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(load: Load, client: u32, clients: u32) -> Schedule {
        Schedule::new(load, client, clients, Seed(9)).unwrap()
    }

    #[test]
    fn clients_of_a_constant_rate_interleave() {
        let constant = |client| {
            open(
                Load::Constant {
                    rate: 2000.0.into(),
                },
                client,
                4,
            )
        };
        let times: Vec<u64> = constant(1).take(3).collect();
        assert_eq!(times, [500_000, 2_500_000, 4_500_000]);
        let mut all: Vec<u64> = (0..4).flat_map(|client| constant(client).take(5)).collect();
        all.sort_unstable();
        assert!(
            all.iter()
                .enumerate()
                .all(|(k, &time)| time == k as u64 * 500_000),
            "{all:?}"
        );
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        const COUNT: usize = 100_000;
        let times: Vec<u64> = open(Load::Poisson { rate: 1e6.into() }, 0, 2)
            .take(COUNT)
            .collect();
        assert!(times.is_sorted());
        let mean = times[COUNT - 1] as f64 / COUNT as f64;
        assert!(
            (mean / 2000.0 - 1.0).abs() < 5.0 / (COUNT as f64).sqrt(),
            "{mean}"
        );
        let long = times
            .windows(2)
            .filter(|pair| pair[1] - pair[0] > 4000)
            .count() as f64;
        let expected = COUNT as f64 * (-2.0_f64).exp();
        assert!(
            (long - expected).abs() < 5.0 * expected.sqrt(),
            "{long} against {expected}"
        );
    }

    /// Mean and coefficient of variation of the gaps, in 200,000 draws of one client in two.
    struct Gaps {
        mean_ns: f64,
        variation: f64,
    }

    fn gaps(load: Load) -> Gaps {
        const COUNT: usize = 200_000;
        let times: Vec<u64> = open(load, 0, 2).take(COUNT).collect();
        let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64);
        let mean_ns = times[COUNT - 1] as f64 / COUNT as f64;
        let squares: f64 = gaps.map(|gap| (gap - mean_ns).powi(2)).sum();
        Gaps {
            mean_ns,
            variation: (squares / COUNT as f64).sqrt() / mean_ns,
        }
    }

    #[test]
    fn every_law_keeps_the_rate_and_has_its_variation() {
        let rate = Rate::Constant(1e4);
        // Weibull: sqrt(g2 / g1^2 - 1) with g1 = Gamma(1 + 2) = 2 and g2 = Gamma(1 + 4) = 24.
        // Lognormal: sqrt(e - 1). Pareto: 1 / sqrt(3 * (3 - 2)).
        for (load, variation) in [
            (Load::Poisson { rate }, 1.0),
            (Load::Gamma { rate, shape: 1.0 }, 1.0),
            (Load::Gamma { rate, shape: 0.25 }, 2.0),
            (Load::Gamma { rate, shape: 100.0 }, 0.1),
            (Load::Weibull { rate, shape: 1.0 }, 1.0),
            (Load::Weibull { rate, shape: 0.5 }, 5_f64.sqrt()),
            (Load::Lognormal { rate, sigma: 1.0 }, 1.310_8),
            (Load::Pareto { rate, shape: 3.0 }, 0.577_4),
        ] {
            let gaps = gaps(load);
            let mean_error = gaps.mean_ns / 200_000.0 - 1.0;
            assert!(mean_error.abs() < 0.02, "{load:?}: {}", gaps.mean_ns);
            let error = gaps.variation / variation - 1.0;
            assert!(error.abs() < 0.1, "{load:?}: {}", gaps.variation);
        }
    }

    #[test]
    fn a_closed_loop_has_no_schedule() {
        assert!(Schedule::new(Load::Closed {}, 0, 1, Seed(0)).is_none());
    }
}
