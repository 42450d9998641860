//! Writes to a database until it is killed, and says which writes were acknowledged.
//!
//! ```text
//! aura-torture DIRECTORY SETTINGS.json      the settings of the engine, as in a database's own SETTINGS.json
//! ```
//!
//! Every write is a batch that is a function of its number; the database counts them, so that a second start goes on
//! where the first ended. After each acknowledgement its number is printed as a line. Whoever kills the program knows by
//! these lines which writes must be there: `tests/kill.rs` does.

mod workload;

use std::error::Error;
use std::io::Write;

use aura_engine::env::disk::DiskWorld;
use aura_engine::{Batch, Engine, EngineBuilder, EngineConfig};

async fn torture(
    world: &DiskWorld,
    directory: &str,
    config: EngineConfig,
) -> Result<(), Box<dyn Error>> {
    let engine = EngineBuilder::new(world.env(), directory)
        .config(config)
        .open()
        .await?;
    let count = engine.get(workload::COUNT).await?;
    let before = count.map_or(Ok(0), |count| count[..].try_into().map(u64::from_le_bytes))?;
    let mut out = std::io::stdout().lock();
    for number in before + 1.. {
        let mut batch = Batch::new();
        for (key, value) in workload::changes(number) {
            match value {
                Some(value) => batch.put(&key, &value)?,
                None => batch.delete(&key)?,
            }
        }
        batch.put(workload::COUNT, &number.to_le_bytes())?;
        engine.write(batch).await?;
        writeln!(out, "{number}")?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, settings] = &arguments[..] else {
        return Err("usage: aura-torture DIRECTORY SETTINGS".into());
    };
    let world = DiskWorld::new(2)?;
    world.block_on(torture(&world, directory, serde_json::from_str(settings)?))
}
