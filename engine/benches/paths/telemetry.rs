//! What observing costs: an operation that is not timed, that is one of a sample, and that is
//! always timed; and one reading of everything.

use std::cell::LazyCell;
use std::hint::black_box;

use aura_engine::{Direction, Engine, Range, Telemetry};
use criterion::Criterion;

use crate::store::{Store, VALUE_BYTES, config, key, numbers, ready};

/// How many operations there are for one that is timed; 0 times no operation.
const EVERY: [u32; 3] = [0, 17, 1];

fn store(every: u32) -> Store {
    let telemetry = Telemetry {
        timed_every: every,
        ..Telemetry::default()
    };
    Store::observed(config(), telemetry)
}

/// Times cached gets, puts in memory and the rows of one long scan after another.
pub(crate) fn timed(c: &mut Criterion) {
    let mut group = c.benchmark_group("telemetry");
    for every in EVERY {
        let loaded = LazyCell::new(|| store(every).loaded(VALUE_BYTES));
        let mut next = numbers();
        group.bench_function(format!("get/1-of-{every}"), |b| {
            let engine = &loaded.engine;
            b.iter(|| black_box(ready(engine.get(&key(next())))).unwrap());
        });
        group.bench_function(format!("scan-step/1-of-{every}"), |b| {
            let engine = &loaded.engine;
            let rows = || engine.scan(Range::all(), Direction::Forward);
            let mut scan = rows();
            b.iter(|| {
                let row = loaded.run(scan.next()).unwrap();
                if row.is_none() {
                    scan = rows();
                }
                black_box(row)
            });
        });
        let empty = LazyCell::new(|| store(every));
        let mut next = numbers();
        group.bench_function(format!("put/1-of-{every}"), |b| {
            let store = &*empty;
            b.iter(|| {
                let key = key(next());
                let put = store.engine.put(&key, &[7; VALUE_BYTES]);
                store.run(put).unwrap();
            });
        });
    }
    group.finish();
}

/// Times what one scrape asks of an engine, beside the text.
pub(crate) fn reading(c: &mut Criterion) {
    let store = LazyCell::new(|| store(1).loaded(VALUE_BYTES));
    c.bench_function("telemetry/reading", |b| {
        let engine = &store.engine;
        b.iter(|| black_box(engine.reading()));
    });
    c.bench_function("telemetry/health", |b| {
        let engine = &store.engine;
        b.iter(|| black_box(engine.health()));
    });
}
