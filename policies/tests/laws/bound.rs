//! Laws of the offline bounds: they agree with the counts of other programs and with exhaustive
//! search, and no policy beats them.

use std::collections::BTreeMap;

use aura_policies::PolicySpec;
use aura_policies::bound::{self, Request, Tally};
use aura_policies::cache::{self, Access};
use aura_policies::replay::Replay;

use crate::SplitMix64;
use crate::cache_trace::{Trace, skewed};
use crate::oracle::oracle_text;

fn replay(name: &str, trace: &[Request], capacity: u64) -> Tally {
    bound::build(&PolicySpec::named(name))
        .expect("it builds")
        .replay(trace, capacity)
}

fn sized(trace: &Trace) -> Vec<Request> {
    trace
        .requests()
        .iter()
        .map(|(object, access)| Request {
            object: *object,
            bytes: access.bytes,
        })
        .collect()
}

fn unit(trace: &Trace) -> Vec<Request> {
    trace
        .requests()
        .iter()
        .map(|(object, _)| Request {
            object: *object,
            bytes: 1,
        })
        .collect()
}

fn misses<const N: usize>(name: &str, trace: &[Request], capacities: [u64; N]) -> [u64; N] {
    capacities.map(|capacity| replay(name, trace, capacity).misses)
}

#[test]
fn misses_on_the_skewed_trace() {
    let trace = unit(&Trace::of_keys(skewed()));
    let slots = [100, 500, 2000, 8000];
    assert_eq!(
        misses("min", &trace, slots),
        [174_007, 143_152, 96_087, 35_081]
    );
    assert_eq!(
        misses("min-bypass", &trace, slots),
        [173_892, 143_114, 96_073, 35_080]
    );
}

fn cycle(objects: u32, rounds: u32) -> Vec<Request> {
    (0..objects * rounds)
        .map(|i| Request {
            object: i % objects,
            bytes: 1,
        })
        .collect()
}

#[test]
fn misses_on_cycles() {
    let slots = [100, 500, 900, 999, 1000];
    assert_eq!(
        misses("min", &cycle(1000, 20), slots),
        [18_100, 10_500, 2900, 1019, 1000]
    );
    assert_eq!(misses("min", &cycle(10, 5), [3]), [40]);
    for (objects, rounds, slots) in [
        (10, 5, 3),
        (1000, 20, 100),
        (1000, 20, 999),
        (7, 2, 1),
        (50, 3, 50),
    ] {
        let expected = u64::from(objects) + u64::from(rounds - 1) * (u64::from(objects) - slots);
        assert_eq!(
            misses("min-bypass", &cycle(objects, rounds), [slots]),
            [expected],
            "{objects} {rounds} {slots}"
        );
    }
}

#[test]
fn belady_s_anomaly_is_not_min_s() {
    let trace: Vec<Request> = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]
        .into_iter()
        .map(|object| Request { object, bytes: 1 })
        .collect();
    assert_eq!(misses("min", &trace, [3, 4]), [7, 6]);
}

#[test]
fn nothing_and_too_much() {
    for name in bound::FAMILY.names() {
        assert_eq!(replay(name, &[], 10), Tally::default(), "{}", name);
        let trace: Vec<Request> = (0..6)
            .map(|i| Request {
                object: i % 2,
                bytes: u64::MAX,
            })
            .collect();
        for capacity in [0, 1, u64::MAX - 1] {
            let all = Tally {
                misses: 6,
                miss_bytes: u64::MAX,
            };
            assert_eq!(
                replay(name, &trace, capacity),
                all,
                "{} at {capacity}",
                name
            );
        }
        let once = Tally {
            misses: 1,
            miss_bytes: u64::MAX,
        };
        assert_eq!(replay(name, &[trace[0]; 3], u64::MAX), once, "{}", name);
    }
}

#[test]
fn misses_on_cloud_physics() {
    let Some(trace) = Trace::of_oracle("cloudPhysicsIO") else {
        return;
    };
    let slots = [500, 1000, 2000, 4000, 8000, 16_000];
    assert_eq!(
        misses("min", &unit(&trace), slots),
        [90_175, 87_025, 81_870, 74_311, 64_766, 55_843]
    );
    assert_eq!(
        misses("min-bypass", &unit(&trace), slots),
        [90_168, 87_019, 81_866, 74_308, 64_764, 55_842]
    );
    let bytes = [1, 2, 3, 4, 5, 6, 7, 8].map(|step| step << 27);
    let expected = [
        79_256, 70_724, 65_481, 61_594, 59_645, 57_599, 50_873, 48_974,
    ];
    assert_eq!(misses("min", &sized(&trace), bytes), expected);
}

#[test]
fn belady_s_counts_of_another_program() {
    let Some(table) = oracle_text("cache/miss_ratios.csv") else {
        return;
    };
    for name in ["cloudPhysicsIO", "zipf_1.0", "arc_oltp"] {
        let trace = Trace::of_oracle(name).expect("the trace lies beside the table");
        let unit = unit(&trace);
        let sized = sized(&trace);
        let mut compared = 0;
        for line in table.lines() {
            // source,trace,mode,policy,params,fraction,capacity,seed,requests,misses,miss_ratio,
            // request_bytes,miss_bytes
            let fields: Vec<&str> = line.split(',').collect();
            if fields[1] != name || fields[3] != "Belady" {
                continue;
            }
            let trace = if fields[2] == "bytes" { &sized } else { &unit };
            let number = |column: usize| fields[column].parse::<u64>().expect("a number");
            let expected = Tally {
                misses: number(9),
                miss_bytes: number(12),
            };
            assert_eq!(replay("min", trace, number(6)), expected, "{line}");
            compared += 1;
        }
        assert!(compared >= 10, "{name}: {compared} lines");
    }
}

/// The objects held, with the sizes they entered with, and the least cost of reaching that state.
type States = BTreeMap<Vec<Option<u64>>, u64>;

fn keep_least(states: &mut States, held: Vec<Option<u64>>, cost: u64) {
    let least = states.entry(held).or_insert(cost);
    *least = cost.min(*least);
}

/// The least cost of all ways to run a cache, where a missed request costs `cost`.
fn optimum(
    trace: &[Request],
    capacity: u64,
    may_refuse: bool,
    cost: impl Fn(&Request) -> u64,
) -> u64 {
    let objects = trace
        .iter()
        .map(|request| request.object as usize + 1)
        .max()
        .unwrap_or(0);
    let mut states = States::from([(vec![None; objects], 0)]);
    for request in trace {
        let mut after = States::new();
        for (held, spent) in states {
            let object = request.object as usize;
            if held[object].is_some() {
                keep_least(&mut after, held, spent);
                continue;
            }
            let spent = spent + cost(request);
            if may_refuse || request.bytes > capacity {
                keep_least(&mut after, held.clone(), spent);
            }
            for kept in 0..1u32 << objects {
                let mut then: Vec<Option<u64>> = held.clone();
                for (at, size) in then.iter_mut().enumerate() {
                    if kept >> at & 1 == 0 {
                        *size = None;
                    }
                }
                then[object] = Some(request.bytes);
                if then.iter().flatten().sum::<u64>() <= capacity {
                    keep_least(&mut after, then, spent);
                }
            }
        }
        states = after;
    }
    states.into_values().min().unwrap_or(0)
}

#[test]
fn exhaustive_search_finds_nothing_better() {
    let mut random = SplitMix64(11);
    for round in 0..300 {
        let objects = 1 + random.below(4);
        let bytes_max = 1 + random.below(4);
        let length = random.below(11);
        let capacity = 1 + random.below(6);
        let draw = |_| Request {
            object: random.below(objects) as u32,
            bytes: 1 + random.below(bytes_max),
        };
        let sized: Vec<Request> = (0..length).map(draw).collect();
        let lower = replay("pfoo-l", &sized, capacity);
        let fewest = optimum(&sized, capacity, true, |_| 1);
        let least = optimum(&sized, capacity, true, |request| request.bytes);
        assert!(
            lower.misses <= fewest && lower.miss_bytes <= least,
            "{round}: {sized:?} at {capacity}: {lower:?}"
        );

        let unit: Vec<Request> = sized
            .iter()
            .map(|request| Request {
                bytes: 1,
                ..*request
            })
            .collect();
        let [forced, free] =
            [false, true].map(|may_refuse| optimum(&unit, capacity, may_refuse, |_| 1));
        assert_eq!(
            replay("min", &unit, capacity).misses,
            forced,
            "{round}: {unit:?} at {capacity}"
        );
        assert_eq!(
            replay("min-bypass", &unit, capacity).misses,
            free,
            "{round}: {unit:?} at {capacity}"
        );
        assert!(
            replay("pfoo-l", &unit, capacity).misses <= free,
            "{round}: {unit:?} at {capacity}"
        );
    }
}

/// Hot and cold objects, a loop, and scans between them.
fn mixed(seed: u64, requests: u32, bytes_max: u64) -> Trace {
    let mut random = SplitMix64(seed);
    let sizes: Vec<u64> = (0..1000).map(|_| 1 + random.below(bytes_max)).collect();
    Trace::new((0..requests).map(|i| {
        let key = match (i / 500 % 4, random.below(3)) {
            (1, _) => 100 + u64::from(i % 60),
            (3, 0) => 200 + u64::from(i) % 800,
            (_, 1) => random.below(400),
            _ => {
                let most = 1 + random.below(40);
                random.below(most)
            }
        };
        Access::sized(key, sizes[key as usize])
    }))
}

/// What `spec` missed, and whether it ever refused an object.
fn run(spec: &PolicySpec, trace: &Trace, capacity: u64, seed: u64) -> (Tally, bool) {
    let eviction = cache::build(spec, capacity, seed).expect("it builds");
    let mut cache = Replay::new(eviction, None, capacity, trace.objects());
    let mut tally = Tally::default();
    let mut refused = false;
    for (object, access) in trace.requests() {
        let held = cache.held();
        let mut evicted = 0;
        if !cache.request_reporting(*object, access, |_| evicted += 1) {
            tally.misses += 1;
            tally.miss_bytes += access.bytes;
            refused |= cache.held() + evicted == held && access.bytes <= capacity;
        }
    }
    (tally, refused)
}

#[test]
fn no_policy_beats_the_best_on_objects_of_one_size() {
    for seed in 0..3 {
        let trace = mixed(seed, 4000, 1);
        for capacity in [1, 5, 40, 150] {
            let [forced, free] =
                ["min", "min-bypass"].map(|name| replay(name, &unit(&trace), capacity).misses);
            let lower = replay("pfoo-l", &unit(&trace), capacity).misses;
            assert!(lower <= free && free <= forced, "{lower} {free} {forced}");
            for name in cache::FAMILY.names() {
                let (Tally { misses, .. }, refused) =
                    run(&PolicySpec::named(name), &trace, capacity, seed);
                let least = if refused { free } else { forced };
                assert!(
                    misses >= least,
                    "{}, seed {seed}, {capacity} slots: {misses}, not {least}",
                    name
                );
            }
        }
    }
}

#[test]
fn no_policy_beats_the_lower_bound_on_objects_of_any_size() {
    for seed in 0..3 {
        let trace = mixed(seed, 4000, 50);
        for capacity in [60, 400, 3000] {
            let lower = replay("pfoo-l", &sized(&trace), capacity);
            for name in cache::FAMILY.names() {
                let (found, _) = run(&PolicySpec::named(name), &trace, capacity, seed);
                assert!(
                    found.misses >= lower.misses,
                    "{name}, seed {seed}, {capacity} B: {found:?}, {lower:?}"
                );
                assert!(
                    found.miss_bytes >= lower.miss_bytes,
                    "{name}, seed {seed}, {capacity} B: {found:?}, {lower:?}"
                );
            }
            for name in ["min", "min-bypass"] {
                let found = replay(name, &sized(&trace), capacity);
                assert!(
                    found.misses >= lower.misses && found.miss_bytes >= lower.miss_bytes,
                    "{name}: {found:?}, {lower:?}"
                );
            }
        }
    }
}
