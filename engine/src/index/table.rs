//! The index block: its writer, its reader, and the index of an open table.
//!
//! The reader searches either the fence keys or, if the table has a usable model, the model.

use std::ops::Range;

use bytes::Bytes;

use super::fences::Fences;
use super::images::{common_prefix, image};
use super::locator::{Candidates, Locator, Starts};
use super::packed::Packed;
use super::ties::{TIES_BYTES, Ties};
use super::{IndexReport, IndexUse, ModelFacts, Refusal, Refused};
use crate::codec::{Fields, put_bytes, put_varint};
use crate::env::CpuWork;

/// Writes the index block. Its format is in [`crate::table::format`].
pub(crate) struct IndexWriter {
    /// The offset of each block, and the end of the last.
    offsets: Vec<u64>,
    /// The rank of each block's first entry, and the number of entries so far.
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

/// Returns the sum of the last number of a list and `more`.
fn after(list: &[u64], more: usize) -> u64 {
    list.last().copied().unwrap_or(0) + more as u64
}

/// Returns the bytes of a plain fence index: full keys, the end of each key, and the offset of each
/// block.
fn plain_fence_bytes(blocks: usize, key_bytes: u64) -> u64 {
    key_bytes + (blocks * size_of::<u32>() + (blocks + 1) * size_of::<u64>()) as u64
}

impl IndexWriter {
    /// Adds the next data block, with its bytes in the file, its number of entries and its last
    /// key.
    pub(crate) fn add(&mut self, file_bytes: usize, entries: usize, last_key: &[u8]) {
        self.offsets.push(after(&self.offsets, file_bytes));
        self.starts.push(after(&self.starts, entries));
        self.key_bytes += last_key.len() as u64;
        put_varint(&mut self.body, file_bytes as u64);
        put_varint(&mut self.body, entries as u64);
        put_bytes(&mut self.body, last_key);
    }

    /// Returns the bytes of the index block if it were finished now.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + 4
    }

    /// Returns the number of data blocks so far.
    pub(super) fn blocks(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Returns the rank of each block's first entry and, as the last element, the number of
    /// entries.
    pub(super) fn starts(&self) -> &[u64] {
        &self.starts
    }

    /// Returns the bytes of memory that the blocks' offsets will take.
    pub(super) fn address_bytes(&self) -> u64 {
        Packed::new(&self.offsets).memory_bytes()
    }

    /// Returns the bytes that a plain fence index of these blocks takes.
    pub(super) fn fence_bytes(&self) -> u64 {
        plain_fence_bytes(self.blocks(), self.key_bytes)
    }

    /// Returns the bytes of memory that fence pointers take if there is no model.
    ///
    /// It assumes that the common prefix of the blocks' last keys is the table's prefix.
    pub(super) fn packed_fence_bytes(&self) -> u64 {
        let mut fields = Fields::new(&self.body);
        let key = |_| {
            fields.varint()?;
            fields.varint()?;
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

    /// Returns the bytes of the index block.
    pub(crate) fn finish(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 4);
        out.extend_from_slice(&(self.blocks() as u32).to_le_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

/// The properties of a table that its index needs.
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
    /// The index policy that the table was built under.
    pub(crate) index: &'a str,
    /// The facts of its model.
    pub(crate) model: &'a ModelFacts,
}

/// A decoded index block.
struct Blocks<'a> {
    offsets: Vec<u64>,
    starts: Vec<u64>,
    /// The part of each block's last key after the table's prefix.
    suffixes: Vec<&'a [u8]>,
}

impl<'a> Blocks<'a> {
    /// Decodes an index block. Returns None unless [`IndexWriter`] wrote it for a table of
    /// `entries` entries whose keys start with `prefix`.
    fn read(block: &'a [u8], entries: u64, prefix: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(block);
        let blocks = fields.u32()?;
        let mut read = Self {
            offsets: vec![0],
            starts: vec![0],
            suffixes: Vec::new(),
        };
        let mut end = 0u64;
        let mut rank = 0u64;
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
    /// The common prefix of all keys of the table.
    prefix: Bytes,
    /// The offset of each data block, and the end of the last.
    offsets: Packed,
    search: Search,
    /// Steps of the model for one look-up, on average.
    steps: u32,
    report: IndexReport,
}

impl TableIndex {
    /// Decodes an index block. Returns None if [`IndexWriter`] did not write it.
    ///
    /// `model` is the stored model, if the table has one. If it is an error or malformed, fence
    /// pointers are used.
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
                Some(Ok(model)) => (Some(model), None),
                Some(Err(what)) => (None, Some(Refusal::Unreadable.because(what))),
            };
        let offsets = Packed::new(&blocks.offsets);
        let fences = Fences::new(&blocks.suffixes);
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
            refusal: refused.as_ref().map(Refused::reason),
            refused: refused.as_ref().map(Refused::to_string),
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
                report.error_max = facts.error_max;
                report.error_p99 = facts.error_p99;
                report.error_mean_milli = facts.error_mean_milli;
                report.longest_run = facts.longest_run;
                report.window_blocks = facts.window_blocks;
                report.probes_milli = facts.probes_milli;
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

    /// Returns the kind, cost and measured quality of the index.
    pub(crate) fn report(&self) -> &IndexReport {
        &self.report
    }

    /// Returns whether a model answers look-ups.
    pub(crate) fn is_model(&self) -> bool {
        matches!(self.search, Search::Model(_))
    }

    /// Returns the number of data blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Returns the end of the data blocks in the file.
    pub(crate) fn end(&self) -> u64 {
        self.offsets.get(self.blocks())
    }

    /// Returns the byte range of data block `block`; None if there is no such block.
    pub(crate) fn span(&self, block: usize) -> Option<Range<u64>> {
        (block < self.blocks()).then(|| self.offsets.get(block)..self.offsets.get(block + 1))
    }

    /// Returns the byte range of the blocks from `block` on that fit into `bytes` bytes. It
    /// contains at least `block`.
    pub(crate) fn stretch(&self, block: usize, bytes: u64) -> Range<u64> {
        let start = self.offsets.get(block);
        let end = self
            .offsets
            .floor(start.saturating_add(bytes), self.offsets.len(), block + 1);
        start..self.offsets.get(end.max(block + 1))
    }

    /// Returns the blocks that can contain the first entry not before `key`.
    ///
    /// If there are no such blocks, or all their entries are before `key`, the result is the first
    /// entry after them. A `point` look-up needs only `key` itself, so the blocks may be fewer.
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

    /// Returns the entries of block `block` among which the first one not before the key is, with
    /// the end included.
    ///
    /// None if the index does not know it.
    pub(crate) fn within(&self, candidates: &Candidates, block: usize) -> Option<Range<usize>> {
        match &self.search {
            Search::Fence(_) => None,
            Search::Model(locator) => locator.within(candidates, block),
        }
    }
}

/// Decodes a model block.
fn locator(bytes: Bytes, table: &IndexedTable<'_>, blocks: &Blocks<'_>) -> Result<Locator, String> {
    let facts = table.model;
    let listed = facts.tie_runs as usize * TIES_BYTES;
    let ties = bytes
        .get(..listed)
        .and_then(|list| Ties::decode(list, facts.tie_bound));
    let ties = ties.ok_or("the stored list of ties is malformed")?;
    let model = aura_policies::index::decode(table.index, bytes.slice(listed..));
    let model =
        model.ok_or_else(|| format!("the stored model is not of the kind {}", table.index))?;
    let starts = (!facts.by_block).then(|| Starts::new(&blocks.starts));
    Ok(Locator::new(model, starts, ties, blocks.suffixes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_has_the_blocks_that_fit_and_at_least_one() {
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
        assert_eq!(index.span(3), Some(200..500));
        assert_eq!(index.span(4), None);
        assert_eq!(index.end(), 500);
    }
}
