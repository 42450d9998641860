//! A table's index: which data blocks can hold a key.
//!
//! - [`fences`] keeps the last key of every block and searches them.
//! - [`locator`] asks a *model* of an index policy (see [`aura_policies::index`]) for a window of ranks instead, and turns
//!   it into blocks; [`ties`] are keys that a model cannot tell apart, [`images`] what it sees of a key.
//! - [`train`] makes a model, checks it and measures it, and refuses one that does not pay.
//! - [`table`] is the index block, written and read; [`packed`] keeps where blocks start in a few bits each.
//! - [`lookups`] counts what is asked of it.
//!
//! The rank of an entry is its number in the table, versions counted one by one. A table stores the fence keys either way:
//! they serve where the policy makes no model, where its model is refused, and where a stored model cannot be read.

use serde::{Deserialize, Serialize};

mod fences;
mod images;
mod locator;
mod lookups;
mod packed;
mod table;
mod ties;
mod train;

pub(crate) use images::Images;
pub(crate) use locator::Candidates;
pub(crate) use lookups::Lookups;
pub use lookups::TableLookups;
pub(crate) use table::{IndexWriter, IndexedTable, TableIndex};
pub(crate) use train::{IndexBuild, ModelFacts};

/// What searches a table's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexUse {
    /// Binary search over fence pointers.
    #[default]
    Fence,
    /// A learned model.
    Model,
}

/// Why fence pointers serve although the policy makes models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The policy itself declined to make one.
    Declined,
    /// The model broke its promise at a key or at the edge of a gap, or does not read back.
    Wrong,
    /// It takes more memory than the settings allow.
    TooLarge,
    /// Its windows reach over more blocks, or cost more of them a look-up, than the settings allow.
    TooWide,
    /// The stored model is damaged.
    Unreadable,
}

impl Refusal {
    /// The reason with what is the matter, as tables store it.
    fn because(self, what: &str) -> String {
        format!("{}: {what}", self.code())
    }

    fn code(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Wrong => "wrong",
            Self::TooLarge => "too-large",
            Self::TooWide => "too-wide",
            Self::Unreadable => "unreadable",
        }
    }

    /// Reads the reason back from what [`because`](Self::because) wrote.
    fn of(refused: &str) -> Self {
        let all = [Self::Wrong, Self::TooLarge, Self::TooWide, Self::Unreadable];
        let code = refused.split_once(':').map(|(code, _)| code);
        all.into_iter()
            .find(|reason| Some(reason.code()) == code)
            .unwrap_or(Self::Declined)
    }
}

/// What a table's index is and takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexReport {
    /// The index policy the table was built with.
    pub kind: String,
    /// Its parameters that differ from their defaults, as the settings name it: `greedy-plr(epsilon=8)`.
    pub parameters: String,
    /// The version of the table's format, and so of the model's host.
    pub version: u32,
    /// What serves.
    pub used: IndexUse,
    /// Why fence pointers serve although the policy makes models.
    pub refusal: Option<Refusal>,
    /// The same in words.
    pub refused: Option<String>,
    /// Entries of the table.
    pub keys: u64,
    /// Its data blocks.
    pub blocks: u64,
    /// Pieces of the model; 0 with fence pointers.
    pub segments: u64,
    /// Bytes of memory used, block addresses included.
    pub memory_bytes: u64,
    /// The part of them that is the model and its list of ties; 0 with fence pointers.
    pub model_bytes: u64,
    /// Bytes that a plain fence index takes, or would take: for each block its last key in full, 4 B to say where that
    /// ends, and 8 B for the block's address; and 8 B for the end of the last block.
    pub fence_bytes: u64,
    /// Bytes of the fence index that is built here, or would be: without what all keys share, and with packed addresses.
    pub packed_fence_bytes: u64,
    /// Whether the model counts blocks rather than entries. The errors are in that unit.
    pub by_block: bool,
    /// The largest distance of an end of a window from the rank that was looked for; measured over every key and every
    /// edge of a gap when the table was built. 0 with fence pointers.
    pub error_max: u32,
    /// The 99th percentile of those distances; of 1,024 and more the power of two above.
    pub error_p99: u32,
    /// Their mean, in thousandths.
    pub error_mean_milli: u64,
    /// The longest run of ranks that the model cannot tell apart.
    pub longest_run: u32,
    /// The 99th percentile of the blocks that a window reaches over, measured on up to 4,096 keys.
    pub window_blocks: u32,
    /// Blocks that a look-up of a stored key examines on average, in thousandths, measured on the same keys.
    pub probes_milli: u64,
    /// Nanoseconds of training and checking; in a simulation what the work was charged at.
    pub training_nanos: u64,
}
