//! Puts, one by one under each sync policy, and in batches.

use std::cell::LazyCell;
use std::time::Duration;

use aura_engine::{Batch, Engine, EngineConfig, SyncPolicy};
use bytesize::ByteSize;
use criterion::{Criterion, Throughput};

use crate::store::{Store, VALUE_BYTES, config, key, numbers};

/// Times a put of a key that is there, flushes and compactions beside it: in memory, and on a disk
/// under each sync policy. `always` is the time of the device.
pub(crate) fn puts(c: &mut Criterion) {
    let on_disk = |sync: SyncPolicy| {
        let mut config = EngineConfig::default();
        config.wal.sync = sync;
        Store::on_disk(config)
    };
    let bytes = SyncPolicy::Bytes(ByteSize::mib(1));
    let interval = SyncPolicy::Interval(Duration::from_millis(100));
    let places: [(&str, &dyn Fn() -> Store); 5] = [
        ("memory", &|| Store::in_memory(config())),
        ("disk/never", &|| on_disk(SyncPolicy::Never)),
        ("disk/bytes", &|| on_disk(bytes)),
        ("disk/interval", &|| on_disk(interval)),
        ("disk/always", &|| on_disk(SyncPolicy::Always)),
    ];
    let mut group = c.benchmark_group("put");
    for (place, open) in places {
        let store = LazyCell::new(open);
        let mut next = numbers();
        group.bench_function(place, |b| {
            let store = &*store;
            b.iter(|| {
                let key = key(next());
                store
                    .run(store.engine.put(&key, &[7; VALUE_BYTES]))
                    .unwrap();
            });
        });
    }
    group.finish();
}

/// Times a batch from its first put to its commit, in memory.
pub(crate) fn batches(c: &mut Criterion) {
    let mut group = c.benchmark_group("batch");
    let store = LazyCell::new(|| Store::in_memory(config()));
    let mut next = numbers();
    for puts in [10, 100, 1_000] {
        group.throughput(Throughput::Elements(puts));
        group.bench_function(format!("{puts}-puts"), |b| {
            let store = &*store;
            b.iter(|| {
                let mut batch = Batch::new();
                for _ in 0..puts {
                    batch.put(&key(next()), &[7; VALUE_BYTES]).unwrap();
                }
                store.run(store.engine.write(batch)).unwrap();
            });
        });
    }
    group.finish();
}
