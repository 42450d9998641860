//! Point reads: from the cache, from rows, of keys that are not there, and from the page cache.

use std::cell::LazyCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_engine::env::sim::{SimConfig, SimWorld};
use aura_engine::{AuraEngine, Engine, EngineBuilder, EngineConfig, Rows};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use criterion::{Bencher, Criterion};

use crate::store::{KEYS, Store, VALUE_BYTES, config, key, load, numbers, ready, separations};

/// About the bytes of all keys and values in tables.
const TABLE_BYTES: u64 = KEYS * 132;

/// Times gets of keys that are there.
fn gets(b: &mut Bencher<'_>, engine: &AuraEngine, next: &mut impl FnMut() -> u64) {
    b.iter(|| {
        let value = black_box(ready(engine.get(&key(next()))));
        value.unwrap().unwrap().len()
    });
}

/// Runs `timed` while another thread gets keys as fast as it can.
fn beside_a_reader(engine: &AuraEngine, timed: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = numbers();
            while !stop.load(Ordering::Relaxed) {
                black_box(ready(engine.get(&key(next())))).unwrap();
            }
        });
        timed();
        stop.store(true, Ordering::Relaxed);
    });
}

/// Times every registered eviction policy on the same gets: all hits, with one thread and with two;
/// and with a cache for an eighth of the blocks, so that most gets evict.
pub(crate) fn by_eviction(c: &mut Criterion) {
    let mut group = c.benchmark_group("get");
    for eviction in aura_policies::cache::FAMILY.names() {
        let store = LazyCell::new(|| {
            let mut config = config();
            config.cache.eviction = PolicySpec::named(eviction);
            Store::in_memory(config).loaded(VALUE_BYTES)
        });
        let mut next = numbers();
        group.bench_function(format!("cached/{eviction}/1-thread"), |b| {
            gets(b, &store.engine, &mut next);
        });
        group.bench_function(format!("cached/{eviction}/2-threads"), |b| {
            let engine = &store.engine;
            beside_a_reader(engine, || gets(b, engine, &mut next));
        });
        let evicting = LazyCell::new(|| {
            let small = |config: &mut EngineConfig| config.cache.size = ByteSize(TABLE_BYTES / 8);
            store.run(store.engine.reconfigure(small)).unwrap();
            &store.engine
        });
        group.bench_function(format!("evicting/{eviction}"), |b| {
            gets(b, &evicting, &mut next);
        });
    }
    group.finish();
}

/// Times gets that a row of the cache answers.
pub(crate) fn by_rows(c: &mut Criterion) {
    let mut group = c.benchmark_group("get");
    for rows in [Rows::None, Rows::KeyValue, Rows::KeyPointer] {
        let store = LazyCell::new(|| {
            let mut config = config();
            config.cache.rows = rows;
            Store::in_memory(config).loaded(VALUE_BYTES)
        });
        let mut next = numbers();
        group.bench_function(format!("rows/{rows:?}"), |b| {
            gets(b, &store.engine, &mut next);
        });
    }
    group.finish();
}

/// Times gets of keys that lie between those that are there. A filter answers nearly all of them;
/// without one the index and a block do.
pub(crate) fn absent(c: &mut Criterion) {
    let mut group = c.benchmark_group("get");
    for filter in aura_policies::filter::FAMILY.names() {
        let store = LazyCell::new(|| {
            let mut config = config();
            config.table.filter = PolicySpec::named(filter);
            Store::in_memory(config).loaded(VALUE_BYTES)
        });
        let mut next = numbers();
        group.bench_function(format!("absent/{filter}"), |b| {
            let engine = &store.engine;
            b.iter(|| {
                let mut absent = key(next());
                absent[15] = b'x';
                assert_eq!(black_box(ready(engine.get(&absent))).unwrap(), None);
            });
        });
    }
    group.finish();
}

/// Times gets without a cache: each reads its block, and its separated value, by a system call that
/// the page cache answers.
pub(crate) fn page_cache(c: &mut Criterion) {
    let mut group = c.benchmark_group("get");
    for (way, separation) in separations() {
        let store = LazyCell::new(|| {
            let mut config = config();
            config.cache.size = ByteSize(0);
            config.value_log.separation = separation;
            Store::on_disk(config).loaded(4 * VALUE_BYTES)
        });
        let mut next = numbers();
        group.bench_function(format!("page-cache/{way}"), |b| {
            gets(b, &store.engine, &mut next);
        });
    }
    group.finish();
}

/// Times a simulated, cached get in real nanoseconds, which bounds the speed of an experiment.
pub(crate) fn simulated(c: &mut Criterion) {
    let world = SimWorld::new(&SimConfig::default());
    let env = world.env();
    let engine = LazyCell::new(|| {
        let loading = async {
            let builder = EngineBuilder::new(world.env(), "/bench").config(config());
            let engine = builder.open().await.unwrap();
            load(&engine, VALUE_BYTES).await;
            engine
        };
        world.block_on(loading).unwrap()
    });
    let mut next = numbers();
    c.bench_function("get/cached/simulated", |b| {
        let engine = &*engine;
        b.iter(|| {
            let got = world.block_on(async {
                let got = engine.get(&key(next())).await;
                env.clock.wait_for_cpu().await;
                got
            });
            black_box(got.unwrap().unwrap().unwrap().len())
        });
    });
}
