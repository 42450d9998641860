//! Verification: every checksum, the order of every level, every value pointer and every name is
//! compared with the files.
//!
//! One moment is checked: a read state, the logs of its memtables, the manifest, and the names in
//! the directory, all taken between two commit groups. An open engine goes on meanwhile; the read
//! state keeps the files. A directory is read as opening it to read would, and is not changed.
//! Beside an engine that has it open, files that this engine has replaced meanwhile may be missing,
//! and leftovers are not looked for: it may be writing them.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use self::check::Check;
use crate::cache::no_cache;
use crate::config::EngineConfig;
use crate::directory::{FileKind, Files, ReadAccess, read_access};
use crate::env::{Env, bounded};
use crate::error::{Error, Result};
use crate::manifest::{Edit, read_back};
use crate::memtable::Memtable;
use crate::recovery::{self, read_moment};
use crate::state::{Core, Lifecycle, ReadState, Tree};
use crate::storage::Sequence;
use crate::values::ValueFileState;
use crate::write::CommitPipeline;

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
    /// Files that nothing refers to: a crash left them, and the next opening removes them. In an
    /// open engine a job may be writing one, or a reader may hold it.
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
    /// Bytes in which no sound frame lies and to which nothing points: the torn end that a crash
    /// left, or damage to garbage.
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

    /// Bytes of value files over reachable bytes of the rows whose values lie there; None where
    /// there is no such byte.
    pub fn value_log_amplification(&self) -> Option<f64> {
        let reachable = self.value_reachable_bytes;
        (reachable > 0).then(|| self.value_disk_bytes() as f64 / reachable as f64)
    }

    fn problem(&mut self, error: &Error) {
        self.problems.push(error.to_string());
    }
}

/// One moment of a database, to be checked.
pub(crate) struct Moment {
    state: Arc<ReadState>,
    /// The last write that belongs to it.
    sequence: Sequence,
    /// Where each value file on disk ends.
    ends: BTreeMap<u64, u64>,
    /// The logs, and up to where each must read back; `u64::MAX` is its end.
    logs: BTreeMap<u64, u64>,
    /// The manifest's path and the set of live files that it states; None if it is not compared.
    stored: Option<Result<(PathBuf, Edit)>>,
    /// The names in the directory.
    names: Vec<String>,
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
    let names = Files::of(env).list(directory)?;
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
        Memtable::new(&config, 0),
        &replayed.memtables,
        recovered.version,
    );
    // A log may end in a record that a crash has torn: its replay has distinguished that from
    // damage.
    let logs = recovered.wals.iter().map(|wal| (*wal, 0)).collect();
    let ends = ends(&state)?;
    // Beside an engine, the manifest goes on.
    let stored = match access.is_shared {
        true => None,
        false => Some(read_back(env, directory).await),
    };
    let check = Check {
        env,
        directory,
        moment: Moment {
            state: Arc::new(state),
            sequence: Sequence::MAX,
            ends,
            logs,
            stored,
            names,
        },
    };
    let mut report = check.run().await?;
    check.check_logs(&mut report).await;
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

/// Takes a moment of an open engine, between two commit groups and two edits.
pub(crate) async fn take_moment(
    core: &Core,
    tree: &Tree,
    commits: &CommitPipeline,
    lifecycle: &Lifecycle,
) -> Result<Moment> {
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
    let names = Files::of(env).list(core.directory())?;
    let ends = ends(&state)?;
    let mut logs: BTreeMap<u64, u64> = BTreeMap::new();
    if !lifecycle.is_read_only() && !commits.logs_above() {
        let sealed = state.sealed.iter();
        logs.extend(sealed.map(|memtable| (memtable.wal, u64::MAX)));
        logs.insert(state.active.wal, log.wal_bytes());
    }
    drop(manifest);
    Ok(Moment {
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
    moment: Moment,
) -> Result<VerifyReport> {
    let check = Check {
        env: core.env(),
        directory: core.directory(),
        moment,
    };
    let is_still_there = |wal: u64| {
        let state = tree.load();
        let mut memtables = state.memtables();
        memtables.any(|memtable| memtable.wal == wal)
    };
    let mut report = check.run().await?;
    // A log is removed when its memtable is flushed, which may have happened meanwhile.
    for (wal, error) in check.check_logs(&mut report).await {
        if !error.is_damage() || is_still_there(wal) {
            report.problem(&error);
        }
    }
    Ok(report)
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
