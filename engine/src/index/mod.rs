//! The indexes of tables. An index says which data blocks of a table can contain a key.
//!
//! - [`fences`] stores the last key of every block and searches them.
//! - [`locator`] gets a window of ranks from a *model* (see [`aura_policies::index`]) and converts
//!   it to blocks. A model sees the [`images`] of keys; [`ties`] are keys with equal images.
//! - [`train`] trains a model, checks and measures it, and refuses it if it costs more than the
//!   settings allow; [`refusal`] says why.
//! - [`table`] writes and reads the index block; [`packed`] stores the offsets of blocks in a few
//!   bits each.
//! - [`lookups`] counts the look-ups.
//!
//! The rank of an entry is its number in the table; every version counts. Learned indexes go back
//! to Kraska et al., "The Case for Learned Index Structures", SIGMOD 2018, and Bourbon (Dai et al.,
//! OSDI 2020) put them into an LSM tree. A table always stores the fence keys, too. They are used
//! if the policy makes no model, if the model is refused, and if a stored model cannot be read.

use serde::{Deserialize, Serialize};

mod fences;
mod images;
mod locator;
mod lookups;
mod packed;
mod refusal;
mod table;
mod ties;
mod train;

pub(crate) use fences::Fences;
pub(crate) use images::Images;
pub(crate) use locator::Candidates;
pub(crate) use lookups::Lookups;
pub use lookups::TableLookups;
pub use refusal::Refusal;
pub(crate) use refusal::Refused;
pub(crate) use table::{IndexWriter, IndexedTable, TableIndex};
pub(crate) use train::{IndexBuild, ModelFacts};

/// The structure that answers look-ups in a table's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexUse {
    /// Binary search over fence pointers.
    #[default]
    Fence,
    /// A learned model.
    Model,
}

/// The kind, cost and measured quality of a table's index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexReport {
    /// The index policy the table was built with.
    pub kind: String,
    /// The policy with the parameters that differ from their defaults, such as
    /// `greedy-plr(epsilon=8)`.
    pub parameters: String,
    /// The version of the table's format.
    pub version: u32,
    /// The structure in use.
    pub used: IndexUse,
    /// The reason for fence pointers although the policy makes models. None if there is no such
    /// reason.
    pub refusal: Option<Refusal>,
    /// The code of `refusal`, and a detail for people, as the table stores them. Tables of version
    /// 1 store only the detail.
    pub refused: Option<String>,
    /// Entries of the table.
    pub keys: u64,
    /// Data blocks of the table.
    pub blocks: u64,
    /// Segments of the model; 0 with fence pointers.
    pub segments: u64,
    /// Bytes of memory used, block addresses included.
    pub memory_bytes: u64,
    /// Bytes of memory for the model and its list of ties; 0 with fence pointers.
    pub model_bytes: u64,
    /// Bytes that a plain fence index takes, or would take.
    ///
    /// It has, for each block, the last key in full, 4 B for the end of that key and 8 B for the
    /// block's offset; and 8 B for the end of the last block.
    pub fence_bytes: u64,
    /// Bytes that this engine's fence index takes, or would take: without the common prefix of all
    /// keys, and with packed offsets.
    pub packed_fence_bytes: u64,
    /// Whether the model counts blocks instead of entries. The errors are in that unit.
    pub by_block: bool,
    /// The largest error: the distance between the correct rank and the farther end of the window.
    ///
    /// It is measured at every key, and at the edges of up to 64 gaps, when the table is built. 0
    /// with fence pointers.
    pub error_max: u32,
    /// The 99th percentile of the errors. From 1,024 on it is rounded up to a power of two.
    pub error_p99: u32,
    /// The mean error, in thousandths.
    pub error_mean_milli: u64,
    /// The largest number of ties: ranks whose keys have equal images.
    pub longest_run: u32,
    /// The 99th percentile of the blocks in a window, measured on a sixteenth of the keys (64 to
    /// 4,096).
    pub window_blocks: u32,
    /// The mean number of blocks that a look-up of a stored key examines, in thousandths, measured
    /// on the same keys.
    pub probes_milli: u64,
    /// Nanoseconds of training and checking. In a simulation it is the cost of the charged work.
    pub training_nanos: u64,
}
