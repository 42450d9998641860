//! Warming: which of the blocks that a flush or a compaction writes enter the cache before anybody asks.
//!
//! The decision is a policy's (see [`aura_policies::warming`]); here are the facts it rests on. A block enters when it is
//! written, before the edit that makes its table readable; should that edit fail, the engine is poisoned and the block
//! ages out.

use aura_policies::cache::BlockKind;
use aura_policies::facts::TableId;
use aura_policies::warming::{OutputBlock, Warming};
use bytes::Bytes;

use crate::cache::{BlockCache, BlockId, CacheKey};
use crate::sst::FinishedBlock;
use crate::sst::block::Block;

struct Input {
    first: Bytes,
    last: Bytes,
    bytes: u64,
    /// The hits it has had in the cache; None where it was not held.
    hits: Option<u32>,
}

/// The input blocks of a compaction that the next output block can overlap.
#[derive(Default)]
pub(crate) struct Inputs {
    blocks: Vec<Input>,
}

impl Inputs {
    /// Adds a block that has just been read. `hits` are those it has had in the cache, if it was held there.
    pub(crate) fn add(&mut self, block: &Block, hits: Option<u32>) {
        let key = |entry: usize| Bytes::copy_from_slice(block.key(entry).unwrap_or_default());
        let bytes = block.data().len() as u64;
        self.blocks.push(Input {
            first: key(0),
            last: key(block.len() - 1),
            bytes,
            hits,
        });
    }

    /// Fills in what an output block of the keys `first` to `last` overlaps. Output blocks come in order, so that what
    /// lies before this one is forgotten.
    fn overlap(&mut self, first: &[u8], last: &[u8], facts: &mut OutputBlock) {
        self.blocks.retain(|input| input.last >= first);
        for input in self.blocks.iter().filter(|input| input.first <= last) {
            facts.overlapped_blocks += 1;
            facts.overlapped_bytes += input.bytes;
            if let Some(hits) = input.hits {
                facts.resident_bytes += input.bytes;
                facts.hits += u64::from(hits);
            }
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sst::block::BlockBuilder;
    use crate::storage::{Entry, EntryKind};

    fn block(keys: &[&'static str]) -> Block {
        let mut builder = BlockBuilder::default();
        for (at, key) in keys.iter().enumerate() {
            let (key, sequence) = (Bytes::from_static(key.as_bytes()), 100 - at as u64);
            builder.add(&Entry {
                key,
                sequence,
                kind: EntryKind::Put,
                value: Bytes::new(),
            });
        }
        builder
            .finish(|raw| Block::checked(Bytes::copy_from_slice(raw)))
            .unwrap()
    }

    #[test]
    fn an_output_block_overlaps_the_inputs_whose_keys_it_may_hold() {
        let mut inputs = Inputs::default();
        inputs.add(&block(&["a", "d"]), Some(2));
        inputs.add(&block(&["c", "f"]), None);
        inputs.add(&block(&["m", "p"]), Some(5));
        let mut overlap = |first: &str, last: &str| {
            let mut facts = OutputBlock::default();
            inputs.overlap(first.as_bytes(), last.as_bytes(), &mut facts);
            (
                facts.overlapped_blocks,
                facts.resident_bytes * 2 == facts.overlapped_bytes,
                facts.hits,
            )
        };
        assert_eq!(
            overlap("a", "b"),
            (1, false, 2),
            "the second begins after it"
        );
        assert_eq!(
            overlap("d", "e"),
            (2, true, 2),
            "versions of one key may go on in the next block"
        );
        assert_eq!(overlap("e", "m"), (2, true, 5), "the first is behind");
        assert_eq!(overlap("q", "z"), (0, true, 0));
    }
}
