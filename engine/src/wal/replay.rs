//! Reading a log back: every sound record up to the first that is not.

use std::path::Path;

use bytes::Bytes;

use super::format::{FILE_HEADER_BYTES, Header, Record};
use crate::env::Env;
use crate::error::{Error, Result};

/// A log read whole.
pub(crate) struct Replay {
    file: Bytes,
    header: Header,
    at: usize,
}

/// Reads the log at `path`. Where the header does not read back, the crash came before it was durable: no record is
/// taken, unless a later one proves that it had been.
///
/// # Errors
/// I/O errors, and corruption where a log without its header holds records that were synced.
pub(crate) async fn replay(env: &Env, path: &Path) -> Result<Replay> {
    let file = env
        .fs
        .open(path)
        .map_err(|error| Error::io("open", path, error))?;
    let bytes = file
        .bytes()
        .map_err(|error| Error::io("measure", path, error))?;
    let bytes =
        usize::try_from(bytes).map_err(|_| Error::corruption(path, 0, "longer than memory"))?;
    let file = file
        .read_at(0, bytes)
        .await
        .map_err(|error| Error::io("read", path, error))?;
    match Header::decode(&file) {
        Some(header) => Ok(Replay {
            at: FILE_HEADER_BYTES,
            header,
            file,
        }),
        None => {
            let replay = Replay {
                at: 0,
                header: Header::default(),
                file,
            };
            replay.check_torn_at(path, 0)?;
            Ok(replay)
        }
    }
}

impl Replay {
    /// What it says of the log before.
    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// Where the next record starts.
    pub(crate) fn offset(&self) -> u64 {
        self.at as u64
    }

    /// Goes back to a place where a record starts.
    pub(crate) fn go_back_to(&mut self, offset: u64) {
        self.at = offset as usize;
    }

    /// The next sound record; None at the end of the file and at the first record that is not sound.
    pub(crate) fn next(&mut self) -> Option<Record> {
        let record = Record::decode(&self.file, self.at)?;
        self.at += record.bytes();
        Some(record)
    }

    /// The next sound record, wherever it starts: damage before it is passed over.
    pub(crate) fn next_anywhere(&mut self) -> Option<Record> {
        while !self.is_complete() {
            match self.next() {
                Some(record) => return Some(record),
                None => self.at += 1,
            }
        }
        None
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.len() as u64
    }

    /// Whether everything in the file was read.
    pub(crate) fn is_complete(&self) -> bool {
        self.at >= self.file.len()
    }

    /// Tells the torn end of a log, at `offset`, from damage to what was durable: a later record that knew these bytes to
    /// be synced.
    ///
    /// # Errors
    /// [`Error::Corruption`] with the offset.
    pub(crate) fn check_torn_at(&self, path: &Path, offset: u64) -> Result<()> {
        let mut at = offset as usize + 1;
        while at < self.file.len() {
            match Record::decode(&self.file, at) {
                Some(record) if record.synced > offset => {
                    return Err(Error::corruption(
                        path,
                        offset,
                        "a record that was synced does not read back",
                    ));
                }
                Some(record) => at += record.bytes(),
                None => at += 1,
            }
        }
        Ok(())
    }
}
