//! A phase over time, in equal slices, though its length is unknown beforehand.
//!
//! Slices start short. When there are too many, neighbours are merged and all become twice as long,
//! so any phase ends with between half of the allowed number and all of it. Each client keeps
//! slices of its own, without a lock. The engine's counters are sampled by whichever client first
//! ends an operation after a sample is due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aura_engine::Counts;
use hdrhistogram::Histogram;

use crate::record::SeriesPoint;

/// The length of slices, and of the pauses between samples, at first: a few operations.
const FIRST_NANOS: u64 = 1 << 16;

/// Samples of counters per slice, so that one lies near each slice's end.
const SAMPLES_PER_SLICE: usize = 4;

/// One client's slices.
pub(super) struct Slices {
    /// The length of each.
    nanos: u64,
    allowed: usize,
    slices: Vec<Slice>,
    /// When the client did its last operation; of several clients, the first to stop. `None`
    /// without an operation.
    last: Option<u64>,
}

/// The latencies of the operations that ended in a slice, to two digits.
type Slice = Histogram<u32>;

fn slice() -> Slice {
    Histogram::new(2).expect("two digits are allowed")
}

impl Slices {
    /// Starts with no slice; at most `allowed` will be kept.
    pub(super) fn new(allowed: usize) -> Self {
        Self {
            nanos: FIRST_NANOS,
            allowed,
            slices: Vec::with_capacity(allowed),
            last: None,
        }
    }

    /// Adds an operation that ended `at` nanoseconds after the phase's start. O(1) amortised.
    pub(super) fn record(&mut self, at: u64, latency: u64) {
        self.last = self.last.max(Some(at));
        while at / self.nanos >= self.allowed as u64 {
            self.fold();
        }
        let number = (at / self.nanos) as usize;
        if self.slices.len() <= number {
            self.slices.resize_with(number + 1, slice);
        }
        self.slices[number]
            .record(latency)
            .expect("a growing histogram takes every value");
    }

    /// Merges neighbours.
    fn fold(&mut self) {
        self.nanos *= 2;
        let mut halves = std::mem::take(&mut self.slices).into_iter();
        while let Some(mut first) = halves.next() {
            if let Some(second) = halves.next() {
                first += second;
            }
            self.slices.push(first);
        }
    }

    /// Adds the slices of another client.
    pub(super) fn merge(&mut self, mut other: Self) {
        self.last = match (self.last, other.last) {
            (Some(last), Some(others)) => Some(last.min(others)),
            (last, others) => last.or(others),
        };
        while self.nanos < other.nanos {
            self.fold();
        }
        while other.nanos < self.nanos {
            other.fold();
        }
        if self.slices.len() < other.slices.len() {
            self.slices.resize_with(other.slices.len(), slice);
        }
        for (mine, others) in self.slices.iter_mut().zip(other.slices) {
            *mine += others;
        }
    }

    /// Returns the series of a phase of `nanos`, with the counters that `samples` give.
    pub(super) fn points(mut self, nanos: u64, samples: &[Sample]) -> Vec<SeriesPoint> {
        while nanos.div_ceil(self.nanos) > self.allowed as u64 {
            self.fold();
        }
        let number = nanos.div_ceil(self.nanos) as usize;
        self.slices.resize_with(number, slice);
        let all_until = self.last.unwrap_or(nanos);
        let mut before = Counters::at_time(samples, 0);
        let mut points = Vec::with_capacity(number);
        for (number, slice) in self.slices.iter().enumerate() {
            let at_nanos = number as u64 * self.nanos;
            let end = (at_nanos + self.nanos).min(nanos);
            let after = Counters::at_time(samples, end);
            points.push(SeriesPoint {
                at_nanos,
                nanos: end - at_nanos,
                operations: slice.len(),
                latency_p99_nanos: slice.value_at_quantile(0.99),
                stall_nanos: after.stall_nanos - before.stall_nanos,
                cache_hits: after.cache_hits - before.cache_hits,
                cache_misses: after.cache_misses - before.cache_misses,
                background_write_bytes: after.background_write_bytes
                    - before.background_write_bytes,
                tail_nanos: end.saturating_sub(all_until.max(at_nanos)),
            });
            before = after;
        }
        points
    }
}

/// The counters of the engine that a series shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counters {
    stall_nanos: u64,
    cache_hits: u64,
    cache_misses: u64,
    background_write_bytes: u64,
}

impl Counters {
    fn of(counts: &Counts) -> Self {
        Self {
            stall_nanos: counts.stall_nanos,
            cache_hits: counts.block_hits,
            cache_misses: counts.block_misses,
            background_write_bytes: counts.flush_bytes + counts.compaction_write_bytes,
        }
    }

    /// The counters at a time: on the line between the samples before and after it.
    fn at_time(samples: &[Sample], at: u64) -> Self {
        let next = samples.partition_point(|sample| sample.at <= at);
        let before = next.checked_sub(1).map(|before| samples[before]);
        match (before, samples.get(next)) {
            (Some(before), Some(after)) => Self::between(&before, after, at),
            (Some(last), None) => last.counters,
            (None, Some(first)) => first.counters,
            (None, None) => Self::default(),
        }
    }

    fn between(before: &Sample, after: &Sample, at: u64) -> Self {
        let part = u128::from(at - before.at);
        let whole = u128::from(after.at - before.at);
        let on_the_line = |from: u64, to: u64| {
            let rise = u128::from(to - from);
            from + (rise * part / whole) as u64
        };
        let from = &before.counters;
        let to = &after.counters;
        Self {
            stall_nanos: on_the_line(from.stall_nanos, to.stall_nanos),
            cache_hits: on_the_line(from.cache_hits, to.cache_hits),
            cache_misses: on_the_line(from.cache_misses, to.cache_misses),
            background_write_bytes: on_the_line(
                from.background_write_bytes,
                to.background_write_bytes,
            ),
        }
    }
}

/// The counters at a time since the phase's start.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    at: u64,
    counters: Counters,
}

impl Sample {
    pub(super) fn new(at: u64, counts: &Counts) -> Self {
        Self {
            at,
            counters: Counters::of(counts),
        }
    }
}

/// Takes the samples of a phase, for all its clients.
pub(super) struct Sampler {
    /// The time of the next sample, in nanoseconds from the phase's start.
    due: AtomicU64,
    taken: Mutex<Taken>,
    allowed: usize,
}

struct Taken {
    /// The pause between samples.
    every: u64,
    samples: Vec<Sample>,
}

impl Sampler {
    /// Takes enough samples for `slices` slices; `first` is that of the phase's start.
    pub(super) fn new(slices: usize, first: Sample) -> Self {
        Self {
            due: AtomicU64::new(FIRST_NANOS),
            taken: Mutex::new(Taken {
                every: FIRST_NANOS,
                samples: vec![first],
            }),
            allowed: slices * SAMPLES_PER_SLICE,
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a sample if one is due. Costs one relaxed load if not.
    pub(super) fn tick(&self, at: u64, counts: impl FnOnce() -> Counts) {
        if at < self.due.load(Ordering::Relaxed) {
            return;
        }
        let mut taken = self.taken();
        // Another client may have been faster, or may be at a later time.
        let last = taken.samples.last();
        if last.is_some_and(|last| at < last.at + taken.every) {
            return;
        }
        taken.samples.push(Sample::new(at, &counts()));
        if taken.samples.len() > self.allowed {
            taken.drop_every_second();
        }
        self.due.store(at + taken.every, Ordering::Relaxed);
    }

    /// Returns all samples, and `last`, which was taken at the phase's end.
    pub(super) fn finish(&self, last: Sample) -> Vec<Sample> {
        let mut samples = std::mem::take(&mut self.taken().samples);
        samples.retain(|sample| sample.at < last.at);
        samples.push(last);
        samples
    }
}

impl Taken {
    fn drop_every_second(&mut self) {
        let mut keep = false;
        self.samples.retain(|_| {
            keep = !keep;
            keep
        });
        self.every *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_gives_between_half_of_the_slices_and_all() {
        for nanos in [1_000_000, 77_777_777, 5_000_000_000, 1_000_000_000_000] {
            let mut slices = Slices::new(60);
            let step = nanos / 10_000;
            for number in 1..=10_000 {
                slices.record(number * step - 1, number);
            }
            let points = slices.points(10_000 * step, &[]);
            assert!(
                (30..=60).contains(&points.len()) || nanos < 60 * FIRST_NANOS,
                "{} of {nanos}",
                points.len()
            );
            let operations: u64 = points.iter().map(|point| point.operations).sum();
            assert_eq!(operations, 10_000);
            let length: u64 = points.iter().map(|point| point.nanos).sum();
            assert_eq!(length, 10_000 * step);
            for pair in points.windows(2) {
                assert_eq!(pair[0].at_nanos + pair[0].nanos, pair[1].at_nanos);
            }
        }
    }

    #[test]
    fn clients_of_different_pace_add_up() {
        let mut quick = Slices::new(10);
        let mut slow = Slices::new(10);
        for number in 0..10 {
            quick.record(number * FIRST_NANOS, 100);
            slow.record(number * 8 * FIRST_NANOS, 1_000_000);
        }
        quick.merge(slow);
        let points = quick.points(80 * FIRST_NANOS, &[]);
        assert_eq!(points.len(), 10);
        assert_eq!(points[0].operations, 9);
        assert!(points[0].latency_p99_nanos >= 1_000_000);
        // The quick client's last operation is at nine first lengths, in the second slice of eight.
        let tails: Vec<u64> = points.iter().map(|point| point.tail_nanos).collect();
        assert_eq!(tails[..3], [0, 7 * FIRST_NANOS, 8 * FIRST_NANOS]);
    }

    #[test]
    fn counters_rise_between_samples() {
        let sample = |at, cache_hits| Sample {
            at,
            counters: Counters {
                cache_hits,
                ..Counters::default()
            },
        };
        let samples = [sample(0, 100), sample(10, 200), sample(30, 300)];
        for (at, hits) in [
            (0, 100),
            (5, 150),
            (10, 200),
            (20, 250),
            (30, 300),
            (99, 300),
        ] {
            assert_eq!(Counters::at_time(&samples, at).cache_hits, hits, "{at}");
        }
    }

    #[test]
    fn samples_thin_out() {
        let counts = |block_hits| Counts {
            block_hits,
            ..Counts::default()
        };
        let sampler = Sampler::new(5, Sample::new(0, &counts(0)));
        for number in 0..10_000 {
            let at = number * FIRST_NANOS;
            sampler.tick(at, || counts(at));
        }
        let end = 10_000 * FIRST_NANOS;
        let samples = sampler.finish(Sample::new(end, &counts(end)));
        assert!((10..=22).contains(&samples.len()), "{}", samples.len());
        for sample in samples {
            assert_eq!(sample.at, sample.counters.cache_hits);
        }
    }
}
