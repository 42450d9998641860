//! LRU-K against a model of it that is too simple to be wrong, and too slow to be used.

use std::collections::{BTreeMap, VecDeque};

use aura_policies::PolicySpec;

use crate::cache_trace::{Trace, skewed};

/// Misses of LRU-K with room for `slots` objects, that remembers as many of those that left.
/// O(slots) a miss.
fn model_misses(keys: &[u64], k: usize, slots: usize) -> u64 {
    let mut held: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut left: VecDeque<(u64, Vec<usize>)> = VecDeque::new();
    let mut misses = 0;
    for (now, key) in keys.iter().enumerate() {
        if let Some(times) = held.get_mut(key) {
            times.push(now);
            continue;
        }
        misses += 1;
        let returns = left.iter().position(|(of, _)| of == key);
        let known = returns.and_then(|at| left.remove(at));
        let mut times = known.map_or(Vec::new(), |(_, times)| times);
        if held.len() == slots {
            // Fewer than K uses before K, then the K-th last use, then the last one.
            let rank = |times: &Vec<usize>| {
                let decisive = times.len().checked_sub(k).map(|at| times[at]);
                (decisive, times.last().copied())
            };
            let victim = held.iter().min_by_key(|(_, times)| rank(times));
            let victim = *victim.expect("the cache is full").0;
            left.extend(held.remove_entry(&victim));
            if left.len() > slots {
                left.pop_front();
            }
        }
        times.push(now);
        held.insert(*key, times);
    }
    misses
}

fn uncorrelated(k: usize) -> PolicySpec {
    let spec = PolicySpec::named("lru-k").with("k", k);
    spec.with("correlated", 0.0)
}

#[test]
fn it_misses_what_the_model_misses() {
    let keys = &skewed()[..20_000];
    let trace = Trace::of_keys(keys.iter().copied());
    for k in 1..=4 {
        for slots in [1, 10, 100, 500] {
            let spec = uncorrelated(k);
            assert_eq!(
                trace.misses(&spec, slots as u64),
                model_misses(keys, k, slots),
                "{spec}, {slots} objects"
            );
        }
    }
}

#[test]
fn with_one_use_it_is_lru() {
    let trace = Trace::of_keys(skewed());
    for slots in [100, 2000] {
        assert_eq!(
            trace.misses(&uncorrelated(1), slots),
            trace.misses(&PolicySpec::named("lru"), slots)
        );
    }
}
