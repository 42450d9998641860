//! The values of one batch: each writer compresses and frames its own, outside any lock.

use std::collections::BTreeMap;

use super::format::{HEADER_BYTES, encode};
use crate::codec::compress;
use crate::config::Compression;
use crate::env::CpuWork;
use crate::storage::ValuePointer;

/// Values of one batch, framed and ready to append. Until then, the offsets in their pointers count
/// from the start of their queue's frames.
pub(crate) struct StagedValues {
    /// The frames of each queue, one after another.
    pub(super) frames: BTreeMap<usize, Vec<u8>>,
    /// The pointer of each value with its queue, in order.
    pub(super) pointers: Vec<(usize, ValuePointer)>,
    /// Bytes reserved for a queue's frames.
    room: usize,
}

impl StagedValues {
    /// Creates an empty set for values of about `bytes` bytes, keys included.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self {
            frames: BTreeMap::new(),
            pointers: Vec::new(),
            room: bytes + HEADER_BYTES,
        }
    }

    /// Compresses and frames one value for `queue`. Returns its preliminary pointer.
    pub(crate) fn push(
        &mut self,
        queue: usize,
        key: &[u8],
        value: &[u8],
        compression: Compression,
        work: &mut CpuWork,
    ) -> ValuePointer {
        let packed = compress(compression, value, work);
        let compression = match &packed {
            Some(_) => compression,
            None => Compression::None,
        };
        let stored = packed.as_deref().unwrap_or(value);
        let room = match &packed {
            Some(_) => 0,
            None => self.room,
        };
        let frames = self.frames.entry(queue);
        let frames = frames.or_insert_with(|| Vec::with_capacity(room));
        let offset = frames.len() as u64;
        let raw_bytes = value.len() as u32;
        let checksum = encode(frames, key, stored, raw_bytes, compression, work);
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

    /// Returns the bytes of all frames.
    pub(crate) fn bytes(&self) -> usize {
        self.frames.values().map(Vec::len).sum()
    }

    /// Iterates over the pointers, in the order of the values.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = &ValuePointer> {
        self.pointers.iter().map(|(_, pointer)| pointer)
    }
}
