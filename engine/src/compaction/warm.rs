//! Warming: inserts blocks that a flush or a compaction writes into the cache before a read asks
//! for them.
//!
//! A policy decides (see [`aura_policies::warming`]); this file collects its facts. A block is
//! inserted when it is written, before the edit that makes its table readable. If that edit fails,
//! the engine is poisoned and the block ages out. Leaper (Yang et al., VLDB 2020) shows why: a
//! compaction replaces hot blocks by new ones, and without warming each of them is a miss.

use aura_policies::cache::BlockKind;
use aura_policies::facts::TableId;
use aura_policies::warming::{OutputBlock, Warming};

use crate::cache::{BlockCache, BlockId, CacheKey, Inputs};
use crate::table::FinishedBlock;

/// The table that blocks are written to.
pub(super) struct NewTable {
    /// Its number.
    pub(super) id: TableId,
    /// Its level. Tables of level 0 come from a flush.
    pub(super) level: usize,
}

/// Offers the data blocks `cuts` of `table` to the policy, and what it wants to the cache. `inputs`
/// is None for a flush, and if the policy does not ask.
pub(super) fn warm(
    cache: &BlockCache,
    policy: &dyn Warming,
    table: &NewTable,
    cuts: Vec<FinishedBlock>,
    inputs: &mut Option<Inputs>,
) {
    for cut in cuts {
        let mut facts = OutputBlock {
            level: table.level,
            from_flush: table.level == 0,
            bytes: cut.data.len() as u64,
            ..OutputBlock::default()
        };
        if let Some(inputs) = inputs {
            inputs.overlap(&cut.first, &cut.last, &mut facts);
        }
        if policy.warms(&facts) {
            cache.warm(
                &CacheKey::part(
                    BlockKind::Data,
                    BlockId {
                        file: table.id,
                        offset: cut.offset,
                    },
                ),
                cut.data,
            );
        }
    }
}
