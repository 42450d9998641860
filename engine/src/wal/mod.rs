//! The write-ahead log: the writes of a memtable, so that a crash does not lose them.
//!
//! Each memtable has a log of its own, which is removed once the memtable is in a table.
//! [`mod@format`] draws the file, [`writer`] appends to it, [`replay`] reads it back, [`chain`]
//! checks the order of the logs.

mod chain;
pub(crate) mod format;
mod replay;
mod writer;

pub(crate) use chain::{Chain, Link};
pub(crate) use replay::Replay;
pub(crate) use writer::{LogPart, WalWriter};
