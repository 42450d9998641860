//! What happened in one window of operations.

use serde::{Deserialize, Serialize};

/// Levels that [`WindowStats`] counts apart. The last of them stands for all deeper levels, too.
pub const LEVELS_COUNTED: usize = 8;

/// What happened since the last window, for agents. All counts are of this window alone, unless
/// their text says otherwise, and of users' operations alone: what a compaction reads is not a hit
/// or a miss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WindowStats {
    /// The window's number, from 0.
    pub index: u64,
    /// Operations since the database was opened.
    pub operations_total: u64,
    /// Nanoseconds that this window took.
    pub nanos: u64,

    /// Point reads.
    pub gets: u64,
    /// Point reads that found a value.
    pub gets_found: u64,
    /// Writes: puts and deletes.
    pub writes: u64,
    /// Deletes, also counted as writes.
    pub deletes: u64,
    /// Scans.
    pub scans: u64,
    /// Rows that scans returned.
    pub scan_rows: u64,
    /// Bytes of keys and values that users wrote.
    pub user_write_bytes: u64,

    /// Point reads that a memtable answered.
    pub memtable_hits: u64,
    /// Tables that point reads searched, including those that a filter ruled out.
    pub tables_probed: u64,
    /// Filters probed.
    pub filter_probes: u64,
    /// Filter probes that ruled the table out.
    pub filter_negatives: u64,
    /// Filter probes that passed a key which the table does not hold.
    pub filter_false_positives: u64,
    /// Device reads that point reads caused.
    pub get_device_reads: u64,
    /// Cache hits on data blocks, of point reads and scans.
    pub block_hits: u64,
    /// Cache misses on data blocks, of point reads and scans.
    pub block_misses: u64,
    /// Cache hits of scans.
    pub scan_hits: u64,
    /// Cache misses of scans.
    pub scan_misses: u64,
    /// Cache hits by the level of the table.
    pub level_hits: [u64; LEVELS_COUNTED],
    /// Cache misses by the level of the table.
    pub level_misses: [u64; LEVELS_COUNTED],

    /// Bytes written to the device for any reason.
    pub device_write_bytes: u64,
    /// Bytes read from the device, by operations and by the background.
    pub device_read_bytes: u64,
    /// Bytes appended to the write-ahead log.
    pub wal_bytes: u64,
    /// Bytes appended to the value log.
    pub value_log_bytes: u64,
    /// Memtables flushed.
    pub flushes: u64,
    /// Bytes that flushes wrote.
    pub flush_bytes: u64,
    /// Compactions that ended.
    pub compactions: u64,
    /// Bytes that compactions read.
    pub compaction_read_bytes: u64,
    /// Bytes that compactions wrote.
    pub compaction_write_bytes: u64,
    /// Bytes that compactions wrote, by the shallowest level they read.
    pub level_compaction_bytes: [u64; LEVELS_COUNTED],
    /// Entries that compactions dropped.
    pub compaction_dropped: u64,

    /// Nanoseconds that writers waited, by cause.
    pub stalls: StallNanos,
    /// Bytes of work that the background owes at the window's end.
    pub debt_bytes: u64,
    /// Time of point reads, as callers see it.
    pub get_latency: Latency,
    /// Time of writes, as callers see it: stalls are in it.
    pub write_latency: Latency,
    /// Time of scans, as callers see it: from their start to their last row.
    pub scan_latency: Latency,

    /// What became of the decisions that followed the window before, in their order.
    pub outcomes: Vec<Outcome>,
}

impl WindowStats {
    /// Operations of all kinds. The sum saturates.
    pub fn operations(&self) -> u64 {
        self.gets
            .saturating_add(self.writes)
            .saturating_add(self.scans)
    }

    /// The share of writes in the operations, from 0 to 1; 0 if there were no operations.
    pub fn write_share(&self) -> f64 {
        match self.operations() {
            0 => 0.0,
            all => self.writes as f64 / all as f64,
        }
    }
}

/// Nanoseconds that writers waited, summed over writers, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StallNanos {
    /// Too many sealed memtables waited for their flush.
    pub memtables: u64,
    /// Level 0 held too many runs.
    pub level0_runs: u64,
    /// The background owed too many bytes.
    pub debt: u64,
    /// Too much of the value log was garbage.
    pub garbage: u64,
    /// An agent slowed writers down.
    pub agent: u64,
}

impl StallNanos {
    /// The sum over all causes. It saturates.
    pub fn total(&self) -> u64 {
        self.memtables
            .saturating_add(self.level0_runs)
            .saturating_add(self.debt)
            .saturating_add(self.garbage)
            .saturating_add(self.agent)
    }
}

/// The time of operations of one kind. What was not measured is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latency {
    /// Operations measured.
    pub count: u64,
    /// Their nanoseconds, summed.
    pub nanos: u64,
    /// The 99th percentile of their nanoseconds, at a resolution of 6 % or better.
    pub p99_nanos: u64,
}

/// What became of an agent's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was carried out, or its work has a place among those that are next.
    Done,
    /// It changed nothing: what it asks for holds already.
    Unchanged,
    /// It was out of range, or not possible in the tree as it was.
    Refused,
}
