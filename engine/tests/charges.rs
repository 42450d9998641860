//! Every operation charges each kind of CPU work that it causes: a forgotten charge makes the
//! simulation too fast, and a policy that causes the work look cheap.

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aura_engine::env::sim::{SimConfig, SimWorld};
use aura_engine::env::{Clock, CpuWork, Env, MaybeReady};
use aura_engine::{
    AuraEngine, Batch, Compression, Direction, Engine, EngineBuilder, EngineConfig, GcMethod,
    Range, Result,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;
use common::key;

/// A clock that adds up the work charged to it.
struct Ledger {
    clock: Arc<dyn Clock>,
    charged: Mutex<CpuWork>,
    /// What was charged otherwise than expected, in words.
    wrong: Mutex<Vec<String>>,
}

impl Clock for Ledger {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn sleep(&self, nanos: u64) -> MaybeReady<()> {
        self.clock.sleep(nanos)
    }

    fn charge(&self, work: &CpuWork) {
        self.charged.lock().expect("no panic under it").add(work);
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
    /// Keeps the books of `env`. Returns it with the world that charges to it.
    fn of(env: Env) -> (Arc<Self>, Env) {
        let ledger = Arc::new(Self {
            clock: env.clock.clone(),
            charged: Mutex::default(),
            wrong: Mutex::default(),
        });
        let env = Env {
            clock: ledger.clone(),
            ..env
        };
        (ledger, env)
    }

    /// The work charged since the last [`take`](Self::take).
    fn so_far(&self) -> CpuWork {
        *self.charged.lock().expect("no panic under it")
    }

    /// The work charged since the last call.
    fn take(&self) -> CpuWork {
        std::mem::take(&mut *self.charged.lock().expect("no panic under it"))
    }

    /// Checks that `what` was charged exactly the kinds that `expected` names, and begins again.
    fn check(&self, what: &str, expected: &[&str]) {
        let work = self.take();
        let charged = CpuWork::NAMES.into_iter().zip(work.counts());
        let charged = charged.filter(|(_, count)| *count > 0);
        let found: BTreeSet<&str> = charged.map(|(name, _)| name).collect();
        let expected: BTreeSet<&str> = expected.iter().copied().collect();
        if found != expected {
            let missing: Vec<_> = expected.difference(&found).collect();
            let more: Vec<_> = found.difference(&expected).collect();
            let wrong = format!("{what}: charged no {missing:?}, and also {more:?}");
            self.wrong.lock().expect("no panic under it").push(wrong);
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
const WRITTEN: [&str; 6] = [
    "operations",
    "memtable_steps",
    "memtable_inserts",
    "bytes_checksummed",
    "bytes_copied",
    "system_calls",
];

/// What a get of a key in a table is charged if the cache holds the block.
const FROM_CACHE: [&str; 5] = [
    "operations",
    "comparisons",
    "filter_probes",
    "model_evaluations",
    "cache_probes",
];

/// What reading a compressed block of the device is charged.
const FROM_DEVICE: [&str; 3] = ["bytes_decompressed", "bytes_checksummed", "system_calls"];

/// What writing a table with a model is charged.
const TABLE: [&str; 9] = [
    "comparisons",
    "cursor_steps",
    "table_inserts",
    "model_evaluations",
    "keys_fitted",
    "bytes_compressed",
    "bytes_checksummed",
    "bytes_copied",
    "system_calls",
];

async fn walk(ledger: &Ledger, env: &Env) -> Result<()> {
    let builder = EngineBuilder::new(env.clone(), "/db").config(config());
    let engine = builder.open().await?;
    // Opening an empty directory is no operation: it is not charged.
    ledger.check("opening", &[]);

    fill(&engine, 0..2_000, 100).await?;
    ledger.check("a put", &WRITTEN);
    fill(&engine, 3_000..3_300, 600).await?;
    let separated = [&WRITTEN[..], &["bytes_compressed"]].concat();
    ledger.check("a put of a large value", &separated);
    engine.delete(&key(5)).await?;
    ledger.check("a delete", &WRITTEN);
    let mut batch = Batch::new();
    batch.delete_range(&Range::between(&key(10), &key(12)))?;
    engine.write(batch).await?;
    let range_delete = [
        "operations",
        "memtable_inserts",
        "bytes_checksummed",
        "bytes_copied",
        "system_calls",
    ];
    ledger.check("a range delete", &range_delete);

    let from_memtable = [
        "operations",
        "comparisons",
        "memtable_steps",
        "filter_probes",
    ];
    engine.get(&key(1)).await?;
    ledger.check("a get from a memtable", &from_memtable);
    engine.get(&key(3_001)).await?;
    let from_log = [&from_memtable[..], &["cache_probes"], &FROM_DEVICE].concat();
    ledger.check("a get from the value log", &from_log);
    engine.get(&key(3_001)).await?;
    let cached_value = [&from_memtable[..], &["cache_probes"]].concat();
    ledger.check("a get of a cached value", &cached_value);

    walk_tables(ledger, &engine).await?;
    engine.close().await
}

/// Calls that read and write tables.
async fn walk_tables(ledger: &Ledger, engine: &AuraEngine) -> Result<()> {
    engine.flush().await?;
    ledger.check("a flush", &TABLE);
    engine.get(&key(1)).await?;
    let from_table = [&FROM_CACHE[..], &FROM_DEVICE].concat();
    ledger.check("a get from a table", &from_table);
    engine.get(&key(1)).await?;
    ledger.check("a get from the cache", &FROM_CACHE);
    let mut rows = engine.scan(Range::all(), Direction::Forward);
    while rows.next().await?.is_some() {}
    let steps = [
        "operations",
        "comparisons",
        "cursor_steps",
        "scan_rows",
        "memtable_steps",
        "cache_probes",
    ];
    let scanned = [&steps[..], &FROM_DEVICE].concat();
    ledger.check("a scan", &scanned);

    fill(engine, 0..1_000, 100).await?;
    ledger.check("a put", &WRITTEN);
    engine.compact().await?;
    let merged = [&TABLE[..], &["bytes_decompressed"]].concat();
    ledger.check("a compaction", &merged);
    engine.verify().await?;
    let walked = [
        "comparisons",
        "cursor_steps",
        "memtable_steps",
        "model_evaluations",
        "cache_probes",
    ];
    let verified = [&walked[..], &FROM_DEVICE].concat();
    ledger.check("a verification", &verified);
    Ok(())
}

#[test]
fn every_operation_charges_each_kind_of_work_that_it_causes() {
    let world = SimWorld::new(&SimConfig::default());
    let (ledger, env) = Ledger::of(world.env());
    let walked = world.block_on(walk(&ledger, &env));
    walked.expect("no deadlock").expect("every call succeeds");
    let wrong = ledger.wrong.lock().expect("no panic under it");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Writes tables whose filters are solutions of equations from level 1 on, and asks one.
async fn walk_solutions(ledger: &Ledger, env: &Env) -> Result<()> {
    let mut config = config();
    config.table.filter = PolicySpec::named("ribbon").with("bloom_before_level", 1);
    let builder = EngineBuilder::new(env.clone(), "/solutions").config(config);
    let engine = builder.open().await?;
    fill(&engine, 0..2_000, 100).await?;
    ledger.take();
    engine.flush().await?;
    ledger.check("a flush to level 0", &TABLE);
    engine.get(&key(1)).await?;
    engine.get(&key(1)).await?;
    let from_table = [&FROM_CACHE[..], &FROM_DEVICE].concat();
    ledger.check("a get of a Bloom filter", &from_table);
    fill(&engine, 0..2_000, 100).await?;
    ledger.take();
    engine.compact().await?;
    assert_eq!(ledger.so_far().filter_equations, 2_000, "one a key");
    let merged = [&TABLE[..], &["bytes_decompressed", "filter_equations"]].concat();
    ledger.check("a compaction", &merged);
    engine.get(&key(1)).await?;
    let probed = ledger.so_far();
    assert_eq!(probed.solution_probes, probed.filter_probes);
    let from_table = [&from_table[..], &["solution_probes"]].concat();
    ledger.check("a get of a solution", &from_table);
    engine.close().await
}

#[test]
fn filters_of_equations_are_charged_more() {
    let world = SimWorld::new(&SimConfig::default());
    let (ledger, env) = Ledger::of(world.env());
    let walked = world.block_on(walk_solutions(&ledger, &env));
    walked.expect("no deadlock").expect("every call succeeds");
    let wrong = ledger.wrong.lock().expect("no panic under it");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Makes garbage in value files and has it collected by `method`.
async fn collect(ledger: &Ledger, env: &Env, method: GcMethod) -> Result<()> {
    let mut config = config();
    config.value_log.file = ByteSize::kib(256);
    config.value_log.compression = Compression::None;
    config.value_log.gc_method = method;
    let engine = EngineBuilder::new(env.clone(), "/values").config(config);
    let engine = engine.open().await?;
    fill(&engine, 0..300, 4_000).await?;
    engine.flush().await?;
    for number in (0..300).step_by(2) {
        engine.put(&key(number), &[8; 4_000]).await?;
    }
    engine.flush().await?;
    ledger.take();
    // One compaction finds the garbage, the next meets the pointers into it.
    engine.compact().await?;
    engine.wait_idle().await?;
    engine.put(&key(1), b"small").await?;
    engine.flush().await?;
    engine.compact().await?;
    engine.wait_idle().await?;
    let moved = engine.metrics().counts.gc_write_bytes;
    assert!(moved > 100_000, "{method:?} moved {moved} bytes");
    let work = ledger.take();
    assert!(work.bytes_checksummed >= moved, "{method:?}: {work:?}");
    assert!(work.bytes_copied >= moved, "{method:?}: {work:?}");
    engine.close().await
}

#[test]
fn values_that_move_are_charged_byte_by_byte_whoever_moves_them() {
    for method in GcMethod::ALL {
        let world = SimWorld::new(&SimConfig::default());
        let (ledger, env) = Ledger::of(world.env());
        let collected = world.block_on(collect(&ledger, &env, method));
        collected
            .expect("no deadlock")
            .expect("every call succeeds");
    }
}
