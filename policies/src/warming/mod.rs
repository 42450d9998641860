//! Cache warming: what does the cache keep when tables are rewritten?
//!
//! A flush and a compaction write blocks that no read has requested yet, and a compaction kills
//! blocks that the cache may hold. The mechanism asks a warming policy once for each output block,
//! before the block's table can be read, and once a compaction whether the blocks of the replaced
//! tables leave at once. A warmed block enters by the eviction policy alone: the admission policy
//! learns nothing of it, because it was not requested. Warmed blocks are counted apart from those
//! that the workload brings in; their hits are the workload's.

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
    /// Blocks of the compaction's input tables whose key ranges overlap its own.
    pub overlapped_blocks: u32,
    /// Bytes of the overlapped blocks.
    pub overlapped_bytes: u64,
    /// The part of `overlapped_bytes` that the cache held when the compaction read them.
    pub resident_bytes: u64,
    /// How often the workload has hit the held ones since they entered.
    pub hits: u64,
}

/// What a policy is asked, so that facts it ignores cost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asks {
    /// Nothing: no output block enters.
    Nothing,
    /// Every output block; the facts about overlap stay 0.
    Outputs,
    /// Every output block, with what it overlaps.
    Overlaps,
}

/// Decides what the cache keeps when tables are rewritten.
pub trait Warming: Send + Sync {
    /// Whether the blocks of replaced tables leave when the compaction ends.
    fn drops_dead(&self) -> bool {
        true
    }

    /// What [`Self::warms`] is asked.
    fn asks(&self) -> Asks {
        Asks::Nothing
    }

    /// Whether `block` enters the cache.
    fn warms(&self, _block: &OutputBlock) -> bool {
        false
    }
}

/// How a warming policy is built.
pub type Build = fn(spec: &PolicySpec) -> Result<Box<dyn Warming>, PolicyError>;

/// The warming policies.
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
/// ```
/// use aura_policies::PolicySpec;
/// use aura_policies::warming::{self, OutputBlock};
///
/// let policy = warming::build(&PolicySpec::named("warm-flush"))?;
/// let flushed = OutputBlock { from_flush: true, bytes: 4096, ..OutputBlock::default() };
/// assert!(policy.warms(&flushed));
/// assert!(!policy.warms(&OutputBlock { from_flush: false, ..flushed }));
/// # Ok::<(), aura_policies::PolicyError>(())
/// ```
///
/// # Errors
/// [`PolicyError`] for an unknown name or parameter, or a value out of range.
pub fn build(spec: &PolicySpec) -> Result<Box<dyn Warming>, PolicyError> {
    let entry = FAMILY.find(spec)?;
    (entry.build)(spec)
}
