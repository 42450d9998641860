//! Repair: keeps what is sound of a damaged directory, reports what is lost, destroys nothing.
//!
//! - If the manifest is sound, the tree stays. A table that does not verify is written again from
//!   its sound blocks. A missing file is dropped. Logs that do not replay are used up to the
//!   damage.
//! - Without a manifest, every table found is merged with the logs into one run. Entries carry
//!   their sequence numbers, so versions keep their order. But the merge also finds tables that a
//!   compaction had replaced and a crash kept from being removed: a deleted key may return. So may
//!   keys that a flushed range delete removed, because only the manifest held that range delete.
//! - A collected value file is lost with its map, because the places of its frames are written
//!   nowhere else.
//! - An entry whose value is lost is dropped. If an older version of its key is left, readers see
//!   that one.
//!
//! Files that are damaged or no longer needed get a second name in `lost/` before the new manifest
//! takes effect, and lose their first name after it. New tables have temporary names until they are
//! whole. So a repair that is interrupted leaves everything there was, and can be run again.
//!
//! A repair that fails before its manifest takes effect removes what it wrote, so that attempts on
//! a full disk do not fill it further. Of what a crash leaves, the next repair removes unfinished
//! tables and uses the names in `lost/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_policies::facts::TableFacts;
use serde::Serialize;

use crate::admin::checkpoint::{is_copy, link_or_copy};
use crate::admin::verify::check_directory;
use crate::cache::no_cache;
use crate::compaction::{NewFile, NewTables, VersionFilter};
use crate::config::EngineConfig;
use crate::context::ReadContext;
use crate::directory::{
    CURRENT, FileKind, Files, ReadAccess, Role, UNFINISHED, check_role, numbered, take_lock,
};
use crate::env::{Env, bounded};
use crate::error::{Error, Result};
use crate::manifest::{AddedTable, Edit, Manifest, Run, Version, read_back};
use crate::ranges::RangeSet;
use crate::read::MergingIterator;
use crate::state::Policies;
use crate::storage::{Direction, Key, Sequence};
use crate::table::Table;
use crate::values::ValueFileState;
use crate::wal::WalWriter;

mod logs;
mod tables;
mod values;
mod write;

use logs::Logs;
use write::{TableSink, remove_unwritten};

/// Directory inside the database's that receives files that are damaged or no longer needed.
pub(crate) const LOST: &str = "lost";

/// Result of a repair: what was found and done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Whether it was a dry run, which changes nothing.
    pub dry_run: bool,
    /// Whether nothing was wrong. Then nothing was changed.
    pub sound: bool,
    /// Whether the manifest was lost, so that the tree was rebuilt from the tables found. Keys
    /// deleted before, singly or by a range, may have returned.
    pub rebuilt: bool,
    /// Tables without damage.
    pub tables_sound: u64,
    /// Tables that were written again from their sound blocks and entries.
    pub tables_salvaged: u64,
    /// Entries of tables that were kept.
    pub entries_kept: u64,
    /// Writes taken from damaged logs, or from all logs if the manifest was lost.
    pub log_writes_kept: u64,
    /// Everything that was lost.
    pub losses: Vec<Loss>,
    /// Files that were moved to `lost/`, or would be in a dry run.
    pub moved: Vec<String>,
    /// Problems that a verification still finds after the repair. If there are no problems, the
    /// database is lawful.
    pub problems: Vec<String>,
}

/// A loss of data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The file that is missing or damaged.
    pub file: PathBuf,
    /// Where the damage starts.
    pub offset: u64,
    /// How many bytes it covers, if that is known.
    pub bytes: Option<u64>,
    /// How many entries are lost, if that is known.
    pub entries: Option<u64>,
    /// Lower bound of the lost keys (included), escaped like a string.
    pub first: Option<String>,
    /// Upper bound of the lost keys (included).
    pub last: Option<String>,
    /// Description of what happened.
    pub what: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at offset {}", self.file.display(), self.offset)?;
        if let Some(bytes) = self.bytes {
            write!(out, ", {bytes} bytes")?;
        }
        write!(out, ": {}", self.what)?;
        if let Some(entries) = self.entries {
            write!(out, "; entries lost: {entries}")?;
        }
        match (&self.first, &self.last) {
            (None, None) => Ok(()),
            (Some(first), None) => write!(out, "; keys from \"{first}\" on"),
            (None, Some(last)) => write!(out, "; keys up to \"{last}\""),
            (Some(first), Some(last)) => write!(out, "; keys from \"{first}\" to \"{last}\""),
        }
    }
}

impl Loss {
    fn new(file: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            offset,
            what: what.into(),
            ..Self::default()
        }
    }

    fn of(error: &Error, path: &Path) -> Self {
        match error {
            Error::Corruption { file, offset, what } => Self::new(file, *offset, what),
            Error::Io { source, file, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                Self::new(file, 0, "it is missing")
            }
            other => Self::new(path, 0, other.to_string()),
        }
    }

    fn keys(mut self, first: Option<&Key>, last: Option<&Key>) -> Self {
        let text = |key: &Key| key.escape_ascii().to_string();
        self.first = first.map(text);
        self.last = last.map(text);
        self
    }
}

/// Repairs `directory`, or reports what a repair would do. The result is verified.
pub(crate) async fn repair(
    env: &Env,
    directory: &Path,
    config: &EngineConfig,
    dry_run: bool,
) -> Result<RepairReport> {
    config.validate()?;
    let env = &bounded(env, u64::from(config.max_open_files));
    check_role(directory, &Files::of(env).list(directory)?, Role::Whole)?;
    let _lock = take_lock(env, directory)?;
    if !dry_run {
        remove_unwritten(env, directory)?;
    }
    let mut report = repair_once(env, directory, config, dry_run, Vec::new()).await?;
    if report.sound {
        // Each file is sound by itself. Together they may be inconsistent.
        let problems = check(env, directory).await?;
        if problems.is_empty() {
            return Ok(report);
        }
        report = repair_once(env, directory, config, dry_run, problems).await?;
    }
    if !dry_run {
        report.problems = check(env, directory).await?;
    }
    Ok(report)
}

/// Returns what a verification finds wrong.
async fn check(env: &Env, directory: &Path) -> Result<Vec<String>> {
    let report = check_directory(env, directory, &ReadAccess::of_owner()).await?;
    Ok(report.problems)
}

/// Repairs each file, and writes the state again if anything was wrong. `problems` are what files
/// are inconsistent about.
async fn repair_once(
    env: &Env,
    directory: &Path,
    config: &EngineConfig,
    dry_run: bool,
    problems: Vec<String>,
) -> Result<RepairReport> {
    let cache = no_cache()?;
    let context = ReadContext::new(&cache, &*env.clock).in_background();
    let loss = |what: String| Loss::new(directory, 0, what);
    let mut repair = Repair {
        env,
        directory,
        config,
        policies: Policies::build(config)?,
        context,
        report: RepairReport {
            dry_run,
            losses: problems.into_iter().map(loss).collect(),
            ..RepairReport::default()
        },
        names: Files::of(env).list(directory)?,
        ours: Vec::new(),
        next_number: 0,
        values: BTreeMap::new(),
        new_tables: NewTables::default(),
        new_files: Vec::new(),
        discarded: BTreeSet::new(),
    };
    repair.run().await?;
    Ok(repair.report)
}

struct Repair<'a> {
    env: &'a Env,
    directory: &'a Path,
    config: &'a EngineConfig,
    policies: Policies,
    context: ReadContext<'a>,
    report: RepairReport,
    /// Names of all files found.
    names: Vec<String>,
    /// Kinds and numbers of those that are the engine's, by number.
    ours: Vec<(FileKind, u64)>,
    next_number: u64,
    /// The value files, by the number that pointers name.
    values: BTreeMap<u64, ValueFileState>,
    /// The tables that it wrote, until its manifest takes effect.
    new_tables: NewTables,
    /// Other files and names that it made, until its manifest takes effect.
    new_files: Vec<NewFile>,
    /// Names of files that will move to `lost/`.
    discarded: BTreeSet<String>,
}

/// The tables that a repair keeps.
#[derive(Default)]
struct Tree {
    /// Their places, in the form of the manifest.
    listed: Vec<AddedTable>,
    /// The open tables, by number.
    tables: BTreeMap<u64, Arc<Table>>,
}

impl Tree {
    fn add_run(&mut self, level: usize, run: u64, tables: Vec<Arc<Table>>) {
        for table in tables {
            let facts = table.facts().clone();
            self.tables.insert(facts.id, table);
            self.listed.push(AddedTable { level, run, facts });
        }
    }
}

impl Repair<'_> {
    async fn run(&mut self) -> Result<()> {
        let stored = self.stored().await?;
        self.open_values(stored.as_ref()).await?;
        let mut tree = self.sound_tables(stored.as_ref()).await?;
        let written = tree.tables.values().map(|table| table.facts().sequence_max);
        let written = written.max().unwrap_or(0);
        let known = stored.as_ref().and_then(|edit| edit.sequence);
        let sequence = known.unwrap_or(written);
        let logs = self.read_logs(stored.as_ref(), sequence).await?;
        self.report.sound =
            stored.is_some() && self.discarded.is_empty() && self.report.losses.is_empty();
        if self.report.sound {
            return Ok(());
        }
        if stored.is_none() {
            // Once the tables are merged, none of them is needed.
            self.discard(FileKind::Table);
        }
        self.discard(FileKind::Manifest);
        let current = self.names.iter().filter(|name| *name == CURRENT);
        self.discarded.extend(current.cloned());
        if self.report.dry_run {
            self.report.moved = self.discarded.iter().cloned().collect();
            return Ok(());
        }
        if stored.is_none() {
            self.merge_all(&mut tree, &logs).await?;
        } else if !logs.stay {
            let inputs = std::iter::empty();
            let run = self.number();
            let tables = self.merge(inputs, &logs, stored.as_ref(), 0).await?;
            tree.add_run(0, run, tables);
        }
        let sequence = sequence.max(logs.sequence);
        let Tree { listed, tables } = tree;
        self.commit(stored, listed, tables, &logs, sequence).await
    }

    /// Returns the tables that can be kept. Without a manifest, every table found is tried.
    async fn sound_tables(&mut self, stored: Option<&Edit>) -> Result<Tree> {
        let listed = match stored {
            Some(edit) => edit.added.clone(),
            None => {
                let found = self.found(FileKind::Table).into_iter();
                found.map(unlisted).collect()
            }
        };
        let mut tree = Tree::default();
        for listed in listed {
            let tables = self.examine(&listed, stored.is_some()).await?;
            tree.add_run(listed.level, listed.run, tables);
        }
        Ok(tree)
    }

    /// Merges every table and every log into one run of level 1, because their order is unknown.
    async fn merge_all(&mut self, tree: &mut Tree, logs: &Logs) -> Result<()> {
        let inputs = std::mem::take(tree).tables;
        // What was salvaged is not needed once it is merged: the damaged tables are still there.
        let _salvaged = std::mem::take(&mut self.new_tables);
        let run = self.number();
        let tables = self.merge(inputs.into_values(), logs, None, 1).await?;
        tree.add_run(1, run, tables);
        Ok(())
    }

    /// Marks every file of a kind for `lost/`.
    fn discard(&mut self, kind: FileKind) {
        let numbers = self.found(kind).into_iter();
        let names: Vec<_> = numbers.map(|number| kind.name(number)).collect();
        self.discarded.extend(names);
    }

    /// Reads the state that the manifest describes; `None` if the manifest is lost.
    async fn stored(&mut self) -> Result<Option<Edit>> {
        if !self.has(CURRENT) && self.has(UNFINISHED) {
            return Err(Error::Unfinished {
                directory: self.directory.to_owned(),
            });
        }
        let read = match read_back(self.env, self.directory).await {
            Err(error) if !error.is_damage() => return Err(error),
            read => read,
        };
        let stated = read.as_ref().ok().and_then(|(_, edit)| edit.next_number);
        self.ours = numbered(&self.names, stated);
        let largest = self.ours.last().map(|(_, number)| *number);
        if largest.is_none() && !self.has(CURRENT) {
            let what = "the directory holds no file of a database";
            return Err(Error::corruption(&self.directory.join(CURRENT), 0, what));
        }
        self.next_number = stated.unwrap_or(0).max(largest.unwrap_or(0) + 1);
        let loss = match read {
            Ok((path, edit)) => match overlap(&edit) {
                None => return Ok(Some(edit)),
                Some(what) => Loss::new(&path, 0, what),
            },
            Err(error) => {
                let current = self.directory.join(CURRENT);
                match self.has(CURRENT) {
                    true => Loss::of(&error, &current),
                    false => Loss::new(&current, 0, "it is missing"),
                }
            }
        };
        self.report.rebuilt = true;
        self.report.losses.push(loss);
        Ok(None)
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|it| it == name)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }

    /// Returns the numbers of the files of a kind that were found, in order.
    fn found(&self, kind: FileKind) -> Vec<u64> {
        let of_kind = self.ours.iter().filter(|(of, _)| *of == kind);
        of_kind.map(|(_, number)| *number).collect()
    }

    /// Merges tables and logs into a run for `level`. Entries hidden by range tombstones, of the
    /// logs or stored, are dropped.
    async fn merge(
        &mut self,
        tables: impl Iterator<Item = Arc<Table>>,
        logs: &Logs,
        stored: Option<&Edit>,
        level: usize,
    ) -> Result<Vec<Arc<Table>>> {
        let mut merge = MergingIterator::new(Direction::Forward);
        for table in tables {
            let run = Run {
                id: 0,
                tables: vec![table],
            };
            merge.add_run(Arc::new(run), 0, true);
        }
        for memtable in &logs.memtables {
            merge.add_memtable(memtable.clone());
        }
        merge.seek(None, &mut self.context).await?;
        let mut ranges = logs.ranges();
        if let Some(edit) = stored {
            ranges.extend(edit.ranges_added.iter().cloned());
        }
        let ranges = RangeSet::default().changed(&ranges, &BTreeSet::new());
        let mut retain = VersionFilter::new(Vec::new(), Arc::new(ranges));
        let mut sink = TableSink::new(level);
        while let Some(entry) = merge.entry() {
            // In level 0 older versions may lie below.
            if retain.keeps(entry, |_| level > 0) {
                sink.add(self, entry).await?;
            }
            merge.step(&mut self.context).await?;
        }
        sink.finish(self).await
    }

    /// Makes the new state take effect.
    async fn commit(
        &mut self,
        stored: Option<Edit>,
        kept: Vec<AddedTable>,
        tables: BTreeMap<u64, Arc<Table>>,
        logs: &Logs,
        sequence: Sequence,
    ) -> Result<()> {
        let rebuilt = stored.is_none();
        let mut edit = stored.unwrap_or_default();
        let durable = std::mem::take(&mut edit.logs_durable);
        edit.added = kept;
        edit.table_swept
            .retain(|(table, _)| tables.contains_key(table));
        if !rebuilt && !logs.stay {
            // They still hide entries of tables. After a merge of all, nothing is left for them to
            // hide.
            edit.ranges_added.extend(logs.ranges());
        }
        self.book_values(&tables, logs, rebuilt).await?;
        edit.values_sealed.clear();
        edit.values_accounted.clear();
        edit.values_moved.clear();
        edit.values_opened.clear();
        edit.values_dead.clear();
        let mut files = BTreeMap::new();
        for (number, state) in &self.values {
            edit.add_value_file(*number, &state.facts);
            files.insert(state.file.number, state.file.clone());
        }
        let unlawful = |what| Error::UnlawfulPlan { what };
        let version = edit
            .apply(&Version::default(), &tables, &files)
            .map_err(unlawful)?;
        let manifest = self.number();
        let wal_min = edit.wal_min.filter(|_| logs.stay).unwrap_or(manifest);
        if wal_min == manifest {
            self.will_create(FileKind::Wal, manifest);
            let first = sequence + 1;
            WalWriter::create(self.env, self.directory, manifest, first, None).await?;
        }
        self.set_aside().await?;
        let base = Edit {
            wal_min: Some(wal_min),
            next_number: Some(self.next_number),
            sequence: Some(sequence),
            logs_durable: if logs.stay { durable } else { Vec::new() },
            ..Edit::default()
        };
        self.will_create(FileKind::Manifest, manifest);
        let written = Manifest::write(self.env, self.directory, manifest, &version, base).await?;
        // A crash may now find the new manifest in force, which names all that was written.
        std::mem::take(&mut self.new_tables).keep();
        self.new_files.drain(..).for_each(NewFile::keep);
        written.take_effect().await?;
        for name in self.discarded.iter().filter(|name| *name != CURRENT) {
            let path = self.directory.join(name);
            Files::of(self.env).remove(&path)?;
        }
        Files::of(self.env).sync_directory(self.directory).await
    }

    /// Has a file that is about to be created removed if the repair fails.
    fn will_create(&mut self, kind: FileKind, number: u64) {
        let path = kind.path(self.directory, number);
        self.new_files.push(NewFile::new(&self.env.fs, &path));
    }

    /// Gives every discarded file a second name in `lost/`, unless an interrupted repair did.
    async fn set_aside(&mut self) -> Result<()> {
        let lost = self.directory.join(LOST);
        let files = Files::of(self.env);
        files.create_directory(&lost)?;
        let mut there = BTreeSet::from_iter(files.list(&lost)?);
        for name in self.discarded.clone() {
            let file = files.open(&self.directory.join(&name))?;
            let mut second = name.clone();
            let mut more = 0;
            while there.contains(&second) {
                let other = files.open(&lost.join(&second))?;
                // What cannot be read is not known to be the same.
                if is_copy(&file, &other).await.unwrap_or(false) {
                    break;
                }
                more += 1;
                second = format!("{name}.{more}");
            }
            let path = lost.join(&second);
            if there.insert(second) {
                link_or_copy(self.env, file.path(), &path, file.bytes()?).await?;
                self.new_files.push(NewFile::new(&self.env.fs, &path));
            } else {
                // The repair that made it may have been interrupted before its bytes were durable.
                files.open(&path)?.sync().await?;
            }
            self.report.moved.push(name);
        }
        files.sync_directory(&lost).await?;
        // The names of the new tables must be durable too, before a manifest names them.
        files.sync_directory(self.directory).await
    }
}

/// Names two tables of one run that hold the same keys, if there are any.
fn overlap(edit: &Edit) -> Option<String> {
    let mut runs: BTreeMap<(usize, u64), Vec<&TableFacts>> = BTreeMap::new();
    for table in &edit.added {
        let run = runs.entry((table.level, table.run)).or_default();
        run.push(&*table.facts);
    }
    for ((level, _), tables) in &mut runs {
        tables.sort_by(|one, other| one.smallest.cmp(&other.smallest));
        for pair in tables.windows(2) {
            if pair[0].largest >= pair[1].smallest {
                let one = pair[0].id;
                let other = pair[1].id;
                return Some(format!(
                    "in level {level} tables {one} and {other} overlap in one run"
                ));
            }
        }
    }
    None
}

/// Returns a table that no manifest lists; only its number is known.
fn unlisted(id: u64) -> AddedTable {
    let facts = TableFacts {
        id,
        bytes: 0,
        entries: 0,
        deletions: 0,
        separated_bytes: 0,
        smallest: Key::new(),
        largest: Key::new(),
        sequence_min: 0,
        sequence_max: 0,
    };
    AddedTable {
        level: 0,
        run: 0,
        facts: Arc::new(facts),
    }
}
