//! Every structure of memtables, on the keys of YCSB and on random 8 bytes: a put in a batch, a get
//! and a row of a scan of a whole engine whose data is all in the memtable.

use std::cell::LazyCell;
use std::hint::black_box;

use aura_engine::{Direction, Engine, EngineConfig, MemtableStructure, Range};
use aura_workloads::fnv_hash;
use bytesize::ByteSize;
use criterion::{BatchSize, Criterion, Throughput};

use crate::store::{KEYS, Store, VALUE_BYTES, fill, numbers, ready};

type MakeKey = fn(u64) -> Vec<u8>;

/// Opens an empty engine whose memtable is never full.
pub(crate) fn unbounded(structure: MemtableStructure) -> Store {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::gib(1);
    config.memtable_structure = structure;
    Store::in_memory(config)
}

fn filled(store: Store, key: MakeKey) -> Store {
    store.run(fill(&store.engine, 0..KEYS, key, VALUE_BYTES));
    store
}

pub(crate) fn memtables(c: &mut Criterion) {
    let shapes: [(&str, MakeKey); 2] = [
        ("ycsb", |number| {
            format!("user{:019}", fnv_hash(number) >> 1).into_bytes()
        }),
        ("binary", |number| fnv_hash(number).to_be_bytes().to_vec()),
    ];
    for (structure, (shape, key)) in MemtableStructure::ALL
        .into_iter()
        .flat_map(|s| shapes.map(|shape| (s, shape)))
    {
        let mut group = c.benchmark_group(format!("memtable/{structure:?}"));
        group.sample_size(10);
        group.throughput(Throughput::Elements(KEYS));
        group.bench_function(format!("insert/{shape}"), |b| {
            let empty = || unbounded(structure);
            b.iter_batched(empty, |it| filled(it, key), BatchSize::PerIteration);
        });
        let store = LazyCell::new(|| filled(unbounded(structure), key));
        let mut next = numbers();
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("get/{shape}"), |b| {
            let engine = &store.engine;
            b.iter(|| {
                let value = black_box(ready(engine.get(&key(next()))));
                value.unwrap().unwrap().len()
            });
        });
        group.throughput(Throughput::Elements(100));
        group.bench_function(format!("walk/{shape}"), |b| {
            let engine = &store.engine;
            b.iter(|| {
                let mut scan = engine.scan(Range::from(&key(next())), Direction::Forward);
                let mut rows = 0;
                while rows < 100 && ready(scan.next()).unwrap().is_some() {
                    rows += 1;
                }
                rows
            });
        });
        group.finish();
    }
}
