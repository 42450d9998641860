//! Settings: plain data that serialises whole. Components (file system, clock) go to the builder instead.

use std::time::Duration;

use aura_policies::{PolicySpec, defaults};
use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod slots;
mod validate;

pub use slots::PolicySlot;

/// How bytes are compressed; the numbers are on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Stored as they are.
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
    /// The number on disk.
    pub fn tag(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Lz4 => 1,
            Self::Zstd => 2,
            Self::Snappy => 3,
        }
    }

    /// Reads back `tag`.
    pub fn from_tag(tag: u8) -> Option<Self> {
        [Self::None, Self::Lz4, Self::Zstd, Self::Snappy]
            .into_iter()
            .find(|codec| codec.tag() == tag)
    }
}

/// When a commit group is made durable against a crash of the machine. A crash of the process loses nothing under any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncPolicy {
    /// Every group is synced before it is acknowledged.
    Always,
    /// Synced when this time has passed since the last sync, such as `"100ms"`; by the next group, or by a timer.
    Interval(
        #[serde(with = "humantime_serde")]
        #[schemars(with = "String")]
        Duration,
    ),
    /// Synced when this many bytes were logged since the last sync, such as `"1MiB"`.
    Bytes(#[schemars(with = "String")] ByteSize),
    /// Left to the operating system.
    #[default]
    Never,
}

/// What keeps a memtable's entries in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemtableStructure {
    /// A lock-free skip list, as in LevelDB and RocksDB.
    #[default]
    SkipList,
    /// A copy-on-write B-tree with key heads.
    BTree,
    /// An adaptive radix tree.
    Art,
}

impl MemtableStructure {
    /// Every structure.
    pub const ALL: [Self; 3] = [Self::SkipList, Self::BTree, Self::Art];
}

/// The write-ahead log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WalConfig {
    /// `"always"`, `"never"`, `{ interval = "100ms" }` or `{ bytes = "1MiB" }`.
    pub sync: SyncPolicy,
}

/// Tables.
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
    /// How many bits, and of which kind, say whether a table can hold a key.
    pub filter: PolicySpec,
    /// Where in a table a key is.
    pub index: PolicySpec,
    /// Which index each table gets, where that is to depend on what was observed of its level.
    pub index_tuner: PolicySpec,
    /// What a learned index must keep to; one that does not is refused, and fence pointers serve.
    pub index_gate: IndexGate,
}

/// What a learned index must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IndexGate {
    /// Bytes of memory, block addresses included, as a share of those of the fence pointers that serve otherwise (above
    /// 0).
    pub memory: f64,
    /// Blocks that a window may reach over, at the 99th percentile (1 or more).
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
        }
    }
}

/// How the cache keeps the indexes and filters of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Metadata {
    /// In memory for as long as the table is open, charged to the cache's size. What they take beyond it is taken all the
    /// same, and then nothing else is cached.
    #[default]
    Pinned,
    /// As objects of the cache, in a share of its size that they have to themselves.
    Priority,
    /// As objects of the cache like all others.
    Normal,
}

/// Which rows the cache keeps beside blocks: an object for one user key each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rows {
    /// None.
    #[default]
    None,
    /// Keys with their newest values.
    KeyValue,
    /// Keys with the address of the data block that holds their newest version.
    KeyPointer,
    /// Both: a key enters with its address, and when that is asked for, its value takes its place (AC-Key, Wu et al., ATC
    /// 2020).
    Both,
}

/// The cache of blocks, values and rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    /// Bytes it may use, its own bookkeeping included. 0 turns it off.
    #[schemars(with = "String")]
    pub size: ByteSize,
    /// Parts with a lock each; 0 chooses by size (one for every 4 MiB, at most 16).
    pub shards: u32,
    /// Who leaves.
    pub eviction: PolicySpec,
    /// Who enters.
    pub admission: PolicySpec,
    /// What it keeps when tables are rewritten.
    pub warming: PolicySpec,
    /// How it keeps indexes and filters: `"pinned"`, `"priority"` or `"normal"`.
    pub metadata: Metadata,
    /// The part of the size that `metadata = "priority"` reserves for them.
    pub metadata_share: f64,
    /// The rows it keeps: `"none"`, `"key-value"`, `"key-pointer"` or `"both"`.
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

/// What may change while an engine runs. What is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Reconfigure {
    /// See [`CacheConfig::size`]. The number of shards stays.
    #[schemars(with = "Option<String>")]
    pub cache_size: Option<ByteSize>,
    /// See [`CacheConfig::eviction`]. What is held stays, as far as it fits.
    pub eviction: Option<PolicySpec>,
    /// See [`CacheConfig::admission`]. What the old policy has learned is lost, as it is when the size changes.
    pub admission: Option<PolicySpec>,
    /// See [`CacheConfig::warming`]. Counts for the flushes and compactions that begin afterwards.
    pub warming: Option<PolicySpec>,
    /// See [`EngineConfig::io_limit`]. Counts for what waits, too.
    #[schemars(with = "Option<String>")]
    pub io_limit: Option<ByteSize>,
    /// See [`EngineConfig::memtable`].
    #[schemars(with = "Option<String>")]
    pub memtable: Option<ByteSize>,
    /// See [`EngineConfig::memtable_structure`]. Counts from the next memtable on.
    pub memtable_structure: Option<MemtableStructure>,
    /// See [`TableConfig::size`]; as all settings of tables it counts for those that are begun afterwards.
    #[schemars(with = "Option<String>")]
    pub table_size: Option<ByteSize>,
    /// See [`TableConfig::compression`].
    pub table_compression: Option<Compression>,
    /// See [`TableConfig::filter`].
    pub filter: Option<PolicySpec>,
    /// See [`TableConfig::index`].
    pub index: Option<PolicySpec>,
    /// See [`CompactionConfig::layout`]. Counts from the next plan on; the tree takes its shape as it is merged.
    pub layout: Option<PolicySpec>,
    /// See [`CompactionConfig::picker`].
    pub picker: Option<PolicySpec>,
    /// See [`CompactionConfig::level0_trigger`].
    pub level0_trigger: Option<u32>,
    /// See [`CompactionConfig::level0_slowdown`].
    pub level0_slowdown: Option<u32>,
    /// See [`CompactionConfig::level0_stop`].
    pub level0_stop: Option<u32>,
    /// See [`CompactionConfig::debt_slowdown`].
    #[schemars(with = "Option<String>")]
    pub debt_slowdown: Option<ByteSize>,
    /// See [`ValueLogConfig::separation`]. What is written already moves as far as `inline_again` and compactions take it.
    pub separation: Option<PolicySpec>,
    /// See [`ValueLogConfig::compression`].
    pub value_compression: Option<Compression>,
    /// See [`ValueLogConfig::file`].
    #[schemars(with = "Option<String>")]
    pub value_file: Option<ByteSize>,
    /// See [`ValueLogConfig::placement`]. The number of queues stays.
    pub placement: Option<PolicySpec>,
    /// See [`ValueLogConfig::gc`].
    pub gc: Option<PolicySpec>,
    /// See [`ValueLogConfig::gc_method`].
    pub gc_method: Option<GcMethod>,
    /// See [`ValueLogConfig::gc_low`].
    pub gc_low: Option<f64>,
    /// See [`ValueLogConfig::gc_high`].
    pub gc_high: Option<f64>,
    /// See [`ValueLogConfig::gc_stop`].
    pub gc_stop: Option<f64>,
    /// See [`ValueLogConfig::inline_again`].
    pub inline_again: Option<bool>,
}

impl Reconfigure {
    /// Changes `config` accordingly.
    pub(crate) fn apply(&self, config: &mut EngineConfig) {
        fn set<T>(value: &mut T, change: Option<T>) {
            if let Some(change) = change {
                *value = change;
            }
        }
        let change = self.clone();
        let EngineConfig {
            cache,
            table,
            compaction,
            value_log,
            ..
        } = config;
        set(&mut cache.size, change.cache_size);
        set(&mut cache.eviction, change.eviction);
        set(&mut cache.admission, change.admission);
        set(&mut cache.warming, change.warming);
        set(&mut table.size, change.table_size);
        set(&mut table.compression, change.table_compression);
        set(&mut table.filter, change.filter);
        set(&mut table.index, change.index);
        set(&mut compaction.layout, change.layout);
        set(&mut compaction.picker, change.picker);
        set(&mut compaction.level0_trigger, change.level0_trigger);
        set(&mut compaction.level0_slowdown, change.level0_slowdown);
        set(&mut compaction.level0_stop, change.level0_stop);
        set(&mut compaction.debt_slowdown, change.debt_slowdown);
        set(&mut value_log.separation, change.separation);
        set(&mut value_log.compression, change.value_compression);
        set(&mut value_log.file, change.value_file);
        set(&mut value_log.placement, change.placement);
        set(&mut value_log.gc, change.gc);
        set(&mut value_log.gc_method, change.gc_method);
        set(&mut value_log.gc_low, change.gc_low);
        set(&mut value_log.gc_high, change.gc_high);
        set(&mut value_log.gc_stop, change.gc_stop);
        set(&mut value_log.inline_again, change.inline_again);
        set(&mut config.io_limit, change.io_limit);
        set(&mut config.memtable, change.memtable);
        set(&mut config.memtable_structure, change.memtable_structure);
    }
}

/// Compaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompactionConfig {
    /// How many runs each level may hold, and how much larger each level is.
    pub layout: PolicySpec,
    /// Which table of a full level moves down.
    pub picker: PolicySpec,
    /// Whether the layout changes as the workload does.
    pub agent: PolicySpec,
    /// Operations between two questions to the agent.
    pub agent_window: u64,
    /// The capacity of level 1; 0 takes four memtables.
    #[schemars(with = "String")]
    pub base: ByteSize,
    /// Runs in level 0 that start a merge into level 1.
    pub level0_trigger: u32,
    /// Runs in level 0 at which writes are slowed down.
    pub level0_slowdown: u32,
    /// Runs in level 0 at which writes wait.
    pub level0_stop: u32,
    /// Bytes of compaction debt at which writes are slowed down; at four times as many they wait.
    #[schemars(with = "String")]
    pub debt_slowdown: ByteSize,
    /// Compactions that may run at the same time, beside the flush.
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
            jobs: 1,
        }
    }
}

/// The value log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValueLogConfig {
    /// Which values go there.
    pub separation: PolicySpec,
    /// How values are compressed there.
    pub compression: Compression,
    /// Bytes at which a value file is full, and at which the memtable whose values it holds is flushed.
    #[schemars(with = "String")]
    pub file: ByteSize,
    /// Value files that are filled side by side (1 to 64).
    pub queues: u32,
    /// Which of them a value goes to.
    pub placement: PolicySpec,
    /// Which file is collected next.
    pub gc: PolicySpec,
    /// How live values leave a file that is collected: `"rewrite"` or `"compaction"`.
    pub gc_method: GcMethod,
    /// The part of the value log that may be garbage before it is collected while nothing else is to do (0 to 1).
    pub gc_low: f64,
    /// The part of the value log that may be garbage before it is collected beside everything else (`gc_low` to 1).
    pub gc_high: f64,
    /// The part of the value log that may be garbage before writers wait for its collection (`gc_high` to 1); from half-way
    /// between `gc_high` and this they are slowed down. It bounds the space that overwrites take.
    pub gc_stop: f64,
    /// Whether compactions take values back into tables that the separation policy would not separate now: the way out of
    /// key-value separation.
    pub inline_again: bool,
}

/// How the live values of a file that is collected leave it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GcMethod {
    /// They are copied to a new file that takes the old one's place under the same number: no table and no log is written, and
    /// pointers stay as they are (as Pebble's blob files).
    #[default]
    Rewrite,
    /// Compactions that meet a pointer into it write the value anew and point there (as BlobDB and fjall). Files past
    /// `gc_high` are rewritten, for no compaction may come by.
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Bytes of a memtable at which it is sealed and flushed.
    #[schemars(with = "String")]
    pub memtable: ByteSize,
    /// What keeps its entries in order.
    pub memtable_structure: MemtableStructure,
    /// Sealed memtables that may wait for their flush before writes wait.
    pub memtables_sealed_max: u32,
    /// The write-ahead log.
    pub wal: WalConfig,
    /// Tables.
    pub table: TableConfig,
    /// The cache.
    pub cache: CacheConfig,
    /// Compaction.
    pub compaction: CompactionConfig,
    /// The value log.
    pub value_log: ValueLogConfig,
    /// Bytes a second that flushes may write, and compactions and collections of the value log read and write, all together
    /// (64 KiB or more); 0 is no limit. Recovery is not limited.
    #[schemars(with = "String")]
    pub io_limit: ByteSize,
    /// Files that may be open at a time (16 or more); 0 takes half of what the process may have open.
    /// Files that are written to stay open, beyond this number if need be. A file that is read again
    /// after it was closed costs one more call to the system.
    pub max_open_files: u32,
    /// What policies that draw lots draw from.
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
            io_limit: ByteSize::b(0),
            max_open_files: 0,
            seed: 0,
        }
    }
}

impl EngineConfig {
    /// The capacity of level 1 in bytes.
    pub fn base_bytes(&self) -> u64 {
        match self.compaction.base.as_u64() {
            0 => self.memtable.as_u64() * 4,
            base => base,
        }
    }
}
