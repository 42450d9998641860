//! Files that are being written, and are removed if their writer gives up.
//!
//! A job that fails half-way must not leave its files behind: on a full disk they would take every
//! byte that is freed. After a job has come to its end, its files belong to the edit that names
//! them, and stay even if that fails: nobody knows what of a failed edit is on the device.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::Fs;
use crate::table::Table;

/// A file that is removed when this is dropped, unless it is kept.
pub(crate) struct NewFile {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    kept: bool,
}

impl NewFile {
    /// The file at `path`, which was just created or is about to be.
    pub(crate) fn new(fs: &Arc<dyn Fs>, path: &Path) -> Self {
        Self {
            fs: fs.clone(),
            path: path.to_owned(),
            kept: false,
        }
    }

    /// Keeps the file.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.kept {
            // One that cannot be removed now is removed when the directory is next opened.
            let _ = self.fs.remove(&self.path);
        }
    }
}

/// Tables that are removed when this is dropped, unless they are kept.
#[derive(Default)]
pub(crate) struct NewTables(Vec<Arc<Table>>);

impl NewTables {
    /// Adds a table.
    pub(crate) fn push(&mut self, table: Arc<Table>) {
        self.0.push(table);
    }

    /// Keeps the tables, and returns them.
    pub(crate) fn keep(mut self) -> Vec<Arc<Table>> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for NewTables {
    fn drop(&mut self) {
        self.0.iter().for_each(|table| table.mark_obsolete());
    }
}
