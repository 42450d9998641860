//! One data block: entries, the offset of each, and their number (the format is in
//! [`super::format`]).
//!
//! Keys are stored in full, unlike LevelDB's. Sharing prefixes between neighbours would save bytes
//! that a compression codec saves as well, and every key read would have to be copied. Here keys
//! and values are slices of the block.
//!
//! A block of several entries also has the *head* of every key: the four bytes behind the prefix
//! that all its keys share. A search compares heads, which lie in one or two cache lines, and then
//! the few keys with the head it looks for. Source: the key heads of Graefe and Larson, "B-Tree
//! Indexes and CPU Caches", ICDE 2001.

use std::cmp::Ordering;
use std::ops::Range;

use bytes::Bytes;

use crate::codec::{get_varint, put_bytes};
use crate::env::CpuWork;
use crate::storage::{Entry, EntryKind, EntryRef, Sequence, common_prefix};

/// The fewest entries of a block that has heads.
const HEADS_MIN: usize = 4;

/// The longest prefix that heads leave out.
const PREFIX_MAX: usize = 255;

/// The most heads that are counted rather than halved.
const HEADS_COUNTED_MAX: usize = 256;

/// Set in the number of entries of a block that has heads.
const HAS_HEADS: u32 = 1 << 31;

/// Returns the first four bytes of a key's suffix as a big-endian number, padded with zeros. Heads
/// are ordered like their suffixes, but different suffixes may have equal heads.
fn head_of(suffix: &[u8]) -> u32 {
    if let Some(head) = suffix.first_chunk::<4>() {
        return u32::from_be_bytes(*head);
    }
    let mut padded = [0; 4];
    padded[..suffix.len()].copy_from_slice(suffix);
    u32::from_be_bytes(padded)
}

/// Builds the bytes of a block.
#[derive(Default)]
pub(crate) struct BlockBuilder {
    body: Vec<u8>,
    offsets: Vec<u32>,
    /// The longest prefix of all keys, as far as it is left out of heads.
    prefix: Vec<u8>,
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
        let heads = match self.offsets.len() {
            ..HEADS_MIN => 0,
            entries => 4 * entries + self.prefix.len() + 1,
        };
        self.body.len() + 4 * self.offsets.len() + heads + 4
    }

    /// Returns an upper bound of the bytes that `entry` would add.
    pub(crate) fn bytes_of(entry: EntryRef<'_>) -> usize {
        entry.key.len() + entry.value.len() + 3 + 8 + 5 + 4 + 4
    }

    /// Adds an entry. The caller adds entries in internal order.
    pub(crate) fn add<'a>(&mut self, entry: impl Into<EntryRef<'a>>) {
        let entry = entry.into();
        if self.offsets.is_empty() {
            let prefix = &entry.key[..entry.key.len().min(PREFIX_MAX)];
            self.prefix.extend_from_slice(prefix);
        } else {
            self.prefix.truncate(common_prefix(&self.prefix, entry.key));
        }
        self.offsets.push(self.body.len() as u32);
        put_bytes(&mut self.body, entry.key);
        let tag = entry.sequence << 8 | entry.kind as u64;
        self.body.extend_from_slice(&tag.to_le_bytes());
        put_bytes(&mut self.body, entry.value);
    }

    /// Completes the block, passes its bytes to `take`, and empties the builder. The builder keeps
    /// its memory.
    pub(crate) fn finish<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> T {
        let mut count = self.offsets.len() as u32;
        if self.offsets.len() >= HEADS_MIN {
            count |= HAS_HEADS;
            self.put_heads();
        }
        for offset in &self.offsets {
            self.body.extend_from_slice(&offset.to_le_bytes());
        }
        self.body.extend_from_slice(&count.to_le_bytes());
        let taken = take(&self.body);
        self.body.clear();
        self.offsets.clear();
        self.prefix.clear();
        taken
    }

    /// Appends the heads and what they leave out.
    fn put_heads(&mut self) {
        for offset in &self.offsets {
            let entry = &self.body[*offset as usize..];
            let (length, used) = get_varint(entry).expect("an entry begins with its key's length");
            let key = &entry[used..used + length as usize];
            let head = head_of(&key[self.prefix.len()..]);
            self.body.extend_from_slice(&head.to_le_bytes());
        }
        self.body.extend_from_slice(&self.prefix);
        self.body.push(self.prefix.len() as u8);
    }
}

/// A block in memory. Its methods return None for malformed bytes, and never panic.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    data: Bytes,
    /// The end of the entries.
    entries_end: usize,
    /// Where the offsets start.
    offsets_start: usize,
    /// Bytes of the prefix that the heads leave out. None if the block has no heads.
    prefix: Option<usize>,
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
        let count = u32::from_le_bytes(*count);
        let has_heads = count & HAS_HEADS != 0;
        let count = (count & !HAS_HEADS) as usize;
        let offsets_start = rest.len().checked_sub(count.checked_mul(4)?)?;
        let mut entries_end = offsets_start;
        let mut prefix = None;
        if has_heads {
            let length = usize::from(*rest[..offsets_start].last()?);
            entries_end = entries_end.checked_sub(1 + length + 4 * count)?;
            prefix = Some(length);
        }
        (count > 0).then_some(Self {
            data,
            entries_end,
            offsets_start,
            prefix,
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
        let at = self.offsets_start + 4 * index;
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

    /// Returns the key and the sequence number of the entry at a place of this block.
    pub(crate) fn version_at(&self, place: &EntryPlace) -> (&[u8], Sequence) {
        let Parts { key, tag, .. } = &place.parts;
        (&self.data[key.0..key.1], tag >> 8)
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

    /// Searches `among`: by heads, if there are any, and then by halving.
    fn halve(
        &self,
        among: Range<usize>,
        key: &[u8],
        sequence: Sequence,
        work: &mut CpuWork,
    ) -> Option<usize> {
        let Range {
            start: mut lo,
            end: mut hi,
        } = match self.prefix {
            Some(prefix) => self.narrow(among, prefix, key, work)?,
            None => among,
        };
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

    /// Narrows `among` to the entries with the head of `key`: those before it are before the key,
    /// those behind it are not.
    fn narrow(
        &self,
        among: Range<usize>,
        prefix: usize,
        key: &[u8],
        work: &mut CpuWork,
    ) -> Option<Range<usize>> {
        work.comparisons += 1;
        let heads_end = self.entries_end + 4 * self.count;
        let prefix = self.data.get(heads_end..heads_end + prefix)?;
        let compared = prefix.len().min(key.len());
        match key[..compared].cmp(&prefix[..compared]) {
            Ordering::Less => return Some(among.start..among.start),
            Ordering::Greater => return Some(among.end..among.end),
            // A key that is a prefix of the others is before them.
            Ordering::Equal if key.len() < prefix.len() => return Some(among.start..among.start),
            Ordering::Equal => {}
        }
        let sought = head_of(&key[prefix.len()..]);
        let bytes = self.data.get(self.entries_end..heads_end)?;
        let (heads, _) = bytes.as_chunks::<4>();
        let heads = heads.get(among.clone())?;
        work.comparisons += u64::from(heads.len().max(1).ilog2());
        let (mut less, mut less_or_equal) = (0, 0);
        if heads.len() <= HEADS_COUNTED_MAX {
            // Counting has no branch that could be predicted wrongly.
            for head in heads {
                let head = u32::from_le_bytes(*head);
                less += usize::from(head < sought);
                less_or_equal += usize::from(head <= sought);
            }
        } else {
            less = heads.partition_point(|head| u32::from_le_bytes(*head) < sought);
            less_or_equal = heads.partition_point(|head| u32::from_le_bytes(*head) <= sought);
        }
        Some(among.start + less..among.start + less_or_equal)
    }

    /// Returns whether the heads are those of the keys. A block without heads has none that are
    /// wrong.
    pub(crate) fn has_right_heads(&self) -> bool {
        let Some(prefix) = self.prefix else {
            return true;
        };
        let heads_end = self.entries_end + 4 * self.count;
        let left_out = self.data.get(heads_end..heads_end + prefix);
        let heads = self.data.get(self.entries_end..heads_end);
        let (Some(left_out), Some(heads)) = (left_out, heads) else {
            return false;
        };
        let (heads, _) = heads.as_chunks::<4>();
        heads.iter().enumerate().all(|(index, head)| {
            let suffix = self.key(index).and_then(|key| key.strip_prefix(left_out));
            suffix.is_some_and(|suffix| head_of(suffix) == u32::from_le_bytes(*head))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Key;

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

    /// Entries whose keys share prefixes and heads, are prefixes of others, and have versions.
    fn many_entries() -> Vec<Entry> {
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for number in 0..40u32 {
            let mut key = b"key/".to_vec();
            key.extend((number / 4 * 7).to_string().bytes());
            key.extend(std::iter::repeat_n(
                number as u8 % 4 * 3,
                number as usize % 4,
            ));
            keys.push(key);
        }
        keys.sort();
        keys.dedup();
        let versions = |key: &Vec<u8>| {
            let key = Key::from(key.clone());
            [9, 4].map(|sequence| Entry {
                key: key.clone(),
                sequence,
                kind: EntryKind::Put,
                value: Bytes::from_static(b"value"),
            })
        };
        keys.iter().flat_map(versions).collect()
    }

    #[test]
    fn a_search_by_heads_finds_what_a_search_of_the_entries_finds() {
        let entries = many_entries();
        for count in [HEADS_MIN, 7, entries.len()] {
            let entries = &entries[..count];
            let block = Block::checked(block(entries)).unwrap();
            assert!(block.prefix.is_some_and(|prefix| prefix >= 4) && block.has_right_heads());
            let mut sought: Vec<Vec<u8>> = vec![b"".into(), b"k".into(), b"l".into()];
            for entry in &many_entries() {
                sought.push(entry.key.to_vec());
                sought.push([&entry.key[..], &[0]].concat());
                sought.push(entry.key[..entry.key.len() - 1].to_vec());
            }
            for (key, sequence) in sought
                .iter()
                .flat_map(|key| [3, 4, 8, 9, 10].map(|s| (key, s)))
            {
                let probe = Entry {
                    key: Key::from(key.clone()),
                    sequence,
                    ..entries[0].clone()
                };
                let expected = entries.partition_point(|entry| entry.order(&probe).is_lt());
                let work = &mut CpuWork::default();
                assert_eq!(block.lower_bound(key, sequence, work), Some(expected));
                for within in [0..2, 3..5, 1..count, count..count] {
                    let found = block.lower_bound_in(within, key, sequence, work);
                    assert_eq!(found, Some(expected), "{}", key.escape_ascii());
                }
            }
        }
    }

    /// Written by hand from the drawing in `format`.
    #[test]
    fn the_bytes_of_heads_are_those_of_version_3() {
        let entry = |key: &'static str| Entry {
            key: Bytes::from_static(key.as_bytes()),
            sequence: 1,
            kind: EntryKind::Delete,
            value: Bytes::new(),
        };
        let data = block(&["ab", "abc", "abcdefg", "ac"].map(entry));
        let heads: [&[u8]; 4] = [b"\0\0\0b", b"\0\0cb", b"edcb", b"\0\0\0c"];
        let offsets = [0u32, 12, 25, 42].map(u32::to_le_bytes).concat();
        let expected = [&heads.concat()[..], b"a\x01", &offsets, &[4, 0, 0, 0x80]].concat();
        assert_eq!(data[54..], expected);
    }

    #[test]
    fn wrong_heads_are_found() {
        let good = block(&many_entries());
        let heads = Block::new(good.clone()).unwrap().entries_end;
        let mut bad = good.to_vec();
        bad[heads + 3] ^= 1;
        assert!(!Block::new(bad.into()).unwrap().has_right_heads());
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
        for good in [block(&entries()), block(&many_entries()[..6])] {
            malform(&good);
        }
        assert!(
            Block::new(Bytes::new()).is_none() && Block::new(Bytes::from_static(&[0; 4])).is_none()
        );
    }

    /// Opens and searches what is left of a block after each of many changes.
    fn malform(good: &Bytes) {
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
                    block.has_right_heads();
                    for index in 0..block.len().min(8) {
                        block.entry(index);
                        block.key(index);
                    }
                }
            }
        }
    }
}
