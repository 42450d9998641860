//! A split database as what a live comparison runs on: each side's counters, and how long its own
//! operations take.

use std::sync::{Arc, Mutex, PoisonError};

use aura_engine::env::Clock;
use aura_engine::{
    Batch, Direction, Engine, Metrics, Range, Result, SplitBuilder, SplitEngine, SplitScan, Value,
};
use hdrhistogram::Histogram;

use super::client::{histogram, record};
use super::target::{Audit, Opening, Target};
use crate::record::OpClass;

/// The classes of operations that go to one side: reads and writes of one key.
const CLASSES: [OpClass; 2] = [OpClass::Read, OpClass::Write];

/// How long the operations of one side took, by class, in nanoseconds.
type Latencies = [Histogram<u64>; 2];

fn empty() -> Latencies {
    CLASSES.map(|_| histogram())
}

/// A split database, and what is measured of each of its sides.
#[derive(Clone)]
pub(super) struct SplitTarget {
    engine: SplitEngine,
    clock: Arc<dyn Clock>,
    latencies: Arc<[Mutex<Latencies>; 2]>,
}

impl SplitTarget {
    /// The counters and the state of a side.
    pub(super) fn side_metrics(&self, side: usize) -> Metrics {
        self.engine.sides()[side].metrics()
    }

    /// Takes the latencies of a side since the last call.
    pub(super) fn take_latencies(&self, side: usize) -> Vec<(OpClass, Histogram<u64>)> {
        let mut latencies = self.latencies[side]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::replace(&mut *latencies, empty());
        let by_class = CLASSES.into_iter().zip(taken);
        by_class.filter(|(_, taken)| !taken.is_empty()).collect()
    }

    /// Carries out an operation on `key`, and notes how long its side took for it. As clients do,
    /// it waits until the CPU has done the work.
    async fn timed<T>(
        &self,
        key: &[u8],
        class: usize,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let begun = self.clock.now();
        let value = operation.await?;
        self.clock.wait_for_cpu().await;
        let nanos = self.clock.now() - begun;
        let side = &self.latencies[self.engine.side_of(key)];
        let mut latencies = side.lock().unwrap_or_else(PoisonError::into_inner);
        record(&mut latencies[class], nanos);
        Ok(value)
    }
}

impl Engine for SplitTarget {
    type Scan = SplitScan;

    async fn get(&self, key: &[u8]) -> Result<Option<Value>> {
        self.timed(key, 0, self.engine.get(key)).await
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.timed(key, 1, self.engine.put(key, value)).await
    }

    async fn delete(&self, key: &[u8]) -> Result<()> {
        self.engine.delete(key).await
    }

    async fn delete_range(&self, range: Range) -> Result<()> {
        self.engine.delete_range(range).await
    }

    async fn write(&self, batch: Batch) -> Result<()> {
        self.engine.write(batch).await
    }

    fn scan(&self, range: Range, direction: Direction) -> SplitScan {
        self.engine.scan(range, direction)
    }

    async fn flush(&self) -> Result<()> {
        self.engine.flush().await
    }

    async fn compact(&self) -> Result<()> {
        self.engine.compact().await
    }

    async fn close(&self) -> Result<()> {
        self.engine.close().await
    }
}

impl Target for SplitTarget {
    /// Opens both sides with the settings that the opening has for them, or with the same.
    async fn open(opening: Opening<'_>) -> Result<Self> {
        let clock = opening.env.clock.clone();
        let seed = opening.settings.seed;
        let sides = opening.sides.unwrap_or_else(|| {
            let settings = opening.settings;
            [settings.clone(), settings]
        });
        let builder = SplitBuilder::new(opening.env, opening.directory);
        let engine = builder.sides(sides).hash_seed(seed).open().await?;
        Ok(Self {
            engine,
            clock,
            latencies: Arc::new([empty(), empty()].map(Mutex::new)),
        })
    }

    /// Nothing of the whole: each side is asked for its own.
    fn metrics(&self) -> Metrics {
        Metrics::default()
    }

    async fn wait_idle(&self) -> Result<()> {
        self.engine.wait_idle().await
    }

    fn drop_cache(&self) {
        self.engine.drop_cache();
    }

    async fn audit(&self) -> Result<Audit> {
        let mut audit = Audit::default();
        for side in self.engine.sides() {
            let report = side.verify().await?;
            audit.reachable_bytes += report.reachable_bytes;
            audit.disk_bytes += report.disk_bytes;
            audit.problems.extend(report.problems);
        }
        Ok(audit)
    }
}
