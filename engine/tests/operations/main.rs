//! Tests of checkpoint, verify and repair, in simulation. Copies are states of history, damage is
//! found and reported exactly, and a crash at any call leaves something to continue with.

#[path = "../common/mod.rs"]
mod common;

mod checkpoints;
mod repairs;
mod verifications;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aura_engine::env::Env;
use aura_engine::env::sim::{CrashMode, FaultKind, FsImage, SimWorld};
use aura_engine::{
    AuraEngine, Batch, Direction, Engine, EngineBuilder, EngineConfig, Error, Range, RepairReport,
    SyncPolicy, VerifyReport, verify_directory,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::{Chance, random_config, repeatable, seeds, sim, sim_config};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const NO_PROBLEMS: [String; 0] = [];

/// Returns small settings; values of 500 B and more go to the value log.
fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(16);
    // Each group is synced, and its records point at their values.
    config.wal.sync = SyncPolicy::Bytes(ByteSize(1));
    config.table.block = ByteSize(512);
    config.table.size = ByteSize::kib(64);
    config.cache.size = ByteSize::kib(64);
    config.value_log.separation = PolicySpec::named("threshold").with("bytes", 500);
    config.value_log.file = ByteSize::kib(16);
    config
}

async fn open(env: &Env, directory: &str, config: &EngineConfig) -> Result<AuraEngine, Error> {
    EngineBuilder::new(env.clone(), directory)
        .config(config.clone())
        .open()
        .await
}

async fn contents(engine: &AuraEngine) -> Model {
    let mut model = Model::new();
    let mut scan = engine.scan(Range::all(), Direction::Forward);
    while let Some((key, value)) = scan.next().await.unwrap() {
        model.insert(key.to_vec(), value.to_vec());
    }
    model
}

/// Opens a database, reads and checks all of it, and closes it.
async fn contents_of(env: &Env, directory: &str, config: &EngineConfig) -> Result<Model, Error> {
    let engine = open(env, directory, config).await?;
    let found = contents(&engine).await;
    // A table being written counts as a leftover until it is live.
    engine.wait_idle().await?;
    let report = engine.verify().await.unwrap();
    assert_eq!(report.problems, NO_PROBLEMS, "{directory}");
    assert_eq!(report.rows, found.len() as u64, "{directory}");
    assert_eq!(report.leftovers, NO_PROBLEMS, "{directory}");
    engine.close().await.unwrap();
    Ok(found)
}

fn key(number: u64) -> Vec<u8> {
    format!("key{number:04}").into_bytes()
}

/// Returns the value of a key; two in five are large.
fn value(number: u64) -> Vec<u8> {
    let bytes = if number % 5 < 2 { 700 } else { 40 };
    (0..bytes).map(|at| (number * 7 + at) as u8).collect()
}

/// Writes 300 keys to one run, and 40 that are in no table.
async fn build(env: &Env, config: &EngineConfig) -> Model {
    let engine = open(env, "/db", config).await.unwrap();
    let mut model = Model::new();
    for number in 0..340 {
        if number == 300 {
            engine.compact().await.unwrap();
        }
        engine.put(&key(number), &value(number)).await.unwrap();
        model.insert(key(number), value(number));
    }
    engine.close().await.unwrap();
    model
}

fn built(config: &EngineConfig) -> (FsImage, Model) {
    let world = sim(3);
    let model = world.block_on(build(&world.env(), config)).unwrap();
    (world.crash_image(CrashMode::KeepAll, 0).unwrap(), model)
}

/// Returns settings under which all garbage is collected, or nothing is.
fn collecting(collects: bool) -> EngineConfig {
    let mut config = config();
    config.value_log.gc = PolicySpec::named("greedy").with("garbage", 0.01);
    let share = if collects { 0.0 } else { 1.0 };
    config.value_log.gc_low = share;
    config.value_log.gc_high = share;
    config.value_log.gc_stop = 1.0;
    config
}

async fn delete_range(engine: &AuraEngine, model: &mut Model, numbers: std::ops::Range<u64>) {
    let start = key(numbers.start);
    let end = key(numbers.end);
    let mut batch = Batch::new();
    batch.delete_range(&Range::between(&start, &end)).unwrap();
    engine.write(batch).await.unwrap();
    model.retain(|key, _| *key < start || *key >= end);
}

/// Writes 200 keys to one run, every third of them twice, so that half of the value files are
/// partly garbage.
async fn build_garbage(env: &Env, config: &EngineConfig) -> (AuraEngine, Model) {
    let engine = open(env, "/db", config).await.unwrap();
    let mut model = Model::new();
    for number in (0..200).chain((0..200).step_by(3)) {
        let value = value(number + 5 * model.len() as u64);
        engine.put(&key(number), &value).await.unwrap();
        model.insert(key(number), value);
    }
    engine.compact().await.unwrap();
    engine.wait_idle().await.unwrap();
    (engine, model)
}

/// A database at rest.
struct Built {
    image: FsImage,
    model: Model,
    /// Keys and values that its first range delete removed.
    hidden: Model,
}

/// Creates a database whose value files were collected. Of its two range deletes, one is in the
/// manifest, over tables that still hold its keys; the other is in the log with 20 keys.
fn built_with_collections() -> Built {
    let world = sim(3);
    let env = world.env();
    let run = async {
        let (engine, mut model) = build_garbage(&env, &collecting(true)).await;
        assert!(engine.metrics().counts.gc_runs > 0);
        let hidden = model
            .range(key(50)..key(60))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        delete_range(&engine, &mut model, 50..60).await;
        engine.flush().await.unwrap();
        for number in 300..320 {
            if number == 310 {
                delete_range(&engine, &mut model, 100..110).await;
                engine.delete(&key(120)).await.unwrap();
                model.remove(&key(120));
            }
            engine.put(&key(number), &value(number)).await.unwrap();
            model.insert(key(number), value(number));
        }
        engine.wait_idle().await.unwrap();
        engine.close().await.unwrap();
        (model, hidden)
    };
    let (model, hidden) = world.block_on(run).unwrap();
    let image = world.crash_image(CrashMode::KeepAll, 0).unwrap();
    Built {
        image,
        model,
        hidden,
    }
}

/// Returns the value files that a collection has written, oldest first.
fn collected(image: &FsImage) -> Vec<PathBuf> {
    let mut paths = files(image, "vlog");
    paths.retain(|path| image.read(path).unwrap().ends_with(b"AURAMAP1"));
    paths
}

fn world_of(image: &FsImage) -> SimWorld {
    SimWorld::with_image(&sim_config(3), image).unwrap()
}

/// Returns the files of a kind in `/db`, oldest first.
fn files(image: &FsImage, extension: &str) -> Vec<PathBuf> {
    let paths = image.paths().into_iter();
    paths
        .filter(|path| {
            path.parent() == Some(Path::new("/db"))
                && path.extension().is_some_and(|it| it == extension)
        })
        .collect()
}

/// Returns every file with its content, except the lock.
fn all(image: &FsImage) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = image
        .paths()
        .into_iter()
        .filter(|path| !path.ends_with("LOCK"));
    paths
        .map(|path| (path.clone(), image.read(&path).unwrap()))
        .collect()
}

fn flip(world: &SimWorld, path: &Path, offset: u64) {
    world.flip_bit(path, offset, 3).unwrap();
}
