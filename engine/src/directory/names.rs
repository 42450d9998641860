//! The names of a database's files. Every name that the engine gives is here.
//!
//! A file with a number has a [`FileKind`]; the others are [`CURRENT`], which names the manifest in
//! force, [`SETTINGS`] and [`MODELS`], which are replaced whole, [`LOCK`], and [`UNFINISHED`],
//! which marks a checkpoint that is not whole.

use std::path::{Path, PathBuf};

/// The file that names the manifest in force.
pub(crate) const CURRENT: &str = "CURRENT";

/// The file that keeps other engines out.
pub(crate) const LOCK: &str = "LOCK";

/// The settings, for people and tools.
pub(crate) const SETTINGS: &str = "SETTINGS.json";

/// What was observed of indexes.
pub(crate) const MODELS: &str = "MODELS.json";

/// The file that a checkpoint has until it is whole.
pub(crate) const UNFINISHED: &str = "CHECKPOINT.unfinished";

/// Files that are replaced whole: a new one is written under a temporary name, and renamed.
pub(crate) const REPLACED: [&str; 3] = [CURRENT, SETTINGS, MODELS];

/// The name of a file whose content is about to take the place of `name`.
pub(crate) fn temporary(name: &str) -> String {
    format!("{name}.new")
}

/// What kind of file a number names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A write-ahead log.
    Wal,
    /// A table.
    Table,
    /// A value file.
    Values,
    /// A manifest.
    Manifest,
}

impl FileKind {
    fn extension(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Table => "sst",
            Self::Values => "vlog",
            Self::Manifest => "manifest",
        }
    }

    /// The path of file `number` of this kind.
    pub(crate) fn path(self, directory: &Path, number: u64) -> PathBuf {
        directory.join(self.name(number))
    }

    /// The name of file `number` of this kind.
    pub(crate) fn name(self, number: u64) -> String {
        format!("{number:06}.{}", self.extension())
    }

    /// The kind and number that `name` stands for; None for a name that the engine does not give.
    pub(crate) fn parse(name: &str) -> Option<(Self, u64)> {
        let (number, extension) = name.split_once('.')?;
        let kinds = [Self::Wal, Self::Table, Self::Values, Self::Manifest];
        let kind = kinds
            .into_iter()
            .find(|kind| kind.extension() == extension)?;
        let number: u64 = number.parse().ok()?;
        (number >> 56 == 0 && kind.name(number) == name).then_some((kind, number))
    }
}
