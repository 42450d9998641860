//! Small real workloads whose CPU time is measured beside the work that they are charged.
//!
//! Each does much of a few kinds of work, and no two the same mixture, so that the kinds can be
//! separated. They run on files in the page cache, with one client and the engine's own tasks.

use std::path::Path;

use aura_engine::env::disk::DiskWorld;
use aura_engine::{
    AuraEngine, Batch, Compression, Direction, Engine, EngineBuilder, EngineConfig, Range,
};
use aura_policies::PolicySpec;
use bytesize::ByteSize;

use super::ledger::{Ledger, charge_nanos, cpu_nanos};
use super::{CalibrateError, Effort};
use crate::files;

/// One workload.
#[derive(Clone, Copy)]
pub(super) struct Probe {
    /// Its name in tables.
    pub(super) name: &'static str,
    /// What its settings differ in.
    settings: fn(&mut EngineConfig),
    /// Keys of the database.
    keys: u64,
    /// Bytes of a value.
    value: usize,
    /// How the data lies before.
    data: Data,
    /// What is measured.
    work: Work,
}

/// How data lies before the measurement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    /// There is no data.
    Empty,
    /// In the memtable, or where flushes and compactions have put it.
    Written,
    /// In one run of tables.
    Merged,
}

/// What a probe measures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Gets,
    GetsOfAbsentKeys,
    Puts,
    BatchesOf100,
    ScansOf(usize),
    Flushes,
    Compactions,
    /// Of tables of which the newer has every key of the older.
    CompactionsOfOverwrites,
}

/// What one probe found.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    /// The probe's name.
    pub name: String,
    /// The work of one operation, in the order of
    /// [`CpuWork::NAMES`](aura_engine::env::CpuWork::NAMES).
    pub counts: Vec<f64>,
    /// Nanoseconds of CPU of one operation in the fastest round: what else runs on the machine only
    /// adds to it.
    pub nanos: f64,
    /// The largest of the rounds over the smallest.
    pub spread: f64,
}

/// Keys of a database that is read.
const KEYS: u64 = 40_000;

/// Bytes of most values.
const VALUE: usize = 100;

/// Settings under which nothing happens in the background, and the cache holds everything.
fn config() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::mib(64);
    config.cache.size = ByteSize::mib(256);
    config.table.size = ByteSize::mib(4);
    config
}

/// Small memtables, and runs that are not merged: the data lies in several runs.
fn several_runs(config: &mut EngineConfig) {
    config.memtable = ByteSize::mib(1);
    config.compaction.layout = PolicySpec::named("tiered").with("ratio", 8);
}

/// A cache that holds next to nothing: blocks come from the page cache.
fn uncached(config: &mut EngineConfig) {
    config.cache.size = ByteSize::kib(64);
    config.cache.shards = 1;
}

/// Learned indexes, whatever they cost.
fn learned(config: &mut EngineConfig) {
    config.table.index = PolicySpec::named("pgm");
    config.table.index_gate.memory = 1e9;
    config.table.index_gate.probes = 1e9;
    config.table.index_gate.window_blocks = u32::MAX;
}

/// All probes, in the order of tables.
pub(super) fn probes() -> Vec<Probe> {
    [reads(), scans(), writes(), background()].concat()
}

const fn probe(
    name: &'static str,
    settings: fn(&mut EngineConfig),
    data: Data,
    work: Work,
) -> Probe {
    Probe {
        name,
        settings,
        keys: KEYS,
        value: VALUE,
        data,
        work,
    }
}

fn reads() -> Vec<Probe> {
    use Data::{Empty, Merged, Written};
    use Work::{Gets, GetsOfAbsentKeys};
    let small = probe("get, memtable of 1,000", |_| {}, Written, Gets);
    let of_log = |it: &mut EngineConfig| {
        uncached(it);
        it.value_log.separation = PolicySpec::named("threshold").with("bytes", 64);
    };
    vec![
        probe("get, empty database", |_| {}, Empty, GetsOfAbsentKeys),
        Probe {
            keys: 1_000,
            ..small
        },
        probe("get, memtable of 40,000", |_| {}, Written, Gets),
        probe("get, cached", |_| {}, Merged, Gets),
        probe(
            "get, cached, blocks of 1 KiB",
            |it| it.table.block = ByteSize::kib(1),
            Merged,
            Gets,
        ),
        probe(
            "get, cached, blocks of 32 KiB",
            |it| it.table.block = ByteSize::kib(32),
            Merged,
            Gets,
        ),
        probe("get, cached, learned index", learned, Merged, Gets),
        probe("get, cached, several runs", several_runs, Written, Gets),
        probe("get, absent, one run", |_| {}, Merged, GetsOfAbsentKeys),
        probe(
            "get, absent, several runs",
            several_runs,
            Written,
            GetsOfAbsentKeys,
        ),
        probe("get, page cache, blocks of 4 KiB", uncached, Merged, Gets),
        probe(
            "get, page cache, blocks of 32 KiB",
            |it| {
                uncached(it);
                it.table.block = ByteSize::kib(32);
            },
            Merged,
            Gets,
        ),
        probe(
            "get, page cache, lz4",
            |it| {
                uncached(it);
                it.table.compression = Compression::Lz4;
            },
            Merged,
            Gets,
        ),
        probe("get, page cache, value log", of_log, Merged, Gets),
    ]
}

fn scans() -> Vec<Probe> {
    use Data::{Merged, Written};
    use Work::ScansOf;
    vec![
        probe("scan of 10, cached", |_| {}, Merged, ScansOf(10)),
        probe("scan of 100, cached", |_| {}, Merged, ScansOf(100)),
        Probe {
            value: 1_000,
            keys: KEYS / 4,
            ..probe("scan of 100 x 1,000 bytes", |_| {}, Merged, ScansOf(100))
        },
        probe(
            "scan of 10, several runs",
            several_runs,
            Written,
            ScansOf(10),
        ),
        probe(
            "scan of 100, several runs",
            several_runs,
            Written,
            ScansOf(100),
        ),
        probe("scan of 100, memtable", |_| {}, Written, ScansOf(100)),
    ]
}

fn writes() -> Vec<Probe> {
    use Data::Written;
    use Work::{BatchesOf100, Puts};
    let put = probe("put, 100 bytes", |_| {}, Written, Puts);
    vec![
        Probe {
            name: "put, 10 bytes",
            value: 10,
            ..put
        },
        put,
        Probe {
            name: "put, 2,000 bytes",
            value: 2_000,
            keys: KEYS / 8,
            ..put
        },
        Probe {
            name: "put, small memtable",
            settings: |it| it.memtable = ByteSize::mib(1),
            ..put
        },
        probe("batch of 100 puts", |_| {}, Written, BatchesOf100),
    ]
}

fn background() -> Vec<Probe> {
    use Data::Empty;
    use Work::{Compactions, CompactionsOfOverwrites, Flushes};
    let large = |probe: Probe| Probe {
        value: 2_000,
        keys: KEYS / 8,
        ..probe
    };
    vec![
        probe("flush, 100 bytes", |_| {}, Empty, Flushes),
        large(probe("flush, 2,000 bytes", |_| {}, Empty, Flushes)),
        probe("compaction, 100 bytes", |_| {}, Empty, Compactions),
        large(probe("compaction, 2,000 bytes", |_| {}, Empty, Compactions)),
        large(probe(
            "compaction, 2,000 bytes, lz4",
            |it| it.table.compression = Compression::Lz4,
            Empty,
            Compactions,
        )),
        probe("compaction, learned indexes", learned, Empty, Compactions),
        probe(
            "compaction of overwritten keys",
            |_| {},
            Empty,
            CompactionsOfOverwrites,
        ),
        probe(
            "compaction, no filters",
            |it| it.table.filter = PolicySpec::named("none"),
            Empty,
            Compactions,
        ),
    ]
}

impl Probe {
    /// Runs the probe on a database in `folder`, which is removed afterwards.
    pub(super) fn run(&self, folder: &Path, effort: Effort) -> Result<Probed, CalibrateError> {
        Self {
            keys: self.keys / effort.shrinks(),
            ..*self
        }
        .measure(folder, effort)
    }

    fn measure(&self, folder: &Path, effort: Effort) -> Result<Probed, CalibrateError> {
        files::remove_folder(folder)?;
        files::create_folder(folder)?;
        let world = DiskWorld::new(1).map_err(CalibrateError::Threads)?;
        let booking = charge_nanos(&world.env());
        let (ledger, env) = Ledger::of(world.env());
        let mut config = config();
        (self.settings)(&mut config);
        let rounds = world.block_on(async {
            let engine = EngineBuilder::new(env, folder)
                .config(config)
                .open()
                .await?;
            self.prepare(&engine).await?;
            let mut rounds = Vec::new();
            for round in 0..=effort.rounds() {
                self.before(&engine).await?;
                ledger.take();
                let begun = cpu_nanos();
                let operations = self.work(&engine, effort.operations()).await?;
                engine.wait_idle().await?;
                let spent = cpu_nanos() - begun;
                let book = ledger.take();
                // The first one warms up.
                if round > 0 {
                    let spent = spent - booking * book.charges as f64;
                    rounds.push(Round {
                        nanos: spent.max(1.0) / operations as f64,
                        counts: book
                            .work
                            .counts()
                            .map(|count| count as f64 / operations as f64),
                    });
                }
            }
            engine.close().await?;
            Ok::<_, aura_engine::Error>(rounds)
        });
        drop(world);
        files::remove_folder(folder)?;
        let mut rounds = rounds?;
        rounds.sort_by(|a, b| a.nanos.total_cmp(&b.nanos));
        let fastest = &rounds[0];
        Ok(Probed {
            name: self.name.to_owned(),
            counts: fastest.counts.to_vec(),
            nanos: fastest.nanos,
            spread: rounds[rounds.len() - 1].nanos / rounds[0].nanos,
        })
    }

    /// Puts the data where the probe wants it, and reads it once.
    async fn prepare(&self, engine: &AuraEngine) -> Result<(), aura_engine::Error> {
        if self.data != Data::Empty {
            self.fill(engine, 0).await?;
        }
        if self.data == Data::Merged {
            engine.compact().await?;
        }
        engine.wait_idle().await?;
        if matches!(self.work, Work::Gets | Work::ScansOf(_)) {
            for number in 0..self.keys {
                engine.get(&key(number)).await?;
            }
        }
        Ok(())
    }

    /// Makes what the measured work takes away.
    async fn before(&self, engine: &AuraEngine) -> Result<(), aura_engine::Error> {
        match self.work {
            Work::Flushes => self.fill(engine, 0).await,
            Work::Compactions | Work::CompactionsOfOverwrites => {
                self.fill(engine, 0).await?;
                engine.flush().await?;
                let every_other = self.work == Work::Compactions;
                self.fill(engine, usize::from(every_other)).await?;
                engine.flush().await?;
                engine.wait_idle().await
            }
            _ => Ok(()),
        }
    }

    /// Writes every key, or with `skip` every other one.
    async fn fill(&self, engine: &AuraEngine, skip: usize) -> Result<(), aura_engine::Error> {
        let value = value(self.value);
        let mut batch = Batch::new();
        for number in (0..self.keys).step_by(1 + skip) {
            batch.put(&key(number), &value)?;
            if batch.len() >= 100 {
                engine.write(std::mem::take(&mut batch)).await?;
            }
        }
        engine.write(batch).await
    }

    /// Does the work; returns what it is divided by.
    async fn work(&self, engine: &AuraEngine, operations: u64) -> Result<u64, aura_engine::Error> {
        let mut number = 1;
        let mut next = || {
            number = (number + 7_919) % self.keys;
            key(number)
        };
        match self.work {
            Work::Gets => {
                for _ in 0..operations {
                    engine.get(&next()).await?;
                }
                Ok(operations)
            }
            Work::GetsOfAbsentKeys => {
                for _ in 0..operations {
                    let mut key = next();
                    key[KEY_BYTES - 1] = b'z';
                    engine.get(&key).await?;
                }
                Ok(operations)
            }
            Work::Puts => {
                let value = value(self.value);
                for _ in 0..operations {
                    engine.put(&next(), &value).await?;
                }
                Ok(operations)
            }
            Work::BatchesOf100 => {
                let value = value(self.value);
                let batches = operations.div_ceil(100);
                for _ in 0..batches {
                    let mut batch = Batch::new();
                    for _ in 0..100 {
                        batch.put(&next(), &value)?;
                    }
                    engine.write(batch).await?;
                }
                Ok(batches)
            }
            Work::ScansOf(rows) => {
                let scans = operations.div_ceil(rows as u64 / 2 + 1);
                for _ in 0..scans {
                    let range = Range::from(&next());
                    let mut scan = engine.scan(range, Direction::Forward).limit(rows);
                    while scan.next().await?.is_some() {}
                }
                Ok(scans)
            }
            Work::Flushes => {
                engine.flush().await?;
                Ok(self.keys)
            }
            Work::Compactions | Work::CompactionsOfOverwrites => {
                engine.compact().await?;
                Ok(self.keys)
            }
        }
    }
}

/// One measured round.
struct Round {
    nanos: f64,
    counts: [f64; aura_engine::env::CpuWork::NAMES.len()],
}

/// Bytes of a key.
const KEY_BYTES: usize = 20;

/// The key of a number: a bijection that scatters the numbers, in hexadecimal.
fn key(number: u64) -> [u8; KEY_BYTES] {
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut key = *b"user0000000000000000";
    for (at, byte) in key[4..].iter_mut().enumerate() {
        *byte = b"0123456789abcdef"[(scattered >> (60 - 4 * at)) as usize & 15];
    }
    key
}

/// A value of which a compressor saves about half.
fn value(bytes: usize) -> Vec<u8> {
    let noise = |at: usize| ((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    (0..bytes)
        .map(|at| if at % 2 == 0 { noise(at) } else { b'-' })
        .collect()
}
