//! Tests of the cache alone, with every eviction policy and every admission policy.

use std::collections::BTreeMap;
use std::sync::Mutex as StdMutex;

use aura_policies::PolicySpec;
use bytesize::ByteSize;
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::config::CacheConfig;

fn config(policy: &str, bytes: u64, shards: u32) -> CacheConfig {
    CacheConfig {
        size: ByteSize(bytes),
        shards,
        eviction: small(policy),
        ..CacheConfig::default()
    }
}

fn cache(policy: &str, bytes: u64, shards: u32) -> BlockCache {
    BlockCache::new(&config(policy, bytes, shards), 7).unwrap()
}

fn evictions() -> impl Iterator<Item = &'static str> {
    aura_policies::cache::FAMILY.names().into_iter()
}

fn admissions() -> impl Iterator<Item = &'static str> {
    aura_policies::admission::FAMILY.names().into_iter()
}

fn name(file: u64, offset: u64) -> CacheKey<'static> {
    CacheKey::part(BlockKind::Data, BlockId { file, offset })
}

/// Makes an object whose contents depend on its address and version, so that a mix-up is detected.
fn object((file, offset): (u64, u64), version: u64) -> Bytes {
    let bytes = 40 + (file * 977 + offset * 131) % 3000;
    let mut data = vec![(file ^ offset) as u8; bytes as usize];
    data[..8].copy_from_slice(&version.to_le_bytes());
    Bytes::from(data)
}

fn get(cache: &BlockCache, name: &CacheKey<'_>) -> Option<Bytes> {
    cache.get(name, 0).map(|(object, _)| match object {
        Object::Bytes(data) => data,
        Object::Index(_) | Object::Filter(_) => panic!("{name:?} is no index or filter"),
    })
}

fn put(cache: &BlockCache, name: &CacheKey<'_>, data: Bytes) -> bool {
    cache.offer(name, Object::Bytes(data), 1, 0)
}

/// Returns a policy whose metadata fits a small cache. The defaults of LHD and LRB would fill it.
fn small(eviction: &str) -> PolicySpec {
    let spec = PolicySpec::named(eviction);
    match eviction {
        "lhd" => spec.with("ages", 64),
        "lrb" => spec.with("batch", 64).with("memory", 1),
        _ => spec,
    }
}

fn audit(cache: &BlockCache) -> Result<(), String> {
    for shard in &cache.main.shards {
        lock(shard).audit()?;
    }
    Ok(())
}

/// Returns whether the cache is within its budget. Initial metadata and pinned bytes alone may
/// exceed it, but then the cache must be empty.
fn within_budget(stats: &CacheStats) -> bool {
    stats.used_bytes == 0
        || stats.used_bytes + stats.metadata_bytes + stats.pinned_bytes <= stats.capacity_bytes
}

/// A change of the cache's settings.
type Change = Box<dyn Fn(&mut CacheConfig)>;

/// Applies `change` to the cache's current settings.
fn reconfigure(cache: &BlockCache, change: impl Fn(&mut CacheConfig)) -> crate::Result<()> {
    let mut settings = cache.settings.lock().unwrap().clone();
    change(&mut settings);
    cache.reconfigure(&settings)
}

/// Looks objects up at random, inserts those that are missing and removes some. It sometimes pins
/// memory, and sometimes applies one of `changes`. Returns the number of hits.
fn live(cache: &Arc<BlockCache>, steps: u64, changes: &[Change], label: &str) -> u64 {
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(11);
    let mut versions: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut pin = None;
    let mut hits = 0;
    for step in 0..steps {
        let at = (chance.random_range(0..3), chance.random_range(0..200u64));
        let name = name(at.0, at.1);
        match get(cache, &name) {
            Some(data) => {
                assert_eq!(data, object(at, versions[&at]), "{label}, step {step}");
                hits += 1;
                if chance.random_range(0..20) == 0 {
                    cache.remove(&name);
                    assert_eq!(
                        get(cache, &name),
                        None,
                        "{label}, step {step}: {at:?} was removed"
                    );
                }
            }
            None => {
                versions.insert(at, step);
                let entered = put(cache, &name, object(at, step));
                assert_eq!(cache.peek(&name).is_some(), entered, "{label}, step {step}");
            }
        }
        match chance.random_range(0..4_000) {
            0 => pin = Some(cache.pin(60 << 10)),
            1 => pin = None,
            _ => {}
        }
        let drawn = chance.random_range(0..2_000usize);
        if let Some(change) = changes.get(drawn) {
            reconfigure(cache, change).unwrap();
            assert_eq!(audit(cache), Ok(()), "{label}, step {step}: change {drawn}");
        }
        let stats = cache.stats();
        assert!(within_budget(&stats), "{label}, step {step}: {stats:?}");
    }
    drop(pin);
    assert_eq!(audit(cache), Ok(()), "{label}");
    hits
}

#[test]
fn every_pair_of_policies_keeps_the_budget_and_returns_what_was_inserted() {
    for eviction in evictions() {
        for admission in admissions() {
            let admits_all = admission == aura_policies::admission::FAMILY.default;
            for shards in if admits_all { 1..=3 } else { 2..=2 } {
                let config = CacheConfig {
                    admission: PolicySpec::named(admission),
                    ..config(eviction, 200 << 10, shards)
                };
                let cache = Arc::new(BlockCache::new(&config, 7).unwrap());
                let label = format!("{eviction} behind {admission}, {shards} shards, seed 11");
                let hits = live(&cache, 8_000, &[], &label);
                let stats = cache.stats();
                assert!(
                    hits > 0 && stats.inserts >= stats.evictions && stats.dead > 0,
                    "{label}: {hits}, {stats:?}"
                );
                let busy = hits > 300 && stats.evictions > 50 && stats.entries > 20;
                // LRB's window may temporarily fill a cache of this size.
                assert!(
                    busy || !admits_all || eviction == "lrb",
                    "{label}: {hits} hits, {stats:?}"
                );
            }
        }
    }
}

#[test]
fn policies_and_size_change_while_objects_are_held() {
    let mut changes: Vec<Change> = Vec::new();
    for eviction in evictions() {
        changes.push(Box::new(|cache| cache.eviction = small(eviction)));
    }
    for admission in admissions() {
        changes.push(Box::new(|cache| {
            cache.admission = PolicySpec::named(admission)
        }));
    }
    for kib in [100, 300, 0, 150, 250] {
        changes.push(Box::new(move |cache| cache.size = ByteSize::kib(kib)));
    }
    for eviction in evictions() {
        let cache = Arc::new(cache(eviction, 200 << 10, 2));
        let hits = live(
            &cache,
            20_000,
            &changes,
            &format!("from {eviction}, seed 11"),
        );
        assert!(hits > 100, "{eviction}: {hits} hits");
    }
}

#[test]
fn a_change_keeps_the_most_valuable_objects() {
    for eviction in evictions() {
        let cache = cache("lru", 4 << 20, 1);
        for offset in 0..10 {
            assert!(put(&cache, &name(1, offset), Bytes::from(vec![1; 1000])));
        }
        assert!(get(&cache, &name(1, 0)).is_some());
        reconfigure(&cache, |cache| cache.eviction = small(eviction)).unwrap();
        assert_eq!(cache.stats().entries, 10, "{eviction}: all fits, all stays");
    }
    let cache = cache("lru", 64 << 10, 1);
    for offset in 0..10 {
        put(&cache, &name(1, offset), Bytes::from(vec![1; 1000]));
    }
    get(&cache, &name(1, 0)).unwrap();
    let metadata = cache.stats().metadata_bytes;
    let three_entries = ByteSize(3 * 1128 + metadata);
    reconfigure(&cache, |cache| cache.size = three_entries).unwrap();
    let held: Vec<_> = (0..10)
        .filter(|offset| cache.peek(&name(1, *offset)).is_some())
        .collect();
    assert_eq!(held, [0, 8, 9], "the last three by recency");
    let refused = reconfigure(&cache, |cache| {
        cache.eviction = PolicySpec::named("unknown")
    });
    assert!(matches!(refused, Err(Error::Policy { key, .. }) if key == "cache.eviction"));
    assert_eq!(cache.stats().entries, 3, "a refused change changes nothing");
}

/// Hits of 20,000 requests for blocks of 1 KiB, skewed as by Zipf, in a cache of one shard.
fn skewed_hits(cache: &BlockCache) -> u64 {
    let mut chance = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut hits = 0;
    for _ in 0..20_000 {
        // The logarithm of the rank is uniform: each octave of ranks is as popular as the next.
        let rank = 2000_f64.powf(chance.random_range(0.0..1.0)) as u64;
        let name = name(1, rank << 10);
        match get(cache, &name) {
            Some(_) => hits += 1,
            None => _ = put(cache, &name, Bytes::from(vec![0; 1000])),
        }
    }
    hits
}

#[test]
fn a_cache_with_pinned_memory_serves_like_one_of_the_rest() {
    const PINNED: u64 = 900 << 10;
    const ROOM: u64 = 124 << 10;
    let mut by_policy = BTreeMap::new();
    for eviction in evictions() {
        for admission in admissions() {
            let build = |bytes| {
                let config = CacheConfig {
                    admission: PolicySpec::named(admission),
                    ..config(eviction, bytes, 1)
                };
                Arc::new(BlockCache::new(&config, 7).unwrap())
            };
            let pinned = build(PINNED + ROOM);
            let _pin = pinned.pin(PINNED);
            let grown = build(PINNED);
            let _pin = grown.pin(PINNED);
            reconfigure(&grown, |cache| cache.size = ByteSize(PINNED + ROOM)).unwrap();
            let alone = skewed_hits(&build(ROOM));
            let label = format!("{eviction} behind {admission}");
            assert_eq!(skewed_hits(&pinned), alone, "{label}");
            assert_eq!(skewed_hits(&grown), alone, "{label}, grown");
            assert_eq!(audit(&pinned), Ok(()), "{label}");
            if admission == "always" {
                by_policy.insert(eviction, alone);
            }
        }
    }
    assert!(
        by_policy["w-tinylfu"] * 10 > by_policy["lru"] * 11,
        "{by_policy:?}"
    );
}

#[test]
fn policies_that_stay_keep_what_they_learned_when_the_size_changes() {
    let cache = Arc::new(cache("lfu", 16 << 10, 1));
    let popular = name(1, 0);
    put(&cache, &popular, Bytes::from_static(b"popular"));
    (0..5).for_each(|_| _ = get(&cache, &popular));
    for size in [12, 16] {
        reconfigure(&cache, |cache| cache.size = ByteSize::kib(size)).unwrap();
    }
    (1..100).for_each(|offset| _ = put(&cache, &name(1, offset), Bytes::from(vec![0; 1000])));
    assert!(
        get(&cache, &popular).is_some(),
        "its five uses were forgotten"
    );
}

#[test]
fn an_object_larger_than_its_shard_is_rejected() {
    for policy in evictions() {
        let cache = cache(policy, 256 << 10, 1);
        put(&cache, &name(1, 0), Bytes::from_static(b"small"));
        assert!(
            !put(&cache, &name(1, 9), Bytes::from(vec![0; 256 << 10])),
            "{policy}"
        );
        assert_eq!(
            get(&cache, &name(1, 0)).as_deref(),
            Some(&b"small"[..]),
            "{policy}"
        );
        assert_eq!(
            (cache.stats().entries, cache.stats().rejected),
            (1, 1),
            "{policy}"
        );
    }
}

#[test]
fn inserting_an_object_twice_keeps_the_first() {
    let cache = cache("lru", 64 << 10, 1);
    put(&cache, &name(1, 0), Bytes::from_static(b"first"));
    put(&cache, &name(1, 0), Bytes::from_static(b"again"));
    assert_eq!(get(&cache, &name(1, 0)).as_deref(), Some(&b"first"[..]));
    assert_eq!((cache.stats().entries, cache.stats().inserts), (1, 1));
}

#[test]
fn a_cache_of_no_bytes_is_off_but_its_policies_must_exist() {
    let cache = cache("lru", 0, 4);
    assert!(!put(&cache, &name(1, 0), Bytes::from_static(b"x")));
    assert_eq!(
        (get(&cache, &name(1, 0)), cache.stats()),
        (None, CacheStats::default())
    );
    let mut config = config("unknown", 0, 0);
    let error = BlockCache::new(&config, 0).map(drop).unwrap_err();
    assert!(
        matches!(error, Error::Policy { ref key, .. } if key == "cache.eviction"),
        "{error}"
    );
    config.eviction = PolicySpec::named("lru");
    config.admission = PolicySpec::named("unknown");
    let error = BlockCache::new(&config, 0).map(drop).unwrap_err();
    assert!(
        matches!(error, Error::Policy { ref key, .. } if key == "cache.admission"),
        "{error}"
    );
    reconfigure(&cache, |cache| cache.size = ByteSize::kib(64)).unwrap();
    assert!(
        put(&cache, &name(1, 0), Bytes::from_static(b"x")),
        "it can be turned on"
    );
}

#[test]
fn the_size_determines_the_number_of_shards() {
    for (mib, shards) in [(1, 1), (4, 1), (9, 2), (64, 16), (1024, 16)] {
        let cache = cache("lru", mib << 20, 0);
        assert_eq!(
            (cache.main.shards.len(), cache.stats().capacity_bytes),
            (shards, mib << 20),
            "{mib} MiB"
        );
    }
    let config = CacheConfig {
        metadata: Metadata::Priority,
        metadata_share: 0.25,
        ..config("lru", 64 << 20, 0)
    };
    let cache = BlockCache::new(&config, 0).unwrap();
    let metadata = cache.metadata.as_ref().unwrap();
    assert_eq!((cache.main.shards.len(), metadata.shards.len()), (12, 4));
    assert_eq!(cache.stats().capacity_bytes, 64 << 20);
}

#[test]
fn rows_with_equal_hashes_are_distinguished_and_a_new_epoch_keeps_stale_rows_out() {
    let config = CacheConfig {
        rows: Rows::Both,
        ..config("lru", 64 << 10, 2)
    };
    let cache = BlockCache::new(&config, 0).unwrap();
    let epoch = cache.row_epoch().unwrap();
    // Different keys with one hash: a collision.
    for (key, content) in [(&b"one"[..], &b"1"[..]), (b"two", b"22"), (b"on", b"e1")] {
        for kind in [BlockKind::KeyValue, BlockKind::KeyPointer] {
            assert!(cache.offer_row(
                &CacheKey::row(kind, key, 77),
                encode_row(key, content),
                3,
                epoch
            ));
        }
    }
    let content = |kind, key: &'static [u8]| {
        get(&cache, &CacheKey::row(kind, key, 77)).map(|row| row_content(&row, key.len()).to_vec())
    };
    assert_eq!(content(BlockKind::KeyValue, b"one"), Some(b"1".to_vec()));
    assert_eq!(content(BlockKind::KeyPointer, b"two"), Some(b"22".to_vec()));
    assert_eq!(content(BlockKind::KeyValue, b"on"), Some(b"e1".to_vec()));
    assert_eq!(content(BlockKind::KeyValue, b"o"), None);
    cache.end_row_epoch();
    let late = CacheKey::row(BlockKind::KeyValue, b"late", 5);
    assert!(!cache.offer_row(&late, encode_row(b"late", b""), 3, epoch));
    assert!(cache.offer_row(
        &late,
        encode_row(b"late", b""),
        3,
        cache.row_epoch().unwrap()
    ));
    assert_eq!(
        cache.stats().rejected,
        0,
        "a row of an ended epoch is not counted as rejected"
    );
}

#[test]
fn warmed_blocks_are_counted_separately() {
    let cache = cache("lru", 64 << 10, 1);
    cache.warm(&name(1, 0), Bytes::from_static(b"new"));
    put(&cache, &name(1, 1), Bytes::from_static(b"asked for"));
    let stats = cache.stats();
    assert_eq!((stats.inserts, stats.warmed), (2, 1));
    assert_eq!(cache.peek(&name(1, 0)).map(|(_, hits)| hits), Some(0));
    get(&cache, &name(1, 0)).unwrap();
    assert_eq!(
        cache.peek(&name(1, 0)).map(|(_, hits)| hits),
        Some(1),
        "a warmed block is hit like any other"
    );
}

#[derive(Default)]
struct Log(StdMutex<Vec<u64>>);

impl CacheObserver for Log {
    fn on_access(&self, event: &CacheEvent) {
        self.0.lock().unwrap().push(event.key);
    }
}

#[test]
fn an_observer_always_samples_the_same_share_of_the_objects() {
    for (rate, expected) in [(0.0, 0..=0), (0.1, 900..=1_100), (1.0, 10_000..=10_000)] {
        let sampled = sampled_keys(rate);
        assert!(
            expected.contains(&sampled.len()),
            "{rate}: {}",
            sampled.len()
        );
        assert_eq!(sampled, sampled_keys(rate), "{rate}");
    }
}

/// Reports 10,000 objects to an observer and returns the keys that its sink receives.
fn sampled_keys(rate: f64) -> Vec<u64> {
    let log = Arc::new(Log::default());
    let observer = Observer::new(log.clone(), rate);
    for offset in 0..10_000 {
        let key = name(3, offset * 4096).hash();
        observer.report(key, || CacheEvent {
            at_ns: 0,
            key,
            file: None,
            offset: None,
            bytes: 1,
            kind: BlockKind::Data,
            level: None,
            caller: Caller::Get,
            scanned: 0,
            cost: 1,
            hit: false,
        });
    }
    std::mem::take(&mut *log.0.lock().unwrap())
}

#[test]
fn a_cleared_cache_is_empty_and_takes_objects_again() {
    for policy in evictions() {
        let cache = cache(policy, 200_000, 2);
        let fill = || {
            for offset in 0..400 {
                put(&cache, &name(1, offset), object((1, offset), 0));
            }
        };
        fill();
        let full = cache.stats();
        assert!(full.entries > 20, "{policy}: {full:?}");
        cache.clear();
        let empty = cache.stats();
        assert_eq!((empty.entries, empty.used_bytes), (0, 0), "{policy}");
        assert_eq!(
            (empty.evictions, empty.dead),
            (full.evictions, full.dead),
            "{policy}: nothing was evicted, and nothing died"
        );
        for offset in 0..400 {
            assert_eq!(get(&cache, &name(1, offset)), None, "{policy}");
        }
        fill();
        assert!(cache.stats().entries > 20, "{policy}");
        audit(&cache).unwrap();
        assert!(within_budget(&cache.stats()), "{policy}");
    }
}
