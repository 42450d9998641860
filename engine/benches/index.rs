//! Times how long an index takes to name a block, the search of a block, and a cached get with each
//! index.
//!
//! ```text
//! cargo bench -p aura-engine --bench index
//! ```
//!
//! Before an index is timed, its memory is printed beside that of plain fence pointers. Keys have
//! 16 bytes, a prefix of 8 and a number; blocks hold 32 keys if nothing else is said.

use std::cell::LazyCell;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aura_engine::env::memory::MemoryWorld;
use aura_engine::{
    AuraEngine, BareBlock, BareIndex, Engine, EngineBuilder, EngineConfig, IndexGate,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use criterion::{Criterion, criterion_group, criterion_main};

type Key = [u8; 16];

fn key(number: u64) -> Key {
    let mut key = *b"keyspace........";
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Returns sorted keys, spread evenly, by a smooth law, or at random.
fn keys(set: &str, count: u64) -> Vec<Key> {
    let mut numbers: Vec<u64> = match set {
        "linear" => (0..count).map(|i| 1_000 + 7 * i).collect(),
        "square" => (1..=count).map(|i| i * i).collect(),
        _ => (0..count)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i * i) << 20)
            .collect(),
    };
    numbers.sort_unstable();
    numbers.dedup();
    numbers.into_iter().map(key).collect()
}

/// Returns every registered index, and the segments at the size of a block.
fn specs() -> Vec<PolicySpec> {
    let names = aura_policies::index::FAMILY.names();
    let mut specs: Vec<_> = names.into_iter().map(PolicySpec::named).collect();
    specs.push(PolicySpec::named("greedy-plr").with("epsilon", 8));
    specs
}

/// Builds the index that a table of `keys` would have, and prints what it is.
#[expect(clippy::print_stdout, reason = "the sizes belong beside the times")]
fn built(set: &str, keys: &[Key], spec: &PolicySpec) -> BareIndex {
    let clock = MemoryWorld::new(1).unwrap().env().clock;
    let listed = keys.iter().map(|key| &key[..]);
    let index = BareIndex::build(listed, 32, 4096, spec, IndexGate::default(), clock).unwrap();
    let report = index.report();
    let refused = report.refused.as_ref();
    let refused = refused.map(|why| format!("; refused, {why}"));
    println!(
        "{set} {} {spec}: {:?}, {} B of {} B plain and {} B packed fences, \
         {} segments, error {} (p99 {}), {} blocks a window, {:.3} a look-up, \
         {:.1} ns a key to train{}",
        keys.len(),
        report.used,
        report.memory_bytes,
        report.fence_bytes,
        report.packed_fence_bytes,
        report.segments,
        report.error_max,
        report.error_p99,
        report.window_blocks,
        report.probes_milli as f64 / 1e3,
        report.training_nanos as f64 / report.keys as f64,
        refused.unwrap_or_default(),
    );
    index
}

fn locate(c: &mut Criterion) {
    for (set, count) in [
        ("linear", 1_000_000),
        ("square", 1_000_000),
        ("random", 1_000_000),
        ("square", 10_000_000),
    ] {
        let keys = LazyCell::new(|| keys(set, count));
        let mut group = c.benchmark_group(format!("locate/{set}/{count}"));
        for spec in specs() {
            let index = LazyCell::new(|| built(set, &keys, &spec));
            let mut at = 0;
            group.bench_function(spec.to_string(), |b| {
                let index = &*index;
                b.iter(|| {
                    at = (at + 7_368_787) % keys.len();
                    black_box(index.locate(black_box(&keys[at])))
                });
            });
        }
        group.finish();
    }
}

/// Times the search of 16 MiB of blocks, one after the other: in the whole block, as after fence
/// pointers, and among 16 entries, as after a learned index. Values have 100 bytes.
fn search(c: &mut Criterion) {
    let keys = LazyCell::new(|| keys("square", 150_000));
    let mut group = c.benchmark_group("search");
    for block_bytes in [ByteSize::kib(4), ByteSize::kib(16), ByteSize::kib(64)] {
        let entries = block_bytes.as_u64() as usize / (16 + 100 + 14);
        let blocks = LazyCell::new(|| {
            let build = |keys: &[Key]| BareBlock::build(keys.iter().map(|key| &key[..]), 100);
            let blocks: Result<Vec<_>, _> = keys.chunks_exact(entries).map(build).collect();
            blocks.unwrap()
        });
        let mut at = 0;
        let mut next = || {
            at = (at + 7_919) % (blocks.len() * entries);
            (&blocks[at / entries], at % entries, &keys[at])
        };
        group.bench_function(format!("{block_bytes}/whole"), |b| {
            b.iter(|| {
                let (block, _, key) = next();
                black_box(block.find(black_box(key)))
            });
        });
        group.bench_function(format!("{block_bytes}/among-16"), |b| {
            b.iter(|| {
                let (block, rank, key) = next();
                let start = rank.saturating_sub(8);
                black_box(block.find_within(start..start + 16, black_box(key)))
            });
        });
    }
    group.finish();
}

/// Returns the result of a call that has nothing to wait for.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call that needs no device has to wait"),
    }
}

/// Opens an engine with `keys` in its cache, and prints what training cost.
#[expect(clippy::print_stdout, reason = "the shares belong beside the times")]
fn cached(world: &MemoryWorld, keys: &[Key], value_bytes: usize, spec: &PolicySpec) -> AuraEngine {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::mib(8);
    config.table.size = ByteSize::gib(1);
    config.table.index = spec.clone();
    config.cache.size = ByteSize::gib(1);
    let engine = world.block_on(async {
        let engine = EngineBuilder::new(world.env(), "/bench")
            .config(config)
            .open()
            .await
            .unwrap();
        for key in keys {
            engine.put(key, &vec![1; value_bytes]).await.unwrap();
        }
        engine.compact().await.unwrap();
        for key in keys {
            engine.get(key).await.unwrap();
        }
        engine
    });
    let counts = engine.metrics().counts;
    let training = counts.index_training_nanos;
    let compactions = counts.compaction_cpu_nanos;
    println!(
        "{value_bytes} B values, {spec}: training {:.2} % of the CPU of compactions \
         ({} of {} ms, training in flushes included)",
        100.0 * training as f64 / compactions.max(1) as f64,
        training / 1_000_000,
        compactions / 1_000_000,
    );
    engine
}

fn gets(c: &mut Criterion) {
    let keys = LazyCell::new(|| keys("square", 200_000));
    for value_bytes in [100, 1000] {
        let mut group = c.benchmark_group(format!("get/cached/{value_bytes}"));
        for spec in specs() {
            let world = MemoryWorld::new(2).unwrap();
            let engine = LazyCell::new(|| cached(&world, &keys, value_bytes, &spec));
            let mut at = 0;
            group.bench_function(spec.to_string(), |b| {
                let engine = &*engine;
                b.iter(|| {
                    at = (at + 7_919) % keys.len();
                    black_box(ready(engine.get(&keys[at])))
                        .unwrap()
                        .unwrap()
                        .len()
                });
            });
        }
        group.finish();
    }
}

/// Short enough to run all of them now and then.
fn short() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
}

criterion_group! {
    name = benches;
    config = short();
    targets = locate, search, gets
}
criterion_main!(benches);
