//! Laws of cache eviction.

use std::collections::BTreeSet;

use aura_policies::PolicySpec;
use aura_policies::admission::Admission;
use aura_policies::cache::{Access, FAMILY};

use crate::SplitMix64;
use crate::cache_driver::CacheDriver;

fn policies() -> impl Iterator<Item = &'static str> {
    FAMILY.names().into_iter()
}

/// What a test does to a cache.
#[derive(Clone, Copy, Debug)]
enum Event {
    Request(Access),
    Death(u64),
}

/// Requests for a few hot and many cold keys, each key with one size up to `bytes_max`. One event
/// in ten is a death.
fn churn(seed: u64, events: u64, bytes_max: u64) -> Vec<Event> {
    let mut random = SplitMix64(seed);
    let event = |_| {
        let key = if random.below(2) == 0 {
            random.below(20)
        } else {
            random.below(400)
        };
        if random.below(10) == 0 {
            Event::Death(key)
        } else {
            Event::Request(Access::sized(key, 1 + SplitMix64(key).below(bytes_max)))
        }
    };
    (0..events).map(event).collect()
}

fn apply(driver: &mut CacheDriver, event: Event) {
    match event {
        Event::Request(access) => drop(driver.request(access)),
        Event::Death(key) => driver.remove(key),
    }
}

/// Capacities, and the largest object for each.
const SHAPES: [(u64, u64); 4] = [(30, 1), (300, 50), (100, 150), (3, 3)];

#[test]
fn books_balance_after_every_event() {
    for policy in policies() {
        for seed in 0..8 {
            for (capacity, bytes_max) in SHAPES {
                let mut driver = CacheDriver::new(policy, capacity, seed);
                for (number, event) in churn(seed, 3000, bytes_max).into_iter().enumerate() {
                    apply(&mut driver, event);
                    if let Err(broken) = driver.audit() {
                        panic!(
                            "{policy}, seed {seed}, {capacity} B, to {bytes_max}, event {number}: \
                             {broken}"
                        );
                    }
                }
                // A policy may refuse objects larger than a part of the cache.
                let all_fit = bytes_max <= capacity / 6;
                assert!(
                    !all_fit || !driver.evicted.is_empty(),
                    "{policy}, seed {seed}: nothing was ever evicted"
                );
            }
        }
    }
}

/// Refuses some objects at once, and sometimes lets the victim stay.
struct RandomGate(SplitMix64);

impl Admission for RandomGate {
    fn admit(&mut self, _incoming: &Access) -> bool {
        self.0.below(5) > 0
    }

    fn contest(&mut self, _incoming: &Access, _victim: &Access) -> bool {
        self.0.below(3) > 0
    }

    fn metadata_bytes(&self) -> u64 {
        0
    }
}

#[test]
fn books_balance_when_objects_are_refused_at_random() {
    for policy in policies() {
        for seed in 8..14 {
            for (capacity, bytes_max) in SHAPES {
                let gate = Box::new(RandomGate(SplitMix64(seed)));
                let mut driver = CacheDriver::with_admission(
                    &PolicySpec::named(policy),
                    Some(gate),
                    capacity,
                    seed,
                );
                for (number, event) in churn(seed, 3000, bytes_max).into_iter().enumerate() {
                    apply(&mut driver, event);
                    if let Err(broken) = driver.audit() {
                        panic!(
                            "{policy}, seed {seed}, {capacity} B, to {bytes_max}, event {number}: \
                             {broken}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_found_or_evicted_was_held() {
    for policy in policies() {
        for seed in 0..5 {
            let mut driver = CacheDriver::new(policy, 300, seed);
            let mut held = BTreeSet::new();
            for event in churn(seed, 5000, 50) {
                let evicted_before = driver.evicted.len();
                match event {
                    Event::Request(access) => {
                        let hit = driver.request(access);
                        assert_eq!(
                            hit,
                            held.contains(&access.key),
                            "{policy}, seed {seed}: {access:?}"
                        );
                        for key in &driver.evicted[evicted_before..] {
                            assert!(
                                held.remove(key),
                                "{policy}, seed {seed}: {key} is evicted but was not held"
                            );
                        }
                        if driver.held() > held.len() {
                            held.insert(access.key);
                        }
                    }
                    Event::Death(key) => {
                        driver.remove(key);
                        held.remove(&key);
                    }
                }
                assert_eq!(
                    driver.held(),
                    held.len(),
                    "{policy}, seed {seed}: {event:?}"
                );
            }
        }
    }
}

#[test]
fn one_slot_is_enough() {
    for policy in policies() {
        let mut driver = CacheDriver::new(policy, 1, 0);
        driver.request_units([1, 1, 2, 2, 1, 3, 3, 3]);
        driver.remove(3);
        driver.request_units([1, 1]);
        assert_eq!((driver.misses, driver.held()), (5, 1), "{policy}");
        assert_eq!(driver.audit(), Ok(()), "{policy}");
    }
}

#[test]
fn the_same_seed_evicts_the_same() {
    for policy in policies() {
        let victims = || {
            let mut driver = CacheDriver::new(policy, 300, 7);
            churn(7, 5000, 50)
                .into_iter()
                .for_each(|event| apply(&mut driver, event));
            driver.evicted
        };
        assert_eq!(victims(), victims(), "{policy}");
    }
}

/// Policies that count in sketches, where keys share counters by their hashes.
const COUNT_BY_HASH: [&str; 1] = ["w-tinylfu"];

#[test]
fn only_equality_of_keys_matters() {
    for policy in policies().filter(|policy| !COUNT_BY_HASH.contains(policy)) {
        for seed in 0..5 {
            // SplitMix64's output is a permutation of its state.
            let renamed = |key: u64| SplitMix64(key ^ (seed << 32)).next();
            let mut plain = CacheDriver::new(policy, 300, 7);
            let mut other = CacheDriver::new(policy, 300, 7);
            for event in churn(seed, 5000, 50) {
                apply(&mut plain, event);
                apply(
                    &mut other,
                    match event {
                        Event::Request(access) => Event::Request(Access {
                            key: renamed(access.key),
                            ..access
                        }),
                        Event::Death(key) => Event::Death(renamed(key)),
                    },
                );
            }
            assert_eq!(plain.misses, other.misses, "{policy}, seed {seed}");
            assert!(
                plain.evicted.into_iter().map(renamed).eq(other.evicted),
                "{policy}, seed {seed}"
            );
        }
    }
}

#[test]
fn a_larger_lru_never_misses_more() {
    for seed in 0..5 {
        let mut random = SplitMix64(seed);
        let keys: Vec<u64> = (0..5000)
            .map(|_| random.below(8) * random.below(8))
            .collect();
        let misses = (1..60).map(|capacity| {
            let mut driver = CacheDriver::new("lru", capacity, 0);
            driver.request_units(keys.iter().copied());
            driver.misses
        });
        assert!(
            misses.is_sorted_by(|smaller, larger| smaller >= larger),
            "seed {seed}"
        );
    }
}

#[test]
fn a_larger_fifo_may_miss_more() {
    let misses = |policy, capacity| {
        let mut driver = CacheDriver::new(policy, capacity, 0);
        driver.request_units([1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]);
        driver.misses
    };
    assert_eq!(
        ["fifo", "lru"].map(|policy| [misses(policy, 3), misses(policy, 4)]),
        [[9, 10], [10, 8]]
    );
}

#[test]
fn nothing_leaves_before_the_cache_is_full() {
    for policy in policies() {
        let mut driver = CacheDriver::new(policy, 1000, 0);
        driver.request_units((0..1000).chain(0..1000));
        assert_eq!((driver.misses, driver.held()), (1000, 1000), "{policy}");
    }
}

#[test]
fn metadata_is_counted_and_bounded() {
    for policy in policies() {
        let mut driver = CacheDriver::new(policy, 10_000, 0);
        let empty = driver.metadata_bytes();
        driver.request_units(0..10_000);
        let per_slot = (driver.metadata_bytes() - empty) / 10_000;
        assert!(
            (4..200).contains(&per_slot),
            "{policy}: {per_slot} B a slot"
        );

        // Ghosts may be added, but not without end.
        driver.request_units((10_000..100_000).chain((0..100_000).map(|key| key * 7 % 30_000)));
        let early = driver.metadata_bytes();
        driver.request_units((100_000..200_000).chain((0..100_000).map(|key| key * 7 % 30_000)));
        let late = driver.metadata_bytes();
        assert!(
            late <= early + early / 2,
            "{policy}: {early} B, then {late} B"
        );
    }
}
