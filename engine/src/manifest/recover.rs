//! Reads the set of live files back from the manifest.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::edit::{AddedTable, Edit};
use super::format::Layout;
use super::{Version, format};
use crate::cache::BlockCache;
use crate::context::ReadContext;
use crate::directory::{
    CURRENT, FileKind, Files, NamedFile, REPLACED, Role, UNFINISHED, check_role, numbered,
    temporary,
};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::ranges::RangeTombstone;
use crate::storage::Sequence;
use crate::table::Table;
use crate::values::{ValueFacts, ValueFile};
use crate::wal::LogPart;
use crate::wal::format::FILE_HEADER_BYTES;

/// The state of a directory.
pub(crate) struct Recovered {
    /// The live tables and value files, open.
    pub(crate) version: Version,
    /// Every write up to this sequence number is in the version, and no later one.
    pub(crate) sequence: Sequence,
    /// All files and runs have smaller numbers.
    pub(crate) next_number: u64,
    /// The first log that may hold writes that are in no table.
    pub(crate) wal_min: u64,
    /// Logs that hold writes that are in no table, oldest first.
    pub(crate) wals: Vec<u64>,
    /// Bytes of logs that are known to have been on the device, by log number.
    pub(crate) logs_durable: BTreeMap<u64, u64>,
    /// Files that nothing refers to, left by a crash.
    pub(crate) leftovers: Vec<String>,
    /// The manifest in force; `None` in an empty directory.
    pub(crate) manifest: Option<PathBuf>,
}

/// Reads the set of live files of `directory`. An empty directory holds an empty set.
///
/// # Errors
/// I/O errors, [`Error::Split`] for another role, [`Error::Format`] for a newer format, and
/// [`Error::Corruption`] with file and offset.
pub(crate) async fn recover(
    env: &Env,
    directory: &Path,
    cache: &Arc<BlockCache>,
    role: Role,
) -> Result<Recovered> {
    let names = Files::of(env).list(directory)?;
    check_role(directory, &names, role)?;
    let manifest = if names.iter().any(|name| name == CURRENT) {
        Some(read_manifest(env, directory).await?)
    } else {
        if names.iter().any(|name| name == UNFINISHED) {
            return Err(Error::Unfinished {
                directory: directory.to_owned(),
            });
        }
        check_new(env, directory, &names)?;
        None
    };
    let is_new = manifest.is_none();
    let (manifest, state) = match manifest {
        Some(StoredManifest { path, state }) => (Some(path), state),
        None => (None, State::default()),
    };
    let version = state.open_files(env, directory, cache).await?;
    let in_force = manifest.as_deref().and_then(Path::file_name);
    let sorted = state.sort_files(&names, in_force);
    // A log's name is durable before an edit names it as the start of history, and is removed only
    // after a later edit.
    if role == Role::Whole && !is_new && sorted.wals.first() != Some(&state.wal_min) {
        return Err(missing(&FileKind::Wal.path(directory, state.wal_min)));
    }
    Ok(Recovered {
        version,
        sequence: state.sequence,
        next_number: state.next_number.max(sorted.next_number),
        wal_min: state.wal_min,
        wals: sorted.wals,
        logs_durable: state.logs_durable,
        leftovers: sorted.leftovers,
        manifest,
    })
}

/// The files of a directory, sorted by their role in the manifest.
struct SortedFiles {
    /// Logs that are needed, oldest first.
    wals: Vec<u64>,
    /// Files that nothing refers to.
    leftovers: Vec<String>,
    /// All files have smaller numbers.
    next_number: u64,
}

/// Checks that a directory without `CURRENT` never had one: `CURRENT` is durable before anything
/// else is written.
fn check_new(env: &Env, directory: &Path, names: &[String]) -> Result<()> {
    for (kind, number) in numbered(names, None) {
        let is_old = match kind {
            FileKind::Table | FileKind::Values => true,
            FileKind::Wal => {
                let path = kind.path(directory, number);
                let bytes = Files::of(env).open(&path)?.bytes()?;
                bytes > FILE_HEADER_BYTES as u64
            }
            FileKind::Manifest => false,
        };
        if is_old {
            let name = kind.name(number);
            let what = format!("CURRENT is missing, but {name} exists: the manifest was lost");
            return Err(Error::corruption(&directory.join(CURRENT), 0, what));
        }
    }
    Ok(())
}

/// Returns the error for a file that must exist.
fn missing(path: &Path) -> Error {
    Error::corruption(path, 0, "the manifest names it, but it is missing")
}

/// Opens a file that must exist.
fn open_existing(env: &Env, path: &Path) -> Result<NamedFile> {
    Files::of(env).open(path).map_err(|error| match error {
        Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => missing(path),
        error => error,
    })
}

/// A manifest that was read back.
struct StoredManifest {
    path: PathBuf,
    state: State,
}

/// The sum of a manifest's edits, as plain data.
#[derive(Default)]
struct State {
    wal_min: u64,
    /// Bytes of logs that are on the device, for the logs that are needed.
    logs_durable: BTreeMap<u64, u64>,
    next_number: u64,
    sequence: Sequence,
    tables: BTreeMap<u64, AddedTable>,
    /// Runs of each level, newest first.
    runs: BTreeMap<usize, Vec<u64>>,
    runs_max: BTreeMap<usize, u32>,
    values: BTreeMap<u64, ValueFacts>,
    ranges: BTreeMap<Sequence, RangeTombstone>,
    swept: BTreeMap<u64, Sequence>,
}

async fn read_manifest(env: &Env, directory: &Path) -> Result<StoredManifest> {
    let current = directory.join(CURRENT);
    let content = open_existing(env, &current)?.read_whole().await?;
    let unnamed = || {
        let what = "it does not name a manifest, or its checksum is wrong";
        Error::corruption(&current, 0, what)
    };
    let name = format::decode_current(&content).ok_or_else(unnamed)?;
    let Some((FileKind::Manifest, number)) = FileKind::parse(name) else {
        return Err(unnamed());
    };
    let path = directory.join(name);
    let file = open_existing(env, &path)?.read_whole().await?;
    let header: &[u8; format::HEADER_BYTES] = file
        .first_chunk()
        .ok_or_else(|| Error::corruption(&path, 0, "it ends inside its header"))?;
    if header[..8] != *format::MAGIC {
        return Err(Error::corruption(&path, 0, "this is not a manifest"));
    }
    let found = u32::from_le_bytes(header[8..].try_into().expect("4 bytes"));
    let Some(layout) = Layout::of(found, number) else {
        return Err(Error::Format {
            file: path,
            found,
            supported: format::FORMAT,
        });
    };
    let mut state = State::default();
    let mut at = format::HEADER_BYTES;
    while at < file.len() {
        let Some((edit, next)) = format::decode(&file, at, layout) else {
            check_torn(&path, &file, at, layout)?;
            break;
        };
        state.add(&path, at, &edit)?;
        at = next;
    }
    if at == format::HEADER_BYTES {
        let what = "its first record does not read back";
        return Err(Error::corruption(&path, at as u64, what));
    }
    Ok(StoredManifest { path, state })
}

/// Reads the path of the manifest in force and the set of live files that it states.
///
/// # Errors
/// The errors of [`recover`].
pub(crate) async fn read_back(env: &Env, directory: &Path) -> Result<(PathBuf, Edit)> {
    let StoredManifest { path, state } = read_manifest(env, directory).await?;
    let edit = Edit {
        wal_min: Some(state.wal_min),
        next_number: Some(state.next_number),
        sequence: Some(state.sequence),
        logs_durable: state.durable_parts(),
        ..state.edit()
    };
    Ok((path, edit))
}

/// Checks that the damage at `at` is the torn last edit. Every edit is synced before it takes
/// effect, so only the last can be torn; a sound edit behind it proves damage. O(bytes of the
/// file).
fn check_torn(path: &Path, file: &[u8], at: usize, layout: Layout) -> Result<()> {
    let is_edit =
        |at| format::decode(file, at, layout).is_some_and(|(edit, _)| edit != Edit::default());
    if (at + 1..file.len()).any(is_edit) {
        let what = "an edit before the last does not read back";
        return Err(Error::corruption(path, at as u64, what));
    }
    Ok(())
}

impl State {
    /// Sorts the files of the directory by their role. `in_force` is the name of the manifest in
    /// force. Files that are not the engine's are left out.
    fn sort_files(&self, names: &[String], in_force: Option<&OsStr>) -> SortedFiles {
        let mut sorted = SortedFiles {
            wals: Vec::new(),
            leftovers: Vec::new(),
            next_number: 1,
        };
        for (kind, number) in numbered(names, Some(self.next_number)) {
            let name = kind.name(number);
            sorted.next_number = sorted.next_number.max(number + 1);
            let live = match kind {
                FileKind::Wal => number >= self.wal_min,
                FileKind::Table => self.tables.contains_key(&number),
                FileKind::Values => self.values.values().any(|facts| facts.physical == number),
                FileKind::Manifest => in_force == Some(OsStr::new(&name)),
            };
            match kind {
                FileKind::Wal if live => sorted.wals.push(number),
                _ if live => {}
                _ => sorted.leftovers.push(name),
            }
        }
        let unfinished = REPLACED.map(temporary);
        let temporaries = names.iter().filter(|name| unfinished.contains(name));
        sorted.leftovers.extend(temporaries.cloned());
        sorted
    }

    fn add(&mut self, path: &Path, offset: usize, edit: &Edit) -> Result<()> {
        self.wal_min = edit.wal_min.unwrap_or(self.wal_min);
        self.next_number = edit.next_number.unwrap_or(self.next_number);
        self.sequence = edit.sequence.unwrap_or(self.sequence);
        let durable = edit.logs_durable.iter().map(|part| (part.log, part.bytes));
        self.logs_durable.extend(durable);
        self.logs_durable = self.logs_durable.split_off(&self.wal_min);
        if (self.next_number | self.sequence) >> 56 != 0 {
            return Err(Error::corruption(
                path,
                offset as u64,
                "an edit names a number that no database reaches",
            ));
        }
        for (level, id) in &edit.removed {
            let removed = self.tables.remove(id);
            if removed.is_none_or(|table| table.level != *level) {
                let what = format!("an edit removes table {id}, which is not in level {level}");
                return Err(Error::corruption(path, offset as u64, what));
            }
        }
        for table in &edit.added {
            let runs = self.runs.entry(table.level).or_default();
            if !runs.contains(&table.run) {
                runs.insert(0, table.run);
            }
            self.tables.insert(table.facts.id, table.clone());
        }
        let tables = self.tables.values();
        let used: BTreeSet<(usize, u64)> = tables.map(|table| (table.level, table.run)).collect();
        for (level, runs) in &mut self.runs {
            runs.retain(|run| used.contains(&(*level, *run)));
        }
        self.runs_max.extend(edit.runs_max.iter().copied());
        edit.change_values(&mut self.values)
            .map_err(|what| Error::corruption(path, offset as u64, what))?;
        for range in &edit.ranges_added {
            self.ranges.insert(range.sequence, range.clone());
        }
        for sequence in &edit.ranges_removed {
            self.ranges.remove(sequence);
        }
        for (_, table) in &edit.removed {
            self.swept.remove(table);
        }
        self.swept.extend(edit.table_swept.iter().copied());
        if self.ranges.is_empty() {
            self.swept.clear();
        }
        Ok(())
    }

    /// Opens every live file and builds the version.
    async fn open_files(
        &self,
        env: &Env,
        directory: &Path,
        cache: &Arc<BlockCache>,
    ) -> Result<Version> {
        let mut context = ReadContext::new(cache, &*env.clock);
        let mut tables = BTreeMap::new();
        for (id, added) in &self.tables {
            let path = FileKind::Table.path(directory, *id);
            let file = open_existing(env, &path)?;
            let facts = added.facts.clone();
            let table = Table::open(env.fs.clone(), file, facts, &mut context).await?;
            tables.insert(*id, Arc::new(table));
        }
        let mut values = BTreeMap::new();
        for (number, facts) in &self.values {
            let Entry::Vacant(place) = values.entry(facts.physical) else {
                continue;
            };
            let path = FileKind::Values.path(directory, facts.physical);
            let file = open_existing(env, &path)?;
            let mut file = ValueFile::new(facts.physical, file, env.fs.clone());
            if facts.physical != *number {
                file = file.read_map().await?;
            }
            place.insert(Arc::new(file));
        }
        let version = self.edit().apply(&Version::default(), &tables, &values);
        Ok(version.expect("edits were applied one by one"))
    }

    fn durable_parts(&self) -> Vec<LogPart> {
        let part = |(log, bytes): (&u64, &u64)| LogPart {
            log: *log,
            bytes: *bytes,
        };
        self.logs_durable.iter().map(part).collect()
    }

    /// Returns the edit that creates the whole state.
    fn edit(&self) -> Edit {
        let mut edit = Edit::default();
        for (level, runs) in &self.runs {
            for run in runs.iter().rev() {
                for table in self.tables.values() {
                    if table.level == *level && table.run == *run {
                        edit.added.push(table.clone());
                    }
                }
            }
        }
        for (level, runs) in &self.runs_max {
            edit.runs_max.push((*level, *runs));
        }
        for (number, facts) in &self.values {
            edit.add_value_file(*number, facts);
        }
        edit.ranges_added = self.ranges.values().cloned().collect();
        let swept = self.swept.iter();
        edit.table_swept = swept.map(|(table, to)| (*table, *to)).collect();
        edit
    }
}
