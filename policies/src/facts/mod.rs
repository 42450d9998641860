//! Plain data that the engine shows its policies: the shape of the tree, plans, and windows of
//! work.
//!
//! Nothing here refers to a file, a lock or a clock, so a decision can be replayed from the facts
//! it rested on. A tree can be drawn and read as text ([`TreeShape`]'s `Display` and `FromStr`).

mod text;
mod tuning;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

pub use text::{DrawingError, key_of_number, number_of_key};
pub use tuning::{
    GhostFacts, Judgement, Knob, KnobFacts, MemoryFacts, Standing, TuningFacts, Verdict,
};
pub use window::{LEVELS_COUNTED, Latency, Outcome, StallNanos, WindowStats};

/// A table's number, unique in a database directory.
pub type TableId = u64;

/// The number of a sorted run, unique in a database directory.
pub type RunId = u64;

/// One immutable table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableFacts {
    /// Its number.
    pub id: TableId,
    /// Bytes on disk.
    pub bytes: u64,
    /// Entries, tombstones included.
    pub entries: u64,
    /// Tombstones.
    pub deletions: u64,
    /// Bytes of value-log values its entries point at.
    pub separated_bytes: u64,
    /// The smallest user key.
    pub smallest: Bytes,
    /// The largest user key (inclusive).
    pub largest: Bytes,
    /// The smallest sequence number of its entries.
    pub sequence_min: u64,
    /// The largest sequence number of its entries.
    pub sequence_max: u64,
}

impl TableFacts {
    /// A table of one-byte entries without tombstones or separated values, all written at the
    /// sequence number `id`: for tests, which set what differs.
    ///
    /// ```
    /// use aura_policies::facts::{TableFacts, key_of_number};
    ///
    /// let a = TableFacts::sized(1, key_of_number(10), key_of_number(19), 4096);
    /// let b = TableFacts {
    ///     deletions: 7,
    ///     ..TableFacts::sized(2, key_of_number(19), key_of_number(30), 4096)
    /// };
    /// assert!(a.overlaps(&b));
    /// ```
    pub fn sized(id: TableId, smallest: Bytes, largest: Bytes, bytes: u64) -> Self {
        Self {
            id,
            bytes,
            entries: bytes,
            deletions: 0,
            separated_bytes: 0,
            smallest,
            largest,
            sequence_min: id,
            sequence_max: id,
        }
    }

    /// Whether some key could lie in both tables.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.smallest <= other.largest && other.smallest <= self.largest
    }

    /// Whether a key of `smallest..=largest` could lie in this table.
    pub fn overlaps_range(&self, smallest: &[u8], largest: &[u8]) -> bool {
        *self.smallest <= *largest && *smallest <= *self.largest
    }
}

/// How often a table was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TableReads {
    /// Look-ups and seeks that passed its filter.
    pub lookups: u64,
    /// Of these, point look-ups that found no entry.
    pub misses: u64,
    /// Nanoseconds that it has lived, while its database was open.
    pub life_nanos: u64,
}

/// A sorted run: tables in key order, no two of which overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunFacts {
    /// Its number.
    pub id: RunId,
    /// Its tables, in key order.
    pub tables: Vec<Arc<TableFacts>>,
}

impl RunFacts {
    /// Bytes on disk of all its tables.
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.bytes).sum()
    }

    /// The tables that overlap `smallest..=largest`. O(log tables + answers).
    pub fn overlapping(&self, smallest: &[u8], largest: &[u8]) -> &[Arc<TableFacts>] {
        let start = self
            .tables
            .partition_point(|table| *table.largest < *smallest);
        let end = start + self.tables[start..].partition_point(|table| *table.smallest <= *largest);
        &self.tables[start..end]
    }
}

/// One level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LevelFacts {
    /// Its runs, the newest first. The newest is the one being filled.
    pub runs: Vec<RunFacts>,
    /// The run limit an agent has set, which overrides the layout's.
    pub runs_max: Option<u32>,
    /// Runs that the level may hold beyond its limit: all but the newest of those that it held when
    /// an agent lowered the limit and wanted nothing rewritten at once
    /// ([`Transition::Flexible`](crate::agent::Transition::Flexible)). They leave with the next
    /// merge of the level.
    pub runs_inherited: u32,
}

impl LevelFacts {
    /// Bytes on disk of all its runs.
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(RunFacts::bytes).sum()
    }
}

/// The shape of the whole tree at one moment, with the limits the engine was configured with.
///
/// Of two entries with one key, the one in the shallower level is newer; within a level, the one in
/// the earlier run.
///
/// As text, a line is a sorted run: its level, then its tables as `id[smallest-largest]=bytes`. The
/// newest run of a level comes first. Further lines set the limits.
///
/// | written | meaning | default |
/// |---|---|---|
/// | `base 100` | [`base_bytes`](Self::base_bytes) | 0 |
/// | `trigger 4` | [`level0_runs_trigger`](Self::level0_runs_trigger) | 0 |
/// | `snapshot 50` | [`oldest_snapshot`](Self::oldest_snapshot) | none |
/// | `L1 limit 2` | [`runs_max`](LevelFacts::runs_max) of level 1 | none |
/// | `L1 inherited 2` | [`runs_inherited`](LevelFacts::runs_inherited) of level 1 | 0 |
/// | `L1#7 ...` | the run's number is 7 | that of its first table |
/// | `3[10]=5` | a table of one key | |
/// | `3*[10-19]=5` | a table that a running compaction reads | not busy |
/// | `3[10-19]=5,deletions=2,sequence=4-9` | also `entries`, `separated` | [`TableFacts::sized`] |
/// | `3[10-19]=5,deletions=2,deleted=4` | [`oldest_deletions`](Self::oldest_deletions) | none |
/// | `3[10-19]=5,lookups=8,misses=2,life=1000` | [`reads`](Self::reads) | none |
///
/// A key that consists of digits is a number ([`key_of_number`]); any other is its own bytes,
/// without `-` and `]`.
///
/// ```
/// use aura_policies::facts::TreeShape;
///
/// let tree: TreeShape = "
///     base 100
///     trigger 2
///     L0  9[5-6]=1
///     L0  8[3-4]=1
///     L1  1[0-2]=10  2*[4]=10  3[7-9]=10
/// "
/// .parse()?;
/// assert_eq!(tree.levels[0].runs.len(), 2);
/// assert_eq!(tree.levels[1].bytes(), 30);
/// assert!(tree.busy.contains(&2));
/// assert_eq!(tree.to_string().parse(), Ok(tree));
/// # Ok::<(), aura_policies::facts::DrawingError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TreeShape {
    /// The levels; level 0 receives flushed memtables, each a run of its own.
    pub levels: Vec<LevelFacts>,
    /// Runs in level 0 at which it is merged into level 1.
    pub level0_runs_trigger: u32,
    /// The capacity of level 1 in bytes.
    pub base_bytes: u64,
    /// Tables that a running compaction reads: no plan may name them.
    pub busy: BTreeSet<TableId>,
    /// The sequence number of the oldest snapshot that is held; `None` if there is no snapshot. A
    /// tombstone that is newer stays for it.
    pub oldest_snapshot: Option<u64>,
    /// The sequence numbers of the oldest tombstones of tables, as far as they are known. They are
    /// filled in for a picker that [asks for them](crate::picker::Asks).
    pub oldest_deletions: BTreeMap<TableId, u64>,
    /// How often tables were asked, for a picker that [asks for it](crate::picker::Asks).
    pub reads: BTreeMap<TableId, TableReads>,
}

impl TreeShape {
    /// The deepest level that holds a table; 0 for an empty tree.
    pub fn deepest(&self) -> usize {
        self.levels
            .iter()
            .rposition(|level| level.runs.iter().any(|run| !run.tables.is_empty()))
            .unwrap_or(0)
    }

    /// The largest sequence number of all tables: what time it is, counted in writes. Those that
    /// are in memtables do not count, so that it moves only when the tree changes. O(tables).
    pub fn newest_sequence(&self) -> u64 {
        let runs = self.levels.iter().flat_map(|level| &level.runs);
        let tables = runs.flat_map(|run| &run.tables);
        tables.map(|table| table.sequence_max).max().unwrap_or(0)
    }

    /// A sequence number that no tombstone of `table` is below, the largest that is known: that of
    /// the oldest tombstone, or else of the oldest entry. `None` if the table holds no tombstone.
    ///
    /// ```
    /// use aura_policies::facts::TreeShape;
    ///
    /// let tree: TreeShape = "
    ///     L1  1[0-9]=60,deletions=2,sequence=4-9  2[10-19]=60,deletions=2,sequence=4-9,deleted=7
    /// "
    /// .parse()?;
    /// let tables = &tree.levels[1].runs[0].tables;
    /// assert_eq!(tree.oldest_deletion(&tables[0]), Some(4));
    /// assert_eq!(tree.oldest_deletion(&tables[1]), Some(7));
    /// # Ok::<(), aura_policies::facts::DrawingError>(())
    /// ```
    pub fn oldest_deletion(&self, table: &TableFacts) -> Option<u64> {
        if table.deletions == 0 {
            return None;
        }
        let known = self.oldest_deletions.get(&table.id).copied();
        Some(known.unwrap_or(table.sequence_min))
    }
}

/// Tables of one run that a plan reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanInput {
    /// The level they lie in.
    pub level: usize,
    /// The run they lie in.
    pub run: RunId,
    /// The tables, in key order.
    pub tables: Vec<TableId>,
}

/// Where a plan's output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum OutputRun {
    /// A new run, the newest of the level.
    New,
    /// An existing run of the level. Its tables that overlap the output are inputs of the plan.
    Into(RunId),
}

/// Why a compaction is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Level 0 holds its limit of runs.
    Level0Runs,
    /// A level holds more bytes than its capacity.
    LevelBytes,
    /// A level holds more runs than its limit.
    LevelRuns,
    /// An agent asked for it.
    Agent,
    /// A picker says that a table must move on: its deadline has passed, or reads have paid for it.
    Deadline,
    /// The user asked for it.
    Manual,
}

/// One proposed compaction: merge the inputs and write the result to `level`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// What is read, the newest data first.
    pub inputs: Vec<PlanInput>,
    /// The level the output goes to.
    pub level: usize,
    /// The run the output goes to.
    pub run: OutputRun,
    /// Why it is due.
    pub reason: Reason,
    /// The table that a picker chose; `None` if the plan takes whole levels.
    pub picked: Option<TableId>,
}
