//! A database's directory: the names of its files, the lock on it, the settings left in it.
//!
//! Every name that the engine gives is here. A file with a number has a [`FileKind`]; the others
//! are [`CURRENT`], which names the manifest in force, [`SETTINGS`] and [`MODELS`], which are
//! replaced whole, [`LOCK`], and [`UNFINISHED`], which marks a checkpoint that is not whole.

use std::path::{Path, PathBuf};

use crate::config::EngineConfig;
use crate::env::Env;
use crate::error::{Error, Result};

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

/// How often a reader tries to find the files of one moment, beside an engine that replaces them.
const ATTEMPTS_MAX: u32 = 20;

/// Nanoseconds between two attempts.
const ATTEMPTS_APART_NANOS: u64 = 5_000_000;

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

/// How a reader shares a directory with others.
pub(crate) struct ReadAccess {
    /// Keeps engines that write out; None if there is one already, or nobody can lock the directory.
    guard: Option<Box<dyn Send + Sync>>,
    /// Whether an engine has the directory open to write.
    pub(crate) is_shared: bool,
}

impl ReadAccess {
    /// The access of one who has locked the directory.
    pub(crate) fn of_owner() -> Self {
        Self {
            guard: None,
            is_shared: false,
        }
    }

    /// The lock, if it could be taken: to be held for as long as the directory is read.
    pub(crate) fn into_guard(self) -> Option<Box<dyn Send + Sync>> {
        self.guard
    }

    /// Reads something by `read`. Beside a running engine files may leave between the look at the
    /// manifest and the look at them; then the moment has passed, and another is taken.
    ///
    /// # Errors
    /// Those of the last attempt.
    pub(crate) async fn read<T>(&self, env: &Env, read: impl AsyncFn() -> Result<T>) -> Result<T> {
        for _ in 1..ATTEMPTS_MAX {
            match read().await {
                Err(error) if self.is_shared && error.is_damage() => {
                    env.clock.sleep(ATTEMPTS_APART_NANOS).await;
                }
                answer => return answer,
            }
        }
        read().await
    }
}

/// Prepares to read `directory`: engines that would write are kept out, unless there is one already.
pub(crate) fn read_access(env: &Env, directory: &Path) -> Result<ReadAccess> {
    env.fs
        .list(directory)
        .map_err(|error| Error::io("list", directory, error))?;
    Ok(match env.fs.lock_shared(&directory.join(LOCK)) {
        Ok(guard) => ReadAccess {
            guard: Some(guard),
            is_shared: false,
        },
        // Without a lock file, or where it cannot be locked, nobody can be known to write.
        Err(error) => ReadAccess {
            guard: None,
            is_shared: error.kind() == std::io::ErrorKind::WouldBlock,
        },
    })
}

/// Keeps other engines out of `directory` for as long as the guard is held.
pub(crate) fn take_lock(env: &Env, directory: &Path) -> Result<Box<dyn Send + Sync>> {
    let path = directory.join(LOCK);
    env.fs.lock(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked {
            directory: directory.to_owned(),
        },
        _ => Error::io("lock", &path, error),
    })
}

/// Leaves the settings in the directory, for people and tools; the engine does not read them.
pub(crate) async fn write_settings(
    env: &Env,
    directory: &Path,
    config: &EngineConfig,
) -> Result<()> {
    let temporary = directory.join(temporary(SETTINGS));
    let settings = serde_json::to_vec_pretty(config).expect("settings are plain data");
    let file = env
        .fs
        .create(&temporary)
        .map_err(|error| Error::io("create", &temporary, error))?;
    file.append(&settings)
        .await
        .map_err(|error| Error::io("append to", &temporary, error))?;
    file.sync()
        .await
        .map_err(|error| Error::io("sync", &temporary, error))?;
    let path = directory.join(SETTINGS);
    env.fs
        .rename(&temporary, &path)
        .map_err(|error| Error::io("rename", &temporary, error))?;
    env.fs
        .sync_directory(directory)
        .await
        .map_err(|error| Error::io("sync", directory, error))
}
