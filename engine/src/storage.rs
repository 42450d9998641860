//! What is stored: keys, values, entries, and batches of writes.

use std::cmp::Ordering;
use std::ops::Bound;

use bytes::Bytes;

use crate::codec::{get_varint, put_varint};
use crate::config::Compression;
use crate::error::{Error, Result};

/// A user key: 1 B to 64 KiB, ordered bytewise.
pub type Key = Bytes;

/// A value: 0 B to 256 MiB. Shares the memory of the block or buffer it was read from.
pub type Value = Bytes;

/// The version of an entry: every write gets the next one.
pub type Sequence = u64;

/// The largest key in bytes.
pub const KEY_BYTES_MAX: usize = 64 << 10;

/// The largest value in bytes.
pub const VALUE_BYTES_MAX: usize = 256 << 20;

/// Where a value lies in the value log, and how to know that it is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValuePointer {
    /// The value file's number.
    pub file: u64,
    /// Where the frame starts.
    pub offset: u64,
    /// Bytes of the value as stored.
    pub stored_bytes: u32,
    /// Bytes of the value once decompressed.
    pub raw_bytes: u32,
    /// How it is compressed.
    pub compression: Compression,
    /// CRC32C of the key followed by the stored bytes: a pointer that lands on another record is found out.
    pub checksum: u32,
}

impl ValuePointer {
    /// Bytes of an encoded pointer.
    pub const ENCODED_BYTES: usize = 29;

    /// `file u64 | offset u64 | stored u32 | raw u32 | compression u8 | checksum u32`, little-endian.
    pub fn encode(&self) -> [u8; Self::ENCODED_BYTES] {
        let mut out = [0; Self::ENCODED_BYTES];
        out[0..8].copy_from_slice(&self.file.to_le_bytes());
        out[8..16].copy_from_slice(&self.offset.to_le_bytes());
        out[16..20].copy_from_slice(&self.stored_bytes.to_le_bytes());
        out[20..24].copy_from_slice(&self.raw_bytes.to_le_bytes());
        out[24] = self.compression.tag();
        out[25..29].copy_from_slice(&self.checksum.to_le_bytes());
        out
    }

    /// Reads back `encode`; None when the bytes are not a pointer.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::ENCODED_BYTES] = bytes.try_into().ok()?;
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let half = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        Some(Self {
            file: word(0),
            offset: word(8),
            stored_bytes: half(16),
            raw_bytes: half(20),
            compression: Compression::from_tag(bytes[24])?,
            checksum: half(25),
        })
    }
}

/// Largest number of bytes of a batch, which is logged as the body of one record.
pub(crate) const BATCH_BYTES_MAX: usize = u32::MAX as usize;

/// Refuses a batch that is longer than a record of the log can be.
pub(crate) fn check_batch_bytes(bytes: u64) -> Result<()> {
    if bytes > BATCH_BYTES_MAX as u64 {
        return Err(Error::BatchSize { bytes });
    }
    Ok(())
}

/// How many bytes two keys share at their start.
pub(crate) fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// The first 8 bytes of a key's suffix as a big-endian number, padded with zeros: it keeps the order, not the difference.
pub(crate) fn head(suffix: &[u8]) -> u64 {
    match suffix.first_chunk::<8>() {
        Some(head) => u64::from_be_bytes(*head),
        None => suffix
            .iter()
            .zip([56, 48, 40, 32, 24, 16, 8])
            .fold(0, |head, (byte, at)| head | u64::from(*byte) << at),
    }
}

/// What kind of write an entry is; the numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryKind {
    /// The key has no value any more.
    Delete = 0,
    /// The value follows.
    Put = 1,
    /// The value lies in the value log; a [`ValuePointer`] follows.
    Pointer = 2,
    /// The keys of a range have no value any more. In batches and logs only: no entry of a memtable or table is one.
    DeleteRange = 3,
}

impl EntryKind {
    /// Reads back the number on disk.
    pub fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            0 => Some(Self::Delete),
            1 => Some(Self::Put),
            2 => Some(Self::Pointer),
            3 => Some(Self::DeleteRange),
            _ => None,
        }
    }
}

/// One version of one key. `value` holds the value, the encoded pointer, or nothing, by `kind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The user key.
    pub(crate) key: Key,
    /// Its version.
    pub(crate) sequence: Sequence,
    /// What kind of write it was.
    pub(crate) kind: EntryKind,
    /// The value, the encoded pointer, or nothing.
    pub(crate) value: Bytes,
}

impl Entry {
    /// Internal order: by key, then the newest first.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.key
            .cmp(&other.key)
            .then(other.sequence.cmp(&self.sequence))
    }

    /// The value file and the stored frame bytes this entry points at, if it does.
    pub(crate) fn pointer(&self) -> Option<ValuePointer> {
        (self.kind == EntryKind::Pointer)
            .then(|| ValuePointer::decode(&self.value))
            .flatten()
    }
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key up.
    #[default]
    Forward,
    /// From the largest key down.
    Reverse,
}

/// A range of user keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The lower bound.
    pub start: Bound<Key>,
    /// The upper bound.
    pub end: Bound<Key>,
}

impl Range {
    /// Every key.
    pub fn all() -> Self {
        Self {
            start: Bound::Unbounded,
            end: Bound::Unbounded,
        }
    }

    /// The keys from `start` on.
    pub fn from(start: &[u8]) -> Self {
        Self {
            start: Bound::Included(Key::copy_from_slice(start)),
            end: Bound::Unbounded,
        }
    }

    /// The keys up to `end`, `end` included: where a reverse scan starts.
    pub fn to_inclusive(end: &[u8]) -> Self {
        Self {
            start: Bound::Unbounded,
            end: Bound::Included(Key::copy_from_slice(end)),
        }
    }

    /// The keys from `start` (included) to `end` (excluded).
    pub fn between(start: &[u8], end: &[u8]) -> Self {
        Self {
            start: Bound::Included(Key::copy_from_slice(start)),
            end: Bound::Excluded(Key::copy_from_slice(end)),
        }
    }

    /// The keys that start with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        let mut end = prefix.to_vec();
        while end.last() == Some(&0xff) {
            end.pop();
        }
        let end = match end.last_mut() {
            Some(last) => {
                *last += 1;
                Bound::Excluded(Key::from(end))
            }
            None => Bound::Unbounded,
        };
        Self {
            start: Bound::Included(Key::copy_from_slice(prefix)),
            end,
        }
    }

    /// The first key of the range and the first after it, which is empty where the range has no end: no range that holds
    /// a key ends before the empty key. None where no key lies in the range.
    pub(crate) fn half_open(&self) -> Option<(Key, Key)> {
        let start = match &self.start {
            Bound::Unbounded => Key::new(),
            Bound::Included(start) => start.clone(),
            Bound::Excluded(start) => successor(start),
        };
        let end = match &self.end {
            Bound::Unbounded => return Some((start, Key::new())),
            Bound::Included(end) => successor(end),
            Bound::Excluded(end) => end.clone(),
        };
        (start < end).then_some((start, end))
    }

    /// Whether `key` is not below the lower bound.
    pub fn after_start(&self, key: &[u8]) -> bool {
        match &self.start {
            Bound::Unbounded => true,
            Bound::Included(start) => key >= &start[..],
            Bound::Excluded(start) => key > &start[..],
        }
    }

    /// Whether `key` is not above the upper bound.
    pub fn before_end(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Unbounded => true,
            Bound::Included(end) => key <= &end[..],
            Bound::Excluded(end) => key < &end[..],
        }
    }
}

/// The smallest key above `key`.
pub(crate) fn successor(key: &[u8]) -> Key {
    [key, &[0]].concat().into()
}

/// Writes that become visible and durable together.
///
/// The batch is kept in the form the WAL stores: for each write `kind u8 | key length varint | key | value length varint
/// | value` (no value part for a delete), so that committing copies each byte once. A range delete has the first key of
/// its range, which may be empty, in place of the key, and in place of the value the first key after it, which is empty
/// where the range has no end. Either may be one byte longer than a key: the smallest key above it is the key and a zero
/// byte.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    body: Vec<u8>,
    count: u32,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            body: Vec::with_capacity(bytes),
            count: 0,
        }
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    /// [`Error::KeySize`] or [`Error::ValueSize`]; the batch is unchanged.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        check_value(value)?;
        self.check_room(key.len(), value.len())?;
        self.push(EntryKind::Put, key, Some(value));
        Ok(())
    }

    /// Removes `key`.
    ///
    /// # Errors
    /// [`Error::KeySize`] or [`Error::BatchSize`]; the batch is unchanged.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        check_key(key)?;
        self.check_room(key.len(), 0)?;
        self.push(EntryKind::Delete, key, None);
        Ok(())
    }

    /// Removes every key of `range` that is there when the batch is committed, and those that writes before this one have
    /// put into the batch. A range without keys is no error, and adds nothing.
    ///
    /// # Errors
    /// [`Error::KeySize`] for a bound that is too long, or [`Error::BatchSize`]; the batch is unchanged.
    pub fn delete_range(&mut self, range: &Range) -> Result<()> {
        for bound in [&range.start, &range.end] {
            if let Bound::Included(key) | Bound::Excluded(key) = bound
                && key.len() > KEY_BYTES_MAX
            {
                return Err(Error::KeySize { bytes: key.len() });
            }
        }
        if let Some((start, end)) = range.half_open() {
            self.check_room(start.len(), end.len())?;
            self.push(EntryKind::DeleteRange, &start, Some(&end));
        }
        Ok(())
    }

    /// Adds a write of another batch as it is.
    pub(crate) fn copy(&mut self, kind: EntryKind, key: &[u8], value: &[u8]) {
        self.push(kind, key, (kind != EntryKind::Delete).then_some(value));
    }

    /// Sets `key` to a value in the value log; where the pointer lies in the encoded form.
    pub(crate) fn put_pointer(&mut self, key: &[u8], pointer: &ValuePointer) -> usize {
        self.push(EntryKind::Pointer, key, Some(&pointer.encode()));
        self.body.len() - ValuePointer::ENCODED_BYTES
    }

    /// Replaces the pointer that lies there.
    pub(crate) fn set_pointer(&mut self, place: usize, pointer: &ValuePointer) {
        self.body[place..place + ValuePointer::ENCODED_BYTES].copy_from_slice(&pointer.encode());
    }

    fn push(&mut self, kind: EntryKind, key: &[u8], value: Option<&[u8]>) {
        self.body.push(kind as u8);
        put_varint(&mut self.body, key.len() as u64);
        self.body.extend_from_slice(key);
        if let Some(value) = value {
            put_varint(&mut self.body, value.len() as u64);
            self.body.extend_from_slice(value);
        }
        self.count += 1;
    }

    /// Refuses a write with which the batch would be longer than a record of the log can be.
    fn check_room(&self, key_bytes: usize, value_bytes: usize) -> Result<()> {
        // A tag, and two lengths of at most five bytes each.
        let bytes = self.body.len() as u64 + (key_bytes + value_bytes + 11) as u64;
        check_batch_bytes(bytes)
    }

    /// How many writes it holds.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of its encoded form.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The encoded form.
    pub(crate) fn into_body(self) -> Bytes {
        Bytes::from(self.body)
    }
}

/// Refuses a key that is empty or too long.
///
/// # Errors
/// [`Error::KeySize`].
pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::KeySize { bytes: key.len() });
    }
    Ok(())
}

/// Refuses a value that is too long.
///
/// # Errors
/// [`Error::ValueSize`].
pub(crate) fn check_value(value: &[u8]) -> Result<()> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Error::ValueSize { bytes: value.len() });
    }
    Ok(())
}

/// Walks the writes of an encoded batch, sharing its memory. Of a range delete it gives the range's start and end in place
/// of the key and the value.
#[derive(Clone, Debug)]
pub(crate) struct BatchReader {
    body: Bytes,
    at: usize,
}

impl BatchReader {
    /// Starts at the first write of an encoded batch.
    pub(crate) fn new(body: Bytes) -> Self {
        Self { body, at: 0 }
    }

    fn take(&mut self) -> Option<Bytes> {
        let (length, used) = get_varint(&self.body[self.at..])?;
        let start = self.at + used;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        if end > self.body.len() {
            return None;
        }
        self.at = end;
        Some(self.body.slice(start..end))
    }

    /// The next write; `Some(None)` where the bytes are not a batch.
    fn step(&mut self) -> Option<(EntryKind, Key, Bytes)> {
        let kind = EntryKind::from_tag(*self.body.get(self.at)?)?;
        self.at += 1;
        let key = self.take()?;
        let value = if kind == EntryKind::Delete {
            Bytes::new()
        } else {
            self.take()?
        };
        let sound = if kind == EntryKind::DeleteRange {
            let longest = key.len().max(value.len());
            longest <= KEY_BYTES_MAX + 1 && (value.is_empty() || key < value)
        } else {
            check_key(&key).is_ok()
        };
        sound.then_some((kind, key, value))
    }
}

impl Iterator for BatchReader {
    /// A write, or None inside where the bytes are malformed.
    type Item = Option<(EntryKind, Key, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.body.len() {
            return None;
        }
        let item = self.step();
        if item.is_none() {
            self.at = self.body.len();
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_reads_back() {
        let mut batch = Batch::new();
        batch.put(b"a", b"1").unwrap();
        batch.delete(b"b").unwrap();
        batch.put(b"c", &[7; 300]).unwrap();
        batch
            .delete_range(&Range {
                start: Bound::Excluded(Key::from("d")),
                end: Bound::Unbounded,
            })
            .unwrap();
        assert_eq!(batch.len(), 4);
        let writes: Option<Vec<_>> = BatchReader::new(batch.into_body()).collect();
        let writes = writes.unwrap();
        assert_eq!(
            writes[0],
            (
                EntryKind::Put,
                Key::from_static(b"a"),
                Bytes::from_static(b"1")
            )
        );
        assert_eq!(
            writes[1],
            (EntryKind::Delete, Key::from_static(b"b"), Bytes::new())
        );
        assert_eq!(writes[2].2.len(), 300);
        assert_eq!(
            writes[3],
            (
                EntryKind::DeleteRange,
                Key::from_static(b"d\0"),
                Bytes::new()
            )
        );
    }

    #[test]
    fn every_truncation_of_a_batch_is_noticed_or_a_shorter_batch() {
        let mut batch = Batch::new();
        batch.put(b"key", b"value").unwrap();
        let body = batch.into_body();
        for cut in 1..body.len() {
            let writes: Vec<_> = BatchReader::new(body.slice(..cut)).collect();
            assert_eq!(writes, [None], "cut at {cut}");
        }
    }

    #[test]
    fn sizes_are_refused_before_anything_is_written() {
        let mut batch = Batch::new();
        assert!(matches!(
            batch.put(b"", b"x"),
            Err(Error::KeySize { bytes: 0 })
        ));
        assert!(matches!(
            batch.delete(&[0; KEY_BYTES_MAX + 1]),
            Err(Error::KeySize { .. })
        ));
        assert!(batch.is_empty());
        batch.put(&[0; KEY_BYTES_MAX], b"").unwrap();
    }

    #[test]
    fn ranges_are_made_half_open() {
        let key = |text: &str| Key::copy_from_slice(text.as_bytes());
        let half_open = |start: Bound<&str>, end: Bound<&str>| {
            Range {
                start: start.map(key),
                end: end.map(key),
            }
            .half_open()
        };
        use Bound::{Excluded, Included, Unbounded};
        assert_eq!(
            half_open(Included("a"), Included("b")),
            Some((key("a"), key("b\0")))
        );
        assert_eq!(
            half_open(Excluded("a"), Excluded("b")),
            Some((key("a\0"), key("b")))
        );
        assert_eq!(half_open(Unbounded, Unbounded), Some((key(""), key(""))));
        assert_eq!(
            half_open(Included("b"), Included("b")),
            Some((key("b"), key("b\0")))
        );
        for end in [Included("a"), Excluded("b"), Excluded("a"), Excluded("")] {
            assert_eq!(half_open(Included("b"), end), None, "{end:?}");
        }
        assert_eq!(half_open(Excluded("b"), Included("b")), None);
        assert_eq!(half_open(Unbounded, Excluded("")), None);
    }

    #[test]
    fn range_deletes_of_no_key_add_nothing_and_long_bounds_are_refused() {
        let mut batch = Batch::new();
        batch.delete_range(&Range::between(b"b", b"b")).unwrap();
        batch.delete_range(&Range::between(b"c", b"b")).unwrap();
        let long = [1; KEY_BYTES_MAX + 1];
        assert!(matches!(
            batch.delete_range(&Range::from(&long)),
            Err(Error::KeySize { .. })
        ));
        assert!(matches!(
            batch.delete_range(&Range::to_inclusive(&long)),
            Err(Error::KeySize { .. })
        ));
        assert!(batch.is_empty());
        batch
            .delete_range(&Range::to_inclusive(&long[1..]))
            .unwrap();
        let writes: Vec<_> = BatchReader::new(batch.into_body()).collect();
        assert_eq!(writes[0].as_ref().unwrap().2.len(), KEY_BYTES_MAX + 1);
        // Made by nobody: the end before the start, and a point delete of the empty key.
        assert_eq!(
            BatchReader::new(Bytes::from_static(b"\x03\x01b\x01a")).next(),
            Some(None)
        );
        assert_eq!(
            BatchReader::new(Bytes::from_static(b"\x00\x00")).next(),
            Some(None)
        );
    }

    #[test]
    fn pointers_read_back_and_garbage_does_not() {
        let pointer = ValuePointer {
            file: 3,
            offset: 1 << 40,
            stored_bytes: 17,
            raw_bytes: 99,
            compression: Compression::Zstd,
            checksum: 0xdead_beef,
        };
        assert_eq!(ValuePointer::decode(&pointer.encode()), Some(pointer));
        assert_eq!(
            ValuePointer::decode(&[0xff; ValuePointer::ENCODED_BYTES]),
            None
        );
        assert_eq!(ValuePointer::decode(&[0; 5]), None);
    }

    #[test]
    fn prefix_ranges_end_where_the_prefix_does() {
        let range = Range::prefix(b"a\xff");
        assert!(range.after_start(b"a\xff") && range.before_end(b"a\xff\xff"));
        assert!(!range.before_end(b"b"));
        assert!(Range::prefix(b"\xff").before_end(b"\xff\xff"));
    }

    #[test]
    fn a_batch_too_long_for_a_record_is_refused() {
        let most = BATCH_BYTES_MAX as u64;
        assert!(check_batch_bytes(most).is_ok());
        let refused = check_batch_bytes(most + 1);
        assert!(matches!(refused, Err(Error::BatchSize { bytes }) if bytes == most + 1));
    }
}
