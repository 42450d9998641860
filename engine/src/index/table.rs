//! The index block, written and read.

use std::ops::Range;

use bytes::Bytes;

use super::fences::Fences;
use super::images::{common_prefix, image};
use super::locator::{Candidates, Locator, Starts};
use super::packed::Packed;
use super::ties::{RUN_BYTES, Ties};
use super::{IndexReport, IndexUse, ModelFacts, Refusal};
use crate::codec::{Fields, put_bytes, put_varint};
use crate::env::CpuWork;

/// Writes the index block, drawn in [`crate::table::format`].
pub(crate) struct IndexWriter {
    /// Where each block starts, and where the last ends.
    offsets: Vec<u64>,
    /// The rank of each block's first entry, and the entries so far.
    starts: Vec<u64>,
    key_bytes: u64,
    body: Vec<u8>,
}

impl Default for IndexWriter {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            starts: vec![0],
            key_bytes: 0,
            body: Vec::new(),
        }
    }
}

/// The last number, of a list that has one, and `more`.
fn after(list: &[u64], more: usize) -> u64 {
    list.last().copied().unwrap_or(0) + more as u64
}

/// Bytes of a plain fence index: keys in full, where each ends, and where each block starts.
fn plain_fence_bytes(blocks: usize, key_bytes: u64) -> u64 {
    key_bytes + (blocks * size_of::<u32>() + (blocks + 1) * size_of::<u64>()) as u64
}

impl IndexWriter {
    /// Adds the next data block: its bytes in the file, its entries, its last key.
    pub(crate) fn add(&mut self, file_bytes: usize, entries: usize, last_key: &[u8]) {
        self.offsets.push(after(&self.offsets, file_bytes));
        self.starts.push(after(&self.starts, entries));
        self.key_bytes += last_key.len() as u64;
        put_varint(&mut self.body, file_bytes as u64);
        put_varint(&mut self.body, entries as u64);
        put_bytes(&mut self.body, last_key);
    }

    /// Bytes of the block if it ended here.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + 4
    }

    /// Data blocks so far.
    pub(super) fn blocks(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The rank of each block's first entry, and the number of entries.
    pub(super) fn starts(&self) -> &[u64] {
        &self.starts
    }

    /// Bytes of memory that the blocks' addresses will take.
    pub(super) fn address_bytes(&self) -> u64 {
        Packed::new(&self.offsets).memory_bytes()
    }

    /// Bytes that a plain fence index of these blocks takes.
    pub(super) fn fence_bytes(&self) -> u64 {
        plain_fence_bytes(self.blocks(), self.key_bytes)
    }

    /// Bytes of memory that fence pointers would take where no model serves. What the last keys of all blocks share is
    /// taken for the table's prefix.
    pub(super) fn packed_fence_bytes(&self) -> u64 {
        let mut fields = Fields::new(&self.body);
        let key = |_| {
            let (_, _) = (fields.varint()?, fields.varint()?);
            fields.bytes()
        };
        let keys: Vec<&[u8]> = (0..self.blocks()).map_while(key).collect();
        let prefix = match (keys.first(), keys.last()) {
            (Some(first), Some(last)) => common_prefix(first, last),
            _ => 0,
        };
        let suffixes: Vec<&[u8]> = keys.into_iter().map(|key| &key[prefix..]).collect();
        Fences::new(&suffixes).memory_bytes() + self.address_bytes()
    }

    /// The block's bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 4);
        out.extend_from_slice(&(self.blocks() as u32).to_le_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

/// What a table says of itself, as far as its index is concerned.
#[derive(Clone, Copy)]
pub(crate) struct IndexedTable<'a> {
    /// The version of the table's format.
    pub(crate) version: u32,
    /// Entries, tombstones included.
    pub(crate) entries: u64,
    /// The smallest user key.
    pub(crate) smallest: &'a Bytes,
    /// The largest user key.
    pub(crate) largest: &'a Bytes,
    /// The index policy that was asked for a model.
    pub(crate) index: &'a str,
    /// What is known of its model.
    pub(crate) model: &'a ModelFacts,
}

/// What an index block says.
struct Blocks<'a> {
    offsets: Vec<u64>,
    starts: Vec<u64>,
    /// What each block's last key adds to the prefix.
    suffixes: Vec<&'a [u8]>,
}

impl<'a> Blocks<'a> {
    /// None where the bytes are not what [`IndexWriter`] wrote for a table of `entries` entries that all start with
    /// `prefix`.
    fn read(block: &'a [u8], entries: u64, prefix: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(block);
        let blocks = fields.u32()?;
        let mut read = Self {
            offsets: vec![0],
            starts: vec![0],
            suffixes: Vec::new(),
        };
        let (mut end, mut rank) = (0u64, 0u64);
        for _ in 0..blocks {
            end = end.checked_add(fields.varint()?)?;
            rank = rank.checked_add(fields.varint()?)?;
            read.offsets.push(end);
            read.starts.push(rank);
            read.suffixes.push(fields.bytes()?.strip_prefix(prefix)?);
        }
        (fields.is_empty() && rank == entries && blocks > 0).then_some(read)
    }
}

enum Search {
    Fence(Fences),
    Model(Locator),
}

/// The index of an open table.
pub(crate) struct TableIndex {
    /// What all keys of the table start with.
    prefix: Bytes,
    /// Where each data block starts, and where the last one ends.
    offsets: Packed,
    search: Search,
    /// Of the model, for an answer.
    steps: u32,
    report: IndexReport,
}

impl TableIndex {
    /// Reads the index block. `model` holds the stored model if the table has one; an error there, or bytes that are no
    /// model, make fence pointers serve. None where the index block is not what [`IndexWriter`] wrote.
    pub(crate) fn open(
        block: &[u8],
        table: &IndexedTable<'_>,
        model: Option<Result<Bytes, String>>,
    ) -> Option<Self> {
        let prefix = table
            .smallest
            .slice(..common_prefix(table.smallest, table.largest));
        let blocks = Blocks::read(block, table.entries, &prefix)?;
        let (model, refused) =
            match model.map(|model| model.and_then(|bytes| locator(bytes, table, &blocks))) {
                None => (None, table.model.refused.clone()),
                Some(Ok(model)) => (Some(model), String::new()),
                Some(Err(unreadable)) => (None, Refusal::Unreadable.because(&unreadable)),
            };
        let (offsets, fences) = (Packed::new(&blocks.offsets), Fences::new(&blocks.suffixes));
        let count = blocks.suffixes.len();
        let key_bytes = blocks
            .suffixes
            .iter()
            .map(|suffix| (prefix.len() + suffix.len()) as u64)
            .sum();
        let facts = table.model;
        let mut report = IndexReport {
            kind: table.index.to_owned(),
            parameters: if facts.parameters.is_empty() {
                table.index.to_owned()
            } else {
                facts.parameters.clone()
            },
            version: table.version,
            refusal: (!refused.is_empty()).then(|| Refusal::of(&refused)),
            refused: Some(refused).filter(|why| !why.is_empty()),
            keys: table.entries,
            blocks: count as u64,
            fence_bytes: plain_fence_bytes(count, key_bytes),
            packed_fence_bytes: offsets.memory_bytes() + fences.memory_bytes(),
            training_nanos: facts.training_nanos,
            ..IndexReport::default()
        };
        let search = match model {
            None => {
                report.memory_bytes = report.packed_fence_bytes;
                Search::Fence(fences)
            }
            Some(locator) => {
                report.used = IndexUse::Model;
                report.segments = locator.model().segments();
                report.memory_bytes = offsets.memory_bytes() + locator.memory_bytes();
                report.model_bytes = locator.model_bytes();
                report.by_block = facts.by_block;
                (report.error_max, report.error_p99) = (facts.error_max, facts.error_p99);
                report.error_mean_milli = facts.error_mean_milli;
                report.longest_run = facts.longest_run;
                (report.window_blocks, report.probes_milli) =
                    (facts.window_blocks, facts.probes_milli);
                Search::Model(locator)
            }
        };
        Some(Self {
            prefix,
            offsets,
            search,
            steps: facts.steps,
            report,
        })
    }

    /// What it is and takes.
    pub(crate) fn report(&self) -> &IndexReport {
        &self.report
    }

    /// Data blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Where the data blocks end.
    pub(crate) fn end(&self) -> u64 {
        self.offsets.get(self.blocks())
    }

    /// Where the bytes of data block `block` lie; None if there is no such block.
    pub(crate) fn span(&self, block: usize) -> Option<Range<u64>> {
        (block < self.blocks()).then(|| self.offsets.get(block)..self.offsets.get(block + 1))
    }

    /// Where `block` and as many blocks after it lie as `bytes` bytes hold, `block` in any case.
    pub(crate) fn stretch(&self, block: usize, bytes: u64) -> Range<u64> {
        let start = self.offsets.get(block);
        let end = self
            .offsets
            .floor(start.saturating_add(bytes), self.offsets.len(), block + 1);
        start..self.offsets.get(end.max(block + 1))
    }

    /// The blocks that can hold the first entry not before `key`; where they are none, or all that they hold is before,
    /// it is the first entry after them. For a `point` look-up, which wants `key` itself, they may be fewer: those
    /// that can hold it.
    pub(crate) fn candidates(&self, key: &[u8], point: bool, work: &mut CpuWork) -> Candidates {
        let Some(suffix) = key.strip_prefix(&self.prefix[..]) else {
            work.comparisons += 1;
            let block = if key < &self.prefix[..] {
                0
            } else {
                self.blocks()
            };
            return Candidates {
                span: block..block,
                ..Candidates::exact(block, self.blocks())
            };
        };
        match &self.search {
            Search::Fence(fences) => Candidates::exact(fences.search(suffix, work), self.blocks()),
            Search::Model(locator) => {
                work.model_evaluations += 1;
                work.comparisons += u64::from(self.steps.saturating_sub(1));
                locator.candidates(image(suffix), point)
            }
        }
    }

    /// Where in block `block` the first entry not before the key lies, as far as the index knows: entries counted from
    /// the block's first, the last included.
    pub(crate) fn within(&self, candidates: &Candidates, block: usize) -> Option<Range<usize>> {
        match &self.search {
            Search::Fence(_) => None,
            Search::Model(locator) => locator.within(candidates, block),
        }
    }
}

/// Reads a model block back.
fn locator(bytes: Bytes, table: &IndexedTable<'_>, blocks: &Blocks<'_>) -> Result<Locator, String> {
    let facts = table.model;
    let listed = facts.tie_runs as usize * RUN_BYTES;
    let ties = bytes
        .get(..listed)
        .and_then(|runs| Ties::decode(runs, facts.tie_bound));
    let ties = ties.ok_or("the stored list of equal keys is malformed")?;
    let model = aura_policies::index::decode(table.index, bytes.slice(listed..));
    let model =
        model.ok_or_else(|| format!("the stored model is none of the kind {}", table.index))?;
    let starts = (!facts.by_block).then(|| Starts::new(&blocks.starts));
    Ok(Locator::new(model, starts, ties, blocks.suffixes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_as_many_blocks_as_fit_and_one_at_least() {
        let mut writer = IndexWriter::default();
        for (bytes, key) in [(100, "a"), (50, "b"), (50, "c"), (300, "d")] {
            writer.add(bytes, 1, key.as_bytes());
        }
        let [smallest, largest] = ["a", "d"].map(|key| Bytes::from_static(key.as_bytes()));
        let table = IndexedTable {
            version: 1,
            entries: 4,
            smallest: &smallest,
            largest: &largest,
            index: "",
            model: &ModelFacts::default(),
        };
        let index = TableIndex::open(&writer.finish(), &table, None).unwrap();
        let cases = [
            (0, 0, 0..100),
            (0, 149, 0..100),
            (0, 200, 0..200),
            (1, 120, 100..200),
            (1, 9_999, 100..500),
            (3, 1, 200..500),
        ];
        for (block, bytes, expected) in cases {
            assert_eq!(index.stretch(block, bytes), expected, "{block} {bytes}");
        }
        assert_eq!(
            (index.span(3), index.span(4), index.end()),
            (Some(200..500), None, 500)
        );
    }
}
