//! Tests of the engine's cache as its users see it: what stays when tables are rewritten, rows,
//! counters and observers.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aura_engine::env::memory::MemoryWorld;
use aura_engine::{
    AuraEngine, CacheEvent, CacheObserver, Caller, Counts, Direction, Engine, EngineBuilder,
    EngineConfig, Metadata, Metrics, Range, Rows,
};
use aura_policies::PolicySpec;
use aura_policies::cache::BlockKind;
use bytesize::ByteSize;
use common::{compacted_by_hand, key, sim};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const KEYS: u64 = 4_000;

/// Returns settings with tables of 64 KiB, blocks of 1 KiB, a cache that holds everything, and
/// compactions only on request.
fn config() -> EngineConfig {
    compacted_by_hand(ByteSize::kib(64))
}

async fn put_all(engine: &AuraEngine, round: u64) {
    for number in 0..KEYS {
        let value = format!("{round}-{number}-{}", "x".repeat(80));
        engine.put(&key(number), value.as_bytes()).await.unwrap();
    }
}

/// Reads keys. Returns the block misses that it took.
async fn read(engine: &AuraEngine, numbers: impl Iterator<Item = u64>) -> u64 {
    let before = engine.metrics().counts;
    for number in numbers {
        let found = engine.get(&key(number)).await.unwrap();
        assert!(found.is_some(), "{number}");
    }
    engine.metrics().counts.since(&before).block_misses
}

fn run(config: EngineConfig, test: impl AsyncFnOnce(AuraEngine)) {
    let world = sim(1);
    let env = world.env();
    world
        .block_on(async {
            let engine = EngineBuilder::new(env, "/db")
                .config(config)
                .open()
                .await
                .unwrap();
            test(engine.clone()).await;
            engine.close().await.unwrap();
        })
        .unwrap();
}

struct Kept {
    /// Block misses of a read of all keys after a flush.
    after_flush: u64,
    /// Block misses of the keys of each half after a compaction, before which the first half was
    /// read twice.
    after_compaction: [u64; 2],
    metrics: Metrics,
}

fn kept(warming: PolicySpec) -> Kept {
    let mut config = config();
    config.cache.warming = warming;
    let mut kept = Kept {
        after_flush: 0,
        after_compaction: [0; 2],
        metrics: Metrics::default(),
    };
    run(config, async |engine| {
        // Two runs of the same keys, so that the compaction has something to merge.
        for round in 0..2 {
            put_all(&engine, round).await;
            engine.flush().await.unwrap();
        }
        kept.after_flush = read(&engine, 0..KEYS).await;
        // Empty the cache, so that it holds only what is read next.
        for size in [0, 16 << 20] {
            let change = engine.reconfigure(move |config| config.cache.size = ByteSize(size));
            change.await.unwrap();
        }
        read(&engine, 0..KEYS / 2).await;
        read(&engine, 0..KEYS / 2).await;
        engine.compact().await.unwrap();
        kept.after_compaction = [
            read(&engine, 0..KEYS / 2).await,
            read(&engine, KEYS / 2..KEYS).await,
        ];
        kept.metrics = engine.metrics();
    });
    kept
}

/// Block hits of 10,000 skewed reads in an engine whose cache has `room_bytes` beside what it pins.
fn hits_beside_pinned(eviction: &str, room_bytes: u64) -> u64 {
    let mut config = config();
    config.cache.metadata = Metadata::Pinned;
    config.cache.eviction = PolicySpec::named(eviction);
    let mut hits = 0;
    run(config, async |engine| {
        put_all(&engine, 0).await;
        engine.flush().await.unwrap();
        let pinned = engine.metrics().cache.pinned_bytes;
        // Most of the cache holds indexes and filters.
        let enough = engine.reconfigure(move |config| {
            config.cache.size = ByteSize(pinned + room_bytes);
        });
        enough.await.unwrap();
        let before = engine.metrics().counts;
        let mut chance = Xoshiro256PlusPlus::seed_from_u64(9);
        for _ in 0..10_000 {
            // Each octave of ranks is as popular as the next; popular keys are not neighbours.
            let rank = (KEYS as f64).powf(chance.random_range(0.0..1.0)) as u64 - 1;
            engine.get(&key(rank * 1_237 % KEYS)).await.unwrap();
        }
        hits = engine.metrics().counts.since(&before).block_hits;
    });
    hits
}

#[test]
fn policies_that_guard_their_best_blocks_do_so_beside_pinned_metadata() {
    let room_bytes = 40 << 10;
    let lru = hits_beside_pinned("lru", room_bytes);
    for eviction in ["w-tinylfu", "slru"] {
        let hits = hits_beside_pinned(eviction, room_bytes);
        assert!(
            hits * 20 > lru * 21,
            "{eviction} has {hits} hits, LRU {lru}"
        );
    }
}

#[test]
fn memory_is_counted_by_kind_and_its_peak_is_kept() {
    let mut config = config();
    config.cache.metadata = Metadata::Pinned;
    run(config, async |engine| {
        let empty = engine.metrics();
        put_all(&engine, 0).await;
        let full = engine.metrics();
        assert!(full.memtable_bytes > empty.memtable_bytes + KEYS * 80);
        assert_eq!(full.memory_peak_bytes, full.memory_bytes());
        engine.flush().await.unwrap();
        read(&engine, 0..KEYS).await;
        engine.put(&key(0), b"in the next memtable").await.unwrap();
        let read = engine.metrics();
        let parts = [
            read.memtable_bytes,
            read.cache.used_bytes,
            read.cache.metadata_bytes,
            read.index_bytes + read.filter_bytes,
        ];
        assert!(parts.iter().all(|part| *part > 0), "{parts:?}");
        assert_eq!(parts.iter().sum::<u64>(), read.memory_bytes());
        let none = engine.reconfigure(|config| config.cache.size = ByteSize(0));
        none.await.unwrap();
        let last = engine.metrics();
        assert!(last.memory_bytes() < read.memory_bytes());
        assert_eq!(last.memory_peak_bytes, read.memory_peak_bytes);
        assert!(last.memory_peak_bytes >= full.memory_bytes());
    });
}

#[test]
fn each_warming_policy_keeps_what_it_says() {
    let baseline = kept(PolicySpec::named("evict-dead"));
    let blocks = baseline.after_flush;
    assert!(blocks > 300, "{blocks} blocks");
    let misses = baseline.after_compaction;
    assert!(misses.iter().all(|it| *it * 3 > blocks), "{misses:?}");
    let stats = baseline.metrics.cache;
    assert!(stats.warmed == 0 && stats.dead * 3 > blocks, "{stats:?}");

    let nothing = kept(PolicySpec::named("nothing"));
    assert_eq!(nothing.metrics.cache.dead, 0);
    assert_eq!(nothing.metrics.cache.warmed, 0);
    assert_eq!(nothing.after_compaction, baseline.after_compaction);
    assert!(
        nothing.metrics.cache.entries > stats.entries,
        "the dead stay"
    );

    let flush = kept(PolicySpec::named("warm-flush"));
    assert_eq!(
        (flush.after_flush, flush.metrics.cache.warmed),
        (0, 2 * blocks)
    );
    assert_eq!(flush.after_compaction, baseline.after_compaction);

    let all = kept(PolicySpec::named("warm-all"));
    assert_eq!((all.after_flush, all.after_compaction), (0, [0, 0]));
    assert!(
        all.metrics.cache.warmed > blocks * 5 / 2,
        "{:?}",
        all.metrics.cache
    );

    // Reads have found each key in the newer run, so the cache holds about half of what an output
    // block overlaps.
    let spec = PolicySpec::named("predicted-hot").with("share", 0.4);
    let hot = kept(spec.clone());
    assert_eq!(hot.after_flush, blocks, "a flush has no input blocks");
    let [was_read, was_not] = hot.after_compaction;
    assert!(
        was_read <= 1 && was_not + 2 >= baseline.after_compaction[1],
        "{was_read}, {was_not}"
    );
    let dry = kept(spec.with("dry_run", true));
    assert_eq!(
        (dry.metrics.cache.warmed, dry.after_compaction),
        (0, baseline.after_compaction)
    );

    // An object that enters without being asked for is neither a hit nor a miss.
    let asked = |kept: &Kept| kept.metrics.counts.block_hits + kept.metrics.counts.block_misses;
    for other in [&nothing, &flush, &all, &hot, &dry] {
        assert_eq!(asked(other), asked(&baseline));
    }
}

#[test]
fn a_key_enters_with_its_address_and_gets_its_value_when_read_again() {
    let mut config = config();
    config.cache.rows = Rows::Both;
    run(config, async |engine| {
        put_all(&engine, 0).await;
        engine.flush().await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let before = engine.metrics().counts;
            engine.get(&key(7)).await.unwrap().unwrap();
            let counts = engine.metrics().counts.since(&before);
            seen.push([
                counts.key_value_hits,
                counts.key_pointer_hits,
                counts.tables_probed,
                counts.block_hits,
            ]);
        }
        // From the tables; from the block of the row's address; from the row's value.
        let expected = [[0, 0, 1, 0], [0, 1, 0, 1], [1, 0, 0, 0], [1, 0, 0, 0]];
        assert_eq!(seen, expected);

        engine.put(&key(7), b"new").await.unwrap();
        assert_eq!(
            engine.get(&key(7)).await.unwrap().as_deref(),
            Some(&b"new"[..]),
            "the memtable comes first"
        );
        engine.flush().await.unwrap();
        for round in 0..4 {
            assert_eq!(
                engine.get(&key(7)).await.unwrap().as_deref(),
                Some(&b"new"[..]),
                "{round}"
            );
        }
        engine.delete(&key(7)).await.unwrap();
        engine.flush().await.unwrap();
        for round in 0..3 {
            assert_eq!(engine.get(&key(7)).await.unwrap(), None, "{round}");
        }
        // A compaction moves the block to which the row of another key leads.
        engine.get(&key(8)).await.unwrap().unwrap();
        engine.compact().await.unwrap();
        let before = engine.metrics().counts;
        engine.get(&key(8)).await.unwrap().unwrap();
        let counts = engine.metrics().counts.since(&before);
        assert_eq!(counts.key_pointer_hits, 0);
        assert_eq!(counts.key_pointer_misses, 1);
        assert_eq!(counts.tables_probed, 1);
    });
}

#[test]
fn a_snapshot_sees_no_row_newer_than_itself() {
    let mut config = config();
    config.cache.rows = Rows::KeyValue;
    run(config, async |engine| {
        engine.put(b"k", b"old").await.unwrap();
        engine.flush().await.unwrap();
        let snapshot = engine.snapshot();
        engine.put(b"k", b"new").await.unwrap();
        engine.flush().await.unwrap();
        for _ in 0..2 {
            assert_eq!(
                engine.get(b"k").await.unwrap().as_deref(),
                Some(&b"new"[..])
            );
            assert_eq!(
                snapshot.get(b"k").await.unwrap().as_deref(),
                Some(&b"old"[..])
            );
        }
        assert_eq!(engine.metrics().counts.key_value_hits, 1);
    });
}

/// A read that began before a write, and waits for the device until after the flush of that write,
/// must not bring the old version back. Sixty runs without filters and without cached blocks make
/// the read slower than the flush.
#[test]
fn a_read_that_overlaps_a_flush_leaves_no_old_row() {
    for rows in [Rows::KeyValue, Rows::KeyPointer, Rows::Both] {
        let mut config = config();
        config.table.block = ByteSize::b(64);
        config.table.filter = PolicySpec::named("none");
        config.cache.rows = rows;
        let world = sim(2);
        let env = world.env();
        world
            .block_on(async {
                let engine = EngineBuilder::new(env.clone(), "/db")
                    .config(config)
                    .open()
                    .await
                    .unwrap();
                for run in 0..60 {
                    for number in 0..20 {
                        let suffix = if run == 0 {
                            String::new()
                        } else {
                            format!("-{run}")
                        };
                        let key = [key(number), suffix.into_bytes()].concat();
                        engine
                            .put(
                                &key,
                                b"the old version of the key, large enough for a block of its own",
                            )
                            .await
                            .unwrap();
                    }
                    // Every run starts below the first key.
                    engine.put(b"a", b"").await.unwrap();
                    engine.flush().await.unwrap();
                }
                for number in 0..20 {
                    let key = key(number);
                    let read = async {
                        engine.get(&key).await.unwrap();
                        env.clock.now()
                    };
                    let write = async {
                        engine.put(&key, b"new").await.unwrap();
                        engine.flush().await.unwrap();
                        env.clock.now()
                    };
                    let (read_ended, write_ended) = tokio::join!(read, write);
                    assert!(read_ended > write_ended, "the read must end last");
                    for _ in 0..3 {
                        assert_eq!(
                            engine.get(&key).await.unwrap().as_deref(),
                            Some(&b"new"[..]),
                            "{rows:?}, {number}"
                        );
                    }
                }
                engine.close().await.unwrap();
            })
            .unwrap();
    }
}

/// Every read returns at least the version that was acknowledged before it began, while flushes and
/// compactions run beside readers on their own threads.
#[test]
fn rows_are_never_older_than_what_was_acknowledged() {
    const OWNED: u64 = 24;
    for rows in [Rows::KeyValue, Rows::KeyPointer, Rows::Both] {
        let world = MemoryWorld::new(2).unwrap();
        let mut config = EngineConfig::default();
        config.memtable = ByteSize::kib(4);
        config.cache.size = ByteSize::kib(256);
        config.cache.rows = rows;
        let engine = world
            .block_on(EngineBuilder::new(world.env(), "/db").config(config).open())
            .unwrap();
        let acknowledged: Vec<AtomicU64> = (0..OWNED).map(|_| AtomicU64::new(0)).collect();
        let done = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for reader in 0..2 {
                let engine = &engine;
                let world = &world;
                let acknowledged = &acknowledged;
                let done = &done;
                scope.spawn(move || {
                    let mut at = reader;
                    while done.load(Ordering::Acquire) == 0 {
                        at = (at + 7) % OWNED;
                        let least = acknowledged[at as usize].load(Ordering::Acquire);
                        let value = world.block_on(engine.get(&key(at))).unwrap();
                        let found = value.map_or(0, |value| {
                            u64::from_le_bytes(value[..8].try_into().unwrap())
                        });
                        assert!(
                            found >= least,
                            "{rows:?}: key {at} is at {found}, {least} was acknowledged"
                        );
                    }
                });
            }
            for version in 1..=12_000u64 {
                let at = version * version % OWNED;
                world
                    .block_on(engine.put(&key(at), &[version.to_le_bytes(); 4].concat()))
                    .unwrap();
                acknowledged[at as usize].store(version, Ordering::Release);
            }
            done.store(1, Ordering::Release);
        });
        let counts = engine.metrics().counts;
        assert!(counts.flushes > 20 && counts.compactions > 3, "{counts:?}");
        world.block_on(engine.close()).unwrap();
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<CacheEvent>>);

impl CacheObserver for Log {
    fn on_access(&self, event: &CacheEvent) {
        self.0.lock().unwrap().push(*event);
    }
}

/// Runs gets, scans and values on all kinds of objects under an observer.
fn observed(rate: f64, metadata: Metadata) -> (Vec<CacheEvent>, Metrics) {
    let world = sim(3);
    let log = Arc::new(Log::default());
    let mut config = config();
    config.cache.metadata = metadata;
    config.cache.rows = Rows::Both;
    config.cache.size = ByteSize::kib(128);
    config.value_log.separation = PolicySpec::named("threshold").with("bytes", 500);
    let builder = EngineBuilder::new(world.env(), "/db")
        .config(config)
        .cache_observer(log.clone(), rate);
    let metrics = world
        .block_on(async {
            let engine = builder.open().await.unwrap();
            put_all(&engine, 0).await;
            engine.put(&key(3), &[1; 900]).await.unwrap();
            engine.compact().await.unwrap();
            for number in 0..3_000 {
                engine.get(&key(number * number % 500)).await.unwrap();
            }
            for direction in [Direction::Forward, Direction::Reverse] {
                let mut scan = engine.scan(Range::all(), direction);
                while scan.next().await.unwrap().is_some() {}
            }
            engine.verify().await.unwrap();
            let metrics = engine.metrics();
            engine.close().await.unwrap();
            metrics
        })
        .unwrap();
    let events = Arc::into_inner(log).unwrap().0.into_inner().unwrap();
    (events, metrics)
}

#[test]
fn an_observer_gets_what_is_counted_and_the_same_in_every_run() {
    for metadata in [Metadata::Pinned, Metadata::Priority, Metadata::Normal] {
        let (events, metrics) = observed(1.0, metadata);
        check_reported(&events, &metrics.counts, metadata);
        check_callers(&events, &metrics.counts);
        assert_eq!(
            (events.clone(), metrics),
            observed(1.0, metadata),
            "the same in every run"
        );
        let (sampled, _) = observed(0.3, metadata);
        let keys: BTreeSet<u64> = sampled.iter().map(|event| event.key).collect();
        let of_them = events.iter().filter(|event| keys.contains(&event.key));
        let expected: Vec<_> = of_them.copied().collect();
        assert_eq!(
            sampled, expected,
            "every look-up of a sampled object, and of no other"
        );
        let share = sampled.len() as f64 / events.len() as f64;
        assert!((0.1..0.6).contains(&share), "{share}");
    }
}

/// Checks that the observer gets each hit and miss that is counted, by kind.
fn check_reported(events: &[CacheEvent], counts: &Counts, metadata: Metadata) {
    let reported = |kind: BlockKind, hit: bool| {
        let events = events.iter().filter(|it| it.kind == kind && it.hit == hit);
        events.count() as u64
    };
    let both = |kind| (reported(kind, true), reported(kind, false));
    let counted = [
        (BlockKind::Data, counts.block_hits, counts.block_misses),
        (BlockKind::Index, counts.index_hits, counts.index_misses),
        (BlockKind::Filter, counts.filter_hits, counts.filter_misses),
        (BlockKind::Value, counts.value_hits, counts.value_misses),
    ];
    for (kind, hits, misses) in counted {
        assert_eq!(both(kind), (hits, misses), "{kind:?}");
    }
    assert_eq!(reported(BlockKind::KeyValue, true), counts.key_value_hits);
    assert_eq!(
        reported(BlockKind::KeyPointer, true),
        counts.key_pointer_hits
    );
    let busy = counts.block_hits > 200 && counts.value_misses > 0 && counts.key_value_hits > 100;
    assert!(busy, "{counts:?}");
    let metadata_is_cached = metadata != Metadata::Pinned;
    assert_eq!(counts.index_hits > 0, metadata_is_cached, "{counts:?}");
}

/// Checks that the observer learns which operation asks, and for what.
fn check_callers(events: &[CacheEvent], counts: &Counts) {
    let scanned = events.iter().filter(|event| event.caller == Caller::Scan);
    let scanned: Vec<_> = scanned.collect();
    let hits = scanned.iter().filter(|event| event.hit).count() as u64;
    let misses = scanned.len() as u64 - hits;
    assert_eq!((hits, misses), (counts.scan_hits, counts.scan_misses));
    assert!(scanned.len() > 500, "{}", scanned.len());
    assert!(scanned.iter().all(|event| event.scanned > 0));
    for event in events {
        assert_ne!(event.caller, Caller::Background);
        assert!(event.caller != Caller::Get || event.scanned == 0);
        let is_of_a_table = event.kind < BlockKind::Value;
        assert_eq!(event.level.is_some(), is_of_a_table, "tables have levels");
    }
    assert!(events.is_sorted_by_key(|event| event.at_ns));
}
