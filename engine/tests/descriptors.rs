//! A database of 500 tables works in a process that may have 64 files open.
//!
//! The limit holds for the process, so this file has only one test.

#![expect(
    clippy::disallowed_methods,
    reason = "the files that the process has open are counted"
)]

use aura_engine::env::disk::DiskWorld;
use aura_engine::{
    AuraEngine, Direction, Engine, EngineBuilder, EngineConfig, Range, SyncPolicy, verify_directory,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const KEYS: u32 = 20_000;
const FILES_MAX: usize = 64;

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(64);
    config.table.size = ByteSize::kib(4);
    config.table.block = ByteSize(512);
    config.cache.size = ByteSize::kib(64);
    config.wal.sync = SyncPolicy::Never;
    config.value_log.separation = PolicySpec::named("threshold").with("bytes", 300);
    config.value_log.file = ByteSize::kib(64);
    config.value_log.queues = 3;
    config
}

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn value(number: u32, round: u8) -> Vec<u8> {
    let bytes = if number.is_multiple_of(100) { 400 } else { 90 };
    vec![number as u8 ^ round; bytes]
}

fn open_files() -> usize {
    // The directory itself is open while it is read.
    std::fs::read_dir("/dev/fd").unwrap().count() - 1
}

async fn write(engine: &AuraEngine, round: u8) {
    for number in 0..KEYS {
        engine
            .put(&key(number), &value(number, round))
            .await
            .unwrap();
    }
    engine.flush().await.unwrap();
    engine.wait_idle().await.unwrap();
}

/// Reads everything; at most `max` files are open.
async fn check(engine: &AuraEngine, round: u8, max: usize) {
    for number in (0..KEYS).map(|number| number.wrapping_mul(7919) % KEYS) {
        let found = engine.get(&key(number)).await.unwrap();
        assert_eq!(found.unwrap(), value(number, round));
    }
    let mut scan = engine.scan(Range::all(), Direction::Forward);
    for number in 0..KEYS {
        let (found, content) = scan.next().await.unwrap().unwrap();
        assert_eq!(found, key(number)[..]);
        assert_eq!(content, value(number, round));
    }
    assert!(open_files() < max);
}

#[test]
fn five_hundred_tables_need_no_more_than_64_open_files() {
    // What the process inherited is beside the point, but for its three standard streams.
    let max = FILES_MAX + open_files().saturating_sub(3);
    let limit = Rlimit {
        current: Some(max as u64),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let world = DiskWorld::new(2).unwrap();
    let builder = || EngineBuilder::new(world.env(), directory.path()).config(config());
    world.block_on(async {
        let engine = builder().open().await.unwrap();
        write(&engine, 0).await;
        let levels = engine.metrics().levels;
        let tables: u64 = levels.iter().map(|level| level.tables).sum();
        assert!(tables >= 500, "{tables} tables");
        check(&engine, 0, max).await;
        write(&engine, 1).await;
        engine.compact().await.unwrap();
        check(&engine, 1, max).await;
        let report = engine.verify().await.unwrap();
        assert_eq!(report.problems, [] as [String; 0]);
        engine.close().await.unwrap();

        let engine = builder().open().await.unwrap();
        check(&engine, 1, max).await;
        engine.close().await.unwrap();
        let engine = builder().open_read_only().await.unwrap();
        check(&engine, 1, max).await;
        engine.close().await.unwrap();
        let report = verify_directory(&world.env(), directory.path())
            .await
            .unwrap();
        assert_eq!(report.problems, [] as [String; 0]);
        assert!(builder().plan_repair().await.unwrap().sound);
    });
}
