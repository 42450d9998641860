//! Replays a trace through one cache or bound.

use std::time::{Duration, Instant};

use aura_policies::admission;
use aura_policies::bound::{self, Request};
use aura_policies::cache::{self, Access, BlockKind};
use aura_policies::replay::Replay;
use aura_policies::{PolicyError, PolicySpec};
use aura_workloads::trace::{Sample, Trace};

use super::{Arm, CacheSize, Mode, Outcome, Settings};

/// A trace to be replayed, and what all its replays share.
pub(super) struct Simulation<'a> {
    trace: &'a Trace,
    mode: Mode,
    seed: u64,
    /// Distinct objects, or the sum of their first sizes.
    footprint: u64,
    /// The requests for the bounds; empty without any bound.
    requests: Vec<Request>,
    /// Bytes of all requests.
    bytes: u64,
}

/// A cache's size in objects or bytes.
#[derive(Clone, Copy)]
pub(super) struct Capacity {
    /// For the whole trace.
    pub(super) whole: u64,
    /// For the sampled keys of it.
    pub(super) sampled: u64,
}

/// What a replay counted.
struct Counted {
    misses: u64,
    miss_bytes: u64,
    /// The misses of each object; `None` unless a standard error is needed.
    by_object: Option<Vec<Missed>>,
}

/// The misses of one object.
#[derive(Clone, Copy, Default)]
struct Missed {
    misses: u64,
    bytes: u64,
}

/// A replay with the time it took.
struct Timed {
    counted: Counted,
    time: Duration,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(trace: &'a Trace, settings: &Settings) -> Self {
        let charged = |request: usize| match settings.mode {
            Mode::Unit => 1,
            Mode::Bytes => trace.bytes(request),
        };
        let objects = trace.objects();
        Self {
            trace,
            mode: settings.mode,
            seed: settings.seed,
            footprint: match settings.mode {
                Mode::Unit => trace.keys().len() as u64,
                Mode::Bytes => trace.first_sizes().into_iter().fold(0, u64::saturating_add),
            },
            requests: if settings.bounds.is_empty() {
                Vec::new()
            } else {
                requests(trace, charged)
            },
            bytes: (0..objects.len()).map(charged).fold(0, u64::saturating_add),
        }
    }

    pub(super) fn capacity(&self, size: &CacheSize) -> Capacity {
        let rate = self.trace.sample_rate() * self.trace.recorded_rate();
        match size.share_of(self.footprint) {
            Some(sampled) => Capacity {
                whole: (sampled as f64 / rate) as u64,
                sampled,
            },
            None => Capacity {
                whole: size.amount(),
                sampled: (size.amount() as f64 * rate) as u64,
            },
        }
    }

    /// Replays one arm at one size.
    pub(super) fn run(&self, arm: &Arm, size: &CacheSize) -> Result<Outcome, String> {
        if size.is_bytes() && self.mode == Mode::Unit {
            return Err(format!(
                "{size} is a size in bytes, and objects are charged one each"
            ));
        }
        let capacity = self.capacity(size).sampled;
        if capacity == 0 {
            return Err("the cache would hold nothing".to_owned());
        }
        match arm {
            Arm::Bound(bound) => self.run_bound(bound, capacity),
            Arm::Policy {
                eviction,
                admission,
            } => self.run_cache(eviction, admission, capacity),
        }
    }

    fn run_bound(&self, spec: &PolicySpec, capacity: u64) -> Result<Outcome, String> {
        let bound = bound::build(spec).map_err(|error| error.to_string())?;
        let tally = bound.replay(&self.requests, capacity);
        Ok(self.outcome(&Counted {
            misses: tally.misses,
            miss_bytes: tally.miss_bytes,
            by_object: None,
        }))
    }

    fn run_cache(
        &self,
        eviction: &PolicySpec,
        admission: &PolicySpec,
        capacity: u64,
    ) -> Result<Outcome, String> {
        self.check_sizes(admission)?;
        let mut replay = self
            .cache(eviction, admission, capacity)
            .map_err(|error| error.to_string())?;
        let Timed { counted, time } = self.replay(&mut replay);
        let requests = self.trace.objects().len() as f64;
        let held = replay.held();
        let metadata = replay.metadata_bytes();
        Ok(Outcome {
            accesses_per_s: Some(requests / time.as_secs_f64().max(1e-9)),
            metadata_bytes: Some(metadata),
            metadata_bytes_per_object: (held > 0).then(|| metadata as f64 / held as f64),
            ..self.outcome(&counted)
        })
    }

    /// Refuses an admission policy that decides by sizes which are missing or not charged.
    fn check_sizes(&self, spec: &PolicySpec) -> Result<(), String> {
        let entry = admission::FAMILY
            .find(spec)
            .map_err(|error| error.to_string())?;
        if !entry.build.needs_sizes {
            return Ok(());
        }
        let policy = &spec.policy;
        if !self.trace.has_sizes() {
            return Err(format!(
                "{policy} decides by size, and the trace has no sizes"
            ));
        }
        if self.mode == Mode::Unit {
            return Err(format!(
                "{policy} decides by size, and objects are charged one each"
            ));
        }
        Ok(())
    }

    fn cache(
        &self,
        eviction: &PolicySpec,
        admission: &PolicySpec,
        capacity: u64,
    ) -> Result<Replay, PolicyError> {
        let eviction = cache::build(eviction, capacity, self.seed)?;
        let admission = admission::build(admission, capacity, self.seed)?;
        let objects = self.trace.keys().len();
        Ok(Replay::new(eviction, admission, capacity, objects))
    }

    /// Replays the trace. The plain forms are loops of their own, so that they do not pay for
    /// details and samples that other traces have.
    fn replay(&self, replay: &mut Replay) -> Timed {
        let trace = self.trace;
        let unit = |_: usize, object: u32| Access::unit(mixed(object));
        let sized = |at: usize, object: u32| Access::sized(mixed(object), trace.bytes(at));
        let plain = trace.details().is_empty() && trace.sample_rate() >= 1.0;
        match (plain, self.mode) {
            (true, Mode::Unit) => timed(trace, replay, unit, &mut |_, _| {}),
            (true, Mode::Bytes) => timed(trace, replay, sized, &mut |_, _| {}),
            (false, Mode::Unit) => self.replay_detailed(replay, unit),
            (false, Mode::Bytes) => self.replay_detailed(replay, sized),
        }
    }

    fn replay_detailed(&self, replay: &mut Replay, plain: impl Fn(usize, u32) -> Access) -> Timed {
        let trace = self.trace;
        let details = trace.details();
        let access = |at: usize, object: u32| {
            let access = plain(at, object);
            let Some(detail) = details.get(at) else {
                return access;
            };
            Access {
                kind: BlockKind::ALL[usize::from(detail.kind)],
                cost: detail.cost,
                scanned: detail.scanned,
                ..access
            }
        };
        if trace.sample_rate() >= 1.0 {
            return timed(trace, replay, access, &mut |_, _| {});
        }
        let mut by_object = vec![Missed::default(); trace.keys().len()];
        let mut timed = timed(trace, replay, access, &mut |object, bytes| {
            let missed = &mut by_object[object as usize];
            missed.misses += 1;
            missed.bytes += bytes;
        });
        timed.counted.by_object = Some(by_object);
        timed
    }

    /// Turns counts into ratios. Of a sampled trace they are estimates for the whole.
    fn outcome(&self, counted: &Counted) -> Outcome {
        let rate = self.trace.sample_rate();
        let sampled = rate < 1.0;
        // The requests of the whole trace are known, sampled or not.
        let requests = if sampled {
            self.trace.requests_read() as f64
        } else {
            self.trace.objects().len() as f64
        };
        let bytes = if sampled {
            self.trace.bytes_read() as f64
        } else {
            self.bytes as f64
        };
        let ratio = |missed: u64, of: f64| {
            if of > 0.0 {
                (missed as f64 / (rate * of)).min(1.0)
            } else {
                0.0
            }
        };
        let error = |part: fn(&Missed) -> u64, of: f64| {
            let objects = counted.by_object.as_ref()?;
            let parts = objects.iter().map(|object| part(object) as f64);
            Some(Sample::standard_error(rate, parts, of))
        };
        let outcome = Outcome {
            requests: self.trace.objects().len() as u64,
            misses: counted.misses,
            miss_ratio: ratio(counted.misses, requests),
            standard_error: error(|missed| missed.misses, requests),
            ..Outcome::default()
        };
        match self.mode {
            Mode::Unit => outcome,
            Mode::Bytes => Outcome {
                byte_miss_ratio: Some(ratio(counted.miss_bytes, bytes)),
                byte_standard_error: error(|missed| missed.bytes, bytes),
                ..outcome
            },
        }
    }
}

/// The requests for the bounds. An object that ended is another one after that.
fn requests(trace: &Trace, charged: impl Fn(usize) -> u64) -> Vec<Request> {
    let mut number: Vec<u32> = (0..trace.keys().len() as u32).collect();
    let mut next = number.len() as u32;
    let mut ends = trace.ends().iter().peekable();
    let objects = trace.objects().iter().enumerate();
    let request = |(at, &object): (usize, &u32)| {
        while let Some((_, ended)) = ends.next_if(|(before, _)| *before <= at) {
            number[*ended as usize] = next;
            next += 1;
        }
        Request {
            object: number[object as usize],
            bytes: charged(at),
        }
    };
    objects.map(request).collect()
}

/// The loop that is timed, and nothing else.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is this machine's time, not a world's"
)]
fn timed(
    trace: &Trace,
    replay: &mut Replay,
    access: impl Fn(usize, u32) -> Access,
    missed: &mut impl FnMut(u32, u64),
) -> Timed {
    let mut counted = Counted {
        misses: 0,
        miss_bytes: 0,
        by_object: None,
    };
    let objects = trace.objects();
    let start = Instant::now();
    let mut at = 0;
    // One stretch, unless objects end.
    let last = (objects.len(), None);
    let ends = trace.ends().iter().map(|(at, object)| (*at, Some(*object)));
    for (end, ended) in ends.chain([last]) {
        for &object in &objects[at..end] {
            let access = access(at, object);
            if !replay.request(object, &access) {
                counted.misses += 1;
                counted.miss_bytes = counted.miss_bytes.saturating_add(access.bytes);
                missed(object, access.bytes);
            }
            at += 1;
        }
        if let Some(object) = ended {
            replay.remove(object);
        }
    }
    Timed {
        counted,
        time: start.elapsed(),
    }
}

/// Hashes an object's number one to one, so that no two objects share a hash: the last steps of
/// SplitMix64.
#[inline]
fn mixed(object: u32) -> u64 {
    let hash = u64::from(object)
        .wrapping_add(1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}
