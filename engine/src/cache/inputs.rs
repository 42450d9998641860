//! What a compaction has read, for a warming policy to compare with what it writes.

use aura_policies::warming::OutputBlock;
use bytes::Bytes;

/// A block that was read.
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
    /// Adds a block of `bytes` bytes that has just been read, with its `first` and `last` key.
    /// `hits` are those it has had in the cache, if it was held there.
    pub(crate) fn add(&mut self, first: &[u8], last: &[u8], bytes: u64, hits: Option<u32>) {
        self.blocks.push(Input {
            first: Bytes::copy_from_slice(first),
            last: Bytes::copy_from_slice(last),
            bytes,
            hits,
        });
    }

    /// Fills in what an output block of the keys `first` to `last` overlaps. Output blocks come in
    /// order, so that what lies before this one is forgotten.
    pub(crate) fn overlap(&mut self, first: &[u8], last: &[u8], facts: &mut OutputBlock) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_block_overlaps_the_inputs_whose_keys_it_may_hold() {
        let mut inputs = Inputs::default();
        inputs.add(b"a", b"d", 60, Some(2));
        inputs.add(b"c", b"f", 60, None);
        inputs.add(b"m", b"p", 60, Some(5));
        let mut overlap = |first: &str, last: &str| {
            let mut facts = OutputBlock::default();
            inputs.overlap(first.as_bytes(), last.as_bytes(), &mut facts);
            facts
        };
        let facts = |blocks, resident_bytes, hits| OutputBlock {
            overlapped_blocks: blocks,
            overlapped_bytes: 60 * u64::from(blocks),
            resident_bytes,
            hits,
            ..OutputBlock::default()
        };
        assert_eq!(
            overlap("a", "b"),
            facts(1, 60, 2),
            "the second begins after it"
        );
        assert_eq!(
            overlap("d", "e"),
            facts(2, 60, 2),
            "versions of one key may go on in the next block"
        );
        assert_eq!(overlap("e", "m"), facts(2, 60, 5), "the first is behind");
        assert_eq!(overlap("q", "z"), facts(0, 0, 0));
    }
}
