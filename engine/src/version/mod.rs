//! The set of live files: which tables lie in which run of which level, and which value files there are.
//!
//! - [`mod@format`] draws the manifest, a log of version edits.
//! - [`edit`] is one change; every change of the set is one edit.
//! - [`manifest`] appends edits and makes `CURRENT` name the log.
//! - [`mod@recover`] reads the set back.
//!
//! A [`Version`] is immutable and shared: a reader that holds one holds its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_policies::facts::{LevelFacts, RunFacts, RunId, TableId, TreeShape};

use crate::ranges::RangeSet;
use crate::sst::Table;
use crate::storage::Sequence;
use crate::vlog::ValueFile;

pub(crate) mod format;

mod edit;
mod manifest;
mod recover;

pub(crate) use edit::{AddedTable, Edit};
pub(crate) use manifest::Manifest;
pub(crate) use recover::{Recovered, recover};

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

    /// Reads back `name`.
    pub(crate) fn parse(name: &str) -> Option<(Self, u64)> {
        let (number, extension) = name.split_once('.')?;
        let kinds = [Self::Wal, Self::Table, Self::Values, Self::Manifest];
        let kind = kinds.into_iter().find(|kind| kind.extension() == extension)?;
        Some((kind, number.parse().ok()?))
    }
}

/// A sorted run.
#[derive(Clone)]
pub(crate) struct Run {
    /// Its number.
    pub(crate) id: RunId,
    /// Its tables, in key order.
    pub(crate) tables: Vec<Arc<Table>>,
}

impl Run {
    /// The table that can hold `key`, if there is one. O(log tables).
    pub(crate) fn table_for(&self, key: &[u8]) -> Option<&Arc<Table>> {
        let at = self.tables.partition_point(|table| *table.facts().largest < *key);
        self.tables.get(at).filter(|table| *table.facts().smallest <= *key)
    }

    /// The facts that policies see.
    pub(crate) fn facts(&self) -> RunFacts {
        RunFacts { id: self.id, tables: self.tables.iter().map(|table| table.facts().clone()).collect() }
    }
}

/// One level.
#[derive(Clone, Default)]
pub(crate) struct Level {
    /// Its runs, the newest first.
    pub(crate) runs: Vec<Arc<Run>>,
    /// The run limit that an agent has set.
    pub(crate) runs_max: Option<u32>,
}

/// A value file and what is known of it.
#[derive(Clone)]
pub(crate) struct ValueFileState {
    /// The open file.
    pub(crate) file: Arc<ValueFile>,
    /// Its bytes, once it is sealed.
    pub(crate) sealed_bytes: Option<u64>,
    /// Bytes of frames that nothing points at any more.
    pub(crate) garbage_bytes: u64,
}

/// The live files at one moment.
#[derive(Clone, Default)]
pub(crate) struct Version {
    /// The levels.
    pub(crate) levels: Vec<Level>,
    /// The value files.
    pub(crate) value_files: BTreeMap<u64, ValueFileState>,
    /// The range tombstones that may hide something in a table.
    pub(crate) ranges: Arc<RangeSet>,
    /// Of tables, the version up to which no range tombstone hides anything in them; 0 of others.
    pub(crate) swept: BTreeMap<TableId, Sequence>,
}

impl Version {
    /// Every table with its level, the newest data first.
    pub(crate) fn tables(&self) -> impl Iterator<Item = (usize, &Arc<Table>)> {
        self.levels.iter().enumerate().flat_map(|(level, it)| {
            it.runs.iter().flat_map(move |run| run.tables.iter().map(move |table| (level, table)))
        })
    }

    /// The shape that policies see. O(tables).
    pub(crate) fn shape(&self, level0_runs_trigger: u32, base_bytes: u64) -> TreeShape {
        let level = |level: &Level| LevelFacts {
            runs: level.runs.iter().map(|run| run.facts()).collect(),
            runs_max: level.runs_max,
        };
        TreeShape {
            levels: self.levels.iter().map(level).collect(),
            level0_runs_trigger,
            base_bytes,
            busy: Default::default(),
        }
    }
}
