//! Laws of a cache whose room changes: every policy, given its new capacity, is what it would be in
//! a cache of that capacity.

use aura_policies::PolicySpec;
use aura_policies::admission;
use aura_policies::cache::{self, Access};
use aura_policies::replay::{Object, Replay};

use crate::SplitMix64;
use crate::cache_driver::CacheDriver;
use crate::cache_frequency::skewed;

/// Every policy, and those parameters of some that the capacity matters to.
fn policies() -> Vec<PolicySpec> {
    let mut specs: Vec<PolicySpec> = cache::FAMILY
        .names()
        .into_iter()
        .map(PolicySpec::named)
        .collect();
    specs.push(PolicySpec::named("w-tinylfu").with("adaptive", true));
    specs.push(PolicySpec::named("w-tinylfu").with("window", 0.4));
    specs.push(PolicySpec::named("slru").with("fill", "spread"));
    specs
}

fn driver(policy: &PolicySpec, capacity: u64) -> CacheDriver {
    CacheDriver::with_admission(policy, None, capacity, 7)
}

/// Requests for a few hot and many cold keys, each key with one size up to `bytes_max`.
fn requests(seed: u64, count: u64, bytes_max: u64) -> impl Iterator<Item = Access> {
    let mut random = SplitMix64(seed);
    (0..count).map(move |_| {
        let keys = if random.below(2) == 0 { 20 } else { 400 };
        let key = random.below(keys);
        Access::sized(key, 1 + SplitMix64(key).below(bytes_max))
    })
}

#[test]
fn one_resized_before_its_first_request_is_as_one_built_so() {
    for policy in policies() {
        for [built, room] in [[3000, 300], [300, 3000], [0, 300], [301, 300]] {
            let mut resized = driver(&policy, built);
            resized.resize(room);
            let mut fresh = driver(&policy, room);
            for access in requests(3, 4000, 50) {
                resized.request(access);
                fresh.request(access);
            }
            let label = format!("{policy}, {built} B resized to {room} B");
            assert!(resized.evicted == fresh.evicted, "{label}: other victims");
            assert_eq!(resized.metadata_bytes(), fresh.metadata_bytes(), "{label}");
        }
    }
}

#[test]
fn a_resize_to_the_same_room_changes_nothing() {
    for policy in policies() {
        for [capacity, bytes_max] in [[30, 1], [300, 50]] {
            let mut resized = driver(&policy, capacity);
            let mut left_alone = driver(&policy, capacity);
            for access in requests(5, 4000, bytes_max) {
                resized.resize(capacity);
                resized.request(access);
                left_alone.request(access);
            }
            assert!(
                resized.evicted == left_alone.evicted,
                "{policy}, {capacity} B: other victims"
            );
        }
    }
}

#[test]
fn books_balance_while_the_room_changes() {
    for policy in policies() {
        for [most, bytes_max] in [[60, 1], [600, 50]] {
            for seed in 0..4 {
                let mut driver = driver(&policy, most);
                let mut random = SplitMix64(seed);
                for (number, access) in requests(seed, 3000, bytes_max).enumerate() {
                    match random.below(20) {
                        0 => driver.remove(access.key),
                        1 => driver.resize(random.below(most + 1)),
                        2 => driver.resize(most),
                        _ => drop(driver.request(access)),
                    }
                    if let Err(broken) = driver.audit() {
                        panic!("{policy}, seed {seed}, {most} B, event {number}: {broken}");
                    }
                }
                driver.resize(0);
                assert_eq!(
                    driver.held(),
                    0,
                    "{policy}, seed {seed}: a cache without room"
                );
            }
        }
    }
}

#[test]
fn nothing_leaves_a_cache_that_grows_or_is_not_full() {
    for policy in policies() {
        let mut driver = driver(&policy, 500);
        driver.request_units(0..500);
        driver.resize(1000);
        driver.request_units(500..600);
        driver.resize(600);
        driver.request_units(0..600);
        assert_eq!((driver.misses, driver.held()), (600, 600), "{policy}");
        driver.resize(599);
        assert_eq!(driver.held(), 599, "{policy}: no more leave than must");
    }
}

/// Misses of the second half of a Zipf trace in a cache of 200 objects.
fn misses(mut cache: CacheDriver) -> u64 {
    let trace = skewed();
    let mut half = trace[..100_000].chunks(50_000);
    let mut request = |cache: &mut CacheDriver| {
        let objects = half.next().expect("two halves");
        cache.request_units(objects.iter().map(|object| u64::from(*object)));
    };
    request(&mut cache);
    cache.resize(200);
    let before = cache.misses;
    request(&mut cache);
    cache.misses - before
}

#[test]
fn one_that_lost_most_of_its_room_serves_as_well_as_one_that_never_had_it() {
    for policy in policies() {
        let always = misses(driver(&policy, 200));
        let shrunk = misses(driver(&policy, 4000));
        let grown = misses(driver(&policy, 20));
        for (what, misses) in [("shrunk", shrunk), ("grown", grown)] {
            assert!(
                misses.abs_diff(always) < 1500,
                "{policy}: {misses} misses of 50,000 after it was {what}, {always} otherwise"
            );
        }
    }
}

#[test]
fn admission_knows_the_room_too() {
    for gate in admission::FAMILY.names().into_iter().map(PolicySpec::named) {
        let build = |capacity| {
            let lru = cache::build(&PolicySpec::named("lru"), capacity, 7).expect("it builds");
            let gate = admission::build(&gate, capacity, 7).expect("it builds");
            Replay::new(lru, gate, capacity, 400)
        };
        let mut resized = build(50_000);
        resized.resize(300, |_| {});
        let mut fresh = build(300);
        for access in requests(9, 4000, 50) {
            resized.resize(300, |_| {});
            let object = access.key as Object;
            assert_eq!(
                resized.request(object, &access),
                fresh.request(object, &access),
                "{gate}"
            );
        }
        assert_eq!(resized.metadata_bytes(), fresh.metadata_bytes(), "{gate}");
        resized.resize(30, |_| {});
        for access in requests(10, 4000, 50) {
            resized.request(access.key as Object, &access);
            assert_eq!(resized.audit(), Ok(()), "{gate}");
        }
    }
}
