//! How long operations take: a histogram for each kind of operation, filled by a sample.
//!
//! A clock is read twice for each operation that is timed, about 25 ns each on Linux, so only one
//! of several is. The buckets are log-linear: eight for each power of two, so that a value is known
//! to an eighth (as in HdrHistogram, with fewer digits). Each of the first threads has buckets of
//! its own, as it has counters.

use std::sync::OnceLock;

use serde::Serialize;

use super::{Counter, STRIPES, add, stripe_of_thread};
use crate::buckets::{bounds, bucket};
use crate::env::Clock;

/// Bits of a value below its highest that a bucket knows.
const PRECISION_BITS: u32 = 3;

/// Buckets. The last one takes everything from about two minutes on.
const BUCKETS: usize = 35 << PRECISION_BITS;

/// A kind of operation that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimedOperation {
    /// A point read.
    Get,
    /// A write of one key.
    Put,
    /// A removal of one key, or of a range.
    Delete,
    /// A batch.
    Batch,
    /// One row of a scan, or its end.
    ScanStep,
}

impl TimedOperation {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Get,
        Self::Put,
        Self::Delete,
        Self::Batch,
        Self::ScanStep,
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Batch => "batch",
            Self::ScanStep => "scan-step",
        }
    }
}

const KINDS: usize = TimedOperation::ALL.len();

/// What one thread has timed.
#[repr(align(128))]
struct Stripe {
    /// Operations until the next one is timed.
    left: [Counter; KINDS],
    nanos: [Counter; KINDS],
    buckets: [[Counter; BUCKETS]; KINDS],
}

impl Stripe {
    fn new() -> Box<Self> {
        Box::new(Self {
            left: Default::default(),
            nanos: Default::default(),
            buckets: std::array::from_fn(|_| std::array::from_fn(|_| Counter::default())),
        })
    }
}

/// The histograms of one engine.
pub(crate) struct Timers {
    every: u32,
    /// Made when a thread first uses its stripe.
    stripes: [OnceLock<Box<Stripe>>; STRIPES],
}

/// An operation that is being timed, if it is one of the sample. Dropping it times nothing.
#[must_use]
pub(crate) struct Timing {
    operation: TimedOperation,
    start: Option<u64>,
}

impl Timers {
    /// Timers of one of `every` operations of a kind; 0 times no operation.
    pub(super) fn new(every: u32) -> Self {
        Self {
            every,
            stripes: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    fn mine(&self) -> &Stripe {
        self.stripes[stripe_of_thread()].get_or_init(Stripe::new)
    }

    /// Begins an operation. O(1): a nanosecond or two, and a look at the clock for the sample.
    pub(crate) fn begin(&self, operation: TimedOperation, clock: &dyn Clock) -> Timing {
        let is_timed = self.every > 0 && self.is_next(operation);
        Timing {
            operation,
            start: is_timed.then(|| clock.now()),
        }
    }

    fn is_next(&self, operation: TimedOperation) -> bool {
        let left = &self.mine().left[operation as usize];
        let count = left.count();
        // Threads that share a stripe may take one turn twice, which a sample can bear.
        let next = count.checked_sub(1).unwrap_or(u64::from(self.every) - 1);
        left.set(next);
        count == 0
    }

    /// Ends an operation.
    pub(crate) fn end(&self, timing: &Timing, clock: &dyn Clock) {
        let Some(start) = timing.start else { return };
        let nanos = clock.now().saturating_sub(start);
        let kind = timing.operation as usize;
        let mine = self.mine();
        add(&mine.nanos[kind], nanos);
        add(
            &mine.buckets[kind][bucket::<PRECISION_BITS>(nanos, BUCKETS)],
            1,
        );
    }

    /// A copy of the histograms.
    pub(crate) fn latencies(&self) -> Latencies {
        let mut latencies = Latencies::default();
        for stripe in self.stripes.iter().filter_map(OnceLock::get) {
            for (kind, sum) in latencies.kinds.iter_mut().enumerate() {
                sum.nanos += stripe.nanos[kind].count();
                sum.buckets.resize(BUCKETS, 0);
                for (sum, counter) in sum.buckets.iter_mut().zip(&stripe.buckets[kind]) {
                    *sum += counter.count();
                }
            }
        }
        latencies
    }
}

/// The largest value of a bucket; the largest number for the last one.
fn upper_bound(at: usize) -> u64 {
    if at == BUCKETS - 1 {
        return u64::MAX;
    }
    bounds::<PRECISION_BITS>(at).1
}

/// How long the timed operations of each kind took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latencies {
    kinds: [Latency; KINDS],
}

impl Latencies {
    /// The operations of one kind.
    pub fn of(&self, operation: TimedOperation) -> &Latency {
        &self.kinds[operation as usize]
    }

    /// Returns the difference to an `earlier` copy.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            kinds: std::array::from_fn(|kind| self.kinds[kind].since(&earlier.kinds[kind])),
        }
    }
}

/// How long the timed operations of one kind took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Nanoseconds of all of them.
    pub nanos: u64,
    /// Operations by bucket; empty if no operation of the engine was timed.
    buckets: Vec<u64>,
}

impl Latency {
    /// Operations that were timed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The mean in nanoseconds; None without a timed operation.
    pub fn mean_nanos(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.nanos as f64 / count as f64)
    }

    /// The nanoseconds that a share `quantile` (0 to 1) of the operations did not exceed: at most
    /// an eighth too large. None without a timed operation.
    pub fn quantile_nanos(&self, quantile: f64) -> Option<u64> {
        let count = self.count();
        let rank = (quantile.clamp(0.0, 1.0) * count as f64).ceil().max(1.0) as u64;
        self.cumulative().find(|it| it.1 >= rank).map(|it| it.0)
    }

    /// The buckets that are not empty, each as its largest value in nanoseconds with the operations
    /// that took at most that.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        let filled = self.buckets.iter().enumerate().filter(|it| *it.1 > 0);
        filled.map(move |(bucket, count)| {
            sum += count;
            (upper_bound(bucket), sum)
        })
    }

    fn since(&self, earlier: &Self) -> Self {
        let before = earlier.buckets.iter().copied().chain(std::iter::repeat(0));
        let buckets = self.buckets.iter().zip(before);
        Self {
            nanos: self.nanos.wrapping_sub(earlier.nanos),
            buckets: buckets
                .map(|(now, before)| now.saturating_sub(before))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::sim::{CpuCosts, DeviceProfile, SimConfig, SimWorld};

    #[test]
    fn one_of_every_few_operations_of_a_kind_is_timed() {
        let world = SimWorld::new(&SimConfig {
            device: DeviceProfile::named("null").unwrap(),
            cpu: CpuCosts::FREE,
            cores: 1,
            seed: 1,
        });
        let clock = world.env().clock;
        let timers = Timers::new(4);
        world
            .block_on(async {
                for number in 0..10u64 {
                    let get = timers.begin(TimedOperation::Get, &*clock);
                    let put = timers.begin(TimedOperation::Put, &*clock);
                    clock.sleep(1_000 + number).await;
                    timers.end(&get, &*clock);
                    timers.end(&put, &*clock);
                }
            })
            .unwrap();
        let latencies = timers.latencies();
        let gets = latencies.of(TimedOperation::Get);
        assert_eq!(gets.count(), 3, "the first, the fifth and the ninth");
        assert_eq!(gets.nanos, 3_000 + 4 + 8);
        assert_eq!(gets.mean_nanos(), Some(1_004.0));
        assert_eq!(gets.quantile_nanos(0.5), Some(1_023));
        assert_eq!(latencies.of(TimedOperation::Put), gets);
        assert_eq!(latencies.of(TimedOperation::Delete).count(), 0);
        let nothing = latencies.since(&latencies);
        assert_eq!(nothing.of(TimedOperation::Get).quantile_nanos(0.5), None);
        assert_eq!(latencies.since(&Latencies::default()), latencies);
    }

    #[test]
    fn nothing_is_timed_by_default() {
        let timers = Timers::new(0);
        let clock = crate::env::memory::MemoryWorld::new(1).unwrap().env().clock;
        let timing = timers.begin(TimedOperation::Get, &*clock);
        timers.end(&timing, &*clock);
        assert_eq!(timers.latencies(), Latencies::default());
    }
}
