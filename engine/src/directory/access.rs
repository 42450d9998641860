//! Who may open a database's directory at the same time.

use std::path::Path;

use super::{Files, LOCK};
use crate::env::Env;
use crate::error::{Error, Result};

/// How often a reader tries to find the files of one moment, beside an engine that replaces them.
const ATTEMPTS_MAX: u32 = 20;

/// Nanoseconds between two attempts.
const ATTEMPTS_APART_NANOS: u64 = 5_000_000;

/// How a reader shares a directory with engines that write.
pub(crate) struct ReadAccess {
    /// Keeps engines that write out; None if there is one already, or the directory cannot be
    /// locked.
    guard: Option<Box<dyn Send + Sync>>,
    /// Whether an engine has the directory open to write.
    pub(crate) is_shared: bool,
}

impl ReadAccess {
    /// The access of a caller who has locked the directory itself.
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

    /// Calls `read`. Beside a running engine a file may be removed after the manifest was read and
    /// before the file is; then the moment has passed, and `read` is called again.
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

/// Prepares to read `directory`: engines that would write are kept out, unless there is one
/// already.
pub(crate) fn read_access(env: &Env, directory: &Path) -> Result<ReadAccess> {
    Files::of(env).list(directory)?;
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
