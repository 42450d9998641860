//! Warming: which of the blocks that a flush or a compaction writes enter the cache before anybody asks.
//!
//! The decision is a policy's (see [`aura_policies::warming`]); here are the facts it rests on. A block enters when it is
//! written, before the edit that makes its table readable; should that edit fail, the engine is poisoned and the block
//! ages out.

use aura_policies::cache::BlockKind;
use aura_policies::facts::TableId;
use aura_policies::warming::{OutputBlock, Warming};

use crate::cache::{BlockCache, BlockId, CacheKey, Inputs};
use crate::table::FinishedBlock;

/// Offers the data blocks `cuts` of table `id` of `level` to the policy, and what it wants to the cache. `inputs` is None
/// for a flush, and where the policy does not ask.
pub(crate) fn warm(
    cache: &BlockCache,
    policy: &dyn Warming,
    (id, level, from_flush): (TableId, usize, bool),
    cuts: Vec<FinishedBlock>,
    inputs: &mut Option<Inputs>,
) {
    for cut in cuts {
        let mut facts = OutputBlock {
            level,
            from_flush,
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
                        file: id,
                        offset: cut.offset,
                    },
                ),
                cut.data,
            );
        }
    }
}
