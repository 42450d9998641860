//! Laws of table filters.

use aura_policies::PolicySpec;
use aura_policies::filter::{FAMILY, FilterFacts, LevelLoad, build, decode};
use bytes::Bytes;

use crate::SplitMix64;

const FACTS: FilterFacts = FilterFacts {
    level: 2,
    deepest: 3,
    levels: Vec::new(),
};

fn hashes(seed: u64, count: usize) -> Vec<u64> {
    let mut random = SplitMix64(seed);
    (0..count).map(|_| random.next()).collect()
}

#[test]
fn no_key_built_in_is_denied() {
    for name in FAMILY.names() {
        let policy = build(&PolicySpec::named(name)).expect("defaults build");
        let mut sets: Vec<Vec<u64>> = [1, 2, 51, 52, 1000, 30_000]
            .iter()
            .map(|count| hashes(7, *count))
            .collect();
        // Hashes that differ in their low or high bits alone, and the ends of the range.
        sets.push((0..1000).collect());
        sets.push((0..1000).map(|i| i << 54).collect());
        sets.push(vec![0, u64::MAX]);
        for set in sets {
            let Some(encoded) = policy.build(&set, &FACTS) else {
                continue;
            };
            let filter = decode(name, Bytes::from(encoded)).expect("what was encoded decodes");
            assert!(filter.memory_bytes() > 0, "{}", name);
            let denied = set.iter().find(|hash| !filter.may_contain(**hash));
            assert_eq!(denied, None, "{}, {} keys", name, set.len());
        }
    }
}

#[test]
fn the_same_keys_give_the_same_filter() {
    for name in FAMILY.names() {
        let build = || {
            build(&PolicySpec::named(name))
                .expect("defaults build")
                .build(&hashes(1, 500), &FACTS)
        };
        assert_eq!(build(), build(), "{}", name);
    }
}

#[test]
fn broken_bytes_cause_no_panic() {
    for name in FAMILY.names() {
        let policy = build(&PolicySpec::named(name)).expect("defaults build");
        let encoded = Bytes::from(policy.build(&hashes(3, 300), &FACTS).unwrap_or_default());
        for length in 0..encoded.len() {
            assert!(
                decode(name, encoded.slice(..length)).is_none(),
                "{}: {length} bytes",
                name
            );
        }
        let mut random = SplitMix64(9);
        for _ in 0..2000 {
            let mut garbage = encoded.to_vec();
            for _ in 0..1 + random.below(4) {
                match garbage.len() as u64 {
                    0 => garbage.push(random.next() as u8),
                    length => garbage[random.below(length) as usize] = random.next() as u8,
                }
            }
            if let Some(filter) = decode(name, Bytes::from(garbage)) {
                filter.may_contain(random.next());
            }
        }
    }
    assert!(decode("no such filter", Bytes::new()).is_none());
}

/// Tables that an absent key is looked for in vain and bits a key, in a tree of levels that a
/// filter is built for.
fn in_vain(spec: &PolicySpec, levels: &[LevelLoad]) -> (f64, f64) {
    let policy = build(spec).expect("in range");
    let (mut sum, mut bytes) = (0.0, 0);
    for (level, load) in levels.iter().enumerate() {
        let facts = FilterFacts {
            level,
            deepest: levels.len() - 1,
            levels: levels.to_vec(),
        };
        let keys = hashes(level as u64, load.entries as usize);
        let Some(encoded) = policy.build(&keys, &facts) else {
            sum += 1.0;
            continue;
        };
        bytes += encoded.len();
        let filter = decode(&spec.policy, encoded.into()).expect("what was encoded decodes");
        let absent = hashes(100, 100_000);
        let passed = absent.iter().filter(|hash| filter.may_contain(**hash));
        sum += passed.count() as f64 / absent.len() as f64;
    }
    let entries: u64 = levels.iter().map(|it| it.entries).sum();
    (sum, bytes as f64 * 8.0 / entries as f64)
}

#[test]
fn bits_by_level_save_what_the_closed_form_says_at_equal_memory() {
    let levels = [1000, 10_000, 100_000].map(|entries| LevelLoad {
        entries,
        runs: 1,
        fruitless: 0,
    });
    // The sums of the rates exp(-bits * nats) by Monkey's closed form, with nats = ln(2)^2 a bit
    // for Bloom and ln(2) / 1.05 for Ribbon.
    for (name, bits, predicted) in [
        ("bloom", 2.0, 0.544647),
        ("bloom", 5.0, 0.128867),
        ("ribbon", 2.0, 0.380225),
        ("ribbon", 5.0, 0.052475),
    ] {
        let spec = PolicySpec::named(name).with("bits_per_key", bits);
        let (uniform, uniform_bits) = in_vain(&spec, &levels);
        let (monkey, monkey_bits) = in_vain(&spec.with("allocation", "monkey"), &levels);
        assert!(monkey < 0.6 * uniform, "{name}: {monkey} and {uniform}");
        let error = monkey / predicted - 1.0;
        assert!(
            error.abs() < 0.1,
            "{name}, {bits} bits: {monkey} for {predicted}"
        );
        for found in [uniform_bits, monkey_bits] {
            assert!(
                (found / bits - 1.0).abs() < 0.02,
                "{name}: {found} for {bits}"
            );
        }
    }
}
