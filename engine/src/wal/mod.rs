//! The write-ahead log: what a memtable holds, so that a crash does not lose it.

pub(crate) mod format;
mod replay;
mod writer;

pub(crate) use replay::{Replay, replay};
pub(crate) use writer::WalWriter;
