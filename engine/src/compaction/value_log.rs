//! How much of the value log is garbage, file by file.

use std::collections::BTreeMap;

use aura_policies::gc::ValueFileFacts;

use crate::error::Result;
use crate::manifest::Version;
use crate::values::format::MAGIC;

/// The value log as it stands.
pub(crate) struct ValueLogState {
    /// The sealed files on disk.
    pub(crate) files: Vec<ValueFileFacts>,
    /// Bytes of frames of all files.
    pub(crate) bytes: u64,
    /// The part of them that nothing points at.
    pub(crate) garbage_bytes: u64,
}

impl ValueLogState {
    /// The value log as `version` has it. O(value files).
    pub(crate) fn of(version: &Version) -> Result<Self> {
        let mut disk: BTreeMap<u64, OnDisk> = BTreeMap::new();
        for state in version.value_files.values() {
            let file = disk.entry(state.file.number).or_default();
            file.live += state.live_bytes()?;
            file.newest = file.newest.max(state.number);
            file.collections = file.collections.max(state.collections());
            file.sealed = state.is_sealed();
            file.end = state.disk_frames_end()?;
        }
        let mut log = Self {
            files: Vec::new(),
            bytes: 0,
            garbage_bytes: 0,
        };
        let mut ages = Vec::new();
        for (number, on_disk) in &disk {
            let bytes = on_disk.end.saturating_sub(MAGIC.len() as u64);
            let garbage_bytes = bytes.saturating_sub(on_disk.live);
            log.bytes += bytes;
            log.garbage_bytes += garbage_bytes;
            ages.push((on_disk.newest, bytes));
            if on_disk.sealed {
                log.files.push(ValueFileFacts {
                    id: *number,
                    bytes,
                    garbage_bytes,
                    // Filled in when the ages of all files are known.
                    age_bytes: 0,
                    collections: on_disk.collections,
                });
            }
        }
        ages.sort_unstable();
        for file in &mut log.files {
            let own = disk[&file.id].newest;
            let younger = ages.partition_point(|(newest, _)| *newest <= own);
            file.age_bytes = ages[younger..].iter().map(|(_, bytes)| bytes).sum();
        }
        Ok(log)
    }

    /// Bytes of garbage beyond the part `part` of the log, which is left alone.
    pub(super) fn debt_bytes(&self, part: f64) -> u64 {
        self.garbage_bytes
            .saturating_sub((self.bytes as f64 * part) as u64)
    }

    /// The part that is garbage, from 0 to 1.
    pub(super) fn garbage_share(&self) -> f64 {
        if self.bytes == 0 {
            0.0
        } else {
            self.garbage_bytes as f64 / self.bytes as f64
        }
    }
}

/// A file on disk: the sum over the files whose frames it holds.
#[derive(Default)]
struct OnDisk {
    /// Bytes of live frames.
    live: u64,
    /// The largest number of those files.
    newest: u64,
    collections: u32,
    sealed: bool,
    /// Where the frames end.
    end: u64,
}
