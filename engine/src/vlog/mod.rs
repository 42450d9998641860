//! The value log: large values, written before the WAL so that WAL, memtable, flush and compaction carry only pointers.

pub(crate) mod format;
mod reader;
mod writer;

pub(crate) use reader::ValueFile;
pub(crate) use writer::{StagedValues, ValueLogWriter};
