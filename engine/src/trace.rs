//! Live bytes of the value log: the frames that entries point at, traced rather than booked.

use std::collections::BTreeMap;

use crate::storage::Entry;
use crate::vlog::format::{MAGIC, frame_bytes};

/// Where the first frame of a value file starts.
pub(crate) const FRAMES_START: u64 = MAGIC.len() as u64;

/// A stretch of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Extent {
    /// Where it starts.
    pub(crate) offset: u64,
    /// Its bytes.
    pub(crate) bytes: u64,
}

impl Extent {
    /// Where it ends.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

/// The frames that entries point at, by value file.
#[derive(Default)]
pub(crate) struct Trace {
    files: BTreeMap<u64, Vec<Extent>>,
}

impl Trace {
    /// Notes what `entry` points at, if it does.
    pub(crate) fn add(&mut self, entry: &Entry) {
        if let Some(pointer) = entry.pointer() {
            let bytes = frame_bytes(entry.key.len(), pointer.stored_bytes) as u64;
            self.files.entry(pointer.file).or_default().push(Extent { offset: pointer.offset, bytes });
        }
    }

    /// Sorts the frames. One that several entries point at, because a log was replayed twice, counts once.
    pub(crate) fn settle(&mut self) {
        for frames in self.files.values_mut() {
            frames.sort_unstable();
            frames.dedup();
        }
    }

    /// The frames in `file`, in order once the trace is settled.
    pub(crate) fn frames(&self, file: u64) -> &[Extent] {
        self.files.get(&file).map_or(&[], Vec::as_slice)
    }

    /// Bytes of those frames.
    pub(crate) fn bytes(&self, file: u64) -> u64 {
        self.frames(file).iter().map(|frame| frame.bytes).sum()
    }

    /// What lies between the frames of `file`, which ends at `end`: nothing points there.
    pub(crate) fn dead(&self, file: u64, end: u64) -> Vec<Extent> {
        let mut dead = Vec::new();
        let mut at = FRAMES_START;
        for frame in self.frames(file) {
            if frame.offset > at {
                dead.push(Extent { offset: at, bytes: frame.offset - at });
            }
            at = at.max(frame.end());
        }
        if end > at {
            dead.push(Extent { offset: at, bytes: end - at });
        }
        dead
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::config::Compression;
    use crate::storage::{Kind, ValuePointer};

    #[test]
    fn gaps_between_the_frames_are_dead() {
        let mut trace = Trace::default();
        for offset in [108, 8, 108] {
            let (compression, checksum) = (Compression::None, 0);
            let pointer = ValuePointer { file: 3, offset, stored_bytes: 20, raw_bytes: 20, compression, checksum };
            let value = Bytes::copy_from_slice(&pointer.encode());
            trace.add(&Entry { key: Bytes::from_static(b"key"), sequence: 1, kind: Kind::Pointer, value });
        }
        trace.settle();
        assert_eq!(trace.frames(3), [Extent { offset: 8, bytes: 40 }, Extent { offset: 108, bytes: 40 }]);
        assert_eq!(trace.bytes(3), 80);
        assert_eq!(trace.dead(3, 150), [Extent { offset: 48, bytes: 60 }, Extent { offset: 148, bytes: 2 }]);
        assert_eq!(trace.dead(3, 148), [Extent { offset: 48, bytes: 60 }]);
        assert_eq!(trace.dead(4, 8), []);
        assert_eq!(trace.dead(4, 20), [Extent { offset: 8, bytes: 12 }]);
    }
}
