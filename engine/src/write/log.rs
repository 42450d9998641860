//! The logs that a commit group appends to: the WAL of the active memtable, and the value files
//! being filled.

use crate::storage::Sequence;
use crate::values::ValueQueues;
use crate::wal::WalWriter;

/// The logs. Only who holds the lock of the pipeline on them writes to them.
pub(crate) struct Log {
    /// The log of the active memtable.
    pub(super) wal: WalWriter,
    /// The value files being filled.
    pub(super) values: ValueQueues,
    /// The largest sequence number given out.
    pub(super) sequence: Sequence,
    /// When the logs were last synced, in nanoseconds of the clock.
    pub(super) synced_at: u64,
}

impl Log {
    /// Logs of `queues` value files beside `wal`, after the write `sequence`.
    pub(crate) fn new(wal: WalWriter, queues: u32, sequence: Sequence, now: u64) -> Self {
        Self {
            wal,
            values: ValueQueues::new(queues as usize),
            sequence,
            synced_at: now,
        }
    }

    /// The largest sequence number given out.
    pub(crate) fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Bytes of the log of the active memtable.
    pub(crate) fn wal_bytes(&self) -> u64 {
        self.wal.bytes()
    }

    /// A number for the next write after `writes` more.
    pub(super) fn take_sequence(&mut self, writes: u32) -> Sequence {
        let first = self.sequence + 1;
        self.sequence += u64::from(writes);
        first
    }
}
