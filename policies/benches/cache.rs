//! Accesses a second of each eviction policy, and its memory for each object.
//!
//! ```text
//! cargo bench -p aura-policies --bench cache
//! ```
//!
//! The cache holds a tenth of the keys. `zipf` is made here: one million requests over 200,000
//! keys, key k with a probability of about 1/k. `zipf_1.0` is the oracles' trace, if `AURA_ORACLES`
//! names their folder.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use aura_policies::PolicySpec;
use aura_policies::cache::{self, Access};
use aura_policies::replay::{Object, Replay};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// The object numbers of the requests, and how many objects there are.
struct Trace {
    name: &'static str,
    requests: Vec<(Object, Access)>,
    objects: usize,
}

impl Trace {
    fn new(name: &'static str, keys: impl Iterator<Item = u64>) -> Self {
        let mut numbers = BTreeMap::new();
        let number = |key: u64| {
            let next = numbers.len() as Object;
            // Policies are given hashes of keys.
            (
                *numbers.entry(key).or_insert(next),
                Access::unit(key.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            )
        };
        let requests = keys.map(number).collect();
        Self {
            name,
            requests,
            objects: numbers.len(),
        }
    }

    /// 200,000^u for a uniform u is Zipf's law with exponent 1. Here u is the mixed output of a
    /// Weyl sequence.
    fn made() -> Self {
        let key = |request: u64| {
            let mixed = request.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let uniform = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
            200_000_f64.powf(uniform) as u64
        };
        Self::new("zipf", (0..1_000_000).map(key))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the oracles are files outside the engine's storage"
    )]
    fn of_oracle() -> Option<Self> {
        let folder = std::env::var_os("AURA_ORACLES")?;
        let packed = std::fs::read(Path::new(&folder).join("cache/traces/zipf_1.0.csv.zst"))
            .expect("the trace is there");
        let text =
            String::from_utf8(zstd::decode_all(&packed[..]).expect("a zstd frame")).expect("text");
        let key = |line: &str| {
            line.split(',')
                .nth(1)
                .and_then(|key| key.parse().ok())
                .expect("time,key,size")
        };
        Some(Self::new("zipf_1.0", text.lines().skip(1).map(key)))
    }

    /// An empty cache for a tenth of the keys.
    fn cache(&self, policy: &str) -> Replay {
        let slots = self.objects as u64 / 10;
        let eviction =
            cache::build(&PolicySpec::named(policy), slots, 1).expect("the policy builds");
        Replay::new(eviction, None, slots, self.objects)
    }

    fn misses(&self, cache: &mut Replay) -> u64 {
        self.requests
            .iter()
            .map(|(object, access)| u64::from(!cache.request(*object, access)))
            .sum()
    }
}

#[expect(
    clippy::print_stdout,
    reason = "memory is no time: criterion does not print it"
)]
fn replay(c: &mut Criterion) {
    for trace in std::iter::once(Trace::made()).chain(Trace::of_oracle()) {
        let mut group = c.benchmark_group(trace.name);
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_secs(1))
            .throughput(Throughput::Elements(trace.requests.len() as u64));
        for name in cache::FAMILY.names() {
            let mut filled = trace.cache(name);
            let misses = trace.misses(&mut filled);
            let ratio = misses as f64 / trace.requests.len() as f64;
            let bytes = filled.metadata_bytes() as f64 / filled.held() as f64;
            println!(
                "{}/{}: miss ratio {ratio:.4}, {bytes:.0} B of metadata an object",
                trace.name, name
            );
            group.bench_function(name, |b| {
                b.iter(|| trace.misses(&mut trace.cache(black_box(name))))
            });
        }
        group.finish();
    }
}

criterion_group!(benches, replay);
criterion_main!(benches);
