//! The set of live files: which tables lie in which run of which level, and which value files there
//! are.
//!
//! - [`mod@format`] draws the manifest, a log of version edits.
//! - [`edit`] is one change; every change of the set is one edit.
//! - [`writer`] appends edits and makes `CURRENT` name the log.
//! - [`mod@recover`] reads the set back.
//!
//! A [`Version`] is immutable and shared: a reader that holds one holds its files.

pub(crate) mod format;

mod edit;
mod recover;
mod version;
mod writer;

pub(crate) use edit::{AddedTable, Edit};
pub(crate) use recover::{Recovered, read_back, recover};
pub(crate) use version::{Run, Version};
pub(crate) use writer::{Manifest, snapshot};
