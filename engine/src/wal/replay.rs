//! Reading a log back: every sound record up to the first that is not.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::format::{Header, Layout, Record};
use crate::directory::FileKind;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::storage::Sequence;

/// A log read whole, and a place in it.
pub(crate) struct Replay {
    number: u64,
    path: PathBuf,
    file: Bytes,
    header: Header,
    layout: Layout,
    at: usize,
    /// The sequence number that the next record must have; None if that is not known.
    expected: Option<Sequence>,
}

impl Replay {
    /// Reads log `number` of `directory` into memory. If the header does not read back, the crash
    /// came before it was durable and no record is taken, unless a later one proves that it had
    /// been.
    ///
    /// # Errors
    /// I/O errors; corruption if a log without its header holds records that were synced, or if
    /// the file is another log.
    pub(crate) async fn open(env: &Env, directory: &Path, number: u64) -> Result<Self> {
        let path = FileKind::Wal.path(directory, number);
        let file = env
            .fs
            .open(&path)
            .map_err(|error| Error::io("open", &path, error))?;
        let bytes = file
            .bytes()
            .map_err(|error| Error::io("measure", &path, error))?;
        let bytes = usize::try_from(bytes)
            .map_err(|_| Error::corruption(&path, 0, "longer than memory"))?;
        let file = file
            .read_at(0, bytes)
            .await
            .map_err(|error| Error::io("read", &path, error))?;
        let Some((header, layout)) = Header::decode(&file, number) else {
            return Self::without_header(path, file, number);
        };
        if header.log != number {
            let what = format!("it is log {}, by another name", header.log);
            return Err(Error::corruption(&path, 0, what));
        }
        Ok(Self {
            number,
            path,
            file,
            expected: header.first_sequence,
            at: layout.file_header_bytes(),
            header,
            layout,
        })
    }

    fn without_header(path: PathBuf, file: Bytes, number: u64) -> Result<Self> {
        let replay = Self {
            number,
            path,
            file,
            header: Header::default(),
            layout: Layout::Current { log: number },
            at: 0,
            expected: None,
        };
        replay.check_torn()?;
        let version_1 = Self {
            layout: Layout::Version1,
            file: replay.file.clone(),
            path: replay.path.clone(),
            ..replay
        };
        version_1.check_torn()?;
        Ok(replay)
    }

    /// Its number, as its name states it.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What it says of itself and of the log before. All zero if the header was lost.
    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// Whether its header does not read back.
    pub(crate) fn lost_its_header(&self) -> bool {
        self.header.log == 0
    }

    /// Where the next record starts.
    pub(crate) fn offset(&self) -> u64 {
        self.at as u64
    }

    /// Moves to `offset`, where a record starts, whatever its sequence number.
    pub(crate) fn go_back_to(&mut self, offset: u64) {
        self.at = offset as usize;
        self.expected = None;
    }

    /// The sequence number that the next record must have, as far as it is known.
    pub(crate) fn expected(&self) -> Option<Sequence> {
        self.expected
    }

    /// Requires the next record to have this sequence number, if the header does not say which.
    pub(crate) fn expect(&mut self, sequence: Sequence) {
        self.expected.get_or_insert(sequence);
    }

    /// Returns the next sound record, or None at the end of the file and at the first record that
    /// is not sound.
    ///
    /// # Errors
    /// [`Error::Corruption`] if the record does not follow the one before: records between are
    /// missing.
    pub(crate) fn next(&mut self) -> Result<Option<Record>> {
        let Some((record, end)) = self.layout.record_at(&self.file, self.at) else {
            return Ok(None);
        };
        if let Some(expected) = self.expected
            && record.sequence != expected
        {
            let found = record.sequence;
            let what = format!("the record here has sequence {found} where {expected} must follow");
            return Err(self.damaged(what));
        }
        self.expected = Some(record.end().ok_or_else(|| {
            self.damaged("a record's checksum holds, but its sequence number is out of range")
        })?);
        self.at = end;
        Ok(Some(record))
    }

    /// Returns the next sound record, wherever it starts: damage before it is passed over. O(bytes
    /// of the file) in all.
    pub(crate) fn next_anywhere(&mut self) -> Option<Record> {
        while !self.is_complete() {
            match self.layout.record_at(&self.file, self.at) {
                Some((record, end)) => {
                    self.at = end;
                    return Some(record);
                }
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

    /// Whether it holds no record, not even a torn one.
    pub(crate) fn is_empty(&self) -> bool {
        self.file.len() <= self.layout.file_header_bytes()
    }

    /// The error for damage at the place where the next record starts.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> Error {
        Error::corruption(&self.path, self.offset(), what)
    }

    /// Tells a torn end of the log, at the place where the next record starts, from damage to what
    /// was durable: a later record that knew these bytes to be synced. O(bytes of the file).
    ///
    /// # Errors
    /// [`Error::Corruption`] with the offset.
    pub(crate) fn check_torn(&self) -> Result<()> {
        let mut at = self.at + 1;
        while at < self.file.len() {
            let header = self.layout.header_at(&self.file, at);
            let sound = header.filter(|header| self.is_sound(header));
            at = sound.map_or(at + 1, |header| header.end);
            if sound.is_some_and(|header| header.synced > self.offset()) {
                return Err(self.damaged("a record that was synced does not read back"));
            }
        }
        Ok(())
    }

    /// Whether a header is one. In version 1 only the whole record can tell.
    fn is_sound(&self, header: &super::format::RecordHeader) -> bool {
        match self.layout {
            Layout::Current { .. } => true,
            Layout::Version1 => self.layout.record(&self.file, header).is_some(),
        }
    }
}
