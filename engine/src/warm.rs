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
use bytes::Bytes;

use crate::cache::{BlockCache, BlockId, CacheKey};
use crate::sst::FinishedBlock;
use crate::sst::block::Block;

/// An input block of a compaction.
struct Input {
    first: Bytes,
    last: Bytes,
    bytes: u64,
    /// The block's hits in the cache. None if it was not cached.
    hits: Option<u32>,
}

/// The input blocks of a compaction that the next output block can overlap.
#[derive(Default)]
pub(crate) struct Inputs {
    blocks: Vec<Input>,
}

impl Inputs {
    /// Adds a block that was just read. `hits` are its hits in the cache; None if it was not
    /// cached.
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

    /// Adds to `facts` what an output block with the keys `first` to `last` overlaps.
    ///
    /// Output blocks come in order, so input blocks before this one are dropped.
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

/// Asks the policy about each of the data blocks `cuts`, and inserts those that it chooses into the
/// cache.
///
/// The blocks belong to table `id` of `level`. `inputs` is None for a flush, and if the policy does
/// not need them.
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
            let block = BlockId {
                file: id,
                offset: cut.offset,
            };
            cache.warm(&CacheKey::part(BlockKind::Data, block), cut.data);
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
            builder.add(&Entry {
                key: Bytes::from_static(key.as_bytes()),
                sequence: 100 - at as u64,
                kind: EntryKind::Put,
                value: Bytes::new(),
            });
        }
        builder
            .finish(|raw| Block::checked(Bytes::copy_from_slice(raw)))
            .unwrap()
    }

    #[test]
    fn an_output_block_overlaps_the_inputs_whose_keys_it_may_contain() {
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
            "the second input begins after it"
        );
        assert_eq!(
            overlap("d", "e"),
            (2, true, 2),
            "versions of one key may continue in the next block"
        );
        assert_eq!(
            overlap("e", "m"),
            (2, true, 5),
            "the first input is before it"
        );
        assert_eq!(overlap("q", "z"), (0, true, 0));
    }
}
