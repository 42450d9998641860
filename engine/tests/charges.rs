//! Every operation charges each kind of CPU work that it causes: a forgotten charge makes the
//! simulation too fast, and a policy that causes the work look cheap.

mod common;

use std::sync::{Arc, Mutex};

use aura_engine::env::sim::{SimConfig, SimWorld};
use aura_engine::env::{Clock, CpuWork, Env, MaybeReady};
use aura_engine::{
    AuraEngine, Batch, Compression, Direction, Engine, EngineBuilder, EngineConfig, Range, Result,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::key;

/// A clock that adds up the work charged to it.
struct Ledger {
    clock: Arc<dyn Clock>,
    charged: Mutex<Vec<CpuWork>>,
    /// What was not charged, in words.
    missing: Mutex<Vec<String>>,
}

impl Clock for Ledger {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn sleep(&self, nanos: u64) -> MaybeReady<()> {
        self.clock.sleep(nanos)
    }

    fn charge(&self, work: &CpuWork) {
        self.charged.lock().expect("no panic under it").push(*work);
        self.clock.charge(work);
    }

    fn cost_nanos(&self, work: &CpuWork) -> u64 {
        self.clock.cost_nanos(work)
    }

    fn wait_for_cpu(&self) -> MaybeReady<()> {
        self.clock.wait_for_cpu()
    }
}

impl Ledger {
    /// Checks that `what` was charged each of `expected`, and begins again.
    fn check(&self, what: &str, expected: &[&str]) {
        let charged = std::mem::take(&mut *self.charged.lock().expect("no panic under it"));
        let mut sum = CpuWork::default();
        for work in &charged {
            sum.add(work);
        }
        for name in expected {
            let kind = CpuWork::NAMES.iter().position(|known| known == name);
            if sum.counts()[kind.expect("a kind of work")] == 0 {
                let missing = format!("{what} is charged no {name}: {sum:?}");
                self.missing
                    .lock()
                    .expect("no panic under it")
                    .push(missing);
            }
        }
    }
}

/// Settings under which every kind of work is done: values of 500 bytes go to the value log, blocks
/// are compressed, tables have models and filters.
fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::mib(4);
    config.table.compression = Compression::Lz4;
    config.table.index = PolicySpec::named("greedy-plr");
    config.table.index_gate.memory = 1e9;
    config.table.index_gate.probes = 1e9;
    config.table.index_gate.window_blocks = u32::MAX;
    config.value_log.compression = Compression::Lz4;
    config.value_log.separation = PolicySpec::named("threshold").with("bytes", 500);
    config
}

async fn fill(engine: &AuraEngine, keys: std::ops::Range<u64>, bytes: usize) -> Result<()> {
    for number in keys {
        engine.put(&key(number), &vec![7; bytes]).await?;
    }
    Ok(())
}

/// What a put is charged.
const WRITTEN: [&str; 4] = [
    "operations",
    "memtable_inserts",
    "bytes_checksummed",
    "system_calls",
];

async fn walk(ledger: &Ledger, env: &Env) -> Result<()> {
    let builder = EngineBuilder::new(env.clone(), "/db").config(config());
    let engine = builder.open().await?;
    // Opening is no operation: it is not charged.
    ledger.check("opening", &[]);

    fill(&engine, 0..2_000, 100).await?;
    ledger.check("a put", &WRITTEN);
    let steps = ["comparisons", "bytes_copied"];
    fill(&engine, 2_000..2_100, 100).await?;
    ledger.check("a put beside others", &steps);
    fill(&engine, 3_000..3_200, 600).await?;
    ledger.check("a put of a large value", &WRITTEN);
    fill(&engine, 3_200..3_300, 600).await?;
    ledger.check("a large value's compression", &["bytes_compressed"]);
    engine.delete(&key(5)).await?;
    ledger.check("a delete", &WRITTEN);
    let mut batch = Batch::new();
    batch.delete_range(&Range::between(&key(10), &key(12)))?;
    engine.write(batch).await?;
    ledger.check(
        "a range delete",
        &["operations", "bytes_checksummed", "system_calls"],
    );

    engine.get(&key(1)).await?;
    ledger.check("a get from a memtable", &["operations", "memtable_steps"]);
    engine.get(&key(3_001)).await?;
    let from_log = [
        "bytes_checksummed",
        "bytes_decompressed",
        "cache_probes",
        "system_calls",
    ];
    ledger.check("a get from the value log", &from_log);

    walk_tables(ledger, &engine).await?;
    engine.close().await
}

/// Calls that read and write tables.
async fn walk_tables(ledger: &Ledger, engine: &AuraEngine) -> Result<()> {
    engine.flush().await?;
    let table = ["bytes_compressed", "bytes_checksummed", "system_calls"];
    ledger.check("a flush", &table);
    engine.get(&key(1)).await?;
    let from_table = [
        "operations",
        "comparisons",
        "filter_probes",
        "model_evaluations",
        "cache_probes",
        "bytes_decompressed",
        "bytes_checksummed",
        "system_calls",
    ];
    ledger.check("a get from a table", &from_table);
    let mut rows = engine.scan(Range::all(), Direction::Forward);
    while rows.next().await?.is_some() {}
    let scanned = [
        "operations",
        "comparisons",
        "cache_probes",
        "bytes_decompressed",
    ];
    ledger.check("a scan", &scanned);

    fill(engine, 0..1_000, 100).await?;
    ledger.check("a put", &WRITTEN);
    engine.compact().await?;
    let merged = [
        "comparisons",
        "bytes_decompressed",
        "bytes_compressed",
        "bytes_checksummed",
        "system_calls",
    ];
    ledger.check("a compaction", &merged);
    engine.verify().await?;
    ledger.check(
        "a verification",
        &["bytes_checksummed", "bytes_decompressed"],
    );
    Ok(())
}

#[test]
fn every_operation_charges_each_kind_of_work_that_it_causes() {
    let world = SimWorld::new(&SimConfig::default());
    let env = world.env();
    let ledger = Arc::new(Ledger {
        clock: env.clock.clone(),
        charged: Mutex::new(Vec::new()),
        missing: Mutex::new(Vec::new()),
    });
    let env = Env {
        clock: ledger.clone(),
        ..env
    };
    let walked = world.block_on(walk(&ledger, &env));
    walked.expect("no deadlock").expect("every call succeeds");
    let missing = ledger.missing.lock().expect("no panic under it");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
