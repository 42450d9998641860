//! Caches alone on a trace: every policy at every size, with the bounds beside them.
//!
//! ```text
//!   Trace ─┬─ policy x admission x size ──▶ Replay ──┐
//!          └─ bound x size ───────────────▶ Bound ───┴─▶ SimRow ─▶ table, CSV, Parquet, curves
//! ```
//!
//! What is counted, as in the field's simulators: the cache starts empty and every request counts,
//! unless some are set aside to warm it up.
//! A miss brings the object in unless a policy refuses it. An object larger than the cache is a
//! miss. A size that is a share of the trace is rounded down: of its distinct objects, or of the
//! sum of their first sizes.
//!
//! The key that a policy sees is a mixture of the object's number, which comes from the order of
//! first requests. So a trace with renamed keys gives equal counts, even for policies that hash
//! keys.

mod forecast;
mod lots;
mod lru_curve;
mod over_time;
mod replay;
mod rows;
mod sampling;
mod seeds;
mod sizes;
mod stack;
mod streamed;
mod stretches;
#[cfg(test)]
mod tests;

use std::ops::Range;

use aura_policies::PolicySpec;
use aura_policies::admission;
use aura_workloads::trace::Trace;
use serde::Serialize;

use crate::names::named_enum;
use crate::parallel;
use crate::progress::Progress;

use forecast::Forecast;
use replay::Simulation;

pub use lru_curve::{CurveError, LruCurve, LruPoint, lru_curve};
pub use over_time::{courses, windows_csv};
pub use rows::{SizeUnit, best, curves, frame_bytes, json, table, to_csv};
pub use seeds::{SeedError, seeds};
pub use sizes::{CacheSize, Share, SizeError, sizes};
pub use streamed::run_streamed;
pub use stretches::{Warmup, WindowError, Windows};

named_enum! {
    /// What each object is charged with.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
    pub enum Mode {
        /// One.
        Unit = "unit",
        /// Its bytes.
        Bytes = "bytes",
    }
}

/// What runs on a trace.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What objects are charged with.
    pub mode: Mode,
    /// Eviction policies.
    pub policies: Vec<PolicySpec>,
    /// Admission policies, each with each eviction policy.
    pub admissions: Vec<PolicySpec>,
    /// Bounds.
    pub bounds: Vec<PolicySpec>,
    /// Sizes of the cache.
    pub sizes: Vec<CacheSize>,
    /// The seeds of policies that draw lots, at least one. Other policies run with the first only.
    pub seeds: Vec<u64>,
    /// Requests that fill the cache before any is counted.
    pub warmup: Warmup,
    /// The windows over which miss ratios are followed.
    pub windows: Option<Windows>,
    /// How many caches run in parallel, on a thread each.
    pub jobs: usize,
    /// No progress on standard error.
    pub quiet: bool,
}

/// What a row is about: a cache or a bound.
#[derive(Clone, Debug, PartialEq)]
pub enum Arm {
    /// A cache.
    Policy {
        /// The eviction policy.
        eviction: PolicySpec,
        /// The admission policy.
        admission: PolicySpec,
    },
    /// A bound: no cache, or none of its kind, misses less.
    Bound(PolicySpec),
}

impl Arm {
    /// The arm's name: the eviction policy, and the admission policy if it is not the default.
    pub fn name(&self) -> String {
        match self {
            Self::Policy {
                eviction,
                admission,
            } if *admission == admission::FAMILY.default_spec() => eviction.to_string(),
            Self::Policy {
                eviction,
                admission,
            } => format!("{eviction} + {admission}"),
            Self::Bound(bound) => bound.to_string(),
        }
    }

    /// Whether it is a bound.
    pub fn is_bound(&self) -> bool {
        matches!(self, Self::Bound(_))
    }
}

/// One arm at one size.
#[derive(Clone, Debug)]
pub struct SimRow {
    /// The trace's name.
    pub trace: String,
    /// What objects are charged with.
    pub mode: Mode,
    /// The cache or bound.
    pub arm: Arm,
    /// The size as it was written.
    pub size: String,
    /// The size in objects or bytes, for the whole trace.
    pub capacity: u64,
    /// What was counted, or why nothing was.
    pub outcome: Result<Outcome, String>,
}

/// How far a ratio may be off, because keys were sampled or lots were drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioError {
    /// The standard error.
    pub standard: f64,
    /// Half the width of the 95 % interval.
    pub half_width: f64,
}

/// A ratio, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ratio {
    /// The ratio; of a sampled trace, an estimate for the whole; of several seeds, their mean.
    pub value: f64,
    /// How far it may be off; `None` if it is exact.
    pub error: Option<RatioError>,
}

/// What was counted for one arm at one size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Requests counted.
    pub requests: u64,
    /// Requests that missed; of several seeds, the mean, rounded.
    pub misses: u64,
    /// How many seeds were run.
    pub seeds: u64,
    /// The standard deviation of the miss ratio from seed to seed; `None` with one seed.
    pub seed_deviation: Option<f64>,
    /// Misses over requests.
    pub miss_ratio: Ratio,
    /// Bytes missed over bytes requested; `None` if objects are charged one each.
    pub byte_miss_ratio: Option<Ratio>,
    /// Costs of misses over costs of all requests; `None` if the trace has no costs.
    pub cost_miss_ratio: Option<Ratio>,
    /// The windows, if they were asked for.
    pub windows: Vec<Window>,
    /// Objects held at the end; `None` for a bound.
    pub held: Option<u64>,
    /// Requests a second of CPU time; `None` for a bound.
    pub accesses_per_s: Option<f64>,
    /// Bytes of the policies' own memory; `None` for a bound.
    pub metadata_bytes: Option<u64>,
    /// Bytes of the policies' own memory per object held at the end.
    pub metadata_bytes_per_object: Option<f64>,
}

/// What was counted in a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// When it begins and ends, in seconds of the trace's time; `None` if windows are numbers of
    /// requests.
    pub seconds: Option<Range<f64>>,
    /// The number of its first request, from 1, in the whole trace.
    pub first: u64,
    /// Its requests, in the whole trace.
    pub requests: u64,
    /// Requests that missed, of those replayed.
    pub misses: u64,
    /// Misses over requests.
    pub miss_ratio: f64,
    /// Bytes missed over bytes requested; `None` if objects are charged one each.
    pub byte_miss_ratio: Option<f64>,
    /// Costs of misses over costs of all requests; `None` if the trace has no costs.
    pub cost_miss_ratio: Option<f64>,
}

/// One arm at one size, to be replayed with each of some seeds.
struct Job<'a> {
    size: &'a CacheSize,
    arm: Arm,
    seeds: &'a [u64],
}

/// Runs everything on a trace. The rows are ordered by size, bounds first, then as asked for.
///
/// # Errors
/// [`WindowError`] if the warm-up or the windows do not fit the trace.
pub fn run(name: &str, trace: &Trace, settings: &Settings) -> Result<Vec<SimRow>, WindowError> {
    let simulation = Simulation::new(trace, settings)?;
    let jobs = jobs(settings);
    let replays = replays(&jobs);
    let progress = Progress::new(replays.len(), "caches", settings.quiet);
    if !settings.quiet
        && let Some(forecast) = Forecast::of(&simulation, trace, &jobs, settings.jobs)
    {
        progress.say(&forecast.to_string());
    }
    let mut outcomes = vec![Vec::new(); jobs.len()];
    for (job, outcomes) in jobs.iter().zip(&mut outcomes) {
        outcomes.resize(job.seeds.len(), None);
    }
    parallel::for_each(
        &replays,
        settings.jobs,
        |&(job, seed)| {
            let Job { arm, size, seeds } = &jobs[job];
            simulation.run(arm, size, seeds[seed])
        },
        |at, outcome| {
            let (job, seed) = replays[at];
            outcomes[job][seed] = Some(outcome);
            progress.end(&format!("{} at {}", jobs[job].arm.name(), jobs[job].size));
        },
    );
    progress.finish();
    let row = |(job, outcomes): (Job, Vec<Option<Result<Outcome, String>>>)| SimRow {
        trace: name.to_owned(),
        mode: settings.mode,
        size: job.size.to_string(),
        capacity: simulation.capacity(job.size).whole,
        arm: job.arm,
        outcome: seeds::together(outcomes.into_iter().flatten()),
    };
    Ok(jobs.into_iter().zip(outcomes).map(row).collect())
}

/// The job and the place of the seed of each replay. Seeds follow each other, so that a policy that
/// is slow is spread over all threads.
fn replays(jobs: &[Job]) -> Vec<(usize, usize)> {
    let of_job = |(job, it): (usize, &Job)| (0..it.seeds.len()).map(move |seed| (job, seed));
    jobs.iter().enumerate().flat_map(of_job).collect()
}

fn jobs(settings: &Settings) -> Vec<Job<'_>> {
    let one_seed = &settings.seeds[..settings.seeds.len().min(1)];
    let mut arms = Vec::new();
    for bound in &settings.bounds {
        arms.push((Arm::Bound(bound.clone()), one_seed));
    }
    for eviction in &settings.policies {
        for admission in &settings.admissions {
            let draws = settings.seeds.len() > 1 && lots::draws_lots(eviction, admission);
            let arm = Arm::Policy {
                eviction: eviction.clone(),
                admission: admission.clone(),
            };
            arms.push((arm, if draws { &settings.seeds } else { one_seed }));
        }
    }
    let mut jobs = Vec::new();
    for size in &settings.sizes {
        for (arm, seeds) in &arms {
            let arm = arm.clone();
            jobs.push(Job { size, arm, seeds });
        }
    }
    jobs
}
