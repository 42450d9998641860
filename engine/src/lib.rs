//! AuraDB's engine: a log-structured merge tree whose every decision is a policy.
//!
//! ```text
//! write   batch ─ separate ─┬─ large values ──▶ value log ─┐ pointers
//!                           └─ the rest ───────────────────┴─▶ WAL ─▶ memtable
//!         memtable ─ seal ─▶ flush ─▶ level 0 ─ compaction ─▶ level 1 ─ compaction ─▶ level 2 ..
//! read    key ─▶ memtables ─▶ tables, newest first: filter ─ index ─ cache ─ block ─▶ value
//! ```
//!
//! A range delete ([`Engine::delete_range`]) is one write whatever the number of its keys. It is
//! kept beside the memtable, and once flushed with the set of live files, in memory and in the
//! manifest, until the tables hold nothing more that it hides: cheap if few are alive at once, weak
//! if hundreds of thousands are.
//!
//! Start with [`EngineBuilder`]; `examples/basic_usage.rs` is a whole program. `db/api.rs` is what
//! users call; from there `write/` and `read/` are the two paths, and `state/` says which parts an
//! open engine has. Everything outside the process is behind [`mod@env`]: the same code runs on a
//! real disk and in a deterministic simulation.

mod admin;
mod buckets;
mod cache;
mod codec;
mod compaction;
mod config;
mod context;
mod db;
mod directory;
pub mod env;
mod error;
mod index;
mod latency;
mod limiter;
mod manifest;
mod memtable;
mod metrics;
mod models;
mod ranges;
mod read;
mod recovery;
mod split;
mod state;
mod storage;
mod sync;
mod table;
mod values;
mod wal;
mod write;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;

pub use admin::checkpoint::CheckpointReport;
pub use admin::repair::{Loss, RepairReport};
pub use admin::verify::{ValueFileAudit, VerifyReport, verify_directory};
pub use cache::{CacheEvent, CacheObserver, CacheStats, Caller};
pub use config::{
    CHANGEABLE, CacheConfig, CacheRanges, CompactionConfig, Compression, EngineConfig, GcMethod,
    IndexGate, IndexReads, LevelConfig, LevelTables, MemtableStructure, Metadata, PolicySlot, Rows,
    SelfTuningConfig, SyncPolicy, TableConfig, TuningMode, TuningRanges, ValueLogConfig, WalConfig,
};
pub use context::{LEVELS_COUNTED, ReadStats};
pub use db::api::{AuraEngine, Cursor, Engine, EngineBuilder};
pub use directory::is_table_or_values;
pub use error::{Error, Result};
pub use index::{IndexReport, IndexUse, Refusal, TableLookups};
pub use metrics::{
    Ailment, Counts, DecisionMade, Event, EventKind, EventListener, Health, HealthRule, Latencies,
    Latency, LevelState, METRICS, MetricEntry, MetricKind, MetricSource, Metrics, Monitor, Reading,
    Span, StallCause, Symptom, Telemetry, TimedOperation, TuningRecord, TuningStep, Window,
};
pub use models::{IndexRegistry, LevelIndexes, TableModel, inspect as inspect_indexes};
pub use read::{Scan, Snapshot};
pub use recovery::RecoveryReport;
pub use split::api::{SplitBuilder, SplitEngine, SplitSide, SplitSnapshot};
pub use split::log::SplitCounts;
pub use split::scan::SplitScan;
pub use storage::{
    Batch, Direction, EntryKind, KEY_BYTES_MAX, Key, Range, Sequence, VALUE_BYTES_MAX, Value,
    ValuePointer, Write,
};
pub use table::{BareBlock, BareFences, BareIndex};
