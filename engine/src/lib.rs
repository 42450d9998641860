//! AuraDB's engine: a log-structured merge tree whose every decision is a policy.
//!
//! ```text
//! write   batch ─ separate ─┬─ large values ──▶ value log ─┐ pointers
//!                           └─ the rest ───────────────────┴─▶ WAL ─▶ memtable ─ seal ─▶ flush ─▶ level 0
//!                                                                              compaction ─▶ level 1 ─▶ level 2 ..
//! read    key ─▶ memtables ─▶ tables, newest first: filter ─ index ─ cache ─ block ─▶ value (or value log)
//! ```
//!
//! A range delete ([`Engine::delete_range`]) is one write whatever the number of its keys. It is kept beside the memtable, and
//! once flushed with the set of live files, in memory and in the manifest, until the tables hold nothing more that it hides:
//! cheap where few are alive at once, weak where hundreds of thousands are.
//!
//! Start with [`EngineBuilder`]; `examples/basic_usage.rs` is a whole program. `write.rs` and `read.rs` are the two paths,
//! top to bottom. Everything outside the process is behind [`mod@env`]: the same code runs on a real disk and in a
//! deterministic simulation.

mod api;
mod config;
mod storage;

mod error;

mod codec;
mod state;
mod tasks;

mod open;
mod recovery;
mod write;

mod vlog;

mod wal;

mod memtable;

mod stall;

mod flush;
mod new_files;
mod ranges;
mod retain;

mod sst;

mod compactor;

mod version;

mod gc;

mod read;
mod rows;

mod index;

mod cache;
mod warm;

mod context;

mod scan;

mod merge;

mod snapshot;

mod verify;

mod checkpoint;
mod repair;

mod background;
mod limiter;

pub mod env;

mod metrics;

#[cfg(test)]
mod fuzz;

pub use api::{AuraEngine, Engine, EngineBuilder};
pub use cache::{CacheEvent, CacheObserver, CacheStats, Caller};
pub use checkpoint::CheckpointReport;
pub use config::{
    CacheConfig, CompactionConfig, Compression, EngineConfig, GcMethod, IndexGate,
    MemtableStructure, Metadata, PolicySlot, Reconfigure, Rows, SyncPolicy, TableConfig,
    ValueLogConfig, WalConfig,
};
pub use context::{LEVELS_COUNTED, ReadStats};
pub use error::{Error, Result};
pub use index::{
    BareIndex, IndexRegistry, IndexReport, IndexUse, LevelIndexes, Refusal, TableLookups,
    TableModel, inspect as inspect_indexes,
};
pub use metrics::{AgentAction, Counts, Event, EventKind, LevelState, Metrics, StallCause};
pub use recovery::RecoveryReport;
pub use repair::{Loss, RepairReport};
pub use scan::Scan;
pub use snapshot::Snapshot;
pub use storage::{
    Batch, Direction, EntryKind, KEY_BYTES_MAX, Key, Range, Sequence, VALUE_BYTES_MAX, Value,
    ValuePointer,
};
pub use verify::{ValueFileAudit, VerifyReport, verify_directory};
