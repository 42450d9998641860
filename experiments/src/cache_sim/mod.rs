//! Caches alone on a trace: every policy at every size, with the bounds beside them.
//!
//! ```text
//!   Trace ─┬─ policy x admission x size ──▶ Replay ──┐
//!          └─ bound x size ───────────────▶ Bound ───┴─▶ SimRow ─▶ table, CSV, Parquet, miss-ratio curves
//! ```
//!
//! What is counted, as the field's simulators do: the cache starts empty, every request counts, a miss brings the object in
//! unless a policy refuses it, an object larger than the cache is a miss. A share of the trace is rounded down: of its
//! distinct objects, or of the sum of their first sizes.
//!
//! The key that a policy sees is the object's number, mixed: the number comes from the order of first requests, so
//! that a trace with renamed keys gives the same counts for policies that hash keys, too.

use std::time::{Duration, Instant};

use aura_policies::admission;
use aura_policies::bound::{self, Request};
use aura_policies::cache::replay::Replay;
use aura_policies::cache::{self, Access, BlockKind};
use aura_policies::{PolicyError, PolicySpec};
use aura_workloads::trace::{Sample, Trace};

mod rows;
mod spec;

pub use rows::{best, curves, frame_bytes, json, table, to_csv};
pub use spec::{CacheSize, SpecError, all_of, known, sizes, specs};

use crate::progress::Progress;
use crate::run::side_by_side;

/// What objects are charged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One each.
    Unit,
    /// Their bytes.
    Bytes,
}

/// What runs on a trace.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What objects are charged with.
    pub mode: Mode,
    /// Eviction policies.
    pub policies: Vec<PolicySpec>,
    /// Admission policies, each with each of the former.
    pub admissions: Vec<PolicySpec>,
    /// Bounds.
    pub bounds: Vec<PolicySpec>,
    /// Sizes of the cache.
    pub sizes: Vec<CacheSize>,
    /// What policies that draw lots draw them from.
    pub seed: u64,
    /// How many run side by side, on a thread each.
    pub jobs: usize,
    /// No progress.
    pub quiet: bool,
}

/// Who stands in a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Arm {
    /// A cache.
    Policy {
        /// Who leaves.
        eviction: PolicySpec,
        /// Who enters.
        admission: PolicySpec,
    },
    /// What no cache, or none of a kind, can do better than.
    Bound(PolicySpec),
}

impl Arm {
    /// How it is called: the eviction policy, and the admission policy where it is not the usual one.
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
    /// Who.
    pub arm: Arm,
    /// The size as it was asked for.
    pub size: String,
    /// The size in objects or bytes, for the whole trace.
    pub capacity: u64,
    /// What was counted, or why nothing was.
    pub outcome: Result<Outcome, String>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Requests replayed.
    pub requests: u64,
    /// Those that missed.
    pub misses: u64,
    /// Misses over requests; of a sampled trace, an estimate for the whole.
    pub miss_ratio: f64,
    /// The standard error of the ratio, where keys were sampled and it can be told.
    pub standard_error: Option<f64>,
    /// Bytes missed over bytes requested, where bytes are charged.
    pub byte_miss_ratio: Option<f64>,
    /// The standard error of that.
    pub byte_standard_error: Option<f64>,
    /// Requests a second; a bound has none.
    pub accesses_per_s: Option<f64>,
    /// Bytes that the policies need for themselves.
    pub metadata_bytes: Option<u64>,
    /// The same for each object held at the end.
    pub metadata_bytes_per_object: Option<f64>,
}

/// Runs everything on a trace. The rows come by size, bounds first, then as asked for.
pub fn run(name: &str, trace: &Trace, settings: &Settings) -> Vec<SimRow> {
    let simulation = Simulation::new(trace, settings);
    let mut jobs = Vec::new();
    for size in &settings.sizes {
        jobs.extend(
            settings
                .bounds
                .iter()
                .map(|bound| (size, Arm::Bound(bound.clone()))),
        );
        for eviction in &settings.policies {
            let arm = |admission: &PolicySpec| Arm::Policy {
                eviction: eviction.clone(),
                admission: admission.clone(),
            };
            jobs.extend(
                settings
                    .admissions
                    .iter()
                    .map(|admission| (size, arm(admission))),
            );
        }
    }
    let progress = Progress::new(jobs.len(), "caches", settings.quiet);
    let mut outcomes: Vec<_> = jobs
        .iter()
        .map(|_| Err("it did not run".to_owned()))
        .collect();
    let take = |at: usize, outcome| {
        outcomes[at] = outcome;
        progress.end(&format!("{} at {}", jobs[at].1.name(), jobs[at].0));
    };
    side_by_side(
        &jobs,
        settings.jobs,
        |(size, arm)| simulation.run(arm, size),
        take,
    );
    progress.finish();
    let row = |((size, arm), outcome): ((&CacheSize, Arm), _)| SimRow {
        trace: name.to_owned(),
        mode: settings.mode,
        arm,
        size: size.to_string(),
        capacity: simulation.capacity(size).0,
        outcome,
    };
    jobs.into_iter().zip(outcomes).map(row).collect()
}

/// A trace that is to be replayed, and what all replays of it share.
struct Simulation<'a> {
    trace: &'a Trace,
    mode: Mode,
    seed: u64,
    /// Distinct objects, or the sum of their first sizes.
    footprint: u64,
    /// For the bounds; empty without any.
    requests: Vec<Request>,
    /// Bytes of the requests.
    bytes: u64,
}

impl<'a> Simulation<'a> {
    fn new(trace: &'a Trace, settings: &Settings) -> Self {
        let charged = |request: usize| match settings.mode {
            Mode::Unit => 1,
            Mode::Bytes => trace.bytes(request),
        };
        let request = |(at, &object): (usize, &u32)| Request {
            object,
            bytes: charged(at),
        };
        Self {
            trace,
            mode: settings.mode,
            seed: settings.seed,
            footprint: match settings.mode {
                Mode::Unit => trace.keys().len() as u64,
                Mode::Bytes => trace.first_sizes().into_iter().fold(0, u64::saturating_add),
            },
            requests: match settings.bounds.is_empty() {
                true => Vec::new(),
                false => trace.objects().iter().enumerate().map(request).collect(),
            },
            bytes: (0..trace.objects().len())
                .map(charged)
                .fold(0, u64::saturating_add),
        }
    }

    /// A size in objects or bytes: of a cache for the whole trace, and of one for the keys that were kept of it.
    fn capacity(&self, size: &CacheSize) -> (u64, u64) {
        let rate = self.trace.sample_rate() * self.trace.recorded_rate();
        match size.share_of(self.footprint) {
            Some(kept) => ((kept as f64 / rate) as u64, kept),
            None => (size.amount(), (size.amount() as f64 * rate) as u64),
        }
    }

    fn run(&self, arm: &Arm, size: &CacheSize) -> Result<Outcome, String> {
        let (_, capacity) = self.capacity(size);
        if size.is_bytes() && self.mode == Mode::Unit {
            return Err(format!(
                "{size} is a size in bytes, and objects are charged one each"
            ));
        }
        if capacity == 0 {
            return Err("the cache would hold nothing".to_owned());
        }
        match arm {
            Arm::Bound(spec) => {
                let bound = bound::build(spec).map_err(|error| error.to_string())?;
                let tally = bound.replay(&self.requests, capacity);
                Ok(self.outcome(&Counted {
                    misses: tally.misses,
                    miss_bytes: tally.miss_bytes,
                    by_object: None,
                }))
            }
            Arm::Policy {
                eviction,
                admission,
            } => {
                self.check_sizes(admission)?;
                let mut replay = self
                    .cache(eviction, admission, capacity)
                    .map_err(|error| error.to_string())?;
                let (counted, time) = self.replay(&mut replay);
                let held = replay.held();
                Ok(Outcome {
                    accesses_per_s: Some(
                        self.trace.objects().len() as f64 / time.as_secs_f64().max(1e-9),
                    ),
                    metadata_bytes: Some(replay.metadata_bytes()),
                    metadata_bytes_per_object: (held > 0)
                        .then(|| replay.metadata_bytes() as f64 / held as f64),
                    ..self.outcome(&counted)
                })
            }
        }
    }

    /// Refuses an admission policy that decides by sizes where there are none.
    fn check_sizes(&self, spec: &PolicySpec) -> Result<(), String> {
        let entry = admission::FAMILY
            .find(spec)
            .map_err(|error| error.to_string())?;
        match (entry.build.needs_sizes, self.trace.has_sizes(), self.mode) {
            (true, false, _) => Err(format!(
                "{} decides by size, and the trace has no sizes",
                spec.policy
            )),
            (true, true, Mode::Unit) => Err(format!(
                "{} decides by size, and objects are charged one each",
                spec.policy
            )),
            _ => Ok(()),
        }
    }

    fn cache(
        &self,
        eviction: &PolicySpec,
        admission: &PolicySpec,
        capacity: u64,
    ) -> Result<Replay, PolicyError> {
        let eviction = cache::build(eviction, capacity, self.seed)?;
        let admission = admission::build(admission, capacity, self.seed)?;
        Ok(Replay::new(
            eviction,
            admission,
            capacity,
            self.trace.keys().len(),
        ))
    }

    /// The replay, by what it must look at: each form is compiled for itself, so that none pays for another's questions.
    fn replay(&self, replay: &mut Replay) -> (Counted, Duration) {
        let trace = self.trace;
        let (details, sampled) = (trace.details(), trace.sample_rate() < 1.0);
        let unit = |_: usize, object: u32| Access::unit(mixed(object));
        let sized = |at: usize, object: u32| Access::sized(mixed(object), trace.bytes(at));
        match (self.mode, details.is_empty(), sampled) {
            (Mode::Unit, true, false) => timed(trace, replay, unit, &mut |_, _| {}),
            (Mode::Bytes, true, false) => timed(trace, replay, sized, &mut |_, _| {}),
            _ => {
                let detailed = |at: usize, object: u32| {
                    let access = if self.mode == Mode::Unit {
                        unit(at, object)
                    } else {
                        sized(at, object)
                    };
                    details.get(at).map_or(access, |detail| Access {
                        kind: KINDS[usize::from(detail.kind)],
                        cost: detail.cost,
                        scanned: detail.scanned,
                        ..access
                    })
                };
                if !sampled {
                    return timed(trace, replay, detailed, &mut |_, _| {});
                }
                let mut by_object = vec![(0, 0); trace.keys().len()];
                let missed = &mut |object: u32, bytes: u64| {
                    let (misses, miss_bytes) = &mut by_object[object as usize];
                    *misses += 1;
                    *miss_bytes += bytes;
                };
                let (counted, time) = timed(trace, replay, detailed, missed);
                (
                    Counted {
                        by_object: Some(by_object),
                        ..counted
                    },
                    time,
                )
            }
        }
    }

    fn outcome(&self, counted: &Counted) -> Outcome {
        let rate = self.trace.sample_rate();
        // What was asked of the whole trace is known, sampled or not; without sampling these are the counts themselves.
        let (requests, bytes) = match rate < 1.0 {
            true => (
                self.trace.requests_read() as f64,
                self.trace.bytes_read() as f64,
            ),
            false => (self.trace.objects().len() as f64, self.bytes as f64),
        };
        let ratio = |missed: u64, of: f64| {
            if of > 0.0 {
                (missed as f64 / (rate * of)).min(1.0)
            } else {
                0.0
            }
        };
        let error = |part: fn(&(u64, u64)) -> u64, of: f64| {
            let parts = counted
                .by_object
                .as_ref()?
                .iter()
                .map(|object| part(object) as f64);
            Some(Sample::standard_error(rate, parts, of))
        };
        let charged = self.mode == Mode::Bytes;
        Outcome {
            requests: self.trace.objects().len() as u64,
            misses: counted.misses,
            miss_ratio: ratio(counted.misses, requests),
            standard_error: error(|object| object.0, requests),
            byte_miss_ratio: charged.then(|| ratio(counted.miss_bytes, bytes)),
            byte_standard_error: if charged {
                error(|object| object.1, bytes)
            } else {
                None
            },
            ..Outcome::default()
        }
    }
}

/// What a replay counted.
struct Counted {
    misses: u64,
    miss_bytes: u64,
    /// Misses and bytes missed of each object, where a standard error is to be told.
    by_object: Option<Vec<(u64, u64)>>,
}

/// The kinds of objects, by their numbers in a trace.
const KINDS: [BlockKind; 6] = [
    BlockKind::Data,
    BlockKind::Index,
    BlockKind::Filter,
    BlockKind::Value,
    BlockKind::KeyValue,
    BlockKind::KeyPointer,
];

/// The loop that is timed, and nothing else is.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is this machine's time, not a world's"
)]
fn timed(
    trace: &Trace,
    replay: &mut Replay,
    access: impl Fn(usize, u32) -> Access,
    missed: &mut impl FnMut(u32, u64),
) -> (Counted, Duration) {
    let mut counted = Counted {
        misses: 0,
        miss_bytes: 0,
        by_object: None,
    };
    let start = Instant::now();
    for (at, &object) in trace.objects().iter().enumerate() {
        let access = access(at, object);
        if !replay.request(object, &access) {
            counted.misses += 1;
            counted.miss_bytes += access.bytes;
            missed(object, access.bytes);
        }
    }
    (counted, start.elapsed())
}

/// An object's number as a hash: one to one, so that no two objects are taken for one. (The finish of SplitMix64.)
#[inline]
fn mixed(object: u32) -> u64 {
    let hash = u64::from(object)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests;
