//! Tables: immutable sorted files of entries.
//!
//! - [`mod@format`] draws the file and seals its blocks.
//! - [`block`] is one data block: built, searched, read.
//! - [`builder`] writes a table from entries in order.
//! - [`reader`] opens one and answers point reads; [`cursor`] walks it both ways; [`verify`] checks all of it.
//! - [`bare`] is an index without a table, to measure.
//! - [`salvage`] reads what is left of one that is damaged.
//!
//! Where in a table a key is, is the question of [`crate::index`]; whether it can be there, that of its filter.

mod bare;
pub(crate) mod format;

pub(crate) mod block;

pub(crate) mod builder;

pub(crate) mod reader;

pub(crate) mod cursor;

pub(crate) mod verify;

pub(crate) mod salvage;

pub use bare::BareIndex;
pub(crate) use builder::{Built, FinishedBlock, TableBuilder, TableOptions};
pub(crate) use cursor::TableCursor;
pub(crate) use reader::{Found, Table, hash_key};
pub(crate) use salvage::Salvage;

#[cfg(test)]
mod tests;
