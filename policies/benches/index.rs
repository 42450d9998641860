//! Nanoseconds for a look-up (the model, then the search of its window in the sorted keys) and for
//! training a key.
//!
//! ```text
//! AURA_KEYS=10000000 cargo bench -p aura-policies --bench index -- 'look-up/gaps'
//! ```
//!
//! `AURA_KEYS` is 1,000,000 if not set. The baselines search all keys: `partition_point` the sorted
//! array, without a branch to mispredict; `search` too, in eight parts a round, as windows are
//! searched; `eytzinger` the keys in breadth-first order.

use std::hint::black_box;
use std::time::Duration;

use aura_policies::PolicySpec;
use aura_policies::index::search::partition_point;
use aura_policies::index::{Model, Trained, Window, build, decode};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod random;

use random::random;

/// Key sets: two smooth ones, and uniform random numbers.
fn sets() -> Vec<(&'static str, Vec<u64>)> {
    let count = std::env::var("AURA_KEYS")
        .map_or(1_000_000, |count| count.parse().expect("a number of keys"));
    let mut uniform: Vec<u64> = (0..count).map(random).collect();
    uniform.sort_unstable();
    let gaps = (0..count).scan(0, |key, i| {
        *key += 1 + random(i) % 1000;
        Some(*key)
    });
    vec![
        ("square", (1..=count).map(|i| i * i).collect()),
        ("gaps", gaps.collect()),
        ("uniform", uniform),
    ]
}

fn specs() -> Vec<PolicySpec> {
    let mut specs: Vec<PolicySpec> = ["eytzinger", "interpolation"].map(PolicySpec::named).into();
    for policy in ["cone", "greedy-plr", "pgm", "radix-spline", "rmi"] {
        specs.extend([16, 64].map(|epsilon| PolicySpec::named(policy).with("epsilon", epsilon)));
    }
    specs.push(
        PolicySpec::named("pgm")
            .with("epsilon", 16)
            .with("epsilon_internal", 0),
    );
    specs
}

fn trained(spec: &PolicySpec, keys: &[u64]) -> Option<Box<dyn Model>> {
    match build(spec).expect("in range").train(keys) {
        Trained::Model(encoded) => decode(&spec.policy, Bytes::from(encoded)),
        Trained::Fence | Trained::Refused(_) => None,
    }
}

#[expect(
    clippy::print_stdout,
    reason = "a time means little without the bytes that it costs"
)]
fn lookups(c: &mut Criterion) {
    for (set, keys) in sets() {
        let asked: Vec<u64> = (0..1 << 16)
            .map(|i| keys[(random(i) % keys.len() as u64) as usize])
            .collect();
        let mut group = c.benchmark_group(format!("look-up/{set}"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500));
        group.throughput(Throughput::Elements(asked.len() as u64));
        group.bench_function("partition_point", |b| {
            b.iter(|| {
                asked
                    .iter()
                    .map(|key| keys.partition_point(|stored| stored < key))
                    .fold(0, usize::wrapping_add)
            })
        });
        group.bench_function("search", |b| {
            b.iter(|| {
                asked
                    .iter()
                    .map(|key| partition_point(&keys, |stored| stored < *key))
                    .fold(0, usize::wrapping_add)
            })
        });
        for spec in specs() {
            let Some(model) = trained(&spec, &keys) else {
                println!("{spec} makes no model of {set}");
                continue;
            };
            println!(
                "{spec}: {} pieces, {} bytes for {} keys",
                model.segments(),
                model.memory_bytes(),
                keys.len()
            );
            let find = |key: &u64| {
                let Window { lo, hi } = model.locate(*key);
                let lo = lo as usize;
                let hi = (hi as usize).min(keys.len());
                lo + partition_point(&keys[lo..hi], |stored| stored < *key)
            };
            group.bench_function(spec.to_string(), |b| {
                b.iter(|| asked.iter().map(find).fold(0, usize::wrapping_add))
            });
        }
        group.finish();
    }
}

fn training(c: &mut Criterion) {
    for (set, keys) in sets() {
        let mut group = c.benchmark_group(format!("train/{set}"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(500));
        group.throughput(Throughput::Elements(keys.len() as u64));
        for spec in specs() {
            let policy = build(&spec).expect("in range");
            group.bench_function(spec.to_string(), |b| {
                b.iter(|| policy.train(black_box(&keys)))
            });
        }
        group.finish();
    }
}

criterion_group!(benches, lookups, training);
criterion_main!(benches);
