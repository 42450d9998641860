//! Reads a log back: every sound record up to the first that is not sound.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::format::{Header, Layout, Record};
use crate::directory::{FileKind, Files};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::storage::Sequence;

/// A log in memory, and a position in it.
pub(crate) struct Replay {
    number: u64,
    path: PathBuf,
    file: Bytes,
    header: Header,
    layout: Layout,
    at: usize,
    /// The sequence number that the next record must have; `None` if it is not known.
    expected: Option<Sequence>,
}

impl Replay {
    /// Reads log `number` of `directory` into memory. If the header is damaged, the crash came
    /// before it was durable; then no record is used, unless a later record proves that the header
    /// had been durable.
    ///
    /// # Errors
    /// I/O errors. Corruption if a log without its header holds records that were synced, or if the
    /// file is another log.
    pub(crate) async fn open(env: &Env, directory: &Path, number: u64) -> Result<Self> {
        let path = FileKind::Wal.path(directory, number);
        let file = Files::of(env).open(&path)?.read_whole().await?;
        let Some((header, layout)) = Header::decode(&file, number) else {
            return Self::without_header(path, file, number);
        };
        if header.log != number {
            let what = format!("the file is log {} under another name", header.log);
            return Err(Error::corruption(&path, 0, what));
        }
        let mut replay = Self {
            number,
            path,
            file,
            expected: header.first_sequence,
            at: layout.file_header_bytes(),
            header,
            layout,
        };
        replay.leave_out_reserved();
        Ok(replay)
    }

    /// Ends the log here if only zeros follow: they were reserved for records to come.
    fn leave_out_reserved(&mut self) {
        if self.file[self.at..].iter().all(|byte| *byte == 0) {
            self.file.truncate(self.at);
        }
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

    /// Returns the log's number, as the file's name states it.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the log's header; all fields are 0 if it was lost.
    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// Returns whether the header is damaged.
    pub(crate) fn lost_its_header(&self) -> bool {
        self.header.log == 0
    }

    /// Returns where the next record starts.
    pub(crate) fn offset(&self) -> u64 {
        self.at as u64
    }

    /// Moves to `offset`, where a record starts. Its sequence number is not checked.
    pub(crate) fn go_back_to(&mut self, offset: u64) {
        self.at = offset as usize;
        self.expected = None;
    }

    /// Returns the sequence number that the next record must have, if it is known.
    pub(crate) fn expected(&self) -> Option<Sequence> {
        self.expected
    }

    /// Requires the next record to have this sequence number, unless the header states one.
    pub(crate) fn expect(&mut self, sequence: Sequence) {
        self.expected.get_or_insert(sequence);
    }

    /// Returns the next sound record, or `None` at the end of the file and at a record that is not
    /// sound.
    ///
    /// # Errors
    /// [`Error::Corruption`] if records are missing between this record and the one before.
    pub(crate) fn next(&mut self) -> Result<Option<Record>> {
        let Some((record, end)) = self.layout.record_at(&self.file, self.at) else {
            self.leave_out_reserved();
            return Ok(None);
        };
        if let Some(expected) = self.expected
            && record.sequence != expected
        {
            let found = record.sequence;
            let what = format!("the record has sequence {found}; expected {expected}");
            return Err(self.damaged(what));
        }
        self.expected = Some(record.end().ok_or_else(|| {
            self.damaged("a record's checksum holds, but its sequence number is out of range")
        })?);
        self.at = end;
        Ok(Some(record))
    }

    /// Returns the next sound record wherever it starts, skipping damage. O(bytes of the file) for
    /// all calls together.
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

    /// Returns the bytes of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.len() as u64
    }

    /// Returns whether everything in the file was read.
    pub(crate) fn is_complete(&self) -> bool {
        self.at >= self.file.len()
    }

    /// Returns whether the log holds no record, not even a torn one.
    pub(crate) fn is_empty(&self) -> bool {
        self.file.len() <= self.layout.file_header_bytes()
    }

    /// Returns the error for damage where the next record starts.
    pub(crate) fn damaged(&self, what: impl Into<String>) -> Error {
        Error::corruption(&self.path, self.offset(), what)
    }

    /// Checks whether the log ends where the next record would start. If a later record knew these
    /// bytes to be synced, they are not the torn end of the log but damage to durable data. O(bytes
    /// of the file).
    ///
    /// # Errors
    /// [`Error::Corruption`] with the offset, if they are damage.
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

    /// Returns whether a header is sound. In version 1 only the whole record shows it.
    fn is_sound(&self, header: &super::format::RecordHeader) -> bool {
        match self.layout {
            Layout::Current { .. } => true,
            Layout::Version1 => self.layout.record(&self.file, header).is_some(),
        }
    }
}
