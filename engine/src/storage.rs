//! What the database stores: keys, values, entries, ranges, and batches of writes.
//!
//! Keys and values are [`Bytes`]: a read returns a slice of the block or buffer that holds the
//! data, and copies nothing. An entry is one version of one key. Entries are ordered by key, then
//! from the newest version to the oldest, as in LevelDB and RocksDB, so that a look-up finds the
//! newest visible version first.

use std::cmp::Ordering;
use std::ops::Bound;

use bytes::Bytes;

use crate::codec::{get_varint, put_varint, varint_bytes};
use crate::config::Compression;
use crate::error::{Error, Result};

/// A user key: 1 B to 64 KiB, ordered bytewise.
///
/// # Example
/// ```
/// use aura_engine::{Key, KEY_BYTES_MAX};
///
/// let key = Key::from("apple");
/// assert!(key < Key::from("apples"));
/// assert_eq!(KEY_BYTES_MAX, 64 << 10);
/// ```
pub type Key = Bytes;

/// A value: 0 B to 256 MiB. It shares the memory of the block or buffer it was read from.
pub type Value = Bytes;

/// The version of an entry. Every write gets the next number, so a larger one is newer.
pub type Sequence = u64;

/// The size of the largest key, in bytes.
pub const KEY_BYTES_MAX: usize = 64 << 10;

/// The size of the largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 256 << 20;

/// The address of a value in the value log, with a checksum that detects a wrong address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValuePointer {
    /// The value file's number.
    pub file: u64,
    /// Offset of the value's frame in the file, in bytes.
    pub offset: u64,
    /// Bytes of the value as stored.
    pub stored_bytes: u32,
    /// Bytes of the value after decompression.
    pub raw_bytes: u32,
    /// The codec that compressed the value.
    pub compression: Compression,
    /// CRC32C of the key followed by the stored bytes. It does not match if the pointer leads to
    /// another frame.
    pub checksum: u32,
}

impl ValuePointer {
    /// Bytes of an encoded pointer.
    pub const ENCODED_BYTES: usize = 29;

    /// Encodes the pointer.
    ///
    /// The form is `file u64 | offset u64 | stored u32 | raw u32 | compression u8 | checksum u32`,
    /// little-endian.
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

    /// Decodes a pointer that [`encode`](Self::encode) wrote. Returns None if the bytes are not a
    /// pointer.
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

/// Most bytes of a batch, which is logged as the body of one record.
pub(crate) const BATCH_BYTES_MAX: usize = u32::MAX as usize;

/// Refuses a batch that is too long for one record of the WAL.
///
/// # Errors
/// [`Error::BatchSize`].
pub(crate) fn check_batch_bytes(bytes: u64) -> Result<()> {
    if bytes > BATCH_BYTES_MAX as u64 {
        return Err(Error::BatchSize { bytes });
    }
    Ok(())
}

/// Returns the length of the longest common prefix of two keys, in bytes.
pub(crate) fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// Returns the first 8 bytes of a key's suffix as a big-endian number, padded with zeros.
///
/// Heads are ordered like their suffixes, but different suffixes may have equal heads.
pub(crate) fn head(suffix: &[u8]) -> u64 {
    if let Some(head) = suffix.first_chunk::<8>() {
        return u64::from_be_bytes(*head);
    }
    let mut padded = [0; 8];
    padded[..suffix.len()].copy_from_slice(suffix);
    u64::from_be_bytes(padded)
}

/// The kind of write that made an entry. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryKind {
    /// A tombstone: the key has no value any more.
    Delete = 0,
    /// The entry holds the value itself.
    Put = 1,
    /// The value is in the value log, and the entry holds its [`ValuePointer`].
    Pointer = 2,
    /// The keys of a range have no value any more. It occurs only in batches and in the WAL:
    /// memtables and tables hold no such entry.
    DeleteRange = 3,
}

impl EntryKind {
    /// Returns the kind with this number on disk; None if the number is unknown.
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

/// One version of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The user key.
    pub(crate) key: Key,
    /// The version.
    pub(crate) sequence: Sequence,
    /// The kind of write.
    pub(crate) kind: EntryKind,
    /// The value of a put, the encoded pointer of a pointer; empty for a delete.
    pub(crate) value: Bytes,
}

/// One version of one key, in memory that others hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryRef<'a> {
    /// The user key.
    pub(crate) key: &'a [u8],
    /// The version.
    pub(crate) sequence: Sequence,
    /// The kind of write.
    pub(crate) kind: EntryKind,
    /// The value of a put, the encoded pointer of a pointer; empty for a delete.
    pub(crate) value: &'a [u8],
}

impl EntryRef<'_> {
    /// Compares two entries in internal order: by key, then from the newest version to the oldest.
    pub(crate) fn order(&self, other: &EntryRef<'_>) -> Ordering {
        self.key
            .cmp(other.key)
            .then(other.sequence.cmp(&self.sequence))
    }

    /// Returns the entry's pointer into the value log; None if the entry has none or it cannot be
    /// decoded.
    pub(crate) fn pointer(&self) -> Option<ValuePointer> {
        if self.kind != EntryKind::Pointer {
            return None;
        }
        ValuePointer::decode(self.value)
    }

    /// Returns a copy with another value of another kind.
    pub(crate) fn with_value(&self, kind: EntryKind, value: Bytes) -> Entry {
        Entry {
            key: Key::copy_from_slice(self.key),
            sequence: self.sequence,
            kind,
            value,
        }
    }
}

impl<'a> From<&'a Entry> for EntryRef<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            key: &entry.key,
            sequence: entry.sequence,
            kind: entry.kind,
            value: &entry.value,
        }
    }
}

impl Entry {
    /// Compares two entries in internal order: by key, then from the newest version to the oldest.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        EntryRef::from(self).order(&other.into())
    }

    /// Returns the bytes of key and value.
    pub(crate) fn content_bytes(&self) -> u64 {
        (self.key.len() + self.value.len()) as u64
    }

    /// Returns the entry without its key.
    pub(crate) fn into_content(self) -> Content {
        Content {
            sequence: self.sequence,
            kind: self.kind,
            value: self.value,
        }
    }

    /// Returns the entry's pointer into the value log; None if the entry has none or it cannot be
    /// decoded.
    pub(crate) fn pointer(&self) -> Option<ValuePointer> {
        EntryRef::from(self).pointer()
    }
}

/// What an entry says of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// The version.
    pub(crate) sequence: Sequence,
    /// The kind of write.
    pub(crate) kind: EntryKind,
    /// The value of a put, the encoded pointer of a pointer; empty for a delete.
    pub(crate) value: Bytes,
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key to the largest.
    #[default]
    Forward,
    /// From the largest key to the smallest.
    Reverse,
}

/// A range of user keys.
///
/// # Example
/// ```
/// use std::ops::Bound;
/// use aura_engine::{Key, Range};
///
/// let users = Range::prefix(b"user/");
/// assert!(users.after_start(b"user/7") && users.before_end(b"user/7"));
/// assert!(!users.before_end(b"users"));
///
/// // The fields are public, for bounds that no constructor offers.
/// let after = Range { start: Bound::Excluded(Key::from("b")), end: Bound::Unbounded };
/// assert!(!after.after_start(b"b") && after.after_start(b"ba"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The lower bound.
    pub start: Bound<Key>,
    /// The upper bound.
    pub end: Bound<Key>,
}

impl Range {
    /// The range of all keys.
    pub fn all() -> Self {
        Self {
            start: Bound::Unbounded,
            end: Bound::Unbounded,
        }
    }

    /// The range of the keys that are at least `start`.
    pub fn from(start: &[u8]) -> Self {
        Self {
            start: Bound::Included(Key::copy_from_slice(start)),
            end: Bound::Unbounded,
        }
    }

    /// The range of the keys that are at most `end`. A reverse scan of it starts at `end`.
    pub fn to_inclusive(end: &[u8]) -> Self {
        Self {
            start: Bound::Unbounded,
            end: Bound::Included(Key::copy_from_slice(end)),
        }
    }

    /// The range of the keys from `start` (included) to `end` (excluded).
    pub fn between(start: &[u8], end: &[u8]) -> Self {
        Self {
            start: Bound::Included(Key::copy_from_slice(start)),
            end: Bound::Excluded(Key::copy_from_slice(end)),
        }
    }

    /// The range of the keys that start with `prefix`.
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

    /// Returns the range as a start (included) and an end (excluded); None if no key lies in the
    /// range.
    ///
    /// An empty end means that the range has no end. It cannot mean anything else: a range that
    /// ends before the empty key contains no key.
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

    /// Returns whether `key` is inside the lower bound.
    pub fn after_start(&self, key: &[u8]) -> bool {
        match &self.start {
            Bound::Unbounded => true,
            Bound::Included(start) => key >= &start[..],
            Bound::Excluded(start) => key > &start[..],
        }
    }

    /// Returns whether `key` is inside the upper bound.
    pub fn before_end(&self, key: &[u8]) -> bool {
        match &self.end {
            Bound::Unbounded => true,
            Bound::Included(end) => key <= &end[..],
            Bound::Excluded(end) => key < &end[..],
        }
    }
}

/// Returns the smallest key that is larger than `key`: the key and a zero byte.
pub(crate) fn successor(key: &[u8]) -> Key {
    [key, &[0]].concat().into()
}

/// A list of writes that become visible and durable together.
///
/// # Example
/// ```
/// use aura_engine::env::memory::MemoryWorld;
/// use aura_engine::{Batch, Engine, EngineBuilder};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let world = MemoryWorld::new(2)?;
/// world.block_on(async {
///     let engine = EngineBuilder::new(world.env(), "db").open().await?;
///     engine.put(b"banana", b"yellow").await?;
///
///     let mut batch = Batch::new();
///     batch.put(b"apple", b"red")?;
///     batch.delete(b"banana")?;
///     assert_eq!(batch.len(), 2);
///     engine.write(batch).await?;
///
///     assert_eq!(engine.get(b"apple").await?.as_deref(), Some(&b"red"[..]));
///     assert_eq!(engine.get(b"banana").await?, None);
///     engine.close().await
/// })?;
/// # Ok(())
/// # }
/// ```
// The body has the form that the WAL stores, so that a commit copies each byte once. Each write is
// `kind u8 | key length varint | key | value length varint | value`; a delete has no value part.
// A range delete stores the start of its range (included, may be empty) as the key and the end
// (excluded, empty for a range without an end) as the value. Either may be one byte longer than a
// key may be, because the smallest key above a key is that key and a zero byte.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    body: Vec<u8>,
    count: u32,
}

impl Batch {
    /// Creates an empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an empty batch with room for `bytes` encoded bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            body: Vec::with_capacity(bytes),
            count: 0,
        }
    }

    /// Returns the encoded bytes of a write that sets a key to a value of these lengths.
    pub(crate) fn put_bytes(key_bytes: usize, value_bytes: usize) -> usize {
        let lengths = varint_bytes(key_bytes as u64) + varint_bytes(value_bytes as u64);
        1 + lengths + key_bytes + value_bytes
    }

    /// Adds a write that sets `key` to `value`.
    ///
    /// # Errors
    /// [`Error::KeySize`], [`Error::ValueSize`] or [`Error::BatchSize`]; the batch is unchanged.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        check_value(value)?;
        self.check_room(key.len(), value.len())?;
        self.push(EntryKind::Put, key, Some(value));
        Ok(())
    }

    /// Adds a write that removes `key`.
    ///
    /// # Errors
    /// [`Error::KeySize`] or [`Error::BatchSize`]; the batch is unchanged.
    pub fn delete(&mut self, key: &[u8]) -> Result<()> {
        check_key(key)?;
        self.check_room(key.len(), 0)?;
        self.push(EntryKind::Delete, key, None);
        Ok(())
    }

    /// Adds a write that removes every key of `range`.
    ///
    /// It removes the keys that the database holds when the batch is committed, and those that
    /// earlier writes of this batch set. A range that contains no key is accepted and adds nothing.
    ///
    /// # Errors
    /// [`Error::KeySize`] if a bound is too long, or [`Error::BatchSize`]; the batch is unchanged.
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

    /// Adds an unchanged copy of a write from another batch.
    pub(crate) fn copy(&mut self, kind: EntryKind, key: &[u8], value: &[u8]) {
        self.push(kind, key, (kind != EntryKind::Delete).then_some(value));
    }

    /// Adds a write that sets `key` to a value in the value log. Returns the place of the pointer
    /// in the encoded form, for [`set_pointer`](Self::set_pointer).
    pub(crate) fn put_pointer(&mut self, key: &[u8], pointer: &ValuePointer) -> usize {
        self.push(EntryKind::Pointer, key, Some(&pointer.encode()));
        self.body.len() - ValuePointer::ENCODED_BYTES
    }

    /// Replaces the pointer at `place`.
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

    /// Refuses a write that would make the batch too long for one record of the WAL.
    fn check_room(&self, key_bytes: usize, value_bytes: usize) -> Result<()> {
        // A tag, and two lengths of at most five bytes each.
        let bytes = self.body.len() as u64 + (key_bytes + value_bytes + 11) as u64;
        check_batch_bytes(bytes)
    }

    /// Returns the number of writes.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Returns whether the batch has no writes.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the number of encoded bytes.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Returns the writes in the order in which they were added. An engine that is not AuraDB
    /// carries them out.
    ///
    /// ```
    /// use aura_engine::{Batch, Write};
    ///
    /// let mut batch = Batch::new();
    /// batch.put(b"apple", b"red")?;
    /// batch.delete(b"banana")?;
    /// let writes: Vec<Write> = batch.into_writes().collect();
    /// assert_eq!(writes[1], Write::Delete { key: "banana".into() });
    /// # Ok::<(), aura_engine::Error>(())
    /// ```
    pub fn into_writes(self) -> impl Iterator<Item = Write> {
        // Users' batches are well formed and hold no pointers.
        BatchReader::new(self.into_body())
            .flatten()
            .filter_map(|(kind, key, value)| match kind {
                EntryKind::Put => Some(Write::Put { key, value }),
                EntryKind::Delete => Some(Write::Delete { key }),
                EntryKind::DeleteRange => Some(Write::DeleteRange(Range {
                    start: Bound::Included(key),
                    end: match value.is_empty() {
                        true => Bound::Unbounded,
                        false => Bound::Excluded(value),
                    },
                })),
                EntryKind::Pointer => None,
            })
    }

    /// Returns the encoded form.
    pub(crate) fn into_body(self) -> Bytes {
        Bytes::from(self.body)
    }
}

/// One write of a [`Batch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Sets a key to a value.
    Put {
        /// The key.
        key: Key,
        /// The value.
        value: Value,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Key,
    },
    /// Removes every key of a range.
    DeleteRange(Range),
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

/// One write of an encoded batch, as slices of it.
///
/// A range delete has the range's start in place of the key, and the range's end in place of the
/// value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteSlices<'a> {
    /// The kind of write.
    pub(crate) kind: EntryKind,
    /// The key.
    pub(crate) key: &'a [u8],
    /// The value, or the encoded pointer; empty for a delete.
    pub(crate) value: &'a [u8],
}

/// Iterates over the writes of an encoded batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchSlices<'a> {
    /// The bytes that are left.
    rest: &'a [u8],
}

impl<'a> BatchSlices<'a> {
    /// Creates an iterator at the first write.
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// Reads a length and the bytes that follow it.
    fn take(&mut self) -> Option<&'a [u8]> {
        let (length, used) = get_varint(self.rest)?;
        let behind = &self.rest[used..];
        let (taken, rest) = behind.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    /// Reads the next write; None if the bytes are malformed.
    fn step(&mut self) -> Option<WriteSlices<'a>> {
        let (tag, rest) = self.rest.split_first()?;
        let kind = EntryKind::from_tag(*tag)?;
        self.rest = rest;
        let key = self.take()?;
        let value = match kind {
            EntryKind::Delete => &[],
            _ => self.take()?,
        };
        let is_valid = if kind == EntryKind::DeleteRange {
            let longest = key.len().max(value.len());
            longest <= KEY_BYTES_MAX + 1 && (value.is_empty() || key < value)
        } else {
            check_key(key).is_ok()
        };
        is_valid.then_some(WriteSlices { kind, key, value })
    }
}

impl<'a> Iterator for BatchSlices<'a> {
    /// A write, or `None` if the bytes are malformed; a malformed write is the last item.
    type Item = Option<WriteSlices<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.step();
        if item.is_none() {
            self.rest = &[];
        }
        Some(item)
    }
}

/// Iterates over the writes of an encoded batch, and shares its memory.
#[derive(Clone, Debug)]
pub(crate) struct BatchReader {
    body: Bytes,
    at: usize,
}

impl BatchReader {
    /// Creates an iterator at the first write.
    pub(crate) fn new(body: Bytes) -> Self {
        Self { body, at: 0 }
    }
}

impl Iterator for BatchReader {
    /// Kind, key and value of a write as in [`WriteSlices`], or `None` if the bytes are malformed;
    /// a malformed write is the last item.
    type Item = Option<(EntryKind, Key, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut slices = BatchSlices::new(&self.body[self.at..]);
        let write = slices.next()?;
        self.at = self.body.len() - slices.rest.len();
        Some(write.map(|write| {
            let key = self.body.slice_ref(write.key);
            (write.kind, key, self.body.slice_ref(write.value))
        }))
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
    fn a_truncated_batch_is_malformed() {
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
    fn ranges_become_half_open() {
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
    fn empty_range_deletes_add_nothing_and_long_bounds_are_refused() {
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
        // No batch encodes these: an end before the start, and a point delete of the empty key.
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
    fn prefix_ranges_contain_exactly_the_keys_with_the_prefix() {
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
