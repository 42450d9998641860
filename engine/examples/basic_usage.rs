//! Uses AuraDB as a library: open, write, read, scan, snapshot, close, reopen.
//!
//! ```text
//! cargo run --release -p aura-engine --example basic_usage
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use aura_engine::env::disk;
use aura_engine::{Batch, Direction, Engine, EngineBuilder, EngineConfig, Range, SyncPolicy};
use aura_policies::PolicySpec;
use bytesize::ByteSize;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::temp_dir().join("auradb-basic-usage");
    let env = disk::env(&tokio::runtime::Handle::current());

    // Settings are plain data. Policies are chosen by name, each with its own parameters.
    let mut config = EngineConfig::default();
    config.wal.sync = SyncPolicy::Always;
    config.cache.eviction = serde_json::from_str("\"sieve\"")?;
    config.cache.warming = serde_json::from_str("\"warm-flush\"")?;
    config.compaction.layout = serde_json::from_str(r#"{ "policy": "tiered", "ratio": 4 }"#)?;
    config.value_log.separation =
        serde_json::from_str(r#"{ "policy": "threshold", "bytes": 4096 }"#)?;

    let engine = EngineBuilder::new(env.clone(), &directory)
        .config(config.clone())
        .open()
        .await?;
    engine.put(b"apple", b"red").await?;
    engine.put(b"banana", b"yellow").await?;
    engine.put(b"large", &[7; 100_000]).await?; // goes to the value log

    // A batch is visible and recovered as a whole.
    let mut batch = Batch::new();
    batch.put(b"cherry", b"dark red")?;
    batch.delete(b"banana")?;

    // A snapshot keeps seeing the moment at which it was made.
    let before = engine.snapshot();
    engine.write(batch).await?;
    let yellow = before.get(b"banana").await?;
    assert_eq!(yellow.as_deref(), Some(&b"yellow"[..]));
    assert_eq!(engine.get(b"banana").await?, None);

    println!("keys from the end:");
    let mut rows = engine.scan(Range::all(), Direction::Reverse);
    while let Some((key, value)) = rows.next().await? {
        let key = String::from_utf8_lossy(&key);
        println!("  {key:8} {} bytes", value.len());
    }
    // Some settings can change while the engine runs. The cached objects go over to the new policy.
    let change = engine.reconfigure(|config| {
        config.cache.size = ByteSize::mib(16);
        config.cache.eviction = PolicySpec::named("arc");
    });
    change.await?;
    let capacity = engine.metrics().cache.capacity_bytes;
    println!("the cache may now use {capacity} bytes");
    engine.close().await?;

    // Acknowledged writes are there again.
    let engine = EngineBuilder::new(env, &directory)
        .config(config)
        .open()
        .await?;
    let large = engine.get(b"large").await?;
    assert_eq!(large.map(|value| value.len()), Some(100_000));
    println!("reopened: cherry is {:?}", engine.get(b"cherry").await?);
    let written = engine.metrics().counts.device_write_bytes();
    println!("written to the device: {written} bytes");
    engine.close().await?;
    Ok(())
}
