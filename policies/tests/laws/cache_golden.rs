//! Miss counts that other programs gave for the same policies: exact, for the policies are.

use std::path::Path;

use crate::SplitMix64;
use crate::cache_driver::CacheDriver;

fn misses(policy: &str, capacity: u64, keys: impl IntoIterator<Item = u64>) -> u64 {
    let mut driver = CacheDriver::new(policy, capacity, 0);
    driver.request_units(keys);
    driver.misses
}

/// 200,000 requests over 18,156 distinct keys, skewed as the product of two uniform numbers.
fn skewed() -> Vec<u64> {
    let mut random = SplitMix64(0);
    let key = |r: u64| ((((r >> 32) * (r & 0xffff_ffff)) >> 32) * 20_000) >> 32;
    (0..200_000).map(|_| key(random.next())).collect()
}

#[test]
fn the_skewed_trace_is_the_one_counted() {
    let trace = skewed();
    assert_eq!(trace[..10], [8496, 5452, 264, 8669, 678, 2979, 424, 12121, 1262, 4057]);
    assert_eq!(trace.iter().sum::<u64>(), 1_000_988_552);
}

#[test]
fn misses_on_the_skewed_trace() {
    let golden = [
        ("lru", [197_981, 190_086, 162_485, 75_216]),
        ("sieve", [196_771, 185_551, 150_678, 64_294]),
        ("arc", [196_654, 185_162, 151_948, 70_448]),
    ];
    let trace = skewed();
    for (policy, expected) in golden {
        let found = [100, 500, 2000, 8000].map(|slots| misses(policy, slots, trace.iter().copied()));
        assert_eq!(found, expected, "{policy}");
    }
}

#[test]
fn a_loop_larger_than_the_cache_always_misses() {
    for policy in ["lru", "sieve", "arc"] {
        let cycle = || (0..20_000).map(|i| i % 1000);
        let found = [100, 500, 900, 999, 1000].map(|slots| misses(policy, slots, cycle()));
        assert_eq!(found, [20_000, 20_000, 20_000, 20_000, 1000], "{policy}");
    }
}

#[test]
fn one_scan_through_a_cache_with_room_for_the_hot_keys() {
    let hot = || (0..20_000).map(|i| i % 400);
    for (policy, expected) in [("lru", 20_800), ("sieve", 20_400), ("arc", 20_400)] {
        assert_eq!(misses(policy, 1000, hot().chain(1000..21_000).chain(hot())), expected, "{policy}");
    }
}

#[test]
fn misses_on_cloud_physics() {
    let Some(keys) = oracle_keys("cache/traces/cloudPhysicsIO.csv.zst") else {
        return;
    };
    assert_eq!(keys.len(), 113_872);
    let golden = [
        ("lru", [95_398, 94_823, 94_189, 92_816, 87_740, 75_013]),
        ("sieve", [94_379, 93_975, 93_411, 91_547, 84_794, 69_601]),
        ("arc", [94_218, 94_027, 92_829, 90_159, 82_230, 67_162]),
    ];
    for (policy, expected) in golden {
        let found = [500, 1000, 2000, 4000, 8000, 16_000].map(|slots| misses(policy, slots, keys.iter().copied()));
        assert_eq!(found, expected, "{policy}");
    }
}

/// The keys of a `time,key,size` trace in the folder that AURA_ORACLES names; None, with a note, when it names none.
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
#[expect(clippy::disallowed_methods, reason = "the oracles are files outside the engine's storage")]
fn oracle_keys(name: &str) -> Option<Vec<u64>> {
    let Some(folder) = std::env::var_os("AURA_ORACLES") else {
        eprintln!("skipped: AURA_ORACLES is not set");
        return None;
    };
    let packed = std::fs::read(Path::new(&folder).join(name)).expect("the oracle file is there");
    let text = String::from_utf8(zstd::decode_all(&packed[..]).expect("a zstd frame")).expect("text");
    let key = |line: &str| line.split(',').nth(1).and_then(|key| key.parse().ok()).expect("time,key,size");
    Some(text.lines().skip(1).map(key).collect())
}
