//! Settings: plain data that serialises whole.
//!
//! A config holds numbers, names and policy specs only, so that it can be hashed, stored with each
//! result and compared. Components (file system, clock, tasks) are objects; they go to the builder
//! instead, as in slatedb. `slots` lists the settings that take a policy, `validate` the ranges
//! that types do not state.

use std::collections::BTreeMap;
use std::time::Duration;

use aura_policies::{PolicySpec, defaults};
use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod changes;
mod levels;
mod self_tuning;
mod slots;
mod validate;

pub use changes::CHANGEABLE;
pub use levels::{LevelConfig, LevelTables};
pub use self_tuning::{CacheRanges, SelfTuningConfig, TuningMode, TuningRanges};
pub(crate) use self_tuning::{knob_value, set_knob};
pub use slots::PolicySlot;
pub(crate) use validate::IO_LIMIT_MIN;

/// How bytes are compressed. The numbers are on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not compressed.
    #[default]
    None,
    /// LZ4 block format.
    Lz4,
    /// Zstandard, level 3.
    Zstd,
    /// Snappy.
    Snappy,
}

impl Compression {
    /// Returns the number that stands for this compression on disk.
    pub fn tag(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd => 2,
            Self::Snappy => 3,
        }
    }

    /// Returns the compression that a number on disk stands for, or `None` if the number is
    /// unknown.
    pub fn from_tag(tag: u8) -> Option<Self> {
        [Self::None, Self::Lz4, Self::Zstd, Self::Snappy]
            .into_iter()
            .find(|codec| codec.tag() == tag)
    }
}

/// When a commit group is made durable against a crash of the machine.
///
/// A crash of the process alone loses nothing under any of them: each group reaches the operating
/// system before it is acknowledged.
///
/// ```
/// use std::time::Duration;
///
/// use aura_engine::SyncPolicy;
///
/// let policy: SyncPolicy = serde_json::from_str(r#"{ "interval": "100ms" }"#)?;
/// assert_eq!(policy, SyncPolicy::Interval(Duration::from_millis(100)));
/// assert_eq!(serde_json::to_string(&SyncPolicy::Always)?, r#""always""#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncPolicy {
    /// Each group is synced before it is acknowledged.
    Always,
    /// The log is synced once this time has passed since the last sync, such as `"100ms"`, by the
    /// next group or by a timer.
    Interval(
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        Duration,
    ),
    /// The log is synced once this many bytes were written since the last sync, such as `"1MiB"`.
    Bytes(#[schemars(with = "String")] ByteSize),
    /// Nothing is synced; the operating system writes when it chooses.
    #[default]
    Never,
}

impl SyncPolicy {
    /// Whether a group that was just logged must be synced: `unsynced` bytes are not, and `since`
    /// gives the nanoseconds since the last sync.
    pub(crate) fn is_due(self, unsynced: u64, since: impl Fn() -> u64) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Bytes(bytes) => unsynced >= bytes.as_u64(),
            Self::Interval(interval) => u128::from(since()) >= interval.as_nanos(),
        }
    }
}

/// Data structure that keeps a memtable's entries in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemtableStructure {
    /// A lock-free skip list in an arena, with keys and values in its nodes.
    #[default]
    InlineSkipList,
    /// A lock-free skip list of nodes that are allocated one by one.
    SkipList,
    /// A copy-on-write B-tree with key heads.
    BTree,
    /// An adaptive radix tree.
    Art,
}

impl MemtableStructure {
    /// Every structure.
    pub const ALL: [Self; 4] = [Self::InlineSkipList, Self::SkipList, Self::BTree, Self::Art];
}

/// Settings of the write-ahead log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WalConfig {
    /// When the log is synced: `"always"`, `"never"`, `{ interval = "100ms" }` or `{ bytes = "1MiB"
    /// }`.
    pub sync: SyncPolicy,
}

/// Settings of tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TableConfig {
    /// Bytes of a data block before compression.
    #[schemars(with = "String")]
    pub block: ByteSize,
    /// Bytes at which a compaction starts the next table.
    #[schemars(with = "String")]
    pub size: ByteSize,
    /// How blocks are compressed.
    pub compression: Compression,
    /// Policy that decides how many bits a table's filter has, and of which kind it is.
    pub filter: PolicySpec,
    /// Policy that finds where in a table a key is.
    pub index: PolicySpec,
    /// Policy that chooses each table's index from what was observed of its level.
    pub index_tuner: PolicySpec,
    /// Limits of a learned index. One that exceeds them is refused, and fence pointers serve
    /// instead.
    pub index_gate: IndexGate,
    /// How the blocks are read in which a learned index says that a key may be.
    pub index_reads: IndexReads,
    /// What differs for tables from a level on, by the level's number: `levels.2.index = "pgm"`. A
    /// table keeps the settings of the level that it was written to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub levels: BTreeMap<u32, LevelConfig>,
}

/// How a point read reads the blocks of a learned index's window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IndexReads {
    /// One block at a time, the likeliest first, until the key is found.
    #[default]
    Blocks,
    /// The whole window in one read of the device, as soon as a block of it that is needed is not
    /// cached. Only blocks that the look-up examines are offered to the cache.
    Window,
}

/// Limits that a learned index must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IndexGate {
    /// Bytes of memory, block addresses included, as a share of the fence pointers that would serve
    /// instead (above 0).
    pub memory: f64,
    /// Blocks that a window may span, at the 99th percentile (1 or more).
    pub window_blocks: u32,
    /// Blocks that a look-up of a stored key may examine on average (1 or more).
    pub probes: f64,
}

impl Default for IndexGate {
    fn default() -> Self {
        Self {
            memory: 1.0,
            window_blocks: 16,
            probes: 1.1,
        }
    }
}

impl Default for TableConfig {
    fn default() -> Self {
        Self {
            block: ByteSize::kib(4),
            size: ByteSize::mib(16),
            compression: Compression::None,
            filter: defaults().filter,
            index: defaults().index,
            index_tuner: defaults().tuner,
            index_gate: IndexGate::default(),
            index_reads: IndexReads::default(),
            levels: BTreeMap::new(),
        }
    }
}

/// How the cache keeps the indexes and filters of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metadata {
    /// In memory for as long as the table is open, charged to the cache's size. They stay even if
    /// they need more than that size; then nothing else is cached.
    #[default]
    Pinned,
    /// As objects of the cache, in a share of its size reserved for them.
    Priority,
    /// As objects of the cache, like all others.
    Normal,
}

/// Which rows the cache keeps beside blocks. A row is an object for one user key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rows {
    /// No rows.
    #[default]
    None,
    /// Keys with their newest values.
    KeyValue,
    /// Keys with the address of the data block that holds their newest version.
    KeyPointer,
    /// Both: a key enters with its address; when it is read again, its value replaces the address
    /// (AC-Key, Wu et al., ATC 2020).
    Both,
}

/// Settings of the cache of blocks, values and rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Bytes the cache may use, its own bookkeeping included. 0 turns it off.
    #[schemars(with = "String")]
    pub size: ByteSize,
    /// Number of parts, each with its own lock; 0 chooses by size (one for every 4 MiB, at most
    /// 16).
    pub shards: u32,
    /// Policy that chooses the object to evict.
    pub eviction: PolicySpec,
    /// Policy that decides whether an object enters.
    pub admission: PolicySpec,
    /// Policy that decides what the cache keeps when tables are rewritten.
    pub warming: PolicySpec,
    /// How the cache keeps indexes and filters: `"pinned"`, `"priority"` or `"normal"`.
    pub metadata: Metadata,
    /// Share of the size that `metadata = "priority"` reserves for indexes and filters.
    pub metadata_share: f64,
    /// The rows that the cache keeps: `"none"`, `"key-value"`, `"key-pointer"` or `"both"`.
    pub rows: Rows,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            size: ByteSize::mib(64),
            shards: 0,
            eviction: defaults().eviction,
            admission: defaults().admission,
            warming: defaults().warming,
            metadata: Metadata::Pinned,
            metadata_share: 0.2,
            rows: Rows::None,
        }
    }
}

/// Settings of compaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompactionConfig {
    /// Policy that sets how many runs each level may hold, and how much larger each level is.
    pub layout: PolicySpec,
    /// Policy that picks which table of a full level moves down.
    pub picker: PolicySpec,
    /// Policy that changes the layout as the workload changes.
    pub agent: PolicySpec,
    /// Operations between two decisions of the agent; point reads after which a picker that wants
    /// to know of reads in vain looks again.
    pub agent_window: u64,
    /// Capacity of level 1 in bytes; 0 means four memtables.
    #[schemars(with = "String")]
    pub base: ByteSize,
    /// Runs in level 0 that start a merge into level 1.
    pub level0_trigger: u32,
    /// Runs in level 0 at which writes are slowed down.
    pub level0_slowdown: u32,
    /// Runs in level 0 at which writers wait.
    pub level0_stop: u32,
    /// Bytes of compaction debt at which writes are slowed down; at four times that debt they wait.
    #[schemars(with = "String")]
    pub debt_slowdown: ByteSize,
    /// Policy that decides how writes are slowed down and stopped between these limits. Unset, it
    /// is the family's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stall: Option<PolicySpec>,
    /// Compactions that may run at the same time, in addition to the flush.
    pub jobs: u32,
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            layout: defaults().layout,
            picker: defaults().picker,
            agent: defaults().agent,
            agent_window: 10_000,
            base: ByteSize::b(0),
            level0_trigger: 4,
            level0_slowdown: 20,
            level0_stop: 36,
            debt_slowdown: ByteSize::gib(64),
            stall: None,
            jobs: 1,
        }
    }
}

/// Settings of the value log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValueLogConfig {
    /// Policy that decides which values go to the value log.
    pub separation: PolicySpec,
    /// How values are compressed in the value log.
    pub compression: Compression,
    /// Bytes at which a value file is full, and at which the memtable that points into it is
    /// flushed.
    #[schemars(with = "String")]
    pub file: ByteSize,
    /// Value files that are written in parallel (1 to 64).
    pub queues: u32,
    /// Policy that chooses the queue a value goes to.
    pub placement: PolicySpec,
    /// Policy that chooses the file to collect next.
    pub gc: PolicySpec,
    /// How live values leave a file that is collected: `"rewrite"` or `"compaction"`.
    pub gc_method: GcMethod,
    /// Share of the value log that may be garbage before an idle engine collects it (0 to 1).
    pub gc_low: f64,
    /// Share of the value log that may be garbage before it is collected beside other work
    /// (`gc_low` to 1).
    pub gc_high: f64,
    /// Share of the value log that may be garbage before writers wait for its collection (`gc_high`
    /// to 1). From half-way between `gc_high` and this share on, they are slowed down. It bounds
    /// the space that overwrites take.
    pub gc_stop: f64,
    /// Whether compactions move values back into tables when the separation policy would no longer
    /// separate them. With it, a database can leave key-value separation.
    pub inline_again: bool,
}

/// How the live values leave a file that is collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GcMethod {
    /// The live values are copied to a new file that replaces the old one under the same number. No
    /// table and no log is written, and pointers stay valid (like Pebble's blob files).
    #[default]
    Rewrite,
    /// Compactions that meet a pointer into the file write the value again and update the pointer
    /// (like BlobDB and fjall). Once garbage exceeds `gc_high`, files are rewritten instead,
    /// because no compaction may ever reach them.
    Compaction,
}

impl GcMethod {
    /// Every method.
    pub const ALL: [Self; 2] = [Self::Rewrite, Self::Compaction];
}

impl Default for ValueLogConfig {
    fn default() -> Self {
        Self {
            separation: defaults().separation,
            compression: Compression::None,
            file: ByteSize::mib(256),
            queues: 1,
            placement: defaults().placement,
            gc: defaults().gc,
            gc_method: GcMethod::Rewrite,
            gc_low: 0.15,
            gc_high: 0.35,
            gc_stop: 0.5,
            inline_again: true,
        }
    }
}

/// All settings of an engine.
///
/// Every setting has a default. A config file states only what differs:
///
/// ```
/// use aura_engine::EngineConfig;
/// use bytesize::ByteSize;
///
/// let config: EngineConfig = serde_json::from_str(
///     r#"{ "memtable": "8MiB", "wal": { "sync": "always" }, "cache": { "size": "32MiB" } }"#,
/// )?;
/// assert_eq!(config.memtable, ByteSize::mib(8));
/// assert_eq!(config.table, EngineConfig::default().table);
/// config.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Bytes of a memtable at which it is sealed and flushed.
    #[schemars(with = "String")]
    pub memtable: ByteSize,
    /// Data structure that keeps a memtable's entries in order.
    pub memtable_structure: MemtableStructure,
    /// Sealed memtables that may wait for their flush before writers wait too.
    pub memtables_sealed_max: u32,
    /// Settings of the write-ahead log.
    pub wal: WalConfig,
    /// Settings of tables.
    pub table: TableConfig,
    /// Settings of the cache.
    pub cache: CacheConfig,
    /// Settings of compaction.
    pub compaction: CompactionConfig,
    /// Settings of the value log.
    pub value_log: ValueLogConfig,
    /// Settings of self-tuning. Without them nothing is measured for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_tuning: Option<SelfTuningConfig>,
    /// Bytes a second that background work may read and write: flushes, compactions and collections
    /// of the value log, all together (64 KiB or more). 0 means no limit. Recovery is not limited.
    #[schemars(with = "String")]
    pub io_limit: ByteSize,
    /// Policy that decides the rate within `io_limit`, for instance by what users leave. Unset, it
    /// is the family's default. Without a limit it decides nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_limiter: Option<PolicySpec>,
    /// Files that may be open at the same time (16 or more); 0 means half of what the process may
    /// still open when the engine opens. Files being written stay open even beyond this number. A
    /// file that is read again after it was closed costs one more system call.
    pub max_open_files: u32,
    /// Seed of the policies that use randomness.
    pub seed: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            memtable: ByteSize::mib(64),
            memtable_structure: MemtableStructure::default(),
            memtables_sealed_max: 2,
            wal: WalConfig::default(),
            table: TableConfig::default(),
            cache: CacheConfig::default(),
            compaction: CompactionConfig::default(),
            value_log: ValueLogConfig::default(),
            self_tuning: None,
            io_limit: ByteSize::b(0),
            io_limiter: None,
            max_open_files: 0,
            seed: 0,
        }
    }
}

impl EngineConfig {
    /// Memtables that there may be at the same time.
    pub(crate) fn memtables_max(&self) -> u64 {
        u64::from(self.memtables_sealed_max) + 1
    }

    /// The most bytes that all memtables and the cache may have by these settings, together. The
    /// sum saturates.
    pub(crate) fn memory_total(&self) -> u64 {
        let memtables = self.memtable.as_u64().saturating_mul(self.memtables_max());
        memtables.saturating_add(self.cache.size.as_u64())
    }

    /// Returns the capacity of level 1 in bytes.
    pub fn base_bytes(&self) -> u64 {
        match self.compaction.base.as_u64() {
            0 => self.memtable.as_u64() * 4,
            base => base,
        }
    }
}
