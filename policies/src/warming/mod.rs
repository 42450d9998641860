//! Cache warming: what does the cache keep when tables are rewritten?
//!
//! A flush and a compaction write blocks that nobody has asked for yet, and a compaction kills blocks that the cache may
//! hold. The mechanism asks a warming policy once an output block, before the table that holds it can be read, and once a
//! compaction whether the blocks of the tables it replaced go at once. A block that is warmed enters by the eviction
//! policy alone: the admission policy is told nothing, for nobody has asked for the block. It is counted apart from what
//! the workload brings in, and its hits are the workload's.

use crate::family::{Family, Registered};
use crate::{PolicyError, PolicySpec};

mod evict_dead;
mod nothing;
mod predicted_hot;
mod warm_all;
mod warm_flush;

/// A data block that a flush or a compaction has just written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputBlock {
    /// The level its table goes to.
    pub level: usize,
    /// Whether it comes from a memtable rather than from other tables.
    pub from_flush: bool,
    /// Bytes of the block, uncompressed.
    pub bytes: u64,
    /// Blocks of the compaction's input tables whose key ranges meet its own.
    pub overlapped_blocks: u32,
    /// Bytes of those.
    pub overlapped_bytes: u64,
    /// Bytes of those of them that the cache held when the compaction read them.
    pub resident_bytes: u64,
    /// How often the workload has hit the held ones since they entered.
    pub hits: u64,
}

/// What a policy wants to be asked, so that facts nobody looks at cost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asks {
    /// Nothing: no output block enters.
    Nothing,
    /// Every output block; what it overlaps is left at 0.
    Outputs,
    /// Every output block, with what it overlaps.
    Overlaps,
}

/// A warming policy.
pub trait Warming: Send + Sync {
    /// Whether the blocks of tables that a compaction has replaced leave at once.
    fn drops_dead(&self) -> bool {
        true
    }

    /// What [`Self::warms`] is to be asked.
    fn asks(&self) -> Asks {
        Asks::Nothing
    }

    /// Whether `block` enters the cache.
    fn warms(&self, _block: &OutputBlock) -> bool {
        false
    }
}

/// Makes a policy.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Warming>, PolicyError>;

/// The family.
pub static FAMILY: Family<Build> = Family {
    name: "warming",
    question: "what does the cache keep when tables are rewritten?",
    default: "evict-dead",
    built_in: &[
        &evict_dead::ENTRY,
        &nothing::ENTRY,
        &predicted_hot::ENTRY,
        &warm_all::ENTRY,
        &warm_flush::ENTRY,
    ],
    probe: |build, spec| build(spec).map(drop),
    registered: Registered::new(),
};

/// Builds the policy that `spec` names.
///
/// # Errors
/// An unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Warming>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
