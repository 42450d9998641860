//! The bytes of a whole small database are frozen, file by file: a change of any format on disk shows here, wanted or not.
//!
//! Each `format.rs` has its own frozen bytes beside it and says what they mean. Where a change is wanted, raise the
//! format's version, see that the old one is still read or refused by name, and take over what the failure prints.

mod common;

use std::path::Path;

use aura_engine::env::sim::{CpuCosts, CrashMode, DeviceProfile, SimConfig, SimWorld};
use aura_engine::{Batch, Engine, EngineConfig, Error, IndexGate};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::history::open;
use common::run;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

/// Name, length and hash of each file. JSON gains fields as settings and statistics do, so that only its name is frozen.
const FROZEN: &str = "\
000003.vlog 5030 ba300ce2a65f4151
000005.sst 6087 1d4b795b9b3c5db4
000008.vlog 230 ffd0bb7c429862cd
000010.sst 360 8f6fe07e80339f7a
000012.wal 121 2d16734a016a2731
000013.manifest 123 a939a82dcde02d3a
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

/// Two tables, one compacted and one flushed, a value file for each opening and rotation, writes that lie in the log only.
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
    let found: String = (image.paths().iter())
        .map(|path| {
            let name = path.strip_prefix(Path::new("/db")).unwrap().display();
            let bytes = image.read(path).unwrap();
            match path.extension().is_some_and(|it| it == "json") {
                true => format!("{name}\n"),
                false => format!("{name} {} {:016x}\n", bytes.len(), xxh3_64(&bytes)),
            }
        })
        .collect();
    assert!(found == FROZEN, "frozen:\n{FROZEN}\nfound:\n{found}");
}
