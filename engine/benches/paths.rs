//! Times an operation on each path in memory: what the engine itself costs.
//!
//! ```text
//! cargo bench -p aura-engine --bench paths
//! ```

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aura_engine::env::memory::MemoryWorld;
use aura_engine::env::sim::{SimConfig, SimWorld};
use aura_engine::{
    AuraEngine, Batch, Direction, Engine, EngineBuilder, EngineConfig, MemtableStructure, Range,
    Rows,
};
use aura_policies::PolicySpec;
use aura_workloads::fnv_hash;
use bytesize::ByteSize;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const KEYS: u64 = 100_000;

/// About the bytes of these keys and values in tables.
const TABLE_BYTES: u64 = KEYS * 132;

fn key(number: u64) -> [u8; 16] {
    // A bijection that scatters the numbers, in hexadecimal.
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut key = [0; 16];
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = b"0123456789abcdef"[(scattered >> (60 - 4 * at)) as usize & 15];
    }
    key
}

/// Returns the result of a call that needs no device. It is there at the first poll; anything else
/// would be measured wrongly.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call that needs no device has to wait"),
    }
}

fn config(eviction: &str) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::mib(4);
    config.cache.size = ByteSize::mib(256);
    config.cache.eviction = PolicySpec::named(eviction);
    config
}

async fn loaded(env: aura_engine::env::Env, config: EngineConfig) -> AuraEngine {
    let engine = EngineBuilder::new(env, "/bench")
        .config(config)
        .open()
        .await
        .unwrap();
    for number in 0..KEYS {
        engine
            .put(&key(number), &[number as u8; 100])
            .await
            .unwrap();
    }
    engine.compact().await.unwrap();
    for number in 0..KEYS {
        engine.get(&key(number)).await.unwrap();
    }
    engine
}

/// Times every registered eviction policy on the same gets: all hits, with one thread and with two;
/// and with a cache for an eighth of the blocks, so that most gets evict.
fn gets(c: &mut Criterion) {
    let mut group = c.benchmark_group("get");
    group
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    for eviction in aura_policies::cache::FAMILY.names() {
        let world = MemoryWorld::new(2).unwrap();
        let engine = world.block_on(loaded(world.env(), config(eviction)));
        let mut at = 0;
        let mut next = || {
            at = (at + 7_919) % KEYS;
            key(at)
        };
        group.bench_function(format!("cached/{eviction}/1-thread"), |b| {
            b.iter(|| {
                black_box(ready(engine.get(&next())))
                    .unwrap()
                    .unwrap()
                    .len()
            });
        });
        let stop = AtomicBool::new(false);
        let others = AtomicU64::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut at = 0;
                while !stop.load(Ordering::Relaxed) {
                    at = (at + 104_729) % KEYS;
                    black_box(ready(engine.get(&key(at)))).unwrap();
                    others.fetch_add(1, Ordering::Relaxed);
                }
            });
            group.bench_function(format!("cached/{eviction}/2-threads"), |b| {
                b.iter(|| {
                    black_box(ready(engine.get(&next())))
                        .unwrap()
                        .unwrap()
                        .len()
                });
            });
            stop.store(true, Ordering::Relaxed);
        });
        let small = |config: &mut EngineConfig| config.cache.size = ByteSize(TABLE_BYTES / 8);
        world.block_on(engine.reconfigure(small)).unwrap();
        group.bench_function(format!("evicting/{eviction}"), |b| {
            b.iter(|| {
                black_box(ready(engine.get(&next())))
                    .unwrap()
                    .unwrap()
                    .len()
            });
        });
    }
    group.finish();
}

/// Times gets that a filter or a row answers.
fn special_gets(c: &mut Criterion) {
    let mut group = c.benchmark_group("get");
    for rows in [Rows::None, Rows::KeyValue, Rows::KeyPointer] {
        let world = MemoryWorld::new(2).unwrap();
        let mut config = EngineConfig::default();
        config.memtable = ByteSize::mib(4);
        config.cache.size = ByteSize::mib(256);
        config.cache.rows = rows;
        let engine = world.block_on(loaded(world.env(), config));
        let mut at = 0;
        group.bench_function(format!("rows/{rows:?}"), |b| {
            b.iter(|| {
                at = (at + 7_919) % KEYS;
                black_box(ready(engine.get(&key(at))))
                    .unwrap()
                    .unwrap()
                    .len()
            });
        });
        if rows == Rows::None {
            let mut absent = key(1);
            absent[15] = b'x';
            group.bench_function("absent", |b| {
                b.iter(|| assert_eq!(black_box(ready(engine.get(&absent))).unwrap(), None));
            });
        }
    }
    group.finish();
}

fn writes_and_scans(c: &mut Criterion) {
    let world = MemoryWorld::new(2).unwrap();
    let engine = world.block_on(loaded(world.env(), config("lru")));
    let mut at = 0;
    c.bench_function("put/100-bytes", |b| {
        b.iter(|| {
            at = (at + 7_919) % KEYS;
            world.block_on(engine.put(&key(at), &[7; 100])).unwrap();
        });
    });
    world.block_on(engine.compact()).unwrap();
    let mut group = c.benchmark_group("scan");
    group.throughput(Throughput::Elements(100));
    for direction in [Direction::Forward, Direction::Reverse] {
        group.bench_function(format!("100-rows/{direction:?}"), |b| {
            b.iter(|| {
                at = (at + 7_919) % KEYS;
                let range = match direction {
                    Direction::Forward => Range::from(&key(at)),
                    Direction::Reverse => Range::to_inclusive(&key(at)),
                };
                let mut scan = engine.scan(range, direction);
                for _ in 0..100 {
                    black_box(world.block_on(scan.next()).unwrap());
                }
            });
        });
    }
    group.finish();
}

/// Times a simulated, cached get in real nanoseconds, which bounds the speed of an experiment.
fn simulated_gets(c: &mut Criterion) {
    let world = SimWorld::new(&SimConfig::default());
    let env = world.env();
    let engine = world.block_on(loaded(env.clone(), config("lru"))).unwrap();
    let mut at = 0;
    c.bench_function("get/cached/simulated", |b| {
        b.iter(|| {
            at = (at + 7_919) % KEYS;
            let got = world.block_on(async {
                let got = engine.get(&key(at)).await;
                env.clock.wait_for_cpu().await;
                got
            });
            black_box(got.unwrap().unwrap().unwrap().len())
        });
    });
}

type MakeKey = fn(u64) -> Vec<u8>;

/// Writes all keys in batches of 100, into a memtable that is never full.
fn fill(world: &MemoryWorld, engine: &AuraEngine, key: MakeKey) {
    for first in (0..KEYS).step_by(100) {
        let mut batch = Batch::default();
        for number in first..first + 100 {
            batch.put(&key(number), &[7; 100]).unwrap();
        }
        world.block_on(engine.write(batch)).unwrap();
    }
}

/// Times every structure of memtables, on the keys of YCSB and on random 8 bytes: a put in a batch,
/// a get and a row of a scan of a whole engine whose data is all in the memtable.
fn memtables(c: &mut Criterion) {
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
        let empty = || {
            let mut config = EngineConfig::default();
            config.memtable = ByteSize::gib(1);
            config.memtable_structure = structure;
            let world = MemoryWorld::new(1).unwrap();
            let builder = EngineBuilder::new(world.env(), "/bench").config(config);
            let engine = world.block_on(builder.open()).unwrap();
            (world, engine)
        };
        group.throughput(Throughput::Elements(KEYS));
        group.bench_function(format!("insert/{shape}"), |b| {
            let filled = |(world, engine): (MemoryWorld, AuraEngine)| {
                fill(&world, &engine, key);
                (world, engine)
            };
            b.iter_batched(empty, filled, BatchSize::PerIteration);
        });
        let (world, engine) = empty();
        fill(&world, &engine, key);
        let mut at = 0;
        let mut next = || {
            at = (at + 7_919) % KEYS;
            key(at)
        };
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("get/{shape}"), |b| {
            b.iter(|| {
                black_box(ready(engine.get(&next())))
                    .unwrap()
                    .unwrap()
                    .len()
            });
        });
        group.throughput(Throughput::Elements(100));
        group.bench_function(format!("walk/{shape}"), |b| {
            b.iter(|| {
                let mut scan = engine.scan(Range::from(&next()), Direction::Forward);
                let mut rows = 0;
                while rows < 100 && world.block_on(scan.next()).unwrap().is_some() {
                    rows += 1;
                }
                rows
            });
        });
        group.finish();
    }
}

criterion_group!(
    benches,
    memtables,
    gets,
    special_gets,
    writes_and_scans,
    simulated_gets
);
criterion_main!(benches);
