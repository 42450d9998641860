//! Tests of garbage collection of the value log, in simulation: what it reclaims and writes, and
//! what it must not disturb.

mod common;

use std::collections::BTreeMap;

use aura_engine::env::Env;
use aura_engine::env::sim::SimWorld;
use aura_engine::{AuraEngine, Direction, Engine, EngineConfig, Event, EventKind, GcMethod, Range};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::{Chance, repeatable, seeds, sim};

const VALUE_BYTES: usize = 1000;

/// Bytes of a frame of such a value: header, key of 8 bytes, value.
const FRAME_BYTES: u64 = 17 + 8 + VALUE_BYTES as u64;

/// Bytes of memory that an entry of such a key takes in a memtable, at least.
const ENTRY_BYTES: u64 = 100;

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(8);
    config.table.size = ByteSize::kib(64);
    config.cache.size = ByteSize::kib(64);
    // One level holds all pointers, so every merge finds all the garbage.
    config.compaction.base = ByteSize::mib(1);
    config.compaction.level0_trigger = 2;
    config.value_log.separation = PolicySpec::named("threshold").with("bytes", 500);
    config.value_log.file = ByteSize::kib(64);
    config
}

fn key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn value(number: u64, version: u64) -> Vec<u8> {
    let mut chance = Chance::new(number << 32 | version);
    (0..VALUE_BYTES).map(|_| chance.below(256) as u8).collect()
}

async fn open(env: &Env, config: &EngineConfig) -> AuraEngine {
    common::history::open(env, config).await.unwrap()
}

async fn put(engine: &AuraEngine, model: &mut BTreeMap<u64, u64>, number: u64, version: u64) {
    engine
        .put(&key(number), &value(number, version))
        .await
        .unwrap();
    model.insert(number, version);
}

async fn check(engine: &AuraEngine, model: &BTreeMap<u64, u64>) {
    let mut scan = engine.scan(Range::all(), Direction::Forward);
    for (number, version) in model {
        let row = scan.next().await.unwrap().expect("a row for each key");
        assert_eq!(
            (&row.0[..], &row.1[..]),
            (&key(*number)[..], &value(*number, *version)[..])
        );
    }
    assert_eq!(scan.next().await.unwrap(), None);
    assert_eq!(engine.verify().await.unwrap().problems, [] as [String; 0]);
}

fn run<F: Future<Output = ()>>(seed: u64, test: impl FnOnce(Env) -> F) -> SimWorld {
    let world = sim(seed);
    world.block_on(test(world.env())).unwrap();
    world
}

/// Bytes of the files that were collected.
#[derive(Default)]
struct Collected {
    live: u64,
    all: u64,
}

fn collected(events: &[Event]) -> Collected {
    let mut sum = Collected::default();
    for event in events {
        if let EventKind::Collection {
            bytes, live_bytes, ..
        } = event.kind
        {
            sum.live += live_bytes;
            sum.all += bytes;
        }
    }
    sum
}

#[test]
fn the_cost_of_uniform_overwrites_follows_the_live_share_of_victims() {
    for seed in seeds(4) {
        repeatable(seed, || {
            run(seed, |env| async move {
                let mut config = config();
                config.value_log.queues = 1 + seed as u32 % 3;
                config.value_log.gc_high = 0.25;
                config.value_log.gc_stop = 0.35;
                let keys = 3_000;
                let overwrites = 20_000;
                let engine = open(&env, &config).await;
                let mut model = BTreeMap::new();
                let mut chance = Chance::new(seed);
                for number in 0..keys {
                    put(&engine, &mut model, number, 0).await;
                }
                engine.wait_idle().await.unwrap();
                engine.take_events();
                let before = engine.metrics().counts;
                let (mut largest, mut garbage, mut level0) = (0.0_f64, 0.0_f64, 0);
                let open_files =
                    u64::from(config.value_log.queues) * config.value_log.file.as_u64();
                for version in 1..=overwrites {
                    put(&engine, &mut model, chance.below(keys), version).await;
                    if version % 500 == 0 {
                        let now = engine.metrics();
                        let disk = now.value_file_bytes as f64;
                        largest = largest.max(disk / (keys * FRAME_BYTES) as f64);
                        garbage = garbage.max(now.value_garbage_bytes as f64 / disk);
                        level0 = level0.max(now.levels[0].entries);
                        // What is not known to be garbage has an entry, or is being written.
                        let entries = now.table_entries() + now.memtable_bytes / ENTRY_BYTES;
                        let unknown = now.value_file_bytes - now.value_garbage_bytes;
                        let most = entries * FRAME_BYTES + open_files;
                        assert!(unknown <= most, "{unknown} > {most}; version {version}");
                    }
                }
                engine.wait_idle().await.unwrap();
                let counts = engine.metrics().counts.since(&before);
                let Collected { live, all } = collected(&engine.take_events());
                let user = (overwrites * FRAME_BYTES) as f64;
                let written = (counts.value_log_bytes + counts.gc_write_bytes) as f64 / user;
                let share = live as f64 / all as f64;
                let expected = 1.0 / (1.0 - share);
                let what = format!(
                    "{counts:?}\nu {share:.3}, written {written:.3}, 1/(1-u) {expected:.3}"
                );
                assert!(counts.gc_runs > 10 && counts.manifest_rolls > 0, "{what}");
                assert!((written / expected - 1.0).abs() < 0.1, "{what}");
                // Files being written are not collected. Each queue has one, and 64 KiB is 2 % of
                // the live bytes. What level 0 hides is not known to be garbage yet.
                let most = 1.6 + 0.1 * f64::from(config.value_log.queues);
                let most = most + level0 as f64 / keys as f64;
                assert!(largest < most, "space {largest:.3} of {most:.3}; {what}");
                // Writers wait from this share on. Beyond it are the files being written, which are
                // not collected, and what a merge of level 0 finds at once.
                let at_stop = keys as f64 / (1.0 - config.value_log.gc_stop);
                let beyond = (level0 * FRAME_BYTES + open_files) as f64 / FRAME_BYTES as f64;
                let most = config.value_log.gc_stop + beyond / at_stop;
                assert!(garbage < most, "garbage {garbage:.3} of {most:.3}; {what}");
                check(&engine, &model).await;
                engine.close().await.unwrap();
                let engine = open(&env, &config).await;
                check(&engine, &model).await;
                engine.close().await.unwrap();
            });
        });
    }
}

#[test]
fn snapshots_and_scans_survive_collections() {
    for method in GcMethod::ALL {
        run(3, |env| async move {
            let mut config = config();
            config.value_log.gc_method = method;
            config.value_log.gc_low = 0.0;
            config.value_log.gc_high = 0.1;
            let engine = open(&env, &config).await;
            let mut model = BTreeMap::new();
            for number in 0..500 {
                put(&engine, &mut model, number, 0).await;
            }
            let old = model.clone();
            let snapshot = engine.snapshot();
            let mut scan = engine.scan(Range::all(), Direction::Reverse);
            scan.next().await.unwrap();
            let mut chance = Chance::new(5);
            for version in 1..3_000 {
                put(&engine, &mut model, chance.below(500), version).await;
            }
            engine.compact().await.unwrap();
            engine.wait_idle().await.unwrap();
            assert!(
                engine.metrics().counts.gc_write_bytes > 0,
                "{method:?}: something was moved"
            );
            let mut rows = 1;
            for number in (0..499).rev() {
                let row = scan.next().await.unwrap().expect("a row");
                assert_eq!(
                    (&row.0[..], &row.1[..]),
                    (&key(number)[..], &value(number, 0)[..]),
                    "{method:?}"
                );
                rows += 1;
            }
            assert_eq!(rows, 500);
            for (number, version) in &old {
                let found = snapshot.get(&key(*number)).await.unwrap();
                assert_eq!(
                    found.as_deref(),
                    Some(&value(*number, *version)[..]),
                    "{method:?}"
                );
            }
            check(&engine, &model).await;
            drop((snapshot, scan));
            put(&engine, &mut model, 0, 99).await;
            engine.compact().await.unwrap();
            engine.wait_idle().await.unwrap();
            let metrics = engine.metrics();
            assert!(
                metrics.value_garbage_bytes * 5 < metrics.value_file_bytes,
                "{method:?}: {metrics:?}"
            );
            check(&engine, &model).await;
            engine.close().await.unwrap();
        });
    }
}

#[test]
fn files_of_deleted_values_are_removed_without_copying() {
    run(1, |env| async move {
        let mut config = config();
        config.value_log.gc = PolicySpec::named("never");
        let engine = open(&env, &config).await;
        let mut model = BTreeMap::new();
        for number in 0..600 {
            put(&engine, &mut model, number, 0).await;
        }
        for number in 0..600 {
            engine.delete(&key(number)).await.unwrap();
        }
        engine.compact().await.unwrap();
        engine.wait_idle().await.unwrap();
        let metrics = engine.metrics();
        assert_eq!(metrics.counts.gc_write_bytes, 0, "{metrics:?}");
        assert!(
            metrics.value_files <= 1,
            "only the active file is left: {metrics:?}"
        );
        check(&engine, &BTreeMap::new()).await;
        engine.close().await.unwrap();
    });
}

#[test]
fn separation_can_be_left_again() {
    run(2, |env| async move {
        let mut config = config();
        let engine = open(&env, &config).await;
        let mut model = BTreeMap::new();
        for number in 0..400 {
            put(&engine, &mut model, number, 0).await;
        }
        engine.close().await.unwrap();
        config.value_log.separation = PolicySpec::named("never");
        let engine = open(&env, &config).await;
        check(&engine, &model).await;
        put(&engine, &mut model, 7, 1).await;
        engine.compact().await.unwrap();
        engine.wait_idle().await.unwrap();
        let metrics = engine.metrics();
        assert_eq!(metrics.counts.values_inlined, 399, "{metrics:?}");
        assert_eq!(metrics.value_files, 0, "{metrics:?}");
        check(&engine, &model).await;
        engine.close().await.unwrap();
    });
}

#[test]
fn a_damaged_victim_is_left_alone() {
    let world = run(4, |env| async move {
        let mut config = config();
        config.value_log.gc = PolicySpec::named("never");
        let engine = open(&env, &config).await;
        for number in 0..300 {
            engine.put(&key(number), &value(number, 0)).await.unwrap();
        }
        for number in (0..300).filter(|number| number % 5 != 0) {
            engine.put(&key(number), &value(number, 1)).await.unwrap();
        }
        engine.compact().await.unwrap();
        engine.close().await.unwrap();
    });
    let keep_all = aura_engine::env::sim::CrashMode::KeepAll;
    let mut paths = world.crash_image(keep_all, 0).unwrap().paths();
    paths.retain(|path| path.extension().is_some_and(|it| it == "vlog"));
    let oldest = paths.remove(0);
    // A byte of the very first value, which is live.
    world.flip_bit(&oldest, 8 + 17 + 8 + 100, 3).unwrap();
    world
        .block_on(async {
            let mut config = config();
            config.value_log.gc_low = 0.0;
            config.value_log.gc_high = 0.0;
            let engine = open(&world.env(), &config).await;
            engine.wait_idle().await.unwrap();
            let counts = engine.metrics().counts;
            assert!(counts.gc_failures > 0, "{counts:?}");
            let error = engine.get(&key(0)).await.unwrap_err().to_string();
            assert!(
                error.contains(&*oldest.to_string_lossy()) && error.contains("offset 8"),
                "{error}"
            );
            for number in 1..300 {
                let version = u64::from(number % 5 != 0);
                let found = engine.get(&key(number)).await.unwrap();
                assert_eq!(
                    found.as_deref(),
                    Some(&value(number, version)[..]),
                    "key {number}"
                );
            }
            engine.put(&key(0), &value(0, 2)).await.unwrap();
            assert_eq!(
                engine.get(&key(0)).await.unwrap().as_deref(),
                Some(&value(0, 2)[..])
            );
            engine.close().await.unwrap();
        })
        .unwrap();
}
