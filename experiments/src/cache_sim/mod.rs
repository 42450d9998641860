//! Caches alone on a trace: every policy at every size, with the bounds beside them.
//!
//! ```text
//!   Trace ─┬─ policy x admission x size ──▶ Replay ──┐
//!          └─ bound x size ───────────────▶ Bound ───┴─▶ SimRow ─▶ table, CSV, Parquet, curves
//! ```
//!
//! What is counted, as in the field's simulators: the cache starts empty and every request counts.
//! A miss brings the object in unless a policy refuses it. An object larger than the cache is a
//! miss. A size that is a share of the trace is rounded down: of its distinct objects, or of the
//! sum of their first sizes.
//!
//! The key that a policy sees is a mixture of the object's number, which comes from the order of
//! first requests. So a trace with renamed keys gives equal counts, even for policies that hash
//! keys.

mod replay;
mod rows;
mod sizes;
#[cfg(test)]
mod tests;

use aura_policies::PolicySpec;
use aura_policies::admission;
use aura_workloads::trace::Trace;
use serde::Serialize;

use crate::names::named_enum;
use crate::parallel;
use crate::progress::Progress;

use replay::Simulation;

pub use rows::{best, curves, frame_bytes, json, table, to_csv};
pub use sizes::{CacheSize, SizeError, sizes};

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
    /// The seed of policies that draw lots.
    pub seed: u64,
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

/// What was counted for one arm at one size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Requests replayed.
    pub requests: u64,
    /// Requests that missed.
    pub misses: u64,
    /// Misses over requests; of a sampled trace, an estimate for the whole.
    pub miss_ratio: f64,
    /// The standard error of the miss ratio; `None` if every key was replayed.
    pub standard_error: Option<f64>,
    /// Bytes missed over bytes requested; `None` if objects are charged one each.
    pub byte_miss_ratio: Option<f64>,
    /// The standard error of the byte miss ratio.
    pub byte_standard_error: Option<f64>,
    /// Requests a second; `None` for a bound.
    pub accesses_per_s: Option<f64>,
    /// Bytes of the policies' own memory; `None` for a bound.
    pub metadata_bytes: Option<u64>,
    /// Bytes of the policies' own memory per object held at the end.
    pub metadata_bytes_per_object: Option<f64>,
}

/// One replay to do.
struct Job<'a> {
    size: &'a CacheSize,
    arm: Arm,
}

/// Runs everything on a trace. The rows are ordered by size, bounds first, then as asked for.
pub fn run(name: &str, trace: &Trace, settings: &Settings) -> Vec<SimRow> {
    let simulation = Simulation::new(trace, settings);
    let jobs = jobs(settings);
    let progress = Progress::new(jobs.len(), "caches", settings.quiet);
    let mut outcomes: Vec<Option<Result<Outcome, String>>> = vec![None; jobs.len()];
    parallel::for_each(
        &jobs,
        settings.jobs,
        |job| simulation.run(&job.arm, job.size),
        |at, outcome| {
            outcomes[at] = Some(outcome);
            progress.end(&format!("{} at {}", jobs[at].arm.name(), jobs[at].size));
        },
    );
    progress.finish();
    let row = |(job, outcome): (Job, Option<Result<Outcome, String>>)| SimRow {
        trace: name.to_owned(),
        mode: settings.mode,
        size: job.size.to_string(),
        capacity: simulation.capacity(job.size).whole,
        arm: job.arm,
        outcome: outcome.expect("every job is done"),
    };
    jobs.into_iter().zip(outcomes).map(row).collect()
}

fn jobs(settings: &Settings) -> Vec<Job<'_>> {
    let mut jobs = Vec::new();
    for size in &settings.sizes {
        for bound in &settings.bounds {
            let arm = Arm::Bound(bound.clone());
            jobs.push(Job { size, arm });
        }
        for eviction in &settings.policies {
            for admission in &settings.admissions {
                let arm = Arm::Policy {
                    eviction: eviction.clone(),
                    admission: admission.clone(),
                };
                jobs.push(Job { size, arm });
            }
        }
    }
    jobs
}
