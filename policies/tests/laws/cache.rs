//! Laws of cache eviction.

use aura_policies::cache::{Access, FAMILY};

use crate::SplitMix64;
use crate::cache_driver::CacheDriver;

fn policies() -> impl Iterator<Item = &'static str> {
    FAMILY.entries.iter().map(|entry| entry.name)
}

/// Requests of a few hot and many cold keys with sizes up to `bytes_max`, and one death in ten events; `each` sees the
/// cache after every event.
fn churn(driver: &mut CacheDriver, seed: u64, events: u64, bytes_max: u64, mut each: impl FnMut(u64, &CacheDriver)) {
    let mut random = SplitMix64(seed);
    for event in 0..events {
        let key = if random.below(2) == 0 { random.below(20) } else { random.below(400) };
        if random.below(10) == 0 {
            driver.remove(key);
        } else {
            driver.request(Access::sized(key, 1 + random.below(bytes_max)));
        }
        each(event, driver);
    }
}

#[test]
fn books_balance_after_every_event() {
    for policy in policies() {
        for seed in 0..20 {
            for (capacity, bytes_max) in [(30, 1), (300, 50), (100, 150), (3, 3)] {
                let mut driver = CacheDriver::new(policy, capacity, seed);
                churn(&mut driver, seed, 3000, bytes_max, |event, driver| {
                    if let Err(broken) = driver.audit() {
                        panic!("{policy}, seed {seed}, {capacity} B, sizes to {bytes_max}, event {event}: {broken}");
                    }
                });
                assert!(!driver.evicted.is_empty(), "{policy}, seed {seed}: nothing was ever evicted");
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
            churn(&mut driver, 7, 5000, 50, |_, _| {});
            driver.evicted
        };
        assert_eq!(victims(), victims(), "{policy}");
    }
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
fn metadata_is_counted() {
    for policy in policies() {
        let mut driver = CacheDriver::new(policy, 10_000, 0);
        let empty = driver.metadata_bytes();
        driver.request_units(0..10_000);
        let per_slot = (driver.metadata_bytes() - empty) / 10_000;
        assert!((4..200).contains(&per_slot), "{policy}: {per_slot} B a slot");
    }
}
