//! Values of one batch: compressed and framed by each writer for itself, outside any lock.

use std::collections::BTreeMap;

use super::format::{HEADER_BYTES, encode};
use crate::codec::compress;
use crate::config::Compression;
use crate::env::CpuWork;
use crate::storage::ValuePointer;

/// Values of one batch, framed and ready to append. Until then their pointers count from the start of their queue's frames.
pub(crate) struct StagedValues {
    /// The frames of each queue, one after the other.
    pub(super) frames: BTreeMap<usize, Vec<u8>>,
    /// A pointer a value, in order, with its queue.
    pub(super) pointers: Vec<(usize, ValuePointer)>,
    /// Bytes that a queue is given room for.
    room: usize,
}

impl StagedValues {
    /// No values yet, of about so many bytes with their keys.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self {
            frames: BTreeMap::new(),
            pointers: Vec::new(),
            room: bytes + HEADER_BYTES,
        }
    }

    /// Compresses and frames one value for `queue`; its pointer, as it is until then.
    pub(crate) fn push(
        &mut self,
        queue: usize,
        key: &[u8],
        value: &[u8],
        compression: Compression,
        work: &mut CpuWork,
    ) -> ValuePointer {
        let packed = compress(compression, value, work);
        let compression = if packed.is_some() {
            compression
        } else {
            Compression::None
        };
        let stored = packed.as_deref().unwrap_or(value);
        let room = if packed.is_some() { 0 } else { self.room };
        let frames = self
            .frames
            .entry(queue)
            .or_insert_with(|| Vec::with_capacity(room));
        let offset = frames.len() as u64;
        let raw_bytes = value.len() as u32;
        let checksum = encode(frames, key, stored, raw_bytes, compression);
        work.bytes_checksummed += stored.len() as u64;
        work.bytes_copied += stored.len() as u64;
        let stored_bytes = stored.len() as u32;
        let pointer = ValuePointer {
            file: 0,
            offset,
            stored_bytes,
            raw_bytes,
            compression,
            checksum,
        };
        self.pointers.push((queue, pointer));
        pointer
    }

    /// Bytes of all frames.
    pub(crate) fn bytes(&self) -> usize {
        self.frames.values().map(Vec::len).sum()
    }

    /// The pointers, in the order of the values.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = &ValuePointer> {
        self.pointers.iter().map(|(_, pointer)| pointer)
    }
}
