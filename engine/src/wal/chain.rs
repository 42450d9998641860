//! How the logs of a database follow on one another.
//!
//! Each log names the one before it, that one's length when this one was begun, and how much of
//! it was on the device by then. History is what the logs hold in that order, up to the first
//! record that a crash took. What breaks the order otherwise is damage:
//!
//! - A log that was synced is missing, or shorter than it was.
//! - Sequence numbers between the last record of a log and the first of the next are missing.
//! - Two logs with records follow the same log, or a log went on after the next was begun. Either
//!   way some acknowledged writes lie outside of history.
//!
//! A log without records says nothing of history: an opening or a seal that did not come to its end
//! leaves one. It is passed over if what comes later does not follow it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Replay;
use crate::directory::FileKind;
use crate::error::{Error, Result};
use crate::storage::Sequence;

/// The logs read so far, the oldest first.
pub(crate) struct Chain {
    directory: PathBuf,
    /// Bytes of logs that are known to have been on the device, by the number of the log.
    durable: BTreeMap<u64, u64>,
    read: Vec<ReadLog>,
    /// The sequence number of the next record of history, as far as it is known.
    next: Option<Sequence>,
    /// A crash took the end of the last log.
    ended: bool,
}

/// A log that was read.
struct ReadLog {
    number: u64,
    /// Where the last record that could be used ends.
    end: u64,
    is_empty: bool,
}

/// Where a log stands in history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// It follows what was read.
    Follows,
    /// It holds nothing, and later logs do not follow it.
    Orphan,
    /// It lies behind the end of history.
    CutOff,
}

impl Chain {
    /// A chain of the logs of `directory`, of which `durable` bytes were on the device. Writes up to
    /// the sequence number `flushed` are in tables; None if that is not known.
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

    /// Finds the place of the next log in history. Logs come in the order of their numbers.
    ///
    /// # Errors
    /// [`Error::Corruption`] if what is on disk cannot be what a crash left.
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
        let (before, end) = (self.read[previous].number, self.read[previous].end);
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
            let what = format!("it was begun before log {before}, which it follows, was ended");
            return Err(self.damaged(number, 0, &what));
        }
        self.check_first_sequence(log, false)?;
        self.read.truncate(previous + 1);
        Ok(Link::Follows)
    }

    /// Checks that the first record of a log is the next in history. Records of the first log may be
    /// in tables already.
    fn check_first_sequence(&self, log: &mut Replay, is_first_log: bool) -> Result<()> {
        let Some(next) = self.next else { return Ok(()) };
        let Some(found) = log.header().first_sequence else {
            if !is_first_log {
                log.expect(next);
            }
            return Ok(());
        };
        if found > next || found < next && !is_first_log {
            let what = format!("it begins with sequence {found} where {next} must follow");
            return Err(self.damaged(log.number(), 0, &what));
        }
        Ok(())
    }

    /// The place in `read` of the log `number`, if only logs without records come after it.
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

    /// Judges a log that does not follow what was read.
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
            let what = format!("it follows log {}, as others do", header.previous);
            return Err(self.damaged(number, 0, &what));
        }
        if header.previous_synced > 0 {
            let what = "the next log follows it, and it was synced, but it is not there";
            return Err(self.damaged(header.previous, 0, what));
        }
        self.ended = true;
        Ok(Link::CutOff)
    }

    /// Notes that log `number` was read, up to the place at which `log` stands.
    pub(crate) fn add(&mut self, number: u64, log: &Replay) {
        self.ended |= !log.is_complete();
        self.next = log.expected().or(self.next);
        self.read.push(ReadLog {
            number,
            end: log.offset(),
            is_empty: log.is_empty(),
        });
    }

    /// Checks that what was read reaches as far as the logs are known to have been on the device.
    ///
    /// # Errors
    /// [`Error::Corruption`] if a log is missing or ends before.
    pub(crate) fn check_durable(&self) -> Result<()> {
        let mut logs = self.durable.keys();
        logs.try_for_each(|number| self.check_durable_of(*number))
    }

    /// Checks that what was read of log `number` reaches as far as it is known to have been on the
    /// device.
    ///
    /// # Errors
    /// [`Error::Corruption`] if it is missing or ends before.
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
            None => "it was synced, but is missing or does not follow the others",
        };
        Err(self.damaged(number, end, what))
    }

    fn damaged(&self, log: u64, offset: u64, what: &str) -> Error {
        Error::corruption(&FileKind::Wal.path(&self.directory, log), offset, what)
    }
}
