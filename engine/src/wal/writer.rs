//! Appends records to a log and syncs it.

use std::io;
use std::path::Path;

use super::format::{Header, Record};
use crate::directory::{FileKind, Files, NamedFile};
use crate::env::{CpuWork, Env, MaybeReady};
use crate::error::Result;
use crate::storage::Sequence;
use crate::values::DurableValues;

/// Bytes that are reserved at a time in a log that is synced often.
const RESERVED_BYTES: u64 = 256 << 10;

/// A log is synced often if a sync is of fewer bytes than these.
const OFTEN_BYTES_MAX: u64 = 16 << 10;

/// A log file being written.
pub(crate) struct WalWriter {
    number: u64,
    /// Whether another log takes the records: this one has no file, and stays empty.
    is_elsewhere: bool,
    file: NamedFile,
    buffer: Vec<u8>,
    /// Bytes of the append that has begun and not ended.
    appending: u64,
    bytes: u64,
    synced: u64,
    /// Up to where the file has room reserved.
    reserved: u64,
}

impl WalWriter {
    /// Creates log `number`, whose first record will have the sequence number `first_sequence`. It
    /// follows `previous`. Its name is durable only after the directory is synced.
    pub(crate) async fn create(
        env: &Env,
        directory: &Path,
        number: u64,
        first_sequence: Sequence,
        previous: Option<&Self>,
    ) -> Result<Self> {
        let path = FileKind::Wal.path(directory, number);
        let file = Files::of(env).create(&path)?;
        let header = Header {
            log: number,
            previous: previous.map_or(0, |log| log.number),
            previous_bytes: previous.map_or(0, |log| log.bytes),
            previous_synced: previous.map_or(0, |log| log.synced),
            first_sequence: Some(first_sequence),
        };
        let buffer = header.encode();
        file.append(&buffer).await?;
        Ok(Self {
            number,
            is_elsewhere: false,
            file,
            bytes: buffer.len() as u64,
            buffer: Vec::new(),
            appending: 0,
            synced: 0,
            reserved: 0,
        })
    }

    /// The log of an engine that only reads: no file is opened, and every append fails.
    pub(crate) fn read_only(directory: &Path, number: u64) -> Self {
        Self {
            number,
            is_elsewhere: false,
            file: NamedFile::unopened(&FileKind::Wal.path(directory, number)),
            bytes: 0,
            appending: 0,
            buffer: Vec::new(),
            synced: 0,
            reserved: 0,
        }
    }

    /// The log of a memtable whose records another log holds: nothing is ever written, and nothing
    /// is left to be synced.
    pub(crate) fn elsewhere(directory: &Path, number: u64) -> Self {
        Self {
            is_elsewhere: true,
            ..Self::read_only(directory, number)
        }
    }

    /// Adds a record to the next append, and notes in it what is durable.
    pub(crate) fn stage(&mut self, record: &mut Record) {
        if self.is_elsewhere {
            return;
        }
        record.synced = self.synced;
        record.encode(self.number, &mut self.buffer);
    }

    /// Hands the staged records to the operating system in one append. `work` also counts what
    /// staging them took. What it returns belongs to [`end_append`](Self::end_append).
    pub(crate) fn begin_append(&mut self, work: &mut CpuWork) -> MaybeReady<io::Result<()>> {
        if self.is_elsewhere {
            return MaybeReady::ready(Ok(()));
        }
        let bytes = self.buffer.len() as u64;
        work.bytes_checksummed += bytes;
        work.bytes_copied += bytes;
        work.system_calls += 1;
        // The data is copied before the call returns.
        let append = self.file.file().append(&self.buffer);
        self.appending = bytes;
        self.buffer.clear();
        append
    }

    /// Ends the append that was begun last. Returns its bytes.
    pub(crate) fn end_append(&mut self, appended: io::Result<()>) -> Result<u64> {
        let bytes = std::mem::take(&mut self.appending);
        self.file.named("append to", appended)?;
        self.bytes += bytes;
        Ok(bytes)
    }

    /// Makes everything appended so far durable. `_values` is the proof that the values its records
    /// point to are durable.
    pub(crate) async fn sync(&mut self, _values: &DurableValues) -> Result<()> {
        let bytes = self.bytes;
        self.reserve_if_often();
        self.file.sync().await?;
        self.synced = bytes;
        Ok(())
    }

    /// Reserves room if the log is synced often: a sync that changes the length of the file makes
    /// the file system write its journal as well.
    fn reserve_if_often(&mut self) {
        let is_often = self.synced > 0 && self.unsynced_bytes() < OFTEN_BYTES_MAX;
        if is_often && self.bytes + OFTEN_BYTES_MAX > self.reserved {
            self.file.file().reserve(RESERVED_BYTES);
            self.reserved = self.bytes + RESERVED_BYTES;
        }
    }

    /// States that nothing follows, and gives back what is reserved.
    pub(crate) fn finish(&mut self) {
        self.file.file().finish();
        self.reserved = 0;
    }

    /// Returns the log's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the bytes appended so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the bytes appended since the last sync.
    pub(crate) fn unsynced_bytes(&self) -> u64 {
        self.bytes - self.synced
    }

    /// Returns the part of the log that is known to be on the device.
    pub(crate) fn durable_part(&self) -> LogPart {
        LogPart {
            log: self.number,
            bytes: self.synced,
        }
    }
}

/// The first bytes of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogPart {
    /// The log's number.
    pub(crate) log: u64,
    /// How many bytes.
    pub(crate) bytes: u64,
}
