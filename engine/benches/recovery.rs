//! Opening a database whose log holds all its writes, in bytes a second: of keys and values if the
//! log is clean, of the last record if that is torn.
//!
//! ```text
//! cargo bench -p aura-engine --bench recovery
//! ```
//!
//! After a torn record time grows with its bytes, not with a power of them. Their number goes from
//! 1 KiB to 64 MiB; `AURA_TORN_MAX` (bytes) ends it earlier. What is lost is one record, of bytes
//! that look like anything: headers of records are searched for at every offset.

use std::cell::LazyCell;
use std::path::Path;
use std::time::Duration;

use aura_engine::env::memory::MemoryWorld;
use aura_engine::env::sim::{CrashMode, FsImage, SimConfig, SimWorld};
use aura_engine::{Engine, EngineBuilder, EngineConfig, SyncPolicy};
use bytesize::ByteSize;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const DIRECTORY: &str = "/bench";

/// Records of a clean log.
const PUTS: u64 = 100_000;

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::gib(1);
    // The bytes at the end were never known to be durable.
    config.wal.sync = SyncPolicy::Never;
    config
}

/// What a killed process leaves whose last record, of `bytes`, lacks its last byte.
fn torn(bytes: usize) -> FsImage {
    let world = SimWorld::new(&SimConfig::default());
    let env = world.env();
    let mut value = vec![0; bytes];
    Xoshiro256PlusPlus::seed_from_u64(7).fill(&mut value[..]);
    let written = world.block_on(async {
        let engine = EngineBuilder::new(env.clone(), DIRECTORY)
            .config(config())
            .open()
            .await?;
        engine.put(b"before", b"sound").await?;
        engine.put(b"torn", &value).await
    });
    written.expect("no deadlock").expect("both are written");
    let names = env.fs.list(Path::new(DIRECTORY)).expect("a directory");
    let log = names.iter().rfind(|name| name.ends_with(".wal"));
    let log = Path::new(DIRECTORY).join(log.expect("a log"));
    let length = env.fs.open(&log).and_then(|file| file.bytes());
    let length = length.expect("the log has a length");
    world.truncate(&log, length - 1).expect("the log is there");
    world
        .crash_image(CrashMode::KeepAll, 1)
        .expect("an image of the disk")
}

fn open(world: &SimWorld) {
    let opened = world.block_on(async {
        let engine = EngineBuilder::new(world.env(), DIRECTORY)
            .config(config())
            .open_read_only()
            .await?;
        assert!(engine.get(b"before").await?.is_some());
        assert!(engine.get(b"torn").await?.is_none());
        Ok::<(), aura_engine::Error>(())
    });
    opened.expect("no deadlock").expect("it opens");
}

fn torn_records(criterion: &mut Criterion) {
    let most = std::env::var("AURA_TORN_MAX").ok();
    let most = most.map_or(64 << 20, |text| text.parse().expect("a number of bytes"));
    let mut group = criterion.benchmark_group("open after a torn record");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(1));
    let mut bytes = 1 << 10;
    while bytes <= most {
        let image = LazyCell::new(|| torn(bytes));
        group.throughput(Throughput::Bytes(bytes as u64));
        let name = BenchmarkId::from_parameter(ByteSize(bytes as u64));
        group.bench_function(name, |bencher| {
            let image = &*image;
            bencher.iter_batched(
                || SimWorld::with_image(&SimConfig::default(), image).expect("a world"),
                |world| open(&world),
                BatchSize::PerIteration,
            );
        });
        bytes *= 4;
    }
    group.finish();
}

/// What [`PUTS`] values of 100 bytes leave, one record each, when the database is closed.
fn logged() -> MemoryWorld {
    let world = MemoryWorld::new(2).expect("threads");
    let builder = EngineBuilder::new(world.env(), DIRECTORY).config(config());
    let written = world.block_on(async {
        let engine = builder.open().await?;
        for number in 0..PUTS {
            let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            engine.put(&key, &[7; 100]).await?;
        }
        engine.close().await
    });
    written.expect("all are written");
    world
}

/// Times opening to read, which replays the log into a memtable; and opening to write, which also
/// flushes that memtable.
fn clean_logs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open after a clean log");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(1))
        .throughput(Throughput::Bytes(PUTS * 108));
    for to_write in [false, true] {
        let replayed = |world: MemoryWorld| {
            let builder = EngineBuilder::new(world.env(), DIRECTORY).config(config());
            let opened = world.block_on(async {
                match to_write {
                    true => builder.open().await,
                    false => builder.open_read_only().await,
                }
            });
            let engine = opened.expect("it opens");
            assert_eq!(engine.recovery().batches, PUTS);
            (world, engine)
        };
        let name = if to_write { "to write" } else { "to read" };
        group.bench_function(name, |bencher| {
            bencher.iter_batched(logged, replayed, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, clean_logs, torn_records);
criterion_main!(benches);
