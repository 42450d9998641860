//! Scans that the cache answers: the first row is searched for, the others follow it.

use std::cell::LazyCell;
use std::hint::black_box;

use aura_engine::{Direction, Engine, Range};
use criterion::{Criterion, Throughput};

use crate::store::{Store, VALUE_BYTES, config, key, numbers, ready, separations};

/// Returns a key that has thousands of keys before and after it.
fn start(next: &mut impl FnMut() -> u64) -> [u8; 16] {
    loop {
        let key = key(next());
        if (b'1'..=b'e').contains(&key[0]) {
            return key;
        }
    }
}

/// Times scans of 10, 100 and 1,000 rows in both directions, with values of 400 bytes that are in
/// the tables or in the value log.
pub(crate) fn scans(c: &mut Criterion) {
    for (way, separation) in separations() {
        let store = LazyCell::new(|| {
            let mut config = config();
            config.value_log.separation = separation;
            Store::in_memory(config).loaded(4 * VALUE_BYTES)
        });
        let mut group = c.benchmark_group(format!("scan/{way}"));
        for direction in [Direction::Forward, Direction::Reverse] {
            for rows in [10, 100, 1_000] {
                let mut next = numbers();
                group.throughput(Throughput::Elements(rows));
                group.bench_function(format!("{direction:?}/{rows}-rows"), |b| {
                    let engine = &store.engine;
                    b.iter(|| {
                        let start = start(&mut next);
                        let range = match direction {
                            Direction::Forward => Range::from(&start),
                            Direction::Reverse => Range::to_inclusive(&start),
                        };
                        let mut scan = engine.scan(range, direction);
                        for _ in 0..rows {
                            let row = ready(scan.next()).unwrap();
                            black_box(row.expect("the ends are far away"));
                        }
                    });
                });
            }
        }
        group.finish();
    }
}
