//! Measures how long a database takes to open after its process died.
//!
//! ```text
//! cargo run --release -p aura-engine --example recovery_time -- \
//!     DIRECTORY write MIB VALUE_BYTES inline|separated [QUEUES]
//! cargo run --release -p aura-engine --example recovery_time -- DIRECTORY open
//! ```
//!
//! The first command writes and dies without closing. Nothing is flushed before, so that the logs
//! (and the value files) hold everything. The second command opens the database and prints how long
//! that took.

#![expect(clippy::print_stdout, reason = "a program for people")]

use aura_engine::env::disk::DiskWorld;
use aura_engine::{Engine, EngineBuilder, EngineConfig, Error};
use aura_policies::PolicySpec;
use bytesize::ByteSize;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::gib(16);
    config.value_log.file = ByteSize::gib(16);
    match words[..] {
        [directory, "open"] => open(directory, config),
        [directory, "write", mib, value_bytes, kind, ref rest @ ..] => {
            config.value_log.queues = rest.first().map_or(Ok(1), |queues| queues.parse())?;
            if kind == "separated" {
                config.value_log.separation = PolicySpec::named("threshold").with("bytes", 1);
            }
            write(directory, config, mib.parse()?, value_bytes.parse()?)
        }
        _ => Err(
            "usage: recovery_time DIRECTORY open | write MIB VALUE_BYTES inline|separated [QUEUES]"
                .into(),
        ),
    }
}

fn write(
    directory: &str,
    config: EngineConfig,
    mib: u64,
    bytes: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let world = DiskWorld::new(2)?;
    let counts = world.block_on(async {
        let engine = EngineBuilder::new(world.env(), directory)
            .config(config)
            .open()
            .await?;
        let mut value = vec![0_u8; bytes];
        for number in 0..(mib << 20) / bytes as u64 {
            // All values differ, and have no page of zeros.
            for chunk in value.chunks_mut(8) {
                chunk[0] = chunk[0].wrapping_add(number as u8 | 1);
            }
            let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            engine.put(&key.to_be_bytes(), &value).await?;
        }
        Ok::<_, Error>(engine.metrics().counts)
    })?;
    println!(
        "written: {} of logs, {} of values",
        ByteSize(counts.wal_bytes),
        ByteSize(counts.value_log_bytes)
    );
    std::process::exit(0);
}

fn open(directory: &str, config: EngineConfig) -> Result<(), Box<dyn std::error::Error>> {
    let world = DiskWorld::new(2)?;
    let report = world.block_on(async {
        let engine = EngineBuilder::new(world.env(), directory)
            .config(config)
            .open()
            .await?;
        let report = engine.recovery();
        engine.close().await?;
        Ok::<_, Error>(report)
    })?;
    let seconds = report.nanos as f64 / 1e9;
    let gib = (report.log_bytes + report.value_bytes) as f64 / f64::from(1 << 30);
    println!("{report:?}");
    println!(
        "{seconds:.2} s for {gib:.2} GiB: {:.2} s a GiB",
        seconds / gib
    );
    Ok(())
}
