//! The names of a database's files. Every name that the engine gives is here.
//!
//! A file with a number has a [`FileKind`]; the others are [`CURRENT`], which names the manifest in
//! force, [`SETTINGS`] and [`MODELS`], which are replaced whole, [`LOCK`], [`UNFINISHED`], which
//! marks a checkpoint that is not whole, and [`SPLIT`] and [`SIDE`], which mark a split database.

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

/// The file that marks the directory of a split database, and says where its log begins.
pub(crate) const SPLIT: &str = "SPLIT";

/// The file that marks the directory of one side of a split database.
pub(crate) const SIDE: &str = "SIDE";

/// Files that are replaced whole: a new one is written under a temporary name, and renamed.
pub(crate) const REPLACED: [&str; 3] = [CURRENT, SETTINGS, MODELS];

/// The name of a file whose content is about to take the place of `name`.
pub(crate) fn temporary(name: &str) -> String {
    format!("{name}.new")
}

/// Distance between numbers beyond which the larger one is not the engine's.
const STRAY_DISTANCE: u64 = 1 << 32;

/// A number that no database reaches: at a million files a second that takes nine years.
const UNREACHED: u64 = 1 << 48;

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

/// Returns the kind and number of each file in `names` that is the engine's, by number.
///
/// Numbers are given one after another, so a file whose number is far above the others comes from
/// elsewhere. It is left alone: continuing behind its number would soon use up all numbers.
///
/// `next_number` is the next number that the manifest states; the distance counts from it. Without
/// a manifest, the files count from the smallest number up to the first gap of that distance. A
/// rule that counted only neighbours would accept two foreign files that lie close together.
pub(crate) fn numbered(names: &[String], next_number: Option<u64>) -> Vec<(FileKind, u64)> {
    let parsed = names.iter().filter_map(|name| FileKind::parse(name));
    let mut files: Vec<(FileKind, u64)> = parsed.collect();
    files.sort_by_key(|(_, number)| *number);
    if let Some(next) = next_number {
        let stray = next.saturating_add(STRAY_DISTANCE);
        files.retain(|(_, number)| *number < stray);
        return files;
    }
    files.retain(|(_, number)| *number < UNREACHED);
    let is_gap = |pair: &[(FileKind, u64)]| pair[1].1 - pair[0].1 > STRAY_DISTANCE;
    if let Some(before) = files.windows(2).position(is_gap) {
        files.truncate(before + 1);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(names: &[&str], next_number: Option<u64>) -> Vec<u64> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let files = numbered(&names, next_number);
        files.iter().map(|(_, number)| *number).collect()
    }

    #[test]
    fn files_far_above_the_next_number_are_foreign() {
        let names = ["4294967307.wal", "000007.sst", "4294967306.sst", "7.sst"];
        assert_eq!(numbers(&names, Some(10)), [7]);
        assert_eq!(numbers(&names, Some(11)), [7, 4_294_967_306]);
        let last = ["72057594037927935.sst"];
        assert_eq!(numbers(&last, Some(u64::MAX)), [(1 << 56) - 1]);
    }

    #[test]
    fn without_a_next_number_files_behind_a_wide_gap_are_foreign() {
        let old = ["5000000002.sst", "5000000001.wal", "9000000000.manifest"];
        assert_eq!(
            numbers(&old, None),
            [5_000_000_001, 5_000_000_002, 9_000_000_000]
        );
        // Two foreign files that lie close together are no database either.
        let far = ["70000000000000.wal", "000003.sst", "70000000000001.sst"];
        assert_eq!(numbers(&far, None), [3]);
        let unreached = ["72057594037927935.sst", "281474976710656.vlog"];
        assert_eq!(numbers(&unreached, None), [0; 0]);
        assert_eq!(numbers(&[], None), [0; 0]);
    }
}
