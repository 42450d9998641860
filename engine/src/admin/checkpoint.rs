//! Checkpoints: an openable copy of the database at one moment, while it goes on.
//!
//! ```text
//! flush ─ take the view ─ LOCK, CHECKPOINT.unfinished ─ link or copy the files ─ SETTINGS.json ─ manifest ─ CURRENT
//! ```
//!
//! What a table holds is flushed, so the copy begins with an empty log. Tables and sealed value files never change: the
//! copy gets a second name for them, or, where the file system cannot link, their bytes. Value files that are being filled
//! are copied up to the length they had, and are still not sealed there: opening the copy finds no log that points at what
//! lies behind their settled part, and books it as garbage. `CURRENT` comes last, after the directory was synced: a crash
//! in between leaves the mark, and no database.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::directory::{CURRENT, LOCK, UNFINISHED, take_lock, write_settings};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::manifest::{Edit, Manifest, Version};
use crate::state::{Inner, ReadState};
use crate::storage::Sequence;
use crate::wal::WalWriter;

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
    view: Arc<ReadState>,
    /// The value files that are not sealed, by number on disk, with their lengths.
    growing: BTreeMap<u64, u64>,
    next_number: u64,
}

impl Inner {
    /// Makes a copy of the database in `target`.
    pub(crate) async fn checkpoint(self: &Arc<Self>, target: &Path) -> Result<CheckpointReport> {
        self.check_writable()?;
        let target = target.to_owned();
        self.in_task(
            "checkpoint",
            |inner| async move { inner.copy_to(&target).await },
        )
        .await
    }

    async fn copy_to(&self, target: &Path) -> Result<CheckpointReport> {
        if normal(target).starts_with(normal(&self.directory)) {
            return Err(refused(
                target,
                "it lies inside the database's own directory",
            ));
        }
        let existing = self.env.fs.list(target);
        if let Ok(names) = &existing {
            check_empty(target, names)?;
        }
        let newest = self.seal_active().await?;
        self.wait_until_flushed(newest).await?;
        self.env
            .fs
            .create_directory(target)
            .map_err(|error| Error::io("create", target, error))?;
        let _lock = take_lock(&self.env, target)?;
        let names = self
            .env
            .fs
            .list(target)
            .map_err(|error| Error::io("list", target, error))?;
        check_empty(target, &names)?;
        let made = self.fill(target).await;
        if made.is_err() {
            self.remove_copy(target);
        }
        made
    }

    /// Removes what was copied. What cannot be removed is marked, and the mark goes last.
    fn remove_copy(&self, target: &Path) {
        let mut names = self.env.fs.list(target).unwrap_or_default();
        names.retain(|name| name != LOCK);
        // Without its first file it is no database, with its last it is known to be none.
        names.sort_by_key(|name| (name == UNFINISHED, name != CURRENT));
        let _ = names
            .iter()
            .try_for_each(|name| self.env.fs.remove(&target.join(name)));
    }

    async fn fill(&self, target: &Path) -> Result<CheckpointReport> {
        let env = &self.env;
        let mark = target.join(UNFINISHED);
        env.fs
            .create(&mark)
            .map_err(|error| Error::io("create", &mark, error))?;
        sync_directory(env, target).await?;
        let moment = self.moment().await?;
        let version = &moment.view.version;
        let mut report = CheckpointReport::default();
        for (_, table) in version.tables() {
            self.check_open()?;
            let (path, bytes) = (table.path(), table.facts().bytes);
            report.book(
                link_or_copy(env, path, &to(target, path), bytes).await?,
                bytes,
            );
            report.sequence = report.sequence.max(table.facts().sequence_max);
        }
        for (number, file) in version.values_on_disk() {
            self.check_open()?;
            let path = file.path();
            if let Some(bytes) = moment.growing.get(&number) {
                copy(env, path, &to(target, path), *bytes).await?;
                report.book(false, *bytes);
            } else {
                let bytes = file.bytes()?;
                report.book(
                    link_or_copy(env, path, &to(target, path), bytes).await?,
                    bytes,
                );
            }
        }
        report.sequence = report.sequence.max(flushed_ranges(version));
        write_settings(env, target, &self.config.load_full()).await?;
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
        self.remove_file(&mark);
        Ok(report)
    }

    /// Takes the view and the lengths of the files that grow, between two commit groups.
    async fn moment(&self) -> Result<Moment> {
        let _log = self.log.lock().await;
        let view = self.view.load_full();
        let growing = view
            .version
            .value_files
            .values()
            .filter(|state| !state.is_sealed());
        let growing: Result<_> = growing
            .map(|state| Ok((state.file.number, state.file.bytes()?)))
            .collect();
        Ok(Moment {
            growing: growing?,
            view,
            next_number: self.new_number(),
        })
    }
}

/// The last write that the range tombstones of `version` tell of, or that what they were applied to does.
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
        let (files, sum) = match linked {
            true => (&mut self.files_linked, &mut self.linked_bytes),
            false => (&mut self.files_copied, &mut self.copied_bytes),
        };
        *files += 1;
        *sum += bytes;
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

/// The path from the root without `.` and `..`, as far as names tell.
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

async fn sync_directory(env: &Env, directory: &Path) -> Result<()> {
    env.fs
        .sync_directory(directory)
        .await
        .map_err(|error| Error::io("sync", directory, error))
}

/// Gives a durable file that never changes a second name; copies it where that cannot be. Whether it was linked.
pub(crate) async fn link_or_copy(env: &Env, from: &Path, to: &Path, bytes: u64) -> Result<bool> {
    use std::io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    match env.fs.hard_link(from, to) {
        Ok(()) => Ok(true),
        // Linux says EPERM of a file system without links.
        Err(error)
            if matches!(
                error.kind(),
                CrossesDevices | PermissionDenied | TooManyLinks | Unsupported
            ) =>
        {
            copy(env, from, to, bytes).await.map(|()| false)
        }
        Err(error) => Err(Error::io("link", from, error)),
    }
}

/// Copies the first `bytes` bytes of a file, durably but for its name.
async fn copy(env: &Env, from: &Path, to: &Path, bytes: u64) -> Result<()> {
    let source = env
        .fs
        .open(from)
        .map_err(|error| Error::io("open", from, error))?;
    let copy = env
        .fs
        .create(to)
        .map_err(|error| Error::io("create", to, error))?;
    let mut at = 0;
    while at < bytes {
        let piece = PIECE_BYTES.min(bytes - at);
        let data = source
            .read_at(at, piece as usize)
            .await
            .map_err(|error| Error::io("read", from, error))?;
        copy.append(&data)
            .await
            .map_err(|error| Error::io("append to", to, error))?;
        at += piece;
    }
    copy.sync()
        .await
        .map_err(|error| Error::io("sync", to, error))
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
