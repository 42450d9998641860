//! What a split database costs beside one tree of the same settings and the same memory.

use std::cell::LazyCell;
use std::hint::black_box;

use aura_engine::{Batch, Cursor, Direction, Engine, Range};
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};

use crate::store::{Store, VALUE_BYTES, config, key, numbers};

/// Times cached gets, puts, batches of 100 puts and the rows of long scans, on one tree and on two.
pub(crate) fn beside_one_tree(c: &mut Criterion) {
    let mut group = c.benchmark_group("split");
    paths(&mut group, "one-tree", || Store::in_memory(config()));
    paths(&mut group, "two-trees", || Store::split(config()));
    group.finish();
}

fn paths<E: Engine>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    trees: &str,
    open: impl Fn() -> Store<E>,
) {
    let loaded = LazyCell::new(|| open().loaded(VALUE_BYTES));
    let mut next = numbers();
    group.bench_function(format!("get/{trees}"), |b| {
        let store = &*loaded;
        b.iter(|| black_box(store.run(store.engine.get(&key(next())))).unwrap());
    });
    group.bench_function(format!("scan-step/{trees}"), |b| {
        let store = &*loaded;
        let rows = || store.engine.scan(Range::all(), Direction::Forward);
        let mut scan = rows();
        b.iter(|| {
            let row = store.run(scan.next()).unwrap();
            if row.is_none() {
                scan = rows();
            }
            black_box(row)
        });
    });
    for (name, puts) in [("put", 1), ("batch-of-100", 100)] {
        let empty = LazyCell::new(&open);
        let mut next = numbers();
        group.bench_function(format!("{name}/{trees}"), |b| {
            let store = &*empty;
            b.iter(|| {
                let mut batch = Batch::new();
                for _ in 0..puts {
                    batch.put(&key(next()), &[7; VALUE_BYTES]).unwrap();
                }
                store.run(store.engine.write(batch)).unwrap();
            });
        });
    }
}
