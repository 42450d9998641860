//! Laws of cache admission, each policy with the eviction policies that it works with.

use std::collections::BTreeSet;

use aura_policies::PolicySpec;
use aura_policies::admission;
use aura_policies::cache::{self, Access};
use aura_policies::replay::{Object, Replay};

use crate::SplitMix64;
use crate::cache_frequency::skewed;

/// An empty cache for the objects `0..objects`.
fn replay(eviction: &str, gate: &PolicySpec, capacity: u64, objects: usize, seed: u64) -> Replay {
    let eviction = cache::build(&PolicySpec::named(eviction), capacity, seed)
        .expect("the eviction policy builds");
    let gate = admission::build(gate, capacity, seed).expect("the admission policy builds");
    Replay::new(eviction, gate, capacity, objects)
}

/// Hits of objects whose sizes `bytes` gives.
fn hits(
    cache: &mut Replay,
    objects: impl IntoIterator<Item = Object>,
    bytes: impl Fn(Object) -> u64,
) -> u64 {
    let access = |object| Access::sized(u64::from(object), bytes(object));
    objects
        .into_iter()
        .map(|object| u64::from(cache.request(object, &access(object))))
        .sum()
}

fn gates() -> impl Iterator<Item = PolicySpec> {
    admission::FAMILY.names().into_iter().map(PolicySpec::named)
}

#[test]
fn books_balance_under_every_pair_of_admission_and_eviction() {
    for gate in gates() {
        for eviction in cache::FAMILY.names() {
            for (capacity, bytes_max) in [(40, 1), (300, 50)] {
                let seed = 11;
                let mut cache = replay(eviction, &gate, capacity, 400, seed);
                let mut random = SplitMix64(seed);
                for event in 0..3000 {
                    let object = if random.below(2) == 0 {
                        random.below(20)
                    } else {
                        random.below(400)
                    } as Object;
                    if random.below(10) == 0 {
                        cache.remove(object);
                    } else {
                        let scanned = if random.below(3) == 0 {
                            random.below(40) as u32
                        } else {
                            0
                        };
                        let access = Access::sized(u64::from(object), 1 + random.below(bytes_max));
                        cache.request(object, &Access { scanned, ..access });
                    }
                    if let Err(broken) = cache.audit() {
                        panic!(
                            "{gate} before {}, seed {seed}, {capacity} B, event {event}: {broken}",
                            eviction
                        );
                    }
                }
                assert!(
                    cache.held() > 0,
                    "{gate} before {}: no object ever entered",
                    eviction
                );
            }
        }
    }
}

#[test]
fn the_same_seed_admits_the_same() {
    let trace = skewed();
    let trace = || trace[..50_000].iter().copied();
    for gate in gates() {
        let run = || {
            hits(
                &mut replay("lru", &gate, 100_000, 20_000, 5),
                trace(),
                |object| 1 + u64::from(object) % 500,
            )
        };
        assert_eq!(run(), run(), "{gate}");
    }
}

#[test]
fn tinylfu_before_lru_beats_lru_on_the_skewed_trace() {
    let trace = skewed();
    let trace = || trace.iter().copied();
    for capacity in [100, 500, 2000, 8000] {
        let found = ["always", "tinylfu"].map(|gate| {
            hits(
                &mut replay("lru", &PolicySpec::named(gate), capacity, 20_000, 0),
                trace(),
                |_| 1,
            )
        });
        assert!(
            found[1] > found[0] + found[0] / 10,
            "{capacity} objects: {} hits, without it {}",
            found[1],
            found[0]
        );
    }
}

#[test]
fn the_doorkeeper_refuses_objects_requested_once() {
    let mut cache = replay("lru", &PolicySpec::named("doorkeeper"), 1000, 100_000, 0);
    // Every third request is for one of 500 hot objects. The others are for objects that never come
    // again.
    let trace = |i: Object| {
        if i.is_multiple_of(3) {
            i / 3 % 500
        } else {
            1000 + i
        }
    };
    let entered: BTreeSet<Object> = (0..90_000)
        .filter(|i| {
            let object = trace(*i);
            let before = cache.held();
            !cache.request(object, &Access::unit(u64::from(object))) && cache.held() > before
        })
        .map(trace)
        .collect();
    let strangers = entered.iter().filter(|object| **object >= 1000).count();
    assert!(
        (0..500).all(|object| entered.contains(&object)),
        "all hot objects entered"
    );
    assert!(
        strangers < 600,
        "{strangers} of 60,000 objects requested once entered"
    );
}

#[test]
fn adaptsize_refuses_large_objects_rarely_requested() {
    // Nine requests of ten are for 2000 small objects, the tenth is for one of 20,000 large ones.
    let bytes = |object: Object| if object < 2000 { 1000 } else { 100_000 };
    let trace = || {
        let mut random = SplitMix64(1);
        (0..300_000).map(move |_| {
            if random.below(10) > 0 {
                random.below(2000) as Object
            } else {
                2000 + random.below(20_000) as Object
            }
        })
    };
    let found = ["always", "adaptsize"].map(|gate| {
        hits(
            &mut replay("lru", &PolicySpec::named(gate), 2_000_000, 22_000, 0),
            trace(),
            bytes,
        )
    });
    assert!(
        found[1] > 2 * found[0],
        "{} hits, without it {}",
        found[1],
        found[0]
    );
    assert!(
        found[1] > 200_000,
        "{} of 270,000 requests for small objects hit, though all fit",
        found[1]
    );
}

#[test]
fn objects_up_to_the_size_threshold_enter() {
    let gate = PolicySpec::named("size-threshold").with("bytes_max", 100);
    let mut cache = replay("lru", &gate, 1_000_000, 200, 0);
    assert_eq!(
        hits(&mut cache, (0..200).chain(0..200), |object| 1 + u64::from(
            object
        )),
        100
    );
    assert_eq!(cache.held(), 100);
}

#[test]
fn scans_that_are_refused_leave_the_cache_unchanged() {
    for eviction in cache::FAMILY.names() {
        let gate = PolicySpec::named("partial-scan")
            .with("a", 0)
            .with("b", 0.0);
        let mut cache = replay(eviction, &gate, 100, 2000, 0);
        hits(&mut cache, (0..100).chain(0..100), |_| 1);
        for scanned in 1..1500 {
            let object = 100 + scanned;
            assert!(!cache.request(
                object,
                &Access {
                    scanned,
                    ..Access::unit(u64::from(object))
                }
            ));
        }
        assert_eq!(hits(&mut cache, 0..100, |_| 1), 100, "{}", eviction);
    }
}

#[test]
fn only_policies_that_look_at_sizes_need_them() {
    let needy: Vec<&str> = admission::FAMILY
        .entries()
        .iter()
        .filter(|entry| entry.build.needs_sizes)
        .map(|entry| entry.name)
        .collect();
    assert_eq!(needy, ["adaptsize", "size-threshold"]);
}

#[test]
fn parameters_out_of_range_are_refused() {
    let refused = [
        PolicySpec::named("adaptsize").with("window", 0),
        PolicySpec::named("doorkeeper").with("bits_per_key", 0.5),
        PolicySpec::named("doorkeeper").with("window", 0.0),
        PolicySpec::named("partial-scan").with("b", 1.5),
        PolicySpec::named("size-threshold").with("bytes_max", 0),
    ];
    for spec in refused {
        assert!(admission::build(&spec, 1000, 0).is_err(), "{spec}");
    }
}
