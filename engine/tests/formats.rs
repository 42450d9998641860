//! The bytes of a whole small database are frozen, file by file: every change of a format on disk
//! shows here, wanted or not.
//!
//! Each `format.rs` has its own frozen bytes beside it and explains them. If a change is wanted,
//! raise the format's version, check that the old version is still read or refused by name, and
//! copy what the failure prints.

#![expect(
    clippy::disallowed_methods,
    reason = "databases of older formats are read from the tests' own folder"
)]

mod common;

use std::path::Path;

use aura_engine::env::sim::{CpuCosts, CrashMode, DeviceProfile, SimConfig, SimWorld};
use aura_engine::{
    AuraEngine, Batch, Direction, Engine, EngineBuilder, EngineConfig, Error, IndexGate,
    verify_directory,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::history::{contents, open};
use common::run;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

/// Name, length and hash of each file. JSON files gain fields with settings and statistics, so only
/// their names are frozen.
const FROZEN: &str = "\
000003.vlog 5030 ba300ce2a65f4151
000005.sst 7118 c3e1c7f0110f0984
000008.vlog 230 ffd0bb7c429862cd
000010.sst 360 eb1d05124682a1be
000012.wal 141 e7e5a1c4985c84a2
000013.manifest 135 20b02493086b17b9
000014.vlog 330 ef7a3847b6c50606
CURRENT 25 abed58a456855fb4
LOCK 0 2d06800538d394c2
MODELS.json
SETTINGS.json
";

fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(64);
    config.table.block = ByteSize(256);
    config.table.filter = PolicySpec::named("bloom").with("bits_per_key", json!(10));
    config.table.index = PolicySpec::named("pgm");
    config.table.index_gate = IndexGate {
        memory: 1e9,
        window_blocks: u32::MAX,
        probes: 1e9,
    };
    config.value_log.separation = PolicySpec::named("threshold").with("bytes", json!(100));
    config.value_log.file = ByteSize::kib(4);
    config
}

/// Writes two tables (one compacted, one flushed), a value file for each opening and rotation, and
/// writes that are only in the log.
async fn write(world: &SimWorld) -> Result<(), Error> {
    let env = world.env();
    let engine = open(&env, &config()).await?;
    for number in 0..200u32 {
        engine
            .put(format!("key{number:04}").as_bytes(), &number.to_le_bytes())
            .await?;
    }
    engine.put(b"large", &[7; 5000]).await?;
    engine.compact().await?;
    engine.delete(b"key0007").await?;
    engine.put(b"large", &[8; 200]).await?;
    engine.flush().await?;
    engine.close().await?;
    let engine = open(&env, &config()).await?;
    let mut batch = Batch::new();
    batch.put(b"new", b"value")?;
    batch.put(b"other", &[9; 300])?;
    batch.delete(b"key0008")?;
    engine.write(batch).await
}

#[test]
fn the_bytes_of_every_file_are_frozen() {
    let device = DeviceProfile::named("null").unwrap();
    let world = SimWorld::new(&SimConfig {
        device,
        cpu: CpuCosts::FREE,
        cores: 1,
        seed: 1,
    });
    run(&world, write(&world)).unwrap();
    let image = world.crash_image(CrashMode::KeepAll, 1).unwrap();
    let mut found = String::new();
    for path in image.paths() {
        let name = path.strip_prefix(Path::new("/db")).unwrap().display();
        let bytes = image.read(&path).unwrap();
        found += &match path.extension().is_some_and(|it| it == "json") {
            true => format!("{name}\n"),
            false => format!("{name} {} {:016x}\n", bytes.len(), xxh3_64(&bytes)),
        };
    }
    assert!(found == FROZEN, "frozen:\n{FROZEN}\nfound:\n{found}");
}

/// Returns a database that [`write`] made when logs had version 1 and manifests format 2. Its last
/// log is not replayed yet.
fn database_of_format_2() -> SimWorld {
    let world = SimWorld::new(&SimConfig::default());
    let env = world.env();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/format-2");
    run(&world, async {
        env.fs.create_directory(Path::new("/db")).unwrap();
        for file in std::fs::read_dir(&golden).unwrap() {
            let file = file.unwrap().path();
            let copy = Path::new("/db").join(file.file_name().unwrap());
            let copy = env.fs.create(&copy).unwrap();
            copy.append(&std::fs::read(&file).unwrap()).await.unwrap();
            copy.sync().await.unwrap();
        }
        env.fs.sync_directory(Path::new("/db")).await.unwrap();
    });
    world
}

async fn check_rows(engine: &AuraEngine) {
    let rows = contents(engine, Direction::Forward).await.unwrap();
    assert_eq!(rows.len(), 201);
    for number in 0..200u32 {
        let key = format!("key{number:04}").into_bytes();
        let expected = (!(7..9).contains(&number)).then(|| number.to_le_bytes().to_vec());
        assert_eq!(rows.get(&key).map(|value| value.to_vec()), expected);
    }
    assert_eq!(rows[&b"large"[..]], [8; 200][..]);
    assert_eq!(rows[&b"new"[..]], b"value"[..]);
    assert_eq!(rows[&b"other"[..]], [9; 300][..]);
}

#[test]
fn older_formats_are_read_and_written_in_the_current_one() {
    let world = database_of_format_2();
    let env = world.env();
    run(&world, async {
        let report = verify_directory(&env, Path::new("/db")).await.unwrap();
        assert_eq!(report.problems, [] as [String; 0]);
        let engine = EngineBuilder::new(env.clone(), "/db");
        let engine = engine.open_read_only().await.unwrap();
        check_rows(&engine).await;
        engine.close().await.unwrap();
        for _ in 0..2 {
            let engine = open(&env, &config()).await.unwrap();
            check_rows(&engine).await;
            engine.close().await.unwrap();
        }
    });
    let image = world.crash_image(CrashMode::KeepAll, 1).unwrap();
    for path in image.paths() {
        let bytes = image.read(&path).unwrap();
        let name = path.to_string_lossy();
        assert!(!name.ends_with(".wal") || bytes.starts_with(b"AURAWAL2"));
        assert!(!name.ends_with(".manifest") || bytes[8..12] == 3u32.to_le_bytes());
    }
}

#[test]
fn a_torn_end_of_an_older_log_is_not_damage() {
    let world = database_of_format_2();
    let env = world.env();
    let log = Path::new("/db/000012.wal");
    world.truncate(log, 120).unwrap();
    run(&world, async {
        let engine = open(&env, &config()).await.unwrap();
        assert_eq!(engine.get(b"new").await.unwrap(), None);
        assert!(engine.get(b"key0008").await.unwrap().is_some());
        engine.close().await.unwrap();
    });
}
