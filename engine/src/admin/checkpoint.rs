//! Checkpoints: an openable copy of the database at one moment, while it goes on.
//!
//! ```text
//! flush ─ take the moment ─ LOCK, CHECKPOINT.unfinished ─ link or copy the files
//!       ─ SETTINGS.json ─ manifest ─ CURRENT
//! ```
//!
//! The memtables are flushed first, so the copy begins with an empty log. Tables and sealed value
//! files never change: the copy gets a second name for them, or, if the file system cannot link, a
//! copy of their bytes. Value files that are being filled are copied up to the length they had, and
//! are still not sealed there: opening the copy finds no log that points at what lies behind their
//! settled part, and books it as garbage. `CURRENT` comes last, after the directory was synced: a
//! crash in between leaves the mark, and no database.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::compaction::{NewFile, Scheduler};
use crate::directory::{CURRENT, Files, LOCK, NamedFile, UNFINISHED, take_lock, write_settings};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::manifest::{Edit, Manifest, Version};
use crate::state::{Core, Lifecycle, ReadState, Tree};
use crate::storage::Sequence;
use crate::wal::WalWriter;
use crate::write::CommitPipeline;

/// Bytes copied at a time.
const PIECE_BYTES: u64 = 1 << 20;

/// What a checkpoint made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckpointReport {
    /// Every write up to this sequence number is in it.
    pub sequence: u64,
    /// Files that share their bytes with the database.
    pub files_linked: u64,
    /// Bytes of those.
    pub linked_bytes: u64,
    /// Files that were copied.
    pub files_copied: u64,
    /// Bytes of those.
    pub copied_bytes: u64,
}

/// The state that is copied.
struct Moment {
    state: Arc<ReadState>,
    /// The value files that are not sealed, by number on disk, with their lengths.
    growing: BTreeMap<u64, u64>,
    next_number: u64,
}

/// A checkpoint to make in `target`.
pub(crate) struct Checkpoint<'a> {
    pub(crate) core: &'a Core,
    pub(crate) tree: &'a Tree,
    pub(crate) commits: &'a CommitPipeline,
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) lifecycle: &'a Lifecycle,
    pub(crate) target: &'a Path,
}

impl Checkpoint<'_> {
    /// Copies the database. What was copied is removed again if not all can be.
    pub(crate) async fn make(&self) -> Result<CheckpointReport> {
        let target = self.target;
        if normal(target).starts_with(normal(self.core.directory())) {
            let what = "it lies inside the database's own directory";
            return Err(refused(target, what));
        }
        let env = self.core.env();
        if let Ok(names) = env.fs.list(target) {
            check_empty(target, &names)?;
        }
        let newest = self.commits.seal_active().await?;
        self.scheduler.wait_until_flushed(newest).await?;
        let files = Files::of(env);
        files.create_directory(target)?;
        let _lock = take_lock(env, target)?;
        check_empty(target, &files.list(target)?)?;
        let made = self.fill().await;
        if made.is_err() {
            self.remove_copy();
        }
        made
    }

    /// Removes what was copied. What cannot be removed is marked, and the mark is removed last.
    fn remove_copy(&self) {
        let fs = &self.core.env().fs;
        let mut names = fs.list(self.target).unwrap_or_default();
        names.retain(|name| name != LOCK);
        // Without its first file it is no database, with its last it is known to be none.
        names.sort_by_key(|name| (name == UNFINISHED, name != CURRENT));
        let _ = names
            .iter()
            .try_for_each(|name| fs.remove(&self.target.join(name)));
    }

    async fn fill(&self) -> Result<CheckpointReport> {
        let env = self.core.env();
        let target = self.target;
        let mark = target.join(UNFINISHED);
        let files = Files::of(env);
        files.create(&mark)?;
        files.sync_directory(target).await?;
        let moment = self.moment().await?;
        let version = &moment.state.version;
        let mut report = self.copy_files(version, &moment.growing).await?;
        report.sequence = report.sequence.max(flushed_ranges(version));
        write_settings(env, target, &self.core.config_to_keep()).await?;
        let number = moment.next_number;
        WalWriter::create(env, target, number, report.sequence + 1, None).await?;
        let base = Edit {
            wal_min: Some(number),
            next_number: Some(number + 1),
            sequence: Some(report.sequence),
            ..Edit::default()
        };
        Manifest::begin(env, target, number, version, base).await?;
        // From here on it is whole, mark or not.
        self.core.remove_file(&mark);
        Ok(report)
    }

    /// Links or copies tables and value files; of those that are `growing`, the bytes they had.
    async fn copy_files(
        &self,
        version: &Version,
        growing: &BTreeMap<u64, u64>,
    ) -> Result<CheckpointReport> {
        let env = self.core.env();
        let target = self.target;
        let mut report = CheckpointReport::default();
        for (_, table) in version.tables() {
            self.lifecycle.check_open()?;
            let path = table.path();
            let bytes = table.facts().bytes;
            let linked = link_or_copy(env, path, &to(target, path), bytes).await?;
            report.book(linked, bytes);
            report.sequence = report.sequence.max(table.facts().sequence_max);
        }
        for (number, file) in version.values_on_disk() {
            self.lifecycle.check_open()?;
            let path = file.path();
            if let Some(bytes) = growing.get(&number) {
                copy(env, path, &to(target, path), *bytes).await?;
                report.book(false, *bytes);
            } else {
                let bytes = file.bytes()?;
                let linked = link_or_copy(env, path, &to(target, path), bytes).await?;
                report.book(linked, bytes);
            }
        }
        Ok(report)
    }

    /// Takes the read state and the lengths of the files that grow, between two commit groups.
    async fn moment(&self) -> Result<Moment> {
        let _log = self.commits.hold_log().await;
        let state = self.tree.load_to_keep();
        let files = state.version.value_files.values();
        let growing = files.filter(|file| !file.is_sealed());
        let growing: Result<_> = growing
            .map(|file| Ok((file.file.number, file.file.bytes()?)))
            .collect();
        Ok(Moment {
            growing: growing?,
            state,
            next_number: self.tree.new_number(),
        })
    }
}

/// The last write that the range tombstones of `version` hold, or that those held which were
/// applied.
fn flushed_ranges(version: &Version) -> Sequence {
    version
        .swept
        .values()
        .copied()
        .max()
        .unwrap_or(0)
        .max(version.ranges.newest())
}

impl CheckpointReport {
    fn book(&mut self, linked: bool, bytes: u64) {
        if linked {
            self.files_linked += 1;
            self.linked_bytes += bytes;
        } else {
            self.files_copied += 1;
            self.copied_bytes += bytes;
        }
    }
}

fn refused(target: &Path, what: &str) -> Error {
    Error::Target {
        directory: target.to_owned(),
        what: what.to_owned(),
    }
}

fn check_empty(target: &Path, names: &[String]) -> Result<()> {
    if names.iter().any(|name| name == UNFINISHED) {
        return Err(refused(
            target,
            "it is a checkpoint that was cut short; remove it first",
        ));
    }
    match names.iter().find(|name| *name != LOCK) {
        Some(name) => Err(refused(
            target,
            &format!("it is not empty: {name} is there"),
        )),
        None => Ok(()),
    }
}

/// The path from the root without `.` and `..`, by names alone: links are not followed.
fn normal(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.components().fold(PathBuf::new(), |mut normal, part| {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            _ => normal.push(part),
        }
        normal
    })
}

fn to(target: &Path, path: &Path) -> PathBuf {
    target.join(path.file_name().unwrap_or_default())
}

/// Gives a durable file that never changes a second name, or copies it if the file system cannot.
/// Returns whether it was linked.
pub(crate) async fn link_or_copy(env: &Env, from: &Path, to: &Path, bytes: u64) -> Result<bool> {
    let linked = Files::of(env).link(from, to)?;
    if !linked {
        copy(env, from, to, bytes).await?;
    }
    Ok(linked)
}

/// Copies the first `bytes` bytes of a file, durably but for its name. A copy that cannot be made
/// whole is removed.
async fn copy(env: &Env, from: &Path, to: &Path, bytes: u64) -> Result<()> {
    let source = Files::of(env).open(from)?;
    let copy = Files::of(env).create(to)?;
    let unfinished = NewFile::new(&env.fs, to);
    let mut at = 0;
    while at < bytes {
        let piece = PIECE_BYTES.min(bytes - at);
        let data = source.read_at(at, piece as usize).await?;
        copy.append(&data).await?;
        at += piece;
    }
    copy.sync().await?;
    unfinished.keep();
    Ok(())
}

/// Returns whether two files hold the same bytes. O(bytes) if their lengths are the same.
pub(crate) async fn is_copy(one: &NamedFile, other: &NamedFile) -> Result<bool> {
    let bytes = one.bytes()?;
    if other.bytes()? != bytes {
        return Ok(false);
    }
    let mut at = 0;
    while at < bytes {
        let piece = PIECE_BYTES.min(bytes - at);
        if one.read_at(at, piece as usize).await? != other.read_at(at, piece as usize).await? {
            return Ok(false);
        }
        at += piece;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_without_their_detours() {
        let inside =
            |target: &str| normal(Path::new(target)).starts_with(normal(Path::new("/data/db")));
        assert!(
            inside("/data/db")
                && inside("/data/db/copy")
                && inside("/data/./db/x/..")
                && inside("/data/x/../db/y")
        );
        assert!(!inside("/data/db2") && !inside("/data/db/../copy") && !inside("/copy"));
    }
}
