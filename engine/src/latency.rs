//! How long operations take, by class, for an agent that listens.
//!
//! A histogram of each class, log-linear as HdrHistogram (Tene 2012) has it: sixteen buckets for
//! each power of two, so that a percentile is off by 3.2 % at most. They are in stripes, as the
//! counters are, and written with relaxed additions. An engine without an active agent measures
//! nothing, and does not look at the clock for it.

use std::sync::atomic::{AtomicU64, Ordering};

use aura_policies::facts::Latency;

use crate::buckets::{bounds, bucket};
use crate::metrics::stripe_of_thread;

/// A class of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Point reads.
    Get,
    /// Batches of writes.
    Write,
    /// Scans.
    Scan,
}

const CLASSES: usize = 3;

/// Threads share this many stripes.
const STRIPES: usize = 8;

/// Bits of a value below its highest one that choose the bucket.
const BITS: u32 = 4;

/// Buckets: the last one holds what takes half an hour or longer.
const BUCKETS: usize = 38 << BITS;

struct Histogram {
    nanos: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

impl Histogram {
    fn new() -> Self {
        Self {
            nanos: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

/// The latencies of an engine.
pub(crate) struct Latencies {
    stripes: Vec<[Histogram; CLASSES]>,
}

impl Latencies {
    /// Nothing is measured yet.
    pub(crate) fn new() -> Self {
        let stripe = |_| std::array::from_fn(|_| Histogram::new());
        Self {
            stripes: (0..STRIPES).map(stripe).collect(),
        }
    }

    /// Adds an operation that took `nanos` nanoseconds.
    pub(crate) fn add(&self, class: Class, nanos: u64) {
        let stripe = &self.stripes[stripe_of_thread() % STRIPES];
        let histogram = &stripe[class as usize];
        histogram.nanos.fetch_add(nanos, Ordering::Relaxed);
        histogram.buckets[bucket::<BITS>(nanos, BUCKETS)].fetch_add(1, Ordering::Relaxed);
    }

    /// Copies what was measured so far. O(buckets).
    pub(crate) fn counts(&self) -> LatencyCounts {
        let mut counts = LatencyCounts::default();
        for stripe in &self.stripes {
            for (class, sum) in stripe.iter().zip(&mut counts.classes) {
                sum.nanos += class.nanos.load(Ordering::Relaxed);
                for (counter, count) in class.buckets.iter().zip(&mut sum.buckets) {
                    *count += counter.load(Ordering::Relaxed);
                }
            }
        }
        counts
    }
}

/// A copy of what was measured.
#[derive(Default)]
pub(crate) struct LatencyCounts {
    classes: [ClassCounts; CLASSES],
}

struct ClassCounts {
    nanos: u64,
    buckets: Vec<u64>,
}

impl Default for ClassCounts {
    fn default() -> Self {
        Self {
            nanos: 0,
            buckets: vec![0; BUCKETS],
        }
    }
}

impl LatencyCounts {
    /// What a class took since an `earlier` copy.
    pub(crate) fn since(&self, earlier: &Self, class: Class) -> Latency {
        let now = &self.classes[class as usize];
        let before = &earlier.classes[class as usize];
        let buckets = now.buckets.iter().zip(&before.buckets);
        let counts: Vec<u64> = buckets.map(|(now, before)| now - before).collect();
        let count: u64 = counts.iter().sum();
        // The smallest bucket up to which 99 % lie.
        let mut left = count - count / 100;
        let found = counts.iter().position(|inside| {
            left = left.saturating_sub(*inside);
            left == 0
        });
        Latency {
            count,
            nanos: now.nanos.wrapping_sub(before.nanos),
            p99_nanos: if count == 0 {
                0
            } else {
                middle_of(found.unwrap_or(BUCKETS - 1))
            },
        }
    }
}

/// The middle of a bucket.
fn middle_of(at: usize) -> u64 {
    let (least, largest) = bounds::<BITS>(at);
    least.midpoint(largest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_is_of_the_window_alone() {
        let latencies = Latencies::new();
        (0..100).for_each(|_| latencies.add(Class::Get, 1_000_000));
        let before = latencies.counts();
        (0..990).for_each(|_| latencies.add(Class::Get, 1_000));
        (0..10).for_each(|_| latencies.add(Class::Get, 50_000));
        latencies.add(Class::Write, 7);
        let after = latencies.counts();
        let gets = after.since(&before, Class::Get);
        assert_eq!((gets.count, gets.nanos), (1_000, 1_490_000));
        assert!((970..1_030).contains(&gets.p99_nanos), "{gets:?}");
        latencies.add(Class::Get, 50_000);
        let gets = latencies.counts().since(&before, Class::Get);
        assert!((48_000..52_000).contains(&gets.p99_nanos), "{gets:?}");
        let writes = after.since(&before, Class::Write);
        assert_eq!((writes.count, writes.p99_nanos), (1, 7));
        assert_eq!(after.since(&before, Class::Scan), Latency::default());
    }
}
