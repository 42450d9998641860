//! The write-ahead log: what a memtable holds, so that a crash does not lose it.
//!
//! Each memtable has a log of its own, which goes when the memtable is in a table. [`mod@format`]
//! draws the file, [`writer`] appends to it, [`replay`] reads it back, [`chain`] says how logs
//! follow on one another.

mod chain;
pub(crate) mod format;
mod replay;
mod writer;

pub(crate) use chain::{Chain, Link};
pub(crate) use replay::Replay;
pub(crate) use writer::{LogPart, WalWriter};
