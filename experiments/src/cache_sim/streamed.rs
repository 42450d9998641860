//! Caches on a trace that goes by: it is read once, block by block, and never held.
//!
//! ```text
//!   this thread: read, number ──▶ block ─┬─▶ thread 1: its caches
//!                                        └─▶ thread n: its caches
//! ```
//!
//! Each thread replays every block through its caches, while the next blocks are read. So memory
//! is taken by keys and caches only. What needs the whole trace at once cannot run: bounds, sizes
//! and warm-ups that are shares of it.

use std::time::Duration;

use aura_policies::replay::Replay;
use aura_workloads::trace::{Position, Trace};

use super::replay::{CacheOf, Missed, Simulation};
use super::{
    Arm, CacheSize, Job, Mode, Outcome, Ratio, Settings, SimRow, Warmup, jobs, replays, seeds,
};
use crate::parallel;

/// One cache, and what it counted.
struct Cache<'a> {
    /// Its place among all replays.
    place: usize,
    arm: Arm,
    size: &'a CacheSize,
    seed: u64,
    /// `None` before the first block; what refuses to run has a reason.
    replay: Option<Result<Replay, String>>,
    missed: Missed,
    time: Duration,
}

/// The caches of one thread.
struct Worker<'a> {
    caches: Vec<Cache<'a>>,
    /// What objects are charged with; `None` before the first block, if the trace decides.
    mode: Option<Mode>,
    /// Requests that are not counted any more.
    warmup: u64,
    seen: u64,
    objects: usize,
    /// What was counted of the trace.
    whole: Position,
    has_costs: bool,
}

impl Worker<'_> {
    fn new(mode: Option<Mode>, warmup: u64) -> Self {
        Self {
            caches: Vec::new(),
            mode,
            warmup,
            seen: 0,
            objects: 0,
            whole: Position::default(),
            has_costs: false,
        }
    }

    fn replay(&mut self, block: &Trace) {
        let mode = *self.mode.get_or_insert_with(|| mode_of(block));
        let largest = block.objects().iter().max();
        let objects = largest.map_or(0, |object| *object as usize + 1);
        self.objects = self.objects.max(objects);
        let warmup = self.warmup.saturating_sub(self.seen);
        let simulation = Simulation::of_block(block, mode, warmup);
        for cache in &mut self.caches {
            cache.replay(&simulation, self.objects);
        }
        self.seen += block.objects().len() as u64;
        self.has_costs |= block.has_costs();
        let counted = simulation.whole();
        self.whole.requests += counted.requests;
        self.whole.bytes = self.whole.bytes.saturating_add(counted.bytes);
        self.whole.cost = self.whole.cost.saturating_add(counted.cost);
    }

    fn outcome(&self, cache: &Cache) -> Result<Outcome, String> {
        let replay = match &cache.replay {
            None => return Err("the trace has no request".to_owned()),
            Some(Err(reason)) => return Err(reason.clone()),
            Some(Ok(replay)) => replay,
        };
        if self.whole.requests == 0 {
            return Err("the warm-up takes all of the trace's requests".to_owned());
        }
        let ratio = |missed: u64, of: u64| Ratio {
            value: (missed as f64 / of.max(1) as f64).min(1.0),
            error: None,
        };
        let Missed {
            requests,
            bytes,
            cost,
        } = cache.missed;
        let has_bytes = self.mode == Some(Mode::Bytes);
        let held = replay.held();
        let metadata = replay.metadata_bytes();
        Ok(Outcome {
            requests: self.whole.requests,
            misses: requests,
            miss_ratio: ratio(requests, self.whole.requests),
            byte_miss_ratio: has_bytes.then(|| ratio(bytes, self.whole.bytes)),
            cost_miss_ratio: self.has_costs.then(|| ratio(cost, self.whole.cost)),
            accesses_per_s: Some(self.seen as f64 / cache.time.as_secs_f64().max(1e-9)),
            held: Some(held as u64),
            metadata_bytes: Some(metadata),
            metadata_bytes_per_object: (held > 0).then(|| metadata as f64 / held as f64),
            ..Outcome::default()
        })
    }
}

impl Cache<'_> {
    fn replay(&mut self, simulation: &Simulation, objects: usize) {
        if self.replay.is_none() {
            self.replay = Some(self.built(simulation));
        }
        let Some(Ok(replay)) = &mut self.replay else {
            return;
        };
        replay.expect_objects(objects);
        let (missed, time) = simulation.count(replay);
        self.missed.add_all(missed);
        self.time += time;
    }

    fn built(&self, simulation: &Simulation) -> Result<Replay, String> {
        let Arm::Policy {
            eviction,
            admission,
        } = &self.arm
        else {
            return Err("a bound needs the whole trace at once".to_owned());
        };
        simulation.check_sizes(admission)?;
        let capacity = simulation.capacity(self.size).sampled;
        if capacity == 0 {
            return Err("the cache would hold nothing".to_owned());
        }
        let cache = CacheOf {
            eviction,
            admission,
            seed: self.seed,
        };
        cache.build(capacity, 0).map_err(|error| error.to_string())
    }
}

fn mode_of(block: &Trace) -> Mode {
    if block.has_sizes() {
        Mode::Bytes
    } else {
        Mode::Unit
    }
}

/// Runs everything on a trace that `read` hands out in blocks. Objects are charged by `mode`, or as
/// the trace allows. Bounds, windows and `settings.mode` are not looked at.
///
/// # Errors
/// The error of `read`.
pub fn run_streamed<T, E>(
    name: &str,
    settings: &Settings,
    mode: Option<Mode>,
    read: impl FnOnce(&mut dyn FnMut(Trace)) -> Result<T, E>,
) -> Result<(Vec<SimRow>, T), E> {
    let settings = Settings {
        bounds: Vec::new(),
        ..settings.clone()
    };
    let jobs = jobs(&settings);
    let replays = replays(&jobs);
    let warmup = match settings.warmup {
        Warmup::Requests(number) => number,
        Warmup::Share(_) => 0,
    };
    let threads = settings.jobs.clamp(1, replays.len().max(1));
    let mut workers: Vec<Worker> = (0..threads).map(|_| Worker::new(mode, warmup)).collect();
    for (place, &(job, seed)) in replays.iter().enumerate() {
        let Job { arm, size, seeds } = &jobs[job];
        let size: &CacheSize = size;
        workers[place % threads].caches.push(Cache {
            place,
            arm: arm.clone(),
            size,
            seed: seeds[seed],
            replay: None,
            missed: Missed::default(),
            time: Duration::ZERO,
        });
    }
    let (workers, made) = parallel::feed(workers, |worker, block| worker.replay(block), read);
    let made = made?;
    let mode = workers.iter().find_map(|worker| worker.mode);
    let mode = mode.unwrap_or(settings.mode);
    let mut outcomes = vec![Vec::new(); jobs.len()];
    for place in 0..replays.len() {
        let worker = &workers[place % threads];
        let of_place = |cache: &&Cache| cache.place == place;
        if let Some(cache) = worker.caches.iter().find(of_place) {
            outcomes[replays[place].0].push(worker.outcome(cache));
        }
    }
    let row = |(job, outcomes): (Job, Vec<Result<Outcome, String>>)| SimRow {
        trace: name.to_owned(),
        mode,
        size: job.size.to_string(),
        capacity: job.size.amount(),
        arm: job.arm,
        outcome: job
            .size
            .check(mode)
            .and_then(|()| seeds::together(outcomes.into_iter())),
    };
    Ok((jobs.into_iter().zip(outcomes).map(row).collect(), made))
}
