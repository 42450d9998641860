//! When an operation is meant to start, in an open loop.
//!
//! The times follow from the rate alone, never from how the engine does: an operation that has to wait
//! for a slow one before it was still meant for its own time, and its latency counts from there.

use crate::config::Load;
use crate::seed::{Generator, Seed};

/// One client's endless intended start times: nanoseconds since the phase began, never decreasing.
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
    /// A Poisson process a client; together they are one of the whole rate.
    Poisson {
        now_ns: f64,
        mean_ns: f64,
        generator: Box<Generator>,
    },
}

impl Schedule {
    /// The times of one of `clients`; `None` in a closed loop, where an operation starts when the one
    /// before it has ended. Poisson gaps are drawn from `seed`.
    pub fn new(load: Load, client: u32, clients: u32, seed: Seed) -> Option<Self> {
        let kind = match load {
            Load::Closed {} => return None,
            Load::Constant { rate } => Kind::Constant {
                next: u64::from(client),
                step: u64::from(clients),
                interval_ns: 1e9 / rate,
            },
            Load::Poisson { rate } => Kind::Poisson {
                now_ns: 0.0,
                mean_ns: 1e9 / rate * f64::from(clients),
                generator: Box::new(seed.generator()),
            },
        };
        Some(Self { kind })
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let time_ns = match &mut self.kind {
            Kind::Constant {
                next,
                step,
                interval_ns,
            } => {
                let time_ns = *next as f64 * *interval_ns;
                *next += *step;
                time_ns
            }
            Kind::Poisson {
                now_ns,
                mean_ns,
                generator,
            } => {
                // 1 - u lies in (0, 1]: its logarithm is finite.
                *now_ns -= libm::log(1.0 - generator.unit()) * *mean_ns;
                *now_ns
            }
        };
        Some(time_ns as u64)
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
        let constant = |client| open(Load::Constant { rate: 2000.0 }, client, 4);
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
        let times: Vec<u64> = open(Load::Poisson { rate: 1e6 }, 0, 2)
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

    #[test]
    fn a_closed_loop_has_no_schedule() {
        assert!(Schedule::new(Load::Closed {}, 0, 1, Seed(0)).is_none());
    }
}
