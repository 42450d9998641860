//! Verification: every checksum, the order of every level, every value pointer and every name, against the files as they
//! are.
//!
//! One moment is checked: a view, the logs of its memtables, the manifest, and the names in the directory, all taken
//! between two commit groups. An open engine goes on meanwhile; its view keeps the files. A directory is read as opening
//! it to read would, and left as it is. Beside an engine that has it open, what is missing of files that this engine has
//! replaced meanwhile is no problem, and leftovers are not looked for: it may be writing them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::cache::no_cache;
use crate::compaction::collection::audit;
use crate::config::EngineConfig;
use crate::context::ReadContext;
use crate::directory::{FileKind, ReadAccess, read_access};
use crate::env::{Env, bounded};
use crate::error::{Error, Result};
use crate::manifest::{Edit, Version, read_back, snapshot};
use crate::memtable::Memtable;
use crate::read::MergingIterator;
use crate::recovery::{self, read_moment};
use crate::state::{Core, Lifecycle, ReadState, Tree};
use crate::storage::{Direction, EntryKind, Key, Sequence, ValuePointer};
use crate::values::format::MAGIC;
use crate::values::{FrameWalker, Garbage, Step, ValueFile, ValueFileState, discard};
use crate::wal::{Chain, Link, Replay};
use crate::write::CommitPipeline;

/// Where the first frame of a value file starts.
const FRAMES_START: u64 = MAGIC.len() as u64;

/// What a verification looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Tables read whole.
    pub tables: u64,
    /// Entries in them.
    pub entries: u64,
    /// Values in the value log that tables and memtables point at, read and checked.
    pub values: u64,
    /// Logs read whole.
    pub logs: u64,
    /// Records in them.
    pub log_records: u64,
    /// Rows that can be reached now.
    pub rows: u64,
    /// Bytes of their keys and values.
    pub reachable_bytes: u64,
    /// The part of those whose value lies in the value log.
    pub value_reachable_bytes: u64,
    /// Bytes of tables, value files and logs on disk.
    pub disk_bytes: u64,
    /// The value files on disk, each walked from one end to the other.
    pub value_files: Vec<ValueFileAudit>,
    /// Files that nothing refers to: a crash left them, and the next opening removes them. In an open engine a job may be
    /// writing one, or a reader may hold it.
    pub leftovers: Vec<String>,
    /// Logs behind the place where a crash ended history. What they hold was never known to be
    /// durable and is not part of the database; the next opening removes them.
    pub logs_cut_off: Vec<String>,
    /// Whether an engine had the directory open to write. Then what it was doing may be missing.
    pub in_use: bool,
    /// What is wrong, each with its file and place. Empty: all is sound.
    pub problems: Vec<String>,
}

/// What a value file on disk holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ValueFileAudit {
    /// Its number.
    pub file: u64,
    /// Its bytes.
    pub disk_bytes: u64,
    /// The part of them that is for frames.
    pub frame_bytes: u64,
    /// Sound frames.
    pub frames: u64,
    /// Bytes of frames that tables or memtables point at, traced.
    pub live_bytes: u64,
    /// Bytes of frames that are booked as garbage. Until a file is sealed some may be neither.
    pub garbage_bytes: u64,
    /// Bytes in which no sound frame lies and to which nothing points: the torn end that a crash left, or damage to what
    /// nobody reads any more.
    pub unreadable_bytes: u64,
}

impl VerifyReport {
    /// Bytes on disk over reachable bytes; None where nothing can be reached.
    pub fn space_amplification(&self) -> Option<f64> {
        (self.reachable_bytes > 0).then(|| self.disk_bytes as f64 / self.reachable_bytes as f64)
    }

    /// Bytes of value files.
    pub fn value_disk_bytes(&self) -> u64 {
        self.value_files.iter().map(|file| file.disk_bytes).sum()
    }

    /// Bytes of value files over reachable bytes of the rows whose values lie there; None where there is none.
    pub fn value_log_amplification(&self) -> Option<f64> {
        let reachable = self.value_reachable_bytes;
        (reachable > 0).then(|| self.value_disk_bytes() as f64 / reachable as f64)
    }

    fn problem(&mut self, error: &Error) {
        self.problems.push(error.to_string());
    }
}

/// Checks the database in `directory`, and changes nothing. Engines that would write to it are kept
/// out meanwhile; beside one that has it open already, the state of one moment is checked. Damage
/// that keeps it from being opened is the one problem of the report.
///
/// # Errors
/// A directory that is not there or holds no database, a newer format, and I/O errors.
pub async fn verify_directory(env: &Env, directory: &Path) -> Result<VerifyReport> {
    let env = bounded(env, 0);
    let access = read_access(&env, directory)?;
    check_directory(&env, directory, &access).await
}

/// Checks a database that the caller may read.
pub(crate) async fn check_directory(
    env: &Env,
    directory: &Path,
    access: &ReadAccess,
) -> Result<VerifyReport> {
    let config = EngineConfig::default();
    let names = env
        .fs
        .list(directory)
        .map_err(|error| Error::io("list", directory, error))?;
    let read = read_moment(env, directory, &config, &no_cache()?, access).await;
    let recovery::Moment {
        recovered,
        replayed,
    } = match read {
        Ok(read) => read,
        Err(error) if error.is_damage() => {
            return Ok(VerifyReport {
                problems: vec![error.to_string()],
                in_use: access.is_shared,
                ..VerifyReport::default()
            });
        }
        Err(error) => return Err(error),
    };
    if recovered.manifest.is_none() {
        return Err(Error::NoDatabase {
            directory: directory.to_owned(),
        });
    }
    let state = ReadState::new(
        Memtable::new(config.memtable_structure, 0),
        &replayed.memtables,
        recovered.version,
    );
    // A log may end in what a crash has torn: its replay has told that from damage.
    let logs = recovered.wals.iter().map(|wal| (*wal, 0)).collect();
    let ends = ends(&state)?;
    // Beside an engine, the manifest goes on.
    let stored = match access.is_shared {
        true => None,
        false => Some(read_back(env, directory).await),
    };
    let moment = Moment {
        env,
        directory,
        state: Arc::new(state),
        sequence: Sequence::MAX,
        ends,
        logs,
        stored,
        names,
    };
    let mut report = moment.check().await?;
    moment.check_logs(&mut report).await;
    if access.is_shared {
        report.in_use = true;
        report.leftovers.clear();
        forget_replaced(env, directory, &mut report).await;
    }
    Ok(report)
}

/// Forgets problems with files that an engine has replaced since they were found.
async fn forget_replaced(env: &Env, directory: &Path, report: &mut VerifyReport) {
    let Ok((_, live)) = read_back(env, directory).await else {
        return;
    };
    let mut values = BTreeMap::new();
    let tables: BTreeSet<u64> = live.added.iter().map(|table| table.facts.id).collect();
    if live.change_values(&mut values).is_err() {
        return;
    }
    let values: BTreeSet<u64> = values.values().map(|facts| facts.physical).collect();
    let is_live = |name: &str| match FileKind::parse(name) {
        Some((FileKind::Table, number)) => tables.contains(&number),
        Some((FileKind::Values, number)) => values.contains(&number),
        Some((FileKind::Wal, number)) => live.wal_min.is_none_or(|first| number >= first),
        _ => true,
    };
    // Each problem names its file.
    let file = |problem: &str| {
        let words = problem.split_whitespace();
        let mut names = words.filter_map(|word| Path::new(word.trim_end_matches(':')).file_name());
        names.find_map(|name| {
            let name = name.to_string_lossy();
            FileKind::parse(&name).map(|_| name.into_owned())
        })
    };
    report
        .problems
        .retain(|problem| file(problem).is_none_or(|name| is_live(&name)));
}

/// What a moment of an open engine consists of.
pub(crate) struct Taken {
    state: Arc<ReadState>,
    sequence: Sequence,
    ends: BTreeMap<u64, u64>,
    logs: BTreeMap<u64, u64>,
    stored: Option<Result<(PathBuf, Edit)>>,
    names: Vec<String>,
}

/// Takes a moment of an open engine, between two commit groups and two edits.
pub(crate) async fn take_moment(
    core: &Core,
    tree: &Tree,
    commits: &CommitPipeline,
    lifecycle: &Lifecycle,
) -> Result<Taken> {
    let log = commits.hold_log().await;
    let manifest = tree.hold_manifest().await;
    let state = tree.load_to_keep();
    let env = core.env();
    // After a failure the manifest may hold an edit that never took effect.
    let is_sound = lifecycle.check_sound().is_ok() && !lifecycle.is_read_only();
    let stored = match is_sound {
        true => Some(read_back(env, core.directory()).await),
        false => None,
    };
    let names = env.fs.list(core.directory());
    let names = names.map_err(|error| Error::io("list", core.directory(), error))?;
    let ends = ends(&state)?;
    let mut logs: BTreeMap<u64, u64> = BTreeMap::new();
    if !lifecycle.is_read_only() {
        let sealed = state.sealed.iter();
        logs.extend(sealed.map(|memtable| (memtable.wal, u64::MAX)));
        logs.insert(state.active.wal, log.wal_bytes());
    }
    drop(manifest);
    Ok(Taken {
        state,
        sequence: log.sequence(),
        ends,
        logs,
        stored,
        names,
    })
}

/// Checks a moment of an open engine. Reads everything; the cache stays as it is.
pub(crate) async fn check_open_engine(
    core: &Core,
    tree: &Tree,
    taken: Taken,
) -> Result<VerifyReport> {
    let moment = Moment {
        env: core.env(),
        directory: core.directory(),
        state: taken.state,
        sequence: taken.sequence,
        ends: taken.ends,
        logs: taken.logs,
        stored: taken.stored,
        names: taken.names,
    };
    let is_still_there = |wal: u64| {
        let state = tree.load();
        let mut memtables = state.memtables();
        memtables.any(|memtable| memtable.wal == wal)
    };
    let mut report = moment.check().await?;
    // A log is removed when its memtable is flushed, which may have happened meanwhile.
    for (wal, error) in moment.check_logs(&mut report).await {
        if !error.is_damage() || is_still_there(wal) {
            report.problem(&error);
        }
    }
    Ok(report)
}

/// What is checked.
struct Moment<'a> {
    env: &'a Env,
    directory: &'a Path,
    state: Arc<ReadState>,
    /// The last write that belongs to it.
    sequence: Sequence,
    /// Where each value file on disk ends.
    ends: BTreeMap<u64, u64>,
    /// The logs, and up to where each must read back; `u64::MAX` is its end.
    logs: BTreeMap<u64, u64>,
    /// The manifest's path and the state it states.
    stored: Option<Result<(PathBuf, Edit)>>,
    names: Vec<String>,
}

impl Moment<'_> {
    /// Checks everything but the logs.
    async fn check(&self) -> Result<VerifyReport> {
        let cache = no_cache()?;
        let mut context = ReadContext::new(&cache, &*self.env.clock).in_background();
        let mut report = VerifyReport::default();
        self.check_manifest(&mut report);
        self.check_names(&mut report);
        check_order(&self.state.version, &mut report);
        let mut traced = Garbage::new();
        if self
            .check_tables(&mut report, &mut traced, &mut context)
            .await
        {
            // Of a table that does not read back nobody knows what it points at.
            report
                .problems
                .extend(audit(&self.state.version, traced.clone())?);
        }
        self.check_memtables(&mut report, &mut traced, &mut context)
            .await;
        for (_, file) in self.state.version.values_on_disk() {
            let checked = self
                .check_value_file(file, &traced, &mut report, &mut context)
                .await;
            checked.unwrap_or_else(|error| report.problem(&error));
        }
        if let Err(error) = self.reach(&mut report, &mut context).await {
            report.problem(&error);
        }
        context.charge();
        report.problems.dedup();
        Ok(report)
    }

    /// Holds what the manifest tells against the version.
    fn check_manifest(&self, report: &mut VerifyReport) {
        let (path, stored) = match &self.stored {
            Some(Ok(stored)) => stored,
            Some(Err(error)) => return report.problem(error),
            None => return,
        };
        let live = snapshot(&self.state.version, Edit::default());
        if let Some(what) = stored.difference(&live) {
            report.problem(&Error::corruption(path, 0, what));
        }
    }

    /// Holds the version against the names in the directory and the lengths behind them.
    fn check_names(&self, report: &mut VerifyReport) {
        let mut expected: BTreeMap<PathBuf, (u64, bool)> = BTreeMap::new();
        for (_, table) in self.state.version.tables() {
            expected.insert(table.path().to_owned(), (table.facts().bytes, true));
        }
        for state in self.state.version.value_files.values() {
            let bytes = self.ends.get(&state.file.number).copied().unwrap_or(0);
            expected.insert(state.file.path().to_owned(), (bytes, state.is_sealed()));
        }
        for (path, (bytes, whole)) in &expected {
            let found = self.env.fs.open(path).and_then(|file| file.bytes());
            match found {
                Ok(found) if found == *bytes || (!whole && found > *bytes) => {
                    report.disk_bytes += bytes
                }
                Ok(found) => {
                    let what = format!("it has {found} bytes where {bytes} are recorded");
                    report.problem(&Error::corruption(path, found.min(*bytes), what));
                }
                Err(error) => report.problem(&Error::io("open", path, error)),
            }
        }
        let mut known: BTreeSet<PathBuf> = expected.into_keys().collect();
        known.extend(
            self.logs
                .keys()
                .map(|wal| FileKind::Wal.path(self.directory, *wal)),
        );
        if let Some(Ok((manifest, _))) = &self.stored {
            known.insert(manifest.clone());
        }
        let ours = self
            .names
            .iter()
            .filter(|name| FileKind::parse(name).is_some());
        report.leftovers = ours
            .filter(|name| !known.contains(&self.directory.join(name)))
            .cloned()
            .collect();
        for wal in self.logs.keys() {
            let log = self.env.fs.open(&FileKind::Wal.path(self.directory, *wal));
            report.disk_bytes += log.and_then(|file| file.bytes()).unwrap_or(0);
        }
    }

    /// Reads every table and what it points at; whether all could be read whole.
    async fn check_tables(
        &self,
        report: &mut VerifyReport,
        traced: &mut Garbage,
        context: &mut ReadContext<'_>,
    ) -> bool {
        let mut whole = true;
        for (_, table) in self.state.version.tables() {
            report.tables += 1;
            let mut pointers = Vec::new();
            let audit = table.verify(context, |entry| {
                discard(traced, entry);
                // A key of its own: the entry's would keep its block.
                pointers.extend(
                    entry
                        .pointer()
                        .map(|pointer| (Key::copy_from_slice(&entry.key), pointer)),
                );
            });
            match audit.await {
                Ok(audit) => report.entries += audit.entries,
                Err(error) => {
                    report.problem(&error);
                    whole = false;
                }
            }
            for (key, pointer) in pointers {
                self.check_value(table.path(), &key, &pointer, report, context)
                    .await;
            }
        }
        whole
    }

    async fn check_memtables(
        &self,
        report: &mut VerifyReport,
        traced: &mut Garbage,
        context: &mut ReadContext<'_>,
    ) {
        for memtable in self.state.memtables() {
            let log = FileKind::Wal.path(self.directory, memtable.wal);
            for entry in memtable
                .iter()
                .filter(|entry| entry.sequence <= self.sequence)
            {
                discard(traced, &entry);
                if let Some(pointer) = entry.pointer() {
                    self.check_value(&log, &entry.key, &pointer, report, context)
                        .await;
                }
            }
        }
    }

    /// Reads the value that an entry of `holder` points at.
    async fn check_value(
        &self,
        holder: &Path,
        key: &Key,
        pointer: &ValuePointer,
        report: &mut VerifyReport,
        context: &mut ReadContext<'_>,
    ) {
        report.values += 1;
        let sound = match self.state.version.value_files.get(&pointer.file) {
            Some(state) => state.get(key, pointer, context).await.map(drop),
            None => Err(Error::corruption(
                holder,
                0,
                format!(
                    "it points at value file {}, which is not there",
                    pointer.file
                ),
            )),
        };
        if let Err(error) = sound {
            report.problem(&error);
        }
    }

    /// Walks a value file on disk from one end to the other; where it is a collected one, its map is read back, too.
    async fn check_value_file(
        &self,
        file: &ValueFile,
        traced: &Garbage,
        report: &mut VerifyReport,
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        let disk_bytes = self.ends.get(&file.number).copied().unwrap_or(0);
        let frames_end = if file.is_collected() {
            file.frames_end()?
        } else {
            disk_bytes
        };
        let mut audit = ValueFileAudit {
            file: file.number,
            disk_bytes,
            ..ValueFileAudit::default()
        };
        audit.frame_bytes = frames_end.saturating_sub(FRAMES_START);
        let mut booked_bytes = 0;
        let mut live = Vec::new();
        let held = |state: &&ValueFileState| state.file.number == file.number;
        for state in self.state.version.value_files.values().filter(held) {
            for (start, end) in traced.get(&state.number).into_iter().flatten() {
                audit.live_bytes += end - start;
                // One that was not kept has been told where its value was looked for.
                live.extend(state.place(*start));
            }
            booked_bytes += state.live_bytes()?;
            audit.garbage_bytes += state.facts.dead.bytes();
        }
        if file.is_collected() {
            // Files of which nothing is live any more are not known of, but what was copied of them is still here.
            audit.garbage_bytes = audit.frame_bytes.saturating_sub(booked_bytes);
            let again = self
                .env
                .fs
                .open(file.path())
                .map_err(|error| Error::io("open", file.path(), error))?;
            let again = ValueFile::new(
                file.number,
                file.path().to_owned(),
                again,
                self.env.fs.clone(),
            );
            if !again.read_map().await?.has_map_of(file) {
                report.problem(&file.damaged(
                    frames_end,
                    "the map is not the one that was read when it was opened",
                ));
            }
        }
        live.sort_unstable();
        let walked = walk(file, frames_end, &live, &mut audit, context).await;
        report.value_files.push(audit);
        walked
    }

    /// Counts the rows that can be reached, and the bytes of their keys and values.
    async fn reach(&self, report: &mut VerifyReport, context: &mut ReadContext<'_>) -> Result<()> {
        let mut merge = MergingIterator::new(Direction::Forward);
        self.state
            .memtables()
            .for_each(|memtable| merge.add_memtable(memtable.clone()));
        for (number, level) in self.state.version.levels.iter().enumerate() {
            level
                .runs
                .iter()
                .for_each(|run| merge.add_run(run.clone(), number, true));
        }
        merge.seek(None, context).await?;
        let ranges = self.state.ranges();
        let mut last: Option<Key> = None;
        while let Some(entry) = merge.entry() {
            if entry.sequence <= self.sequence && last.as_ref() != Some(&entry.key) {
                let separated = entry.pointer().map(|pointer| u64::from(pointer.raw_bytes));
                let bytes = entry.key.len() as u64 + separated.unwrap_or(entry.value.len() as u64);
                let hidden = ranges.newest(&entry.key, self.sequence, &mut context.work);
                if entry.kind != EntryKind::Delete
                    && hidden.is_none_or(|(newest, _)| newest < entry.sequence)
                {
                    report.rows += 1;
                    report.reachable_bytes += bytes;
                    report.value_reachable_bytes += separated.map_or(0, |_| bytes);
                }
                last = Some(entry.key.clone());
            }
            merge.step(context).await?;
        }
        Ok(())
    }

    /// Reads the logs back; returns what is wrong, with the number of the log.
    async fn check_logs(&self, report: &mut VerifyReport) -> Vec<(u64, Error)> {
        let mut faults = Vec::new();
        let mut chain = Chain::new(self.directory, BTreeMap::new(), None);
        for (number, end) in &self.logs {
            let mut log = match Replay::open(self.env, self.directory, *number).await {
                Ok(log) => log,
                Err(error) => {
                    // Without it nobody can say what follows.
                    chain = Chain::new(self.directory, BTreeMap::new(), None);
                    faults.push((*number, error));
                    continue;
                }
            };
            match chain.link(*number, &mut log) {
                Ok(Link::Follows) => {}
                Ok(Link::Orphan) => continue,
                Ok(Link::CutOff) => {
                    report.logs_cut_off.push(FileKind::Wal.name(*number));
                    continue;
                }
                Err(error) => {
                    faults.push((*number, error));
                    continue;
                }
            }
            report.logs += 1;
            if let Err(error) = count_records(&mut log, report) {
                faults.push((*number, error));
            }
            chain.add(*number, &log);
            let whole = match *end {
                u64::MAX => log.is_complete(),
                end => log.offset() >= end,
            };
            if !whole {
                faults.push((*number, log.damaged("a record does not read back")));
            }
        }
        faults
    }
}

fn count_records(log: &mut Replay, report: &mut VerifyReport) -> Result<()> {
    while log.next()?.is_some() {
        report.log_records += 1;
    }
    Ok(())
}

/// Checks that the tables of every run follow each other.
fn check_order(version: &Version, report: &mut VerifyReport) {
    for (level, state) in version.levels.iter().enumerate() {
        for run in &state.runs {
            for pair in run.tables.windows(2) {
                let (left, right) = (pair[0].facts(), pair[1].facts());
                if left.largest >= right.smallest {
                    let what = format!("in level {level} it overlaps table {}", right.id);
                    report.problem(&Error::corruption(pair[0].path(), 0, what));
                }
            }
        }
    }
}

/// Where each value file on disk ends.
fn ends(state: &ReadState) -> Result<BTreeMap<u64, u64>> {
    let end = |state: &ValueFileState| match state
        .facts
        .sealed_bytes
        .filter(|_| !state.file.is_collected())
    {
        Some(bytes) => Ok(bytes),
        None => state.file.bytes(),
    };
    state
        .version
        .value_files
        .values()
        .map(|state| Ok((state.file.number, end(state)?)))
        .collect()
}

/// Walks the frames of a file up to `end` and books what is sound and what is not. After a stretch that is not the walk goes
/// on with the next of `live`, the places in order where frames start that something points at.
async fn walk(
    file: &ValueFile,
    end: u64,
    live: &[u64],
    audit: &mut ValueFileAudit,
    context: &mut ReadContext<'_>,
) -> Result<()> {
    let mut walker = FrameWalker::new(file, FRAMES_START, end);
    loop {
        match walker.next().await? {
            Step::Frame(frame, _) => {
                audit.frames += 1;
                context.work.bytes_checksummed += frame.bytes;
            }
            Step::End => return Ok(()),
            Step::Unsound => {
                let at = walker.offset();
                let next = live
                    .get(live.partition_point(|place| *place <= at))
                    .map_or(end, |place| *place.min(&end));
                audit.unreadable_bytes += next - at;
                walker = FrameWalker::new(file, next, end);
            }
        }
    }
}
