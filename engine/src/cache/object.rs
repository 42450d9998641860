//! The objects in the cache and the keys that identify them.
//!
//! A key identifies either a part of a file or a row. A row stores its user key in its own bytes,
//! so that a hash collision cannot return the row of another key.

use std::ops::Range;
use std::sync::Arc;

use aura_policies::cache::{Access, BlockKind};
use aura_policies::facts::TableId;
use aura_policies::filter::Filter;
use bytes::Bytes;

use crate::codec::Fields;
use crate::index::TableIndex;

/// Bytes charged for an object beside its own: the slot (72 B), its place in the map (about 9 B at
/// the usual load) and in the free list (4 B), the shared header of its memory (24 B), and the
/// allocator's overhead.
pub(super) const ENTRY_OVERHEAD_BYTES: u64 = 128;

/// The address of an object in a file.
///
/// It is unique, because tables and value files take their numbers from one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockId {
    /// The file's number.
    pub file: u64,
    /// The offset in the file, in bytes.
    pub offset: u64,
}

impl BlockId {
    /// Hashes both fields. File numbers are small and offsets have many trailing zeros, so all bits
    /// are mixed.
    fn hash(self) -> u64 {
        let mut mixed = self.file.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.offset;
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }
}

/// Returns whether objects of this kind are rows, which a user key identifies and not a place in a
/// file.
fn is_row(kind: BlockKind) -> bool {
    matches!(kind, BlockKind::KeyValue | BlockKind::KeyPointer)
}

/// The identity of an object in the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheKey<'a> {
    /// The object's address; for a row, the hash of its key in `file`.
    id: BlockId,
    /// The kind of object.
    pub kind: BlockKind,
    /// The user key of a row; empty for other objects.
    key: &'a [u8],
}

impl CacheKey<'static> {
    /// Creates the key of a part of a file.
    pub(crate) fn part(kind: BlockKind, id: BlockId) -> Self {
        Self { id, kind, key: &[] }
    }
}

impl<'a> CacheKey<'a> {
    /// Creates the key of a row of the user key `key`, whose hash is `hash`.
    pub(crate) fn row(kind: BlockKind, key: &'a [u8], hash: u64) -> Self {
        Self {
            id: BlockId {
                file: hash,
                offset: 0,
            },
            kind,
            key,
        }
    }

    /// Returns the object's address; None for a row.
    pub(crate) fn place(&self) -> Option<BlockId> {
        (!is_row(self.kind)).then_some(self.id)
    }

    /// Returns the hash that selects the shard and the place in its map. The two rows of a user key
    /// share a shard.
    pub(crate) fn hash(&self) -> u64 {
        hash_of(self.id, self.kind)
    }
}

fn hash_of(id: BlockId, kind: BlockKind) -> u64 {
    match kind {
        BlockKind::KeyValue => id.file,
        BlockKind::KeyPointer => id.file ^ 1,
        _ => id.hash(),
    }
}

/// An object, shared by the cache and its readers.
#[derive(Clone)]
pub(crate) enum Object {
    /// A data block, a value, or a row.
    Bytes(Bytes),
    /// A table's index.
    Index(Arc<TableIndex>),
    /// A table's filter.
    Filter(Arc<dyn Filter>),
}

impl Object {
    /// Returns the bytes of memory, without the cache's bookkeeping.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(data) => data.len() as u64,
            Self::Index(index) => index.report().memory_bytes,
            Self::Filter(filter) => filter.memory_bytes(),
        }
    }
}

/// An object in a slot of a shard.
pub(super) struct CacheEntry {
    id: BlockId,
    pub(super) object: Object,
    kind: BlockKind,
    /// Device reads that a hit saves (see [`Access::cost`]).
    cost: u32,
    /// Hits of the workload since the insertion.
    pub(super) hits: u32,
}

impl CacheEntry {
    pub(super) fn new(name: &CacheKey<'_>, object: Object, cost: u32) -> Self {
        Self {
            id: name.id,
            object,
            kind: name.kind,
            cost,
            hits: 0,
        }
    }

    /// Returns whether `name` is the key of this object.
    pub(super) fn is(&self, name: &CacheKey<'_>) -> bool {
        let same = self.id == name.id && self.kind == name.kind;
        same && self.row_key().is_none_or(|row_key| row_key == name.key)
    }

    /// Returns the user key of a row; None for other objects.
    pub(super) fn row_key(&self) -> Option<&[u8]> {
        match &self.object {
            Object::Bytes(row) if is_row(self.kind) => row_key(row),
            _ => None,
        }
    }

    pub(super) fn hash(&self) -> u64 {
        hash_of(self.id, self.kind)
    }

    /// Returns the bytes that the object is charged to the budget.
    pub(super) fn charge(&self) -> u64 {
        self.object.bytes() + ENTRY_OVERHEAD_BYTES
    }

    /// Returns what policies see of the object when it is object `scanned` of a scan, or 0 for a
    /// point read.
    pub(super) fn access(&self, scanned: u32) -> Access {
        Access {
            key: self.hash(),
            bytes: self.charge(),
            kind: self.kind,
            cost: self.cost,
            scanned,
        }
    }
}

/// Encodes a row as `key length u32 | key | content`.
///
/// The row gets memory of its own: a slice of a block would keep the whole block in memory.
pub(crate) fn encode_row(key: &[u8], content: &[u8]) -> Bytes {
    let mut row = Vec::with_capacity(4 + key.len() + content.len());
    row.extend_from_slice(&(key.len() as u32).to_le_bytes());
    row.extend_from_slice(key);
    row.extend_from_slice(content);
    Bytes::from(row)
}

fn row_key(row: &Bytes) -> Option<&[u8]> {
    let (length, rest) = row.split_first_chunk::<4>()?;
    rest.get(..u32::from_le_bytes(*length) as usize)
}

/// Returns the content of a row whose key has `key_bytes` bytes.
pub(crate) fn row_content(row: &Bytes, key_bytes: usize) -> Bytes {
    row.slice((4 + key_bytes).min(row.len())..)
}

/// The block with the newest version of a key. It is the content of a key-pointer row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowPlace {
    /// The data block.
    pub block: BlockId,
    /// The block's bytes in the file.
    pub bytes: u32,
    /// The level of the table when the row was made.
    pub level: u32,
}

impl RowPlace {
    /// Creates the place of the block at `span` of a table, given with its level.
    pub(crate) fn new((table, level): (TableId, usize), span: &Range<u64>) -> Self {
        // The index stores 32 bits for a block's length, and a tree has far fewer levels.
        let bytes = u32::try_from(span.end - span.start).unwrap_or(u32::MAX);
        let level = u32::try_from(level).unwrap_or(u32::MAX);
        Self {
            block: BlockId {
                file: table,
                offset: span.start,
            },
            bytes,
            level,
        }
    }

    pub(crate) fn encode(&self) -> [u8; 24] {
        let mut out = [0; 24];
        out[..8].copy_from_slice(&self.block.file.to_le_bytes());
        out[8..16].copy_from_slice(&self.block.offset.to_le_bytes());
        out[16..20].copy_from_slice(&self.bytes.to_le_bytes());
        out[20..].copy_from_slice(&self.level.to_le_bytes());
        out
    }

    pub(crate) fn decode(content: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(content);
        let block = BlockId {
            file: fields.u64()?,
            offset: fields.u64()?,
        };
        Some(Self {
            block,
            bytes: fields.u32()?,
            level: fields.u32()?,
        })
    }
}
