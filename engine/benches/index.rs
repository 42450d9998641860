//! Nanoseconds that an index takes to name a block, and what it costs a cached get.
//!
//! ```text
//! cargo bench -p aura-engine --bench index
//! ```
//!
//! Prints the memory of each index beside plain fence pointers before it is timed. Keys are 16 bytes, a prefix of 8 and a
//! number; blocks hold 32.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use aura_engine::env::memory::MemoryWorld;
use aura_engine::{BareIndex, Engine, EngineBuilder, EngineConfig, IndexGate};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use criterion::{Criterion, criterion_group, criterion_main};

type Key = [u8; 16];

fn key(number: u64) -> Key {
    let mut key = *b"keyspace........";
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Sorted keys: spread evenly, by a smooth law, or at random.
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

/// Every registered index, and the segments at the sizes of a block.
fn specs() -> Vec<PolicySpec> {
    let registered = aura_policies::index::FAMILY
        .names()
        .into_iter()
        .map(PolicySpec::named);
    registered
        .chain([PolicySpec::named("greedy-plr").with("epsilon", 8)])
        .collect()
}

#[expect(clippy::print_stdout, reason = "the sizes belong beside the times")]
fn locate(c: &mut Criterion) {
    let world = MemoryWorld::new(1).unwrap();
    for (set, count) in [
        ("linear", 1_000_000),
        ("square", 1_000_000),
        ("random", 1_000_000),
        ("square", 10_000_000),
    ] {
        let keys = keys(set, count);
        let mut group = c.benchmark_group(format!("locate/{set}/{count}"));
        for spec in specs() {
            let listed = keys.iter().map(|key| &key[..]);
            let gate = IndexGate::default();
            let index = BareIndex::build(listed, 32, 4096, &spec, gate, world.env().clock).unwrap();
            let report = index.report();
            println!(
                "{set} {count} {spec}: {:?}, {} B of {} B plain and {} B packed fences, {} pieces, error {} (p99 {}), {} \
                 blocks a window, {:.3} a look-up, {:.1} ns a key to train{}",
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
                report
                    .refused
                    .as_ref()
                    .map(|why| format!("; refused, {why}"))
                    .unwrap_or_default(),
            );
            let mut at = 0;
            group.bench_function(spec.to_string(), |b| {
                b.iter(|| {
                    at = (at + 7_368_787) % keys.len();
                    black_box(index.locate(black_box(&keys[at])))
                });
            });
        }
        group.finish();
    }
}

/// The answer of a call that has nothing to wait for.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a call that needs no device has to wait"),
    }
}

#[expect(clippy::print_stdout, reason = "the shares belong beside the times")]
fn gets(c: &mut Criterion, value_bytes: usize) {
    let mut group = c.benchmark_group(format!("get/cached/{value_bytes}"));
    for spec in specs() {
        let world = MemoryWorld::new(2).unwrap();
        let mut config = EngineConfig::default();
        config.memtable = ByteSize::mib(8);
        config.table.size = ByteSize::gib(1);
        config.table.index = spec.clone();
        config.cache.size = ByteSize::gib(1);
        let keys = keys("square", 200_000);
        let engine = world.block_on(async {
            let engine = EngineBuilder::new(world.env(), "/bench")
                .config(config)
                .open()
                .await
                .unwrap();
            for key in &keys {
                engine.put(key, &vec![1; value_bytes]).await.unwrap();
            }
            engine.compact().await.unwrap();
            for key in &keys {
                engine.get(key).await.unwrap();
            }
            engine
        });
        let counts = engine.metrics().counts;
        println!(
            "{value_bytes} B values, {spec}: training {:.2} % of the CPU of compactions ({} of {} ms, flushes' training included)",
            100.0 * counts.index_training_nanos as f64 / counts.compaction_cpu_nanos.max(1) as f64,
            counts.index_training_nanos / 1_000_000,
            counts.compaction_cpu_nanos / 1_000_000,
        );
        let mut at = 0;
        group.bench_function(spec.to_string(), |b| {
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

fn gets_of_both_sizes(c: &mut Criterion) {
    [100, 1000]
        .into_iter()
        .for_each(|value_bytes| gets(c, value_bytes));
}

criterion_group!(benches, locate, gets_of_both_sizes);
criterion_main!(benches);
