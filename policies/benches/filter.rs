//! Nanoseconds for a filter to answer, and to be built, for each key.
//!
//! ```text
//! cargo bench -p aura-policies --bench filter
//! ```
//!
//! Before a filter is asked, its bits for each key and its share of false positives are printed.
//! Filters of 100,000 keys fit in a core's cache; those of 10,000,000 keys do not.

use std::cell::LazyCell;
use std::hint::black_box;
use std::time::Duration;

use aura_policies::PolicySpec;
use aura_policies::filter::{FAMILY, Filter, FilterFacts, build, decode};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod random;

use random::random;

const FACTS: FilterFacts = FilterFacts {
    level: 1,
    deepest: 1,
    levels: Vec::new(),
};

/// Hashes that are asked for in one go: half a mebibyte of them.
const ASKED: u64 = 1 << 16;

/// Returns every registered filter that keeps something, and a larger one of the default kind.
fn specs() -> Vec<PolicySpec> {
    let names = FAMILY.names().into_iter();
    let mut specs: Vec<_> = names.map(PolicySpec::named).collect();
    specs.push(PolicySpec::named("bloom").with("bits_per_key", 20.0));
    specs.retain(|spec| built(spec, &[random(0)]).is_some());
    specs
}

/// Encodes the filter of a table with these hashes of keys.
fn built(spec: &PolicySpec, hashes: &[u64]) -> Option<Vec<u8>> {
    build(spec).expect("in range").build(hashes, &FACTS)
}

/// Returns the filter of a table with these hashes of keys, and prints what it is.
#[expect(
    clippy::print_stdout,
    reason = "a time means little without the false positives that remain"
)]
fn filter(spec: &PolicySpec, hashes: &[u64]) -> Box<dyn Filter> {
    let encoded = built(spec, hashes).expect("a filter");
    let filter = decode(&spec.policy, encoded.into()).expect("what was encoded");
    let keys = hashes.len() as u64;
    let passed = (keys..keys + 1_000_000).filter(|at| filter.may_contain(random(*at)));
    println!(
        "{spec}: {:.1} bits a key, {:.3} % of false positives with {keys} keys",
        8.0 * filter.memory_bytes() as f64 / keys as f64,
        passed.count() as f64 / 1e4,
    );
    filter
}

/// Times answers about hashes of keys that were built in, and of others.
fn probes(c: &mut Criterion) {
    for keys in [100_000, 10_000_000] {
        let hashes = LazyCell::new(|| (0..keys).map(random).collect::<Vec<u64>>());
        let mut group = c.benchmark_group(format!("probe/{keys}"));
        group.throughput(Throughput::Elements(ASKED));
        for spec in specs() {
            let filter = LazyCell::new(|| filter(&spec, &hashes));
            for (what, first) in [("present", 0), ("absent", keys)] {
                // Hashes of present keys are spread over all of them.
                let asked = (0..ASKED).map(|at| random(first + at * 7_919 % keys));
                let asked: Vec<u64> = asked.collect();
                group.bench_function(format!("{what}/{spec}"), |b| {
                    let filter = &*filter;
                    b.iter(|| {
                        let passed = asked.iter().filter(|hash| filter.may_contain(**hash));
                        black_box(passed.count())
                    });
                });
            }
        }
        group.finish();
    }
}

/// Times building a filter.
fn building(c: &mut Criterion) {
    let hashes = LazyCell::new(|| (0..100_000).map(random).collect::<Vec<u64>>());
    let mut group = c.benchmark_group("build/100000");
    group.throughput(Throughput::Elements(100_000));
    for spec in specs() {
        group.bench_function(spec.to_string(), |b| {
            b.iter(|| built(&spec, black_box(&hashes)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500));
    targets = probes, building
}
criterion_main!(benches);
