//! A phase over time, in equal slices, though nobody knows beforehand how long it takes.
//!
//! Slices start short. When there would be too many, neighbours are merged and all are twice as long; so any phase ends
//! with between half of the allowed number and all of it. Each client keeps slices of its own, without a lock; engine
//! counters are sampled by whichever client is the first to end an operation after a sample is due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use aura_engine::Counts;
use hdrhistogram::Histogram;

use crate::record::SeriesPoint;

/// How long slices and the pauses between samples are at first: a few operations.
const FIRST_NANOS: u64 = 1 << 16;

/// Samples of counters for every slice, so that one lies near each slice's end.
const SAMPLES_PER_SLICE: usize = 4;

/// One client's slices.
pub(super) struct Slices {
    nanos: u64,
    allowed: usize,
    slices: Vec<Slice>,
}

/// The latencies of the operations that ended in a slice, to two digits.
type Slice = Histogram<u32>;

fn slice() -> Slice {
    Histogram::new(2).expect("two digits are allowed")
}

impl Slices {
    /// At most `allowed` slices.
    pub(super) fn new(allowed: usize) -> Self {
        Self {
            nanos: FIRST_NANOS,
            allowed,
            slices: Vec::with_capacity(allowed),
        }
    }

    /// Books an operation that ended `at` nanoseconds after the phase began. O(1) amortised.
    pub(super) fn record(&mut self, at: u64, latency: u64) {
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

    /// Adds another client's.
    pub(super) fn merge(&mut self, mut other: Self) {
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

    /// The series of a phase of `nanos`, whose counters went as `samples` say.
    pub(super) fn points(mut self, nanos: u64, samples: &[Sample]) -> Vec<SeriesPoint> {
        while nanos.div_ceil(self.nanos) > self.allowed as u64 {
            self.fold();
        }
        let number = nanos.div_ceil(self.nanos) as usize;
        self.slices.resize_with(number, slice);
        let mut before = at_time(samples, 0);
        let point = |(number, slice): (usize, &Slice)| {
            let at_nanos = number as u64 * self.nanos;
            let end = (at_nanos + self.nanos).min(nanos);
            let after = at_time(samples, end);
            let [
                stall_nanos,
                cache_hits,
                cache_misses,
                background_write_bytes,
            ] = std::array::from_fn(|counter| after[counter] - before[counter]);
            before = after;
            SeriesPoint {
                at_nanos,
                nanos: end - at_nanos,
                operations: slice.len(),
                latency_p99_nanos: slice.value_at_quantile(0.99),
                stall_nanos,
                cache_hits,
                cache_misses,
                background_write_bytes,
            }
        };
        self.slices.iter().enumerate().map(point).collect()
    }
}

/// The counters that a series shows: stalled nanoseconds, cache hits, cache misses, background bytes written.
type Shown = [u64; 4];

/// What the counters were at a time since the phase began.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    at: u64,
    shown: Shown,
}

impl Sample {
    pub(super) fn new(at: u64, counts: &Counts) -> Self {
        let background = counts.flush_bytes + counts.compaction_write_bytes;
        Self {
            at,
            shown: [
                counts.stall_nanos,
                counts.block_hits,
                counts.block_misses,
                background,
            ],
        }
    }
}

/// What the counters were at a time: on the line between the samples before and after it.
fn at_time(samples: &[Sample], at: u64) -> Shown {
    let next = samples.partition_point(|sample| sample.at <= at);
    match (
        next.checked_sub(1).map(|before| samples[before]),
        samples.get(next),
    ) {
        (Some(before), Some(after)) => {
            let (part, whole) = (u128::from(at - before.at), u128::from(after.at - before.at));
            std::array::from_fn(|counter| {
                let rise = u128::from(after.shown[counter] - before.shown[counter]);
                before.shown[counter] + (rise * part / whole) as u64
            })
        }
        (Some(last), None) => last.shown,
        (None, first) => first.map(|first| first.shown).unwrap_or_default(),
    }
}

/// The samples of a phase, taken by all its clients.
pub(super) struct Sampler {
    /// When the next sample is due, in nanoseconds since the phase began.
    due: AtomicU64,
    taken: Mutex<Taken>,
    allowed: usize,
}

struct Taken {
    every: u64,
    samples: Vec<Sample>,
}

impl Sampler {
    /// Enough samples for `slices` slices; the first was taken at the phase's start.
    pub(super) fn new(slices: usize, first: Sample) -> Self {
        let taken = Taken {
            every: FIRST_NANOS,
            samples: vec![first],
        };
        Self {
            due: AtomicU64::new(FIRST_NANOS),
            taken: Mutex::new(taken),
            allowed: slices * SAMPLES_PER_SLICE,
        }
    }

    /// Takes a sample if one is due. One relaxed load where none is.
    pub(super) fn tick(&self, at: u64, counts: impl FnOnce() -> Counts) {
        if at < self.due.load(Ordering::Relaxed) {
            return;
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        // Another client may have been faster, or have come from a later moment.
        if taken
            .samples
            .last()
            .is_some_and(|last| at < last.at + taken.every)
        {
            return;
        }
        taken.samples.push(Sample::new(at, &counts()));
        if taken.samples.len() > self.allowed {
            let mut number = 0;
            taken.samples.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            taken.every *= 2;
        }
        self.due.store(at + taken.every, Ordering::Relaxed);
    }

    /// All samples, and the last one, taken at the phase's end.
    pub(super) fn finish(&self, last: Sample) -> Vec<Sample> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut samples = std::mem::take(&mut taken.samples);
        samples.retain(|sample| sample.at < last.at);
        samples.push(last);
        samples
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
            (1..=10_000).for_each(|number| slices.record(number * step - 1, number));
            let points = slices.points(10_000 * step, &[]);
            assert!(
                (30..=60).contains(&points.len()) || nanos < 60 * FIRST_NANOS,
                "{} of {nanos}",
                points.len()
            );
            assert_eq!(
                points.iter().map(|point| point.operations).sum::<u64>(),
                10_000
            );
            assert_eq!(
                points.iter().map(|point| point.nanos).sum::<u64>(),
                10_000 * step
            );
            assert!(
                points
                    .windows(2)
                    .all(|pair| pair[0].at_nanos + pair[0].nanos == pair[1].at_nanos)
            );
        }
    }

    #[test]
    fn clients_of_different_pace_add_up() {
        let (mut quick, mut slow) = (Slices::new(10), Slices::new(10));
        (0..10).for_each(|number| quick.record(number * FIRST_NANOS, 100));
        (0..10).for_each(|number| slow.record(number * 8 * FIRST_NANOS, 1_000_000));
        quick.merge(slow);
        let points = quick.points(80 * FIRST_NANOS, &[]);
        assert_eq!(points.len(), 10);
        assert_eq!(points[0].operations, 9);
        assert!(points[0].latency_p99_nanos >= 1_000_000);
    }

    #[test]
    fn counters_rise_between_samples() {
        let sample = |at, hits| Sample {
            at,
            shown: [0, hits, 0, 0],
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
            assert_eq!(at_time(&samples, at)[1], hits, "{at}");
        }
    }

    #[test]
    fn samples_thin_out() {
        let sampler = Sampler::new(5, Sample::new(0, &Counts::default()));
        for at in (0..10_000).map(|number| number * FIRST_NANOS) {
            sampler.tick(at, || Counts {
                block_hits: at,
                ..Counts::default()
            });
        }
        let end = 10_000 * FIRST_NANOS;
        let samples = sampler.finish(Sample::new(
            end,
            &Counts {
                block_hits: end,
                ..Counts::default()
            },
        ));
        assert!((10..=22).contains(&samples.len()), "{}", samples.len());
        assert!(samples.iter().all(|sample| sample.at == sample.shown[1]));
    }
}
