//! What a simulation will take, said before it begins.
//!
//! Each arm replays the first requests of the trace at its largest size, and the rest is taken to
//! go on like them. Large caches get slower as they fill, so the time is a low guess.

use std::fmt;
use std::time::Duration;

use aura_policies::bound;
use aura_workloads::trace::Trace;
use bytesize::ByteSize;

use super::replay::{CacheOf, Simulation, cpu_time};
use super::{Arm, Job};

/// Fewer requests in all replays together are done before anybody has read a forecast.
const REQUESTS_MIN: u64 = 20_000_000;

/// The first requests of the trace that are tried.
const TRIED: usize = 100_000;

/// Bytes of a replay for each object of the trace, and for each that its cache holds: the places
/// and the slots of [`aura_policies::replay::Replay`].
const PLACE_BYTES: f64 = 4.0;
const SLOT_BYTES: f64 = 48.0;

/// What a simulation will take.
pub(super) struct Forecast {
    replays: usize,
    requests: u64,
    time: Duration,
    memory_bytes: u64,
    threads: usize,
}

/// What one replay is expected to take.
#[derive(Clone, Copy)]
struct Share {
    time: Duration,
    memory_bytes: f64,
}

impl Forecast {
    /// Forecasts the replays of `jobs` on `threads`; `None` if they are soon done.
    pub(super) fn of(
        simulation: &Simulation,
        trace: &Trace,
        jobs: &[Job],
        threads: usize,
    ) -> Option<Self> {
        let replays = jobs.iter().map(|job| job.seeds.len()).sum::<usize>();
        let requests = trace.objects().len() as u64;
        if requests.saturating_mul(replays as u64) < REQUESTS_MIN {
            return None;
        }
        let threads = threads.clamp(1, replays.max(1));
        let mut time = Duration::ZERO;
        let mut memory: Vec<f64> = Vec::new();
        let mut tried: Vec<(&Arm, Share)> = Vec::new();
        // The sizes of an arm follow each other from the last, which is the largest as a rule.
        for job in jobs.iter().rev() {
            let known = tried.iter().find(|(arm, _)| **arm == job.arm);
            let share = match known {
                Some((_, share)) => *share,
                None => try_arm(simulation, trace, job),
            };
            tried.push((&job.arm, share));
            time += share.time * job.seeds.len() as u32;
            memory.extend(vec![share.memory_bytes; job.seeds.len()]);
        }
        memory.sort_by(|one, other| other.total_cmp(one));
        let at_once: f64 = memory.iter().take(threads).sum();
        Some(Self {
            replays,
            requests,
            time: time / threads as u32,
            memory_bytes: trace.memory_bytes() + simulation.memory_bytes() + at_once as u64,
            threads,
        })
    }
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            replays,
            requests,
            threads,
            ..
        } = self;
        let seconds = self.time.as_secs_f64();
        let time = match seconds {
            ..90.0 => format!("{seconds:.0} s"),
            ..5400.0 => format!("{:.0} min", seconds / 60.0),
            _ => format!("{:.1} h", seconds / 3600.0),
        };
        let memory = ByteSize(self.memory_bytes).display().iec();
        write!(
            f,
            "forecast: {replays} replays of {requests} requests take {time} or more on {threads} \
             threads, and about {memory}"
        )
    }
}

/// Replays the first requests through the arm of a job.
fn try_arm(simulation: &Simulation, trace: &Trace, job: &Job) -> Share {
    let requests = trace.objects().len();
    let tried = requests.min(TRIED);
    let scale = requests as f64 / tried.max(1) as f64;
    let capacity = simulation.capacity(job.size).sampled;
    let nothing = Share {
        time: Duration::ZERO,
        memory_bytes: 0.0,
    };
    let start = cpu_time();
    let memory_bytes = match &job.arm {
        Arm::Bound(spec) => {
            let Ok(bound) = bound::build(spec) else {
                return nothing;
            };
            bound.replay(simulation.first_requests(tried), capacity);
            // A bound looks ahead: it keeps about two numbers a request.
            16.0 * requests as f64
        }
        Arm::Policy {
            eviction,
            admission,
        } => {
            let cache = CacheOf {
                eviction,
                admission,
                seed: job.seeds.first().copied().unwrap_or_default(),
            };
            let Ok(mut replay) = cache.build(capacity.max(1), trace.keys().len()) else {
                return nothing;
            };
            simulation.replay_first(&mut replay, tried);
            let held = simulation.objects_held(job.size);
            let each = replay.metadata_bytes() as f64 / replay.held().max(1) as f64;
            // A small part of a cache says little about fixed tables: no object needs more.
            PLACE_BYTES * trace.keys().len() as f64 + (SLOT_BYTES + each.min(500.0)) * held
        }
    };
    Share {
        time: cpu_time().saturating_sub(start).mul_f64(scale),
        memory_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_unit_that_people_wait_in() {
        for (seconds, words) in [(12.4, "12 s"), (300.0, "5 min"), (7200.0, "2.0 h")] {
            let forecast = Forecast {
                replays: 6,
                requests: 20_000_000,
                time: Duration::from_secs_f64(seconds),
                memory_bytes: 3 << 29,
                threads: 2,
            };
            assert_eq!(
                forecast.to_string(),
                format!(
                    "forecast: 6 replays of 20000000 requests take {words} or more on 2 threads, \
                     and about 1.5 GiB"
                )
            );
        }
    }
}
