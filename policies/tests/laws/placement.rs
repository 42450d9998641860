//! Laws of placement in the value log's queues.

use aura_policies::PolicySpec;
use aura_policies::placement::{FAMILY, Placement, ValueFacts, build};

use crate::SplitMix64;

fn policy(name: &str) -> Box<dyn Placement> {
    build(&PolicySpec::named(name)).expect("defaults build")
}

/// The value after `number` others, of up to 2^32 bytes. All powers of two are about equally
/// likely.
fn random_value(chance: &mut SplitMix64, number: u64) -> ValueFacts {
    let bytes = chance.below(1 << 32) >> chance.below(33);
    ValueFacts {
        key_hash: chance.next(),
        bytes,
        number,
    }
}

#[test]
fn a_queue_exists_and_the_same_value_goes_to_the_same() {
    for name in FAMILY.names() {
        let one = policy(name);
        let other = policy(name);
        let mut chance = SplitMix64(5);
        for number in 0..10_000 {
            let value = random_value(&mut chance, number);
            for queues in [1, 2, 3, 8, 1000, u32::MAX] {
                let queue = one.queue(&value, queues);
                let what = format!("{}, seed 5: {value:?}", name);
                assert!(queue < queues, "{what}: queue {queue} of {queues}");
                assert_eq!(queue, other.queue(&value, queues), "{what}");
            }
        }
        let edges = [0, u64::MAX];
        for (key_hash, bytes, number) in edges
            .iter()
            .flat_map(|a| edges.iter().flat_map(|b| edges.map(|c| (*a, *b, c))))
        {
            assert!(
                one.queue(
                    &ValueFacts {
                        key_hash,
                        bytes,
                        number
                    },
                    3
                ) < 3,
                "{}",
                name
            );
        }
    }
}

#[test]
fn round_robin_is_even_within_one() {
    let policy = policy("round-robin");
    let mut chance = SplitMix64(1);
    for queues in [1, 2, 3, 7] {
        let mut counts = vec![0_u32; queues as usize];
        for number in 1000..2000 {
            counts[policy.queue(&random_value(&mut chance, number), queues) as usize] += 1;
            let least = counts.iter().min().unwrap_or(&0);
            let most = counts.iter().max().unwrap_or(&0);
            assert!(most - least <= 1, "{counts:?}");
        }
    }
}

#[test]
fn a_key_keeps_its_queue_and_keys_are_spread() {
    let policy = policy("key-hash");
    let mut chance = SplitMix64(2);
    let mut counts = [0_u32; 8];
    for key_hash in 0..80_000 {
        let values = [0, 1].map(|number| ValueFacts {
            key_hash,
            ..random_value(&mut chance, number)
        });
        let [first, second] = values.map(|value| policy.queue(&value, 8));
        assert_eq!(first, second, "seed 2: key {key_hash}");
        counts[first as usize] += 1;
    }
    assert!(
        counts.iter().all(|count| (9_500..10_500).contains(count)),
        "{counts:?} of 80,000"
    );
}

#[test]
fn a_larger_value_never_goes_to_an_earlier_queue() {
    let policy = policy("size-class");
    let mut chance = SplitMix64(3);
    let mut values: Vec<ValueFacts> = (0..10_000)
        .map(|number| random_value(&mut chance, number))
        .collect();
    values.sort_by_key(|value| value.bytes);
    for queues in [1, 2, 5, 64] {
        let placed: Vec<u32> = values
            .iter()
            .map(|value| policy.queue(value, queues))
            .collect();
        assert!(placed.is_sorted(), "seed 3, {queues} queues");
        let expected = if queues == 1 { 1 } else { 2 };
        assert!(
            placed
                .iter()
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                >= expected,
            "{queues} queues are used"
        );
    }
}
