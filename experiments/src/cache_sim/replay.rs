//! Replays a trace through one cache or bound.

use std::time::Duration;

use aura_policies::admission;
use aura_policies::bound::{self, Request};
use aura_policies::cache::{self, Access, BlockKind};
use aura_policies::replay::Replay;
use aura_policies::{PolicyError, PolicySpec};
use aura_workloads::trace::{Position, Trace};
use rustix::time::{ClockId, clock_gettime};

use super::sampling::{self, Buckets};
use super::stretches::{Step, Stretches, WindowError};
use super::{Arm, CacheSize, Mode, Outcome, Ratio, Settings, Window};

/// A trace to be replayed, and what all its replays share.
pub(super) struct Simulation<'a> {
    trace: &'a Trace,
    mode: Mode,
    /// Distinct objects, or the sum of their first sizes.
    footprint: u64,
    /// The requests for the bounds; empty without any bound.
    requests: Vec<Request>,
    stretches: Stretches,
    /// What comes before each mark of the stretches, in the whole trace.
    before: Vec<Position>,
    /// Whether windows are shown.
    windows: bool,
}

/// A cache's size in objects or bytes.
#[derive(Clone, Copy)]
pub(super) struct Capacity {
    /// For the whole trace.
    pub(super) whole: u64,
    /// For the sampled keys of it.
    pub(super) sampled: u64,
}

/// What was missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) requests: u64,
    pub(super) bytes: u64,
    pub(super) cost: u64,
}

impl Missed {
    #[inline]
    fn add(&mut self, access: &Access) {
        self.requests += 1;
        self.bytes = self.bytes.saturating_add(access.bytes);
        self.cost = self.cost.saturating_add(u64::from(access.cost));
    }

    pub(super) fn add_all(&mut self, other: Self) {
        self.requests += other.requests;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.cost = self.cost.saturating_add(other.cost);
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            bytes: self.bytes.saturating_sub(earlier.bytes),
            cost: self.cost.saturating_sub(earlier.cost),
        }
    }
}

/// A replay: what was missed up to each mark, and the CPU time it took.
struct Timed {
    missed: Vec<Missed>,
    time: Duration,
}

impl<'a> Simulation<'a> {
    /// Prepares what all replays share. O(requests).
    pub(super) fn new(trace: &'a Trace, settings: &Settings) -> Result<Self, WindowError> {
        let charged = |request: usize| match settings.mode {
            Mode::Unit => 1,
            Mode::Bytes => trace.bytes(request),
        };
        let stretches = Stretches::new(trace, settings.warmup, settings.windows)?;
        Ok(Self {
            trace,
            mode: settings.mode,
            footprint: footprint(trace, charged),
            requests: if settings.bounds.is_empty() {
                Vec::new()
            } else {
                requests(trace, charged)
            },
            before: stretches.positions(trace, charged),
            stretches,
            windows: settings.windows.is_some(),
        })
    }

    /// Prepares a block of a trace, of which the first `warmup` requests are not counted.
    pub(super) fn of_block(trace: &'a Trace, mode: Mode, warmup: u64) -> Self {
        let stretches = Stretches::of_block(trace, warmup);
        let charged = |request: usize| match mode {
            Mode::Unit => 1,
            Mode::Bytes => trace.bytes(request),
        };
        Self {
            trace,
            mode,
            footprint: 0,
            requests: Vec::new(),
            before: stretches.positions(trace, charged),
            stretches,
            windows: false,
        }
    }

    /// Replays the trace through a cache: what was missed, and the CPU time it took.
    pub(super) fn count(&self, replay: &mut Replay) -> (Missed, Duration) {
        let Timed { missed, time } = self.replay(replay);
        (missed[missed.len() - 1].since(missed[0]), time)
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

    /// What a request is charged.
    #[inline]
    pub(super) fn charged(&self, request: usize) -> u64 {
        match self.mode {
            Mode::Unit => 1,
            Mode::Bytes => self.trace.bytes(request),
        }
    }

    /// Distinct objects, or the sum of their first sizes.
    pub(super) fn footprint(&self) -> u64 {
        self.footprint
    }

    /// The counted part of the whole trace.
    pub(super) fn whole(&self) -> Position {
        passed(self.before[0], self.before[self.before.len() - 1])
    }

    /// The first requests for a bound.
    pub(super) fn first_requests(&self, count: usize) -> &[Request] {
        &self.requests[..count.min(self.requests.len())]
    }

    /// Bytes of memory for the bounds' requests.
    pub(super) fn memory_bytes(&self) -> u64 {
        size_of_val(&self.requests[..]) as u64
    }

    /// Replays the first `count` requests, and counts nothing.
    pub(super) fn replay_first(&self, replay: &mut Replay, count: usize) {
        for (at, &object) in self.trace.objects().iter().take(count).enumerate() {
            replay.request(object, &self.access(at, object));
        }
    }

    /// Goes through the trace step by step.
    pub(super) fn walk(&self, step: impl FnMut(Step)) {
        self.stretches.walk(self.trace, step);
    }

    /// About how many objects a sampled cache of `size` holds.
    pub(super) fn objects_held(&self, size: &CacheSize) -> f64 {
        let of_one = self.capacity(size).sampled as f64 / self.footprint.max(1) as f64;
        of_one.min(1.0) * self.trace.keys().len() as f64
    }

    /// Replays one arm at one size.
    pub(super) fn run(&self, arm: &Arm, size: &CacheSize, seed: u64) -> Result<Outcome, String> {
        size.check(self.mode)?;
        let capacity = self.capacity(size).sampled;
        if capacity == 0 {
            return Err("the cache would hold nothing".to_owned());
        }
        match arm {
            Arm::Bound(bound) => self.run_bound(bound, capacity),
            Arm::Policy {
                eviction,
                admission,
            } => {
                let cache = CacheOf {
                    eviction,
                    admission,
                    seed,
                };
                self.run_cache(&cache, size)
            }
        }
    }

    fn run_bound(&self, spec: &PolicySpec, capacity: u64) -> Result<Outcome, String> {
        if self.stretches.warmup() > 0 {
            return Err("a bound counts every request: it has no warm-up".to_owned());
        }
        let bound = bound::build(spec).map_err(|error| error.to_string())?;
        let tally = bound.replay(&self.requests, capacity);
        let missed = Missed {
            requests: tally.misses,
            bytes: tally.miss_bytes,
            cost: 0,
        };
        let outcome = self.outcome(&[Missed::default(), missed], None);
        Ok(Outcome {
            // A bound does not know what a miss costs.
            cost_miss_ratio: None,
            windows: Vec::new(),
            ..outcome
        })
    }

    fn run_cache(&self, cache: &CacheOf, size: &CacheSize) -> Result<Outcome, String> {
        self.check_sizes(cache.admission)?;
        let capacity = self.capacity(size).sampled;
        let objects = self.trace.keys().len();
        let build = |capacity| cache.build(capacity, objects);
        let mut replay = build(capacity).map_err(|error| error.to_string())?;
        let Timed { missed, time } = self.replay(&mut replay);
        let requests = self.trace.objects().len() as f64;
        let held = replay.held();
        let buckets = self
            .buckets(size, held, build)
            .map_err(|error| error.to_string())?;
        let metadata = replay.metadata_bytes();
        Ok(Outcome {
            accesses_per_s: Some(requests / time.as_secs_f64().max(1e-9)),
            metadata_bytes: Some(metadata),
            metadata_bytes_per_object: (held > 0).then(|| metadata as f64 / held as f64),
            held: Some(held as u64),
            ..self.outcome(&missed, buckets.as_ref())
        })
    }

    /// Refuses an admission policy that decides by sizes which are missing or not charged.
    pub(super) fn check_sizes(&self, spec: &PolicySpec) -> Result<(), String> {
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

    /// Replays the trace. The plain forms are loops of their own, so that they do not pay for
    /// details that other traces have.
    fn replay(&self, replay: &mut Replay) -> Timed {
        let trace = self.trace;
        let unit = |_: usize, object: u32| Access::unit(mixed(object));
        let sized = |at: usize, object: u32| Access::sized(mixed(object), trace.bytes(at));
        match (trace.has_costs(), self.mode) {
            (false, Mode::Unit) => self.timed(replay, unit),
            (false, Mode::Bytes) => self.timed(replay, sized),
            (true, _) => self.timed(replay, |at, object| self.access(at, object)),
        }
    }

    /// A request as policies see it, with all that the trace says of it.
    fn access(&self, at: usize, object: u32) -> Access {
        let key = mixed(object);
        let plain = match self.mode {
            Mode::Unit => Access::unit(key),
            Mode::Bytes => Access::sized(key, self.trace.bytes(at)),
        };
        let access = Access {
            cost: self.trace.cost(at),
            ..plain
        };
        match self.trace.details().get(at) {
            None => access,
            Some(detail) => Access {
                kind: BlockKind::ALL[usize::from(detail.kind)],
                scanned: detail.scanned,
                ..access
            },
        }
    }

    /// The loop that is timed, and nothing else.
    fn timed(&self, replay: &mut Replay, access: impl Fn(usize, u32) -> Access) -> Timed {
        let objects = self.trace.objects();
        let mut missed = Missed::default();
        let mut at_marks = Vec::with_capacity(self.before.len());
        let start = cpu_time();
        self.walk(|step| match step {
            Step::Requests(range) => {
                let from = range.start;
                for (at, &object) in objects[range].iter().enumerate() {
                    let access = access(from + at, object);
                    if !replay.request(object, &access) {
                        missed.add(&access);
                    }
                }
            }
            Step::End(object) => replay.remove(object),
            Step::Mark => at_marks.push(missed),
        });
        Timed {
            missed: at_marks,
            time: cpu_time().saturating_sub(start),
        }
    }

    /// Replays each bucket of a sample in a cache of its own; `None` if every key was read.
    fn buckets(
        &self,
        size: &CacheSize,
        held: usize,
        build: impl Fn(u64) -> Result<Replay, PolicyError>,
    ) -> Result<Option<Buckets>, PolicyError> {
        let trace = self.trace;
        if trace.sample_rate() >= 1.0 {
            return Ok(None);
        }
        let capacity = self.capacity(size).sampled;
        let count = sampling::buckets_for(capacity, held);
        let bucket_of = sampling::bucket_of_each(trace.keys(), count);
        let mut footprints = vec![0_u64; count];
        footprint(trace, |request| {
            let bytes = self.charged(request);
            let object = trace.objects()[request];
            let footprint = &mut footprints[usize::from(bucket_of[object as usize])];
            *footprint = footprint.saturating_add(bytes);
            bytes
        });
        let mut caches = Vec::new();
        for footprint in footprints {
            // A share is one of what was drawn, for the bucket as for the sample.
            let part = size.share_of(footprint).unwrap_or(capacity / count as u64);
            caches.push(build(part.max(1))?);
        }
        let mut missed = vec![Missed::default(); count];
        let mut marks = 0;
        self.walk(|step| match step {
            Step::Requests(range) => {
                for at in range {
                    let object = trace.objects()[at];
                    let bucket = usize::from(bucket_of[object as usize]);
                    let access = self.access(at, object);
                    // What warms up is not counted.
                    if !caches[bucket].request(object, &access) && marks > 0 {
                        missed[bucket].add(&access);
                    }
                }
            }
            Step::End(object) => {
                caches[usize::from(bucket_of[object as usize])].remove(object);
            }
            Step::Mark => marks += 1,
        });
        Ok(Some(Buckets {
            rate: trace.sample_rate(),
            missed,
        }))
    }

    /// Turns counts at the marks into ratios. Of a sampled trace they are estimates for the whole.
    fn outcome(&self, missed: &[Missed], buckets: Option<&Buckets>) -> Outcome {
        let (first, last) = (missed[0], missed[missed.len() - 1]);
        let counted = last.since(first);
        let whole = self.whole();
        let error = |part: fn(&Missed) -> u64, of: u64| {
            buckets.map(|buckets| buckets.error(part, of as f64))
        };
        let ratio = |part: fn(&Missed) -> u64, of: u64| Ratio {
            value: self.ratio(part(&counted), of),
            error: error(part, of),
        };
        let has_bytes = self.mode == Mode::Bytes;
        let has_costs = self.trace.has_costs();
        Outcome {
            requests: (self.trace.objects().len() - self.stretches.warmup()) as u64,
            misses: counted.requests,
            miss_ratio: ratio(|missed| missed.requests, whole.requests),
            byte_miss_ratio: has_bytes.then(|| ratio(|missed| missed.bytes, whole.bytes)),
            cost_miss_ratio: has_costs.then(|| ratio(|missed| missed.cost, whole.cost)),
            windows: if self.windows {
                self.windows_of(missed)
            } else {
                Vec::new()
            },
            ..Outcome::default()
        }
    }

    fn ratio(&self, missed: u64, of: u64) -> f64 {
        if of == 0 {
            return 0.0;
        }
        (missed as f64 / (self.trace.sample_rate() * of as f64)).min(1.0)
    }

    fn windows_of(&self, missed: &[Missed]) -> Vec<Window> {
        let window = |at: usize| {
            let counted = missed[at + 1].since(missed[at]);
            let whole = passed(self.before[at], self.before[at + 1]);
            let has_bytes = self.mode == Mode::Bytes;
            let has_costs = self.trace.has_costs();
            Window {
                seconds: self.stretches.seconds(at),
                first: self.before[at].requests + 1,
                requests: whole.requests,
                misses: counted.requests,
                miss_ratio: self.ratio(counted.requests, whole.requests),
                byte_miss_ratio: has_bytes.then(|| self.ratio(counted.bytes, whole.bytes)),
                cost_miss_ratio: has_costs.then(|| self.ratio(counted.cost, whole.cost)),
            }
        };
        (0..missed.len() - 1).map(window).collect()
    }
}

/// The CPU time that this thread has taken: what else runs on the machine is not in it.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is this machine's time, not a world's"
)]
pub(super) fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// A cache to be built.
pub(super) struct CacheOf<'a> {
    pub(super) eviction: &'a PolicySpec,
    pub(super) admission: &'a PolicySpec,
    pub(super) seed: u64,
}

impl CacheOf<'_> {
    pub(super) fn build(&self, capacity: u64, objects: usize) -> Result<Replay, PolicyError> {
        let eviction = cache::build(self.eviction, capacity, self.seed)?;
        let admission = admission::build(self.admission, capacity, self.seed)?;
        Ok(Replay::new(eviction, admission, capacity, objects))
    }
}

/// The part of a trace from one position to a later one.
fn passed(from: Position, to: Position) -> Position {
    Position {
        requests: to.requests - from.requests,
        bytes: to.bytes.saturating_sub(from.bytes),
        cost: to.cost.saturating_sub(from.cost),
    }
}

/// The distinct objects, or the sum of their first sizes. They are numbered by first requests.
fn footprint(trace: &Trace, mut charged: impl FnMut(usize) -> u64) -> u64 {
    let mut next = 0;
    let mut sum = 0_u64;
    for (request, &object) in trace.objects().iter().enumerate() {
        if object == next {
            sum = sum.saturating_add(charged(request));
            next += 1;
        }
    }
    sum
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
