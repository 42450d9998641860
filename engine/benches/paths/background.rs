//! Flushes and compactions, in bytes of keys and values a second. Files are in memory, so that the
//! engine's work is timed and not a device.

use aura_engine::{Engine, EngineConfig, MemtableStructure};
use criterion::{BatchSize, Criterion, Throughput};

use crate::memtables::unbounded;
use crate::store::{KEYS, Store, VALUE_BYTES, fill, key};

/// Bytes of all keys and values.
const USER_BYTES: u64 = KEYS * (16 + VALUE_BYTES as u64);

/// Runs that a compaction merges.
const RUNS: u64 = 4;

/// Times the flush of a memtable of each structure.
pub(crate) fn flushes(c: &mut Criterion) {
    let mut group = c.benchmark_group("flush");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(USER_BYTES));
    for structure in MemtableStructure::ALL {
        let full = || {
            let store = unbounded(structure);
            store.run(fill(&store.engine, 0..KEYS, key, VALUE_BYTES));
            store
        };
        let flush = |store: Store| {
            store.run(store.engine.flush()).unwrap();
            store
        };
        group.bench_function(format!("{structure:?}"), |b| {
            b.iter_batched(full, flush, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// Times the merge of four runs of level 0: of different keys, all of which stay, and of the same
/// keys, a quarter of which stay.
pub(crate) fn compactions(c: &mut Criterion) {
    let mut group = c.benchmark_group("compaction");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(USER_BYTES));
    for keys in ["different-keys", "same-keys"] {
        let four_runs = || {
            let mut config = EngineConfig::default();
            // None starts by itself.
            config.compaction.level0_trigger = 100;
            config.compaction.level0_slowdown = 200;
            config.compaction.level0_stop = 300;
            let store = Store::in_memory(config);
            for run in 0..RUNS {
                let numbers = (0..KEYS / RUNS).map(|at| match keys {
                    "same-keys" => at,
                    _ => RUNS * at + run,
                });
                store.run(fill(&store.engine, numbers, key, VALUE_BYTES));
                store.run(store.engine.flush()).unwrap();
            }
            store
        };
        let merge = |store: Store| {
            store.run(store.engine.compact()).unwrap();
            let merged = store.engine.metrics().counts.compaction_read_bytes;
            assert!(merged > USER_BYTES, "only {merged} bytes were merged");
            store
        };
        group.bench_function(keys, |b| {
            b.iter_batched(four_runs, merge, BatchSize::PerIteration);
        });
    }
    group.finish();
}
