//! From a model's window to the blocks to look in.

use std::ops::Range;

use aura_policies::index::{Model, Window};

use super::packed::Packed;
use super::ties::Ties;

/// Where a look-up should look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// The blocks to look in.
    pub span: Range<usize>,
    /// The block to begin with.
    pub likely: usize,
    /// The ranks between which the first entry not before the key lies, the last included, where the index counts entries.
    pub ranks: Option<(u64, u64)>,
    /// Whether all entries of the blocks before `span` are known to be before the key. A model was checked at keys and at
    /// the edges of gaps: within a gap it is believed only where the blocks bear it out.
    pub exact: bool,
}

impl Candidates {
    /// Those of an index that knows: one block, or none for the number of all blocks.
    pub(super) fn exact(block: usize, blocks: usize) -> Self {
        Self {
            span: block..(block + 1).min(blocks),
            likely: block,
            ranks: None,
            exact: true,
        }
    }

    /// Blocks that a look-up examines to find block `block` among them.
    pub(super) fn probes(&self, block: usize) -> u64 {
        let (mut span, mut next, mut probes) = (self.span.clone(), self.likely, 1);
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

    /// The block to examine next, of those that are left.
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
    /// From those ranks, and the number of entries at the end.
    pub(super) fn new(ranks: &[u64]) -> Self {
        let entries = ranks.last().copied().unwrap_or(0).max(1);
        Self {
            blocks_a_rank: (ranks.len() - 1) as f64 / entries as f64,
            ranks: Packed::new(ranks),
        }
    }

    /// The block that holds the entry of this rank; the last one for ranks beyond.
    pub(super) fn block_of(&self, rank: u64) -> usize {
        let guess = (rank as f64 * self.blocks_a_rank) as usize;
        self.ranks.floor(rank, self.ranks.len() - 1, guess)
    }

    /// The rank of a block's first entry.
    pub(super) fn start(&self, block: usize) -> u64 {
        self.ranks.get(block)
    }
}

/// A model and what makes blocks of its ranks.
pub(super) struct Locator {
    model: Box<dyn Model>,
    /// Where the model counts entries; one that counts blocks needs nothing.
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

    /// The blocks that can hold the first entry not before a key of this image; for a `point` look-up, which wants the
    /// key itself, they may be fewer.
    pub(super) fn candidates(&self, image: u64, point: bool) -> Candidates {
        // The first rank with this image or a larger one lies between `lo` and `hi`; the entry, in the run that starts there.
        let (lo, hi, run) = match self.ties.find(image) {
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
                // The first entry after the run is one further than any of it.
                let run = if point { run.saturating_sub(1) } else { run };
                let ranks = (u64::from(lo), u64::from(hi) + u64::from(run));
                let (first, end) = (starts.block_of(ranks.0), starts.block_of(ranks.1));
                let likely = if first == end {
                    first
                } else {
                    starts.block_of(u64::from(middle) + u64::from(run / 2))
                };
                Candidates {
                    span: first..end + 1,
                    likely,
                    ranks: Some(ranks),
                    exact: false,
                }
            }
            // The key may come after the last keys of all blocks of the run, though it has their image.
            None => Candidates {
                span: (lo as usize).min(last)
                    ..(hi as usize).saturating_add(run as usize).min(last) + 1,
                likely: (middle as usize).min(last),
                ranks: None,
                exact: false,
            },
        }
    }

    /// Where in block `block` the first entry not before the key lies, if that is known: entries counted from the block's
    /// first.
    pub(super) fn within(&self, candidates: &Candidates, block: usize) -> Option<Range<usize>> {
        let (lo, hi) = candidates.ranks?;
        let start = self.starts.as_ref()?.start(block);
        Some(lo.saturating_sub(start) as usize..hi.saturating_sub(start) as usize)
    }

    /// The block of a rank of the model.
    pub(super) fn block_of(&self, rank: usize) -> usize {
        self.starts
            .as_ref()
            .map_or(rank, |starts| starts.block_of(rank as u64))
    }

    /// The model.
    pub(super) fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// Bytes of memory of the model and the ties.
    pub(super) fn model_bytes(&self) -> u64 {
        self.model.memory_bytes() + self.ties.memory_bytes()
    }

    /// Bytes of memory of all of it.
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
