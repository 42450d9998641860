//! The order of the logs of a database.
//!
//! Each log names the log before it, that log's length when this one began, and how much of it was
//! on the device by then. History is what the logs hold in that order, up to the first record that
//! a crash lost. Any other break of the order is damage:
//!
//! - A log that was synced is missing, or is shorter than it was.
//! - Sequence numbers are missing between the last record of a log and the first of the next.
//! - Two logs with records follow the same log, or a log was still written after the next one
//!   began. Either way some acknowledged writes lie outside history.
//!
//! A log without records proves nothing: an opening or a seal that was interrupted leaves one. It
//! is skipped if the later logs do not follow it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Replay;
use crate::directory::FileKind;
use crate::error::{Error, Result};
use crate::storage::Sequence;

/// The logs read so far, oldest first.
pub(crate) struct Chain {
    directory: PathBuf,
    /// Bytes of logs that are known to have been on the device, by log number.
    durable: BTreeMap<u64, u64>,
    read: Vec<ReadLog>,
    /// The sequence number of the next record of history, if it is known.
    next: Option<Sequence>,
    /// Whether a crash lost the end of the last log.
    ended: bool,
}

/// A log that was read.
struct ReadLog {
    number: u64,
    /// Where its last usable record ends.
    end: u64,
    is_empty: bool,
}

/// Place of a log in history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It follows the logs read so far.
    Follows,
    /// It holds no records, and later logs do not follow it.
    Orphan,
    /// It lies behind the end of history.
    CutOff,
}

impl Chain {
    /// Creates the chain for the logs of `directory`, of which `durable` bytes were on the device.
    /// Writes up to the sequence number `flushed` are in tables; `None` if that is not known.
    pub(crate) fn new(
        directory: &Path,
        durable: BTreeMap<u64, u64>,
        flushed: Option<Sequence>,
    ) -> Self {
        Self {
            directory: directory.to_owned(),
            durable,
            read: Vec::new(),
            next: flushed.map(|sequence| sequence + 1),
            ended: false,
        }
    }

    /// Finds the place of the next log in history. Logs must be given in the order of their
    /// numbers.
    ///
    /// # Errors
    /// [`Error::Corruption`] if the files cannot be what a crash left.
    pub(crate) fn link(&mut self, number: u64, log: &mut Replay) -> Result<Link> {
        let header = log.header();
        if self.read.is_empty() {
            self.check_first_sequence(log, true)?;
            return Ok(Link::Follows);
        }
        if log.lost_its_header() {
            self.ended = true;
        }
        let Some(previous) = self.previous(header.previous) else {
            return self.link_apart(number, log);
        };
        let before = self.read[previous].number;
        let end = self.read[previous].end;
        if header.previous_synced > end {
            return Err(self.damaged(before, end, "a record that was synced does not read back"));
        }
        if self.ended || header.previous_bytes > end {
            self.ended = true;
            return Ok(Link::CutOff);
        }
        if header.previous_bytes < end {
            if log.is_empty() {
                return Ok(Link::Orphan);
            }
            let what =
                format!("it follows log {before}, which was still written after this log began");
            return Err(self.damaged(number, 0, &what));
        }
        self.check_first_sequence(log, false)?;
        self.read.truncate(previous + 1);
        Ok(Link::Follows)
    }

    /// Checks that the first record of a log is the next one of history. Records of the first log
    /// may be in tables already.
    fn check_first_sequence(&self, log: &mut Replay, is_first_log: bool) -> Result<()> {
        let Some(next) = self.next else { return Ok(()) };
        let Some(found) = log.header().first_sequence else {
            if !is_first_log {
                log.expect(next);
            }
            return Ok(());
        };
        if found > next || found < next && !is_first_log {
            let what = format!("it begins with sequence {found}; expected {next}");
            return Err(self.damaged(log.number(), 0, &what));
        }
        Ok(())
    }

    /// Returns the index in `read` of log `number`, if only logs without records come after it.
    fn previous(&self, number: u64) -> Option<usize> {
        for (place, log) in self.read.iter().enumerate().rev() {
            if log.number == number {
                return Some(place);
            }
            if !log.is_empty {
                return None;
            }
        }
        None
    }

    /// Decides the place of a log that does not follow the logs read so far.
    fn link_apart(&mut self, number: u64, log: &Replay) -> Result<Link> {
        if log.is_empty() {
            return Ok(Link::Orphan);
        }
        if self.ended {
            return Ok(Link::CutOff);
        }
        let header = log.header();
        let last = self.read.last().map_or(0, |log| log.number);
        if header.previous <= last {
            let what = format!("it follows log {}, as another log does", header.previous);
            return Err(self.damaged(number, 0, &what));
        }
        if header.previous_synced > 0 {
            let what = "the next log follows it and it was synced, but it is missing";
            return Err(self.damaged(header.previous, 0, what));
        }
        self.ended = true;
        Ok(Link::CutOff)
    }

    /// Registers that log `number` was read, up to the position of `log`.
    pub(crate) fn add(&mut self, number: u64, log: &Replay) {
        self.ended |= !log.is_complete();
        self.next = log.expected().or(self.next);
        self.read.push(ReadLog {
            number,
            end: log.offset(),
            is_empty: log.is_empty(),
        });
    }

    /// Checks that everything known to have been on the device was read.
    ///
    /// # Errors
    /// [`Error::Corruption`] if a log is missing or ends too early.
    pub(crate) fn check_durable(&self) -> Result<()> {
        for number in self.durable.keys() {
            self.check_durable_of(*number)?;
        }
        Ok(())
    }

    /// Checks that everything of log `number` known to have been on the device was read.
    ///
    /// # Errors
    /// [`Error::Corruption`] if the log is missing or ends too early.
    pub(crate) fn check_durable_of(&self, number: u64) -> Result<()> {
        let Some(bytes) = self.durable.get(&number) else {
            return Ok(());
        };
        let read = self.read.iter().find(|log| log.number == number);
        let end = read.map_or(0, |log| log.end);
        if end >= *bytes {
            return Ok(());
        }
        let what = match read {
            Some(_) => "a record that was synced does not read back",
            None => "it was synced, but is missing or does not follow the other logs",
        };
        Err(self.damaged(number, end, what))
    }

    fn damaged(&self, log: u64, offset: u64, what: &str) -> Error {
        Error::corruption(&FileKind::Wal.path(&self.directory, log), offset, what)
    }
}
