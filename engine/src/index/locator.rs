//! Converts a model's window of ranks to the blocks that a look-up must search.

use std::ops::Range;

use aura_policies::index::{Model, Window};

use super::packed::Packed;
use super::ties::Ties;

/// The blocks that a look-up must search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// The candidate blocks.
    pub span: Range<usize>,
    /// The block to search first.
    pub likely: usize,
    /// The first and the last possible rank of the first entry not before the key. None if the
    /// index counts blocks.
    pub ranks: Option<(u64, u64)>,
    /// Whether all entries of the blocks before `span` are known to be before the key.
    ///
    /// A model was checked at keys and at the edges of gaps. Inside a gap its window may be wrong,
    /// so a look-up must verify it with the blocks.
    pub exact: bool,
}

impl Candidates {
    /// Creates the candidates of an exact index: one block, or no block if `block` is the number of
    /// blocks.
    pub(super) fn exact(block: usize, blocks: usize) -> Self {
        Self {
            span: block..(block + 1).min(blocks),
            likely: block,
            ranks: None,
            exact: true,
        }
    }

    /// Returns the number of blocks that a look-up examines until it reaches block `block`.
    pub(super) fn probes(&self, block: usize) -> u64 {
        let mut span = self.span.clone();
        let mut next = self.likely;
        let mut probes = 1;
        while next != block && span.contains(&block) {
            span = if next < block {
                next + 1..span.end
            } else {
                span.start..next
            };
            next = Self::middle(&span);
            probes += 1;
        }
        probes
    }

    /// Returns the block to examine next, of the remaining ones.
    pub(crate) fn middle(span: &Range<usize>) -> usize {
        span.start + span.len().saturating_sub(1) / 2
    }
}

/// The rank of each block's first entry.
pub(super) struct Starts {
    ranks: Packed,
    blocks_a_rank: f64,
}

impl Starts {
    /// Creates the list from the ranks and, as the last element, the number of entries.
    pub(super) fn new(ranks: &[u64]) -> Self {
        let entries = ranks.last().copied().unwrap_or(0).max(1);
        Self {
            blocks_a_rank: (ranks.len() - 1) as f64 / entries as f64,
            ranks: Packed::new(ranks),
        }
    }

    /// Returns the block that contains the entry of this rank; the last block for larger ranks.
    pub(super) fn block_of(&self, rank: u64) -> usize {
        let guess = (rank as f64 * self.blocks_a_rank) as usize;
        self.ranks.floor(rank, self.ranks.len() - 1, guess)
    }

    /// Returns the rank of a block's first entry.
    pub(super) fn start(&self, block: usize) -> u64 {
        self.ranks.get(block)
    }
}

/// A model, and the data that converts its ranks to blocks.
pub(super) struct Locator {
    model: Box<dyn Model>,
    /// The first rank of each block. None if the model counts blocks.
    starts: Option<Starts>,
    ties: Ties,
    blocks: usize,
}

impl Locator {
    pub(super) fn new(
        model: Box<dyn Model>,
        starts: Option<Starts>,
        ties: Ties,
        blocks: usize,
    ) -> Self {
        Self {
            model,
            starts,
            ties,
            blocks,
        }
    }

    /// Returns the blocks that can contain the first entry not before a key with this image.
    ///
    /// A `point` look-up needs only the key itself, so the blocks may be fewer.
    pub(super) fn candidates(&self, image: u64, point: bool) -> Candidates {
        // The first rank with this image or a larger one is in `lo..=hi`. The entry is among the
        // `ties` ranks from there.
        let (lo, hi, ties) = match self.ties.find(image) {
            Some((first, length)) => (first, first, length),
            None => {
                let Window { lo, hi } = self.model.locate(image);
                (lo, hi.max(lo), self.ties.bound)
            }
        };
        let middle = lo + (hi - lo) / 2;
        let last = self.blocks - 1;
        match &self.starts {
            Some(starts) => {
                // The first entry after the ties is one rank further than the last of them.
                let ties = if point { ties.saturating_sub(1) } else { ties };
                let ranks = (u64::from(lo), u64::from(hi) + u64::from(ties));
                let first = starts.block_of(ranks.0);
                let end = starts.block_of(ranks.1);
                let likely = if first == end {
                    first
                } else {
                    starts.block_of(u64::from(middle) + u64::from(ties / 2))
                };
                Candidates {
                    span: first..end + 1,
                    likely,
                    ranks: Some(ranks),
                    exact: false,
                }
            }
            // The key may be after the last keys of all blocks with its image.
            None => Candidates {
                span: (lo as usize).min(last)
                    ..(hi as usize).saturating_add(ties as usize).min(last) + 1,
                likely: (middle as usize).min(last),
                ranks: None,
                exact: false,
            },
        }
    }

    /// Returns the entries of block `block` among which the first one not before the key is, if
    /// that is known.
    pub(super) fn within(&self, candidates: &Candidates, block: usize) -> Option<Range<usize>> {
        let (lo, hi) = candidates.ranks?;
        let start = self.starts.as_ref()?.start(block);
        Some(lo.saturating_sub(start) as usize..hi.saturating_sub(start) as usize)
    }

    /// Returns the block of a rank of the model.
    pub(super) fn block_of(&self, rank: usize) -> usize {
        self.starts
            .as_ref()
            .map_or(rank, |starts| starts.block_of(rank as u64))
    }

    /// Returns the model.
    pub(super) fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// Returns the bytes of memory of the model and the ties.
    pub(super) fn model_bytes(&self) -> u64 {
        self.model.memory_bytes() + self.ties.memory_bytes()
    }

    /// Returns the bytes of memory of everything.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.model_bytes()
            + self
                .starts
                .as_ref()
                .map_or(0, |starts| starts.ranks.memory_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_lies_in_the_block_that_starts_at_it_or_before() {
        let starts = Starts::new(&[0, 1, 100, 103, 200]);
        let blocks: Vec<usize> = [0, 1, 99, 100, 102, 103, 199, 200, 5_000]
            .map(|rank| starts.block_of(rank))
            .to_vec();
        assert_eq!(blocks, [0, 1, 1, 2, 2, 3, 3, 3, 3]);
    }

    #[test]
    fn a_search_among_candidates_halves_them() {
        let candidates = |span: Range<usize>, likely| Candidates {
            span,
            likely,
            ranks: None,
            exact: false,
        };
        assert_eq!(candidates(3..4, 3).probes(3), 1);
        let nine = candidates(0..9, 4);
        let probes: Vec<u64> = (0..9).map(|block| nine.probes(block)).collect();
        assert_eq!(probes, [3, 2, 3, 4, 1, 3, 2, 3, 4]);
    }
}
