//! One data block: entries, the offset of each, and their number (the format is in
//! [`super::format`]).
//!
//! Keys are stored in full, unlike LevelDB's. Sharing prefixes between neighbours would save bytes
//! that a compression codec saves as well, and every key read would have to be copied. Here keys
//! and values are slices of the block.

use std::cmp::Ordering;
use std::ops::Range;

use bytes::Bytes;

use crate::codec::{get_varint, put_bytes};
use crate::env::CpuWork;
use crate::storage::{Entry, EntryKind, EntryRef, Sequence};

/// Builds the bytes of a block.
#[derive(Default)]
pub(crate) struct BlockBuilder {
    body: Vec<u8>,
    offsets: Vec<u32>,
}

impl BlockBuilder {
    /// Returns the number of entries so far.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Returns whether there are no entries yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Returns the bytes of the block if it were finished now.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + 4 * self.offsets.len() + 4
    }

    /// Returns an upper bound of the bytes that `entry` would add.
    pub(crate) fn bytes_of(entry: EntryRef<'_>) -> usize {
        entry.key.len() + entry.value.len() + 3 + 8 + 5 + 4
    }

    /// Adds an entry. The caller adds entries in internal order.
    pub(crate) fn add<'a>(&mut self, entry: impl Into<EntryRef<'a>>) {
        let entry = entry.into();
        self.offsets.push(self.body.len() as u32);
        put_bytes(&mut self.body, entry.key);
        let tag = entry.sequence << 8 | entry.kind as u64;
        self.body.extend_from_slice(&tag.to_le_bytes());
        put_bytes(&mut self.body, entry.value);
    }

    /// Completes the block, passes its bytes to `take`, and empties the builder. The builder keeps
    /// its memory.
    pub(crate) fn finish<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> T {
        for offset in &self.offsets {
            self.body.extend_from_slice(&offset.to_le_bytes());
        }
        self.body
            .extend_from_slice(&(self.offsets.len() as u32).to_le_bytes());
        let taken = take(&self.body);
        self.body.clear();
        self.offsets.clear();
        taken
    }
}

/// A block in memory. Its methods return None for malformed bytes, and never panic.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    data: Bytes,
    /// The end of the entries, where the offsets start.
    entries_end: usize,
    count: usize,
}

/// The place of an entry in its block.
pub(crate) struct EntryPlace {
    parts: Parts,
    kind: EntryKind,
}

/// The places of an entry's parts in its block.
struct Parts {
    key: (usize, usize),
    tag: u64,
    value: (usize, usize),
}

impl Block {
    /// Opens a block and checks only the number of entries. That is enough for a block that was
    /// [`checked`](Self::checked) before.
    pub(crate) fn new(data: Bytes) -> Option<Self> {
        let (rest, count) = data.split_last_chunk::<4>()?;
        let count = u32::from_le_bytes(*count) as usize;
        let entries_end = rest.len().checked_sub(count.checked_mul(4)?)?;
        (count > 0).then_some(Self {
            data,
            entries_end,
            count,
        })
    }

    /// Opens a block and checks every offset: the first is 0, they increase, and all are within the
    /// entries. O(entries).
    pub(crate) fn checked(data: Bytes) -> Option<Self> {
        let block = Self::new(data)?;
        let mut last = block.offset(0)?;
        if last != 0 {
            return None;
        }
        for index in 1..block.count {
            let offset = block.offset(index)?;
            if offset <= last {
                return None;
            }
            last = offset;
        }
        (last < block.entries_end).then_some(block)
    }

    /// Returns the bytes of the block.
    pub(crate) fn data(&self) -> &Bytes {
        &self.data
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Returns the offset of entry `index`.
    fn offset(&self, index: usize) -> Option<usize> {
        let at = self.entries_end + 4 * index;
        let bytes = self.data.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    }

    /// Returns the start and the end of the key of entry `index`.
    fn key_at(&self, index: usize) -> Option<(usize, usize)> {
        let at = self.offset(index)?;
        let (length, used) = get_varint(self.data.get(at..self.entries_end)?)?;
        let start = at + used;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= self.entries_end).then_some((start, end))
    }

    /// Reads the sequence number and kind that are stored at `at`.
    fn tag_at(&self, at: usize) -> Option<u64> {
        let bytes = self
            .data
            .get(..self.entries_end)?
            .get(at..)?
            .first_chunk::<8>()?;
        Some(u64::from_le_bytes(*bytes))
    }

    fn parts(&self, index: usize) -> Option<Parts> {
        let key = self.key_at(index)?;
        let tag = self.tag_at(key.1)?;
        let at = key.1 + 8;
        let (length, used) = get_varint(self.data.get(at..self.entries_end)?)?;
        let start = at + used;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= self.entries_end).then_some(Parts {
            key,
            tag,
            value: (start, end),
        })
    }

    /// Returns the key of entry `index`.
    pub(crate) fn key(&self, index: usize) -> Option<&[u8]> {
        let (start, end) = self.key_at(index)?;
        self.data.get(start..end)
    }

    /// Returns where the parts of entry `index` are.
    pub(crate) fn place(&self, index: usize) -> Option<EntryPlace> {
        let parts = self.parts(index)?;
        let kind = EntryKind::from_tag(parts.tag as u8)?;
        (kind != EntryKind::DeleteRange).then_some(EntryPlace { parts, kind })
    }

    /// Returns the entry at a place of this block.
    pub(crate) fn at(&self, place: &EntryPlace) -> EntryRef<'_> {
        let EntryPlace { parts, kind } = place;
        EntryRef {
            key: &self.data[parts.key.0..parts.key.1],
            sequence: parts.tag >> 8,
            kind: *kind,
            value: &self.data[parts.value.0..parts.value.1],
        }
    }

    /// Returns the entry at a place of this block; it shares the block's memory.
    pub(crate) fn share(&self, place: &EntryPlace) -> Entry {
        let EntryPlace { parts, kind } = place;
        Entry {
            key: self.data.slice(parts.key.0..parts.key.1),
            sequence: parts.tag >> 8,
            kind: *kind,
            value: self.data.slice(parts.value.0..parts.value.1),
        }
    }

    /// Returns entry `index`, which shares the block's memory.
    pub(crate) fn entry(&self, index: usize) -> Option<Entry> {
        Some(self.share(&self.place(index)?))
    }

    /// Returns whether entry `index` is before (`key`, `sequence`) in internal order.
    fn is_before(
        &self,
        index: usize,
        key: &[u8],
        sequence: Sequence,
        work: &mut CpuWork,
    ) -> Option<bool> {
        let (start, end) = self.key_at(index)?;
        work.comparisons += 1;
        Some(match self.data.get(start..end)?.cmp(key) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => self.tag_at(end)? >> 8 > sequence,
        })
    }

    /// Returns the first entry not before (`key`, `sequence`) in internal order; the number of
    /// entries if all are before.
    ///
    /// O(log entries).
    pub(crate) fn lower_bound(
        &self,
        key: &[u8],
        sequence: Sequence,
        work: &mut CpuWork,
    ) -> Option<usize> {
        self.halve(0..self.count, key, sequence, work)
    }

    /// Returns the result of [`lower_bound`](Self::lower_bound), faster if it is in `within` (end
    /// included).
    ///
    /// A wrong hint costs comparisons, but does not change the result.
    pub(crate) fn lower_bound_in(
        &self,
        within: Range<usize>,
        key: &[u8],
        sequence: Sequence,
        work: &mut CpuWork,
    ) -> Option<usize> {
        let lo = within.start.min(self.count);
        let hi = within.end.clamp(lo, self.count);
        let found = self.halve(lo..hi, key, sequence, work)?;
        // Inside the hint, both neighbours of the result were compared. At an end of the hint, one
        // may not have been.
        if found == lo && lo > 0 && !self.is_before(lo - 1, key, sequence, work)? {
            return self.halve(0..lo - 1, key, sequence, work);
        }
        if found == hi && hi < self.count && self.is_before(hi, key, sequence, work)? {
            return self.halve(hi + 1..self.count, key, sequence, work);
        }
        Some(found)
    }

    /// Searches `among` by halving.
    fn halve(
        &self,
        among: Range<usize>,
        key: &[u8],
        sequence: Sequence,
        work: &mut CpuWork,
    ) -> Option<usize> {
        let mut lo = among.start;
        let mut hi = among.end;
        while lo < hi {
            let middle = lo + (hi - lo) / 2;
            if self.is_before(middle, key, sequence, work)? {
                lo = middle + 1;
            } else {
                hi = middle;
            }
        }
        Some(lo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(entries: &[Entry]) -> Bytes {
        let mut builder = BlockBuilder::default();
        for entry in entries {
            builder.add(entry);
        }
        let bytes = builder.bytes();
        let data = builder.finish(Bytes::copy_from_slice);
        assert_eq!(data.len(), bytes);
        assert!(builder.is_empty());
        data
    }

    fn entries() -> Vec<Entry> {
        let entry = |key: &'static str, sequence, kind, value: &'static str| Entry {
            key: Bytes::from_static(key.as_bytes()),
            sequence,
            kind,
            value: Bytes::from_static(value.as_bytes()),
        };
        vec![
            entry("a", 9, EntryKind::Put, "one"),
            entry("a", 4, EntryKind::Delete, ""),
            entry("b", 7, EntryKind::Put, ""),
            entry("bb", 1, EntryKind::Put, "two"),
        ]
    }

    #[test]
    fn a_block_reads_back_and_is_searched_in_internal_order() {
        let entries = entries();
        let block = Block::checked(block(&entries)).unwrap();
        let read: Option<Vec<Entry>> = (0..block.len()).map(|index| block.entry(index)).collect();
        assert_eq!(read.as_ref(), Some(&entries));
        assert_eq!(block.entry(4), None);
        let find = |key: &str, sequence| {
            block
                .lower_bound(key.as_bytes(), sequence, &mut CpuWork::default())
                .unwrap()
        };
        let cases = [
            ("a", 10, 0),
            ("a", 9, 0),
            ("a", 8, 1),
            ("a", 3, 2),
            ("b", u64::MAX, 2),
            ("ba", 0, 3),
            ("c", 0, 4),
        ];
        for (key, sequence, position) in cases {
            assert_eq!(find(key, sequence), position, "{key} {sequence}");
            for within in (0..6).flat_map(|start| (0..6).map(move |end| start..end)) {
                let hinted = block.lower_bound_in(
                    within.clone(),
                    key.as_bytes(),
                    sequence,
                    &mut CpuWork::default(),
                );
                assert_eq!(hinted, Some(position), "{key} {sequence} within {within:?}");
            }
        }
    }

    #[test]
    fn slices_share_the_block() {
        let data = block(&entries());
        let inside = data.as_ptr_range();
        let entry = Block::new(data.clone()).unwrap().entry(3).unwrap();
        assert!(inside.contains(&entry.key.as_ptr()) && inside.contains(&entry.value.as_ptr()));
    }

    #[test]
    fn malformed_bytes_do_not_panic() {
        let good = block(&entries());
        for at in 0..good.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bad = good.to_vec();
                bad[at] = byte;
                for data in [Bytes::from(bad.clone()), Bytes::from(bad).slice(..at)] {
                    Block::checked(data.clone());
                    let Some(block) = Block::new(data) else {
                        continue;
                    };
                    block.lower_bound(b"b", 3, &mut CpuWork::default());
                    for index in 0..block.len().min(8) {
                        block.entry(index);
                        block.key(index);
                    }
                }
            }
        }
        assert!(
            Block::new(Bytes::new()).is_none() && Block::new(Bytes::from_static(&[0; 4])).is_none()
        );
    }
}
