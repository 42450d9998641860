//! Tables: immutable sorted files of entries.
//!
//! - [`mod@format`] draws the file and seals its blocks.
//! - [`block`] is one data block: built, searched, read.
//! - [`builder`] writes a table from entries in order.
//! - [`table`] opens one and answers point reads; [`cursor`] walks it both ways; [`verify`] checks all of it.
//! - [`salvage`] reads what is left of one that is damaged.
//!
//! Where in a table a key is, is the question of [`crate::index`]; whether it can be there, that of its filter.

pub(crate) mod format;

pub(crate) mod block;

pub(crate) mod builder;

pub(crate) mod table;

pub(crate) mod cursor;

pub(crate) mod verify;

pub(crate) mod salvage;

pub(crate) use builder::{Built, FinishedBlock, TableBuilder, TableOptions};
pub(crate) use cursor::TableCursor;
pub(crate) use salvage::Salvage;
pub(crate) use table::{Found, Table, hash_key};

#[cfg(test)]
mod tests;
