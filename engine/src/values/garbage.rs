//! What became garbage: the frames that nothing points at any more.

use std::collections::BTreeMap;

use super::format::frame_bytes;
use crate::storage::EntryRef;

/// Parts of value files, by file: start and end of each frame.
pub(crate) type Garbage = BTreeMap<u64, Vec<(u64, u64)>>;

/// Adds the frame that `entry` points at, if it does.
pub(crate) fn discard<'a>(garbage: &mut Garbage, entry: impl Into<EntryRef<'a>>) {
    let entry = entry.into();
    if let Some(pointer) = entry.pointer() {
        let end = pointer.offset + frame_bytes(entry.key.len(), pointer.stored_bytes) as u64;
        garbage
            .entry(pointer.file)
            .or_default()
            .push((pointer.offset, end));
    }
}
