//! What the cache holds, and by which name.

use std::ops::Range;
use std::sync::Arc;

use aura_policies::cache::{Access, BlockKind};
use aura_policies::facts::TableId;
use aura_policies::filter::Filter;
use bytes::Bytes;

use crate::codec::Fields;
use crate::index::TableIndex;

/// What an object costs beside its bytes: its slot (72 B), its place in the map (about 9 B at the usual load) and in
/// the free list (4 B), the shared header of its memory (24 B), and what an allocator adds.
const ENTRY_OVERHEAD_BYTES: u64 = 128;

/// The address of an object in a file. Tables and value files draw on one series of numbers, so that it is unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockId {
    /// The file's number.
    pub file: u64,
    /// Where in the file it starts.
    pub offset: u64,
}

impl BlockId {
    /// A fixed mixture of both halves; files are small numbers and offsets have many trailing zeros.
    fn hash(self) -> u64 {
        let mut mixed = self.file.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.offset;
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }
}

/// Whether objects of that kind are rows: named by a user key, not by a place in a file.
fn is_row(kind: BlockKind) -> bool {
    matches!(kind, BlockKind::KeyValue | BlockKind::KeyPointer)
}

/// An object's name and kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheKey<'a> {
    /// Where it lies; of a row, the hash of its key.
    id: BlockId,
    /// What it is.
    pub kind: BlockKind,
    /// The user key of a row, empty otherwise.
    key: &'a [u8],
}

impl CacheKey<'static> {
    /// A part of a file.
    pub(crate) fn part(kind: BlockKind, id: BlockId) -> Self {
        Self { id, kind, key: &[] }
    }
}

impl<'a> CacheKey<'a> {
    /// A row of `key`, whose hash is `hash`.
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

    /// The file and the place in it; None for a row.
    pub(crate) fn place(&self) -> Option<BlockId> {
        (!is_row(self.kind)).then_some(self.id)
    }

    /// What chooses the shard and the place in its map. The two rows of a key share a shard.
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
    /// Bytes of memory, without bookkeeping.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(data) => data.len() as u64,
            Self::Index(index) => index.report().memory_bytes,
            Self::Filter(filter) => filter.memory_bytes(),
        }
    }
}

/// An object in its slot.
pub(super) struct CacheEntry {
    id: BlockId,
    pub(super) object: Object,
    kind: BlockKind,
    /// See [`Access::cost`].
    cost: u32,
    /// Hits of the workload since it entered.
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

    /// Whether this is the object of that name.
    pub(super) fn is(&self, name: &CacheKey<'_>) -> bool {
        let same = self.id == name.id && self.kind == name.kind;
        same && self.row_key().is_none_or(|key| key == name.key)
    }

    /// The user key, if it is a row.
    pub(super) fn row_key(&self) -> Option<&[u8]> {
        match &self.object {
            Object::Bytes(row) if is_row(self.kind) => row_key(row),
            _ => None,
        }
    }

    pub(super) fn hash(&self) -> u64 {
        hash_of(self.id, self.kind)
    }

    /// What it is charged with.
    pub(super) fn charge(&self) -> u64 {
        self.object.bytes() + ENTRY_OVERHEAD_BYTES
    }

    /// What policies see of it when block `scanned` of a scan asks for it.
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

/// A row is `key length u32 | key | content`, in memory of its own: a slice of a block would hold the whole block.
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

/// The content of the row of a key of `key_bytes` bytes.
pub(crate) fn row_content(row: &Bytes, key_bytes: usize) -> Bytes {
    row.slice((4 + key_bytes).min(row.len())..)
}

/// Where the newest version of a key lies: the content of a key-pointer row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowPlace {
    /// The data block.
    pub block: BlockId,
    /// Its bytes in the file.
    pub bytes: u32,
    /// The level its table was in.
    pub level: u32,
}

impl RowPlace {
    /// The block at `span` of table `table` of `level`.
    pub(crate) fn new((table, level): (TableId, usize), span: &Range<u64>) -> Self {
        // A block's address has 32 bits for its length and a tree far fewer levels.
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
