//! The values of one batch: each writer compresses and frames its own, outside any lock.

use smallvec::SmallVec;

use super::format::{HEADER_BYTES, encode};
use crate::codec::compress;
use crate::config::Compression;
use crate::env::CpuWork;
use crate::storage::ValuePointer;

/// Values of one batch, framed and ready to append. Until then, the offsets in their pointers count
/// from the start of their queue's frames.
pub(crate) struct StagedValues {
    /// The frames of the queues that have any.
    pub(super) frames: SmallVec<[Frames; 1]>,
    /// The pointer of each value with its queue, in order.
    pub(super) pointers: SmallVec<[(usize, ValuePointer); 1]>,
    /// Bytes reserved for a queue's frames.
    room: usize,
}

/// The frames of one queue.
pub(super) struct Frames {
    pub(super) queue: usize,
    /// One after another.
    pub(super) bytes: Vec<u8>,
}

impl StagedValues {
    /// Creates an empty set for values of about `bytes` bytes, keys included.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self {
            frames: SmallVec::new(),
            pointers: SmallVec::new(),
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
        let place = self.frames.iter().position(|it| it.queue == queue);
        let place = place.unwrap_or_else(|| {
            let bytes = Vec::with_capacity(room);
            self.frames.push(Frames { queue, bytes });
            self.frames.len() - 1
        });
        let frames = &mut self.frames[place].bytes;
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
        self.frames.iter().map(|frames| frames.bytes.len()).sum()
    }

    /// Returns whether it has frames for `queue`.
    pub(super) fn has(&self, queue: usize) -> bool {
        self.frames.iter().any(|frames| frames.queue == queue)
    }

    /// Takes the frames for `queue`, if there are any.
    pub(super) fn take(&mut self, queue: usize) -> Option<Vec<u8>> {
        let place = self.frames.iter().position(|it| it.queue == queue)?;
        Some(self.frames.swap_remove(place).bytes)
    }

    /// Makes the pointers of a queue final, whose frames begin at `start` of `file`.
    pub(super) fn settle(&mut self, queue: usize, file: u64, start: u64) {
        for (of, pointer) in &mut self.pointers {
            if *of == queue {
                pointer.file = file;
                pointer.offset += start;
            }
        }
    }

    /// Iterates over the pointers, in the order of the values.
    pub(crate) fn pointers(&self) -> impl Iterator<Item = &ValuePointer> {
        self.pointers.iter().map(|(_, pointer)| pointer)
    }
}
