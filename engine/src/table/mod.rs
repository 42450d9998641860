//! Tables: immutable sorted files of entries, as in Bigtable and LevelDB.
//!
//! - [`mod@format`] defines the file format, and seals and opens its blocks.
//! - [`block`] builds, searches and reads one data block.
//! - [`builder`] writes a table from sorted entries.
//! - [`reader`] opens a table and answers point reads; [`cursor`] walks it in both directions;
//!   [`verify`] checks all of it.
//! - [`bare`] is an index, fence pointers, and a block, without a table, for measurements.
//! - [`salvage`] reads the undamaged parts of a damaged table.
//!
//! The filter says whether a table can contain a key, and the index ([`crate::index`]) in which
//! blocks it can be.

mod bare;
pub(crate) mod format;

pub(crate) mod block;

pub(crate) mod builder;

pub(crate) mod reader;

pub(crate) mod cursor;

pub(crate) mod verify;

pub(crate) mod salvage;

pub use bare::{BareBlock, BareFences, BareIndex};
pub(crate) use builder::{Built, FinishedBlock, TableBuilder, TableOptions};
pub(crate) use cursor::TableCursor;
pub(crate) use reader::{Found, Table, hash_key};
pub(crate) use salvage::Salvage;

#[cfg(test)]
mod tests;
