//! Laws of table filters.

use aura_policies::PolicySpec;
use aura_policies::filter::{FAMILY, FilterFacts, build, decode};
use bytes::Bytes;

use crate::SplitMix64;

const FACTS: FilterFacts = FilterFacts {
    level: 2,
    deepest: 3,
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
