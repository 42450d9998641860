//! How long a database takes to open after its process died: writes, drops the engine without closing it, opens again.
//!
//!   cargo run --release -p aura-engine --example recovery_time -- DIRECTORY MIB VALUE_BYTES inline|separated [QUEUES]
//!
//! Nothing is flushed before the end, so that the logs (and the value files) hold all of it.

#![expect(clippy::print_stdout, reason = "a program for people")]

use aura_engine::env::disk::DiskWorld;
use aura_engine::{Engine, EngineBuilder, EngineConfig};
use aura_policies::PolicySpec;
use bytesize::ByteSize;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, mib, value_bytes, kind, rest @ ..] = &arguments[..] else {
        return Err("usage: recovery_time DIRECTORY MIB VALUE_BYTES inline|separated [QUEUES]".into());
    };
    let (mib, value_bytes): (u64, usize) = (mib.parse()?, value_bytes.parse()?);
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::gib(16);
    config.value_log.file = ByteSize::gib(16);
    config.value_log.queues = rest.first().map_or(Ok(1), |queues| queues.parse())?;
    if kind == "separated" {
        config.value_log.separation = PolicySpec::named("threshold").with("bytes", 1);
    }
    let world = DiskWorld::new(2)?;
    let open = || EngineBuilder::new(world.env(), directory).config(config.clone()).open();
    let writes = (mib << 20) / value_bytes as u64;
    let written = world.block_on(async {
        let engine = open().await?;
        let mut value = vec![0_u8; value_bytes];
        for number in 0..writes {
            // No two alike, and no page of zeros.
            value.chunks_mut(8).for_each(|chunk| chunk[0] = chunk[0].wrapping_add(number as u8 | 1));
            engine.put(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes(), &value).await?;
        }
        Ok::<_, aura_engine::Error>(engine.metrics().counts)
    })?;
    println!("written: {} of logs, {} of values", ByteSize(written.wal_bytes), ByteSize(written.value_log_bytes));
    let report = world.block_on(async {
        // The engine was dropped above, as a crash of the process would have left it.
        let engine = open().await?;
        let report = engine.recovery();
        engine.close().await?;
        Ok::<_, aura_engine::Error>(report)
    })?;
    let seconds = report.nanos as f64 / 1e9;
    let gib = (report.log_bytes + report.value_bytes) as f64 / f64::from(1 << 30);
    println!("{report:?}");
    println!("{seconds:.2} s for {gib:.2} GiB: {:.2} s a GiB", seconds / gib);
    Ok(())
}
