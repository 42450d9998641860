//! Files of keys that workloads insert.
//!
//! A trial depends on the keys, not on where their file lies: its id covers a digest of them, and
//! it ends with an error if the file holds other keys than when it was planned.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_engine::KEY_BYTES_MAX;
use aura_workloads::keyset::{FileKeys, GeneratedError, GeneratedSet, KeyFormat, KeySetError};
use aura_workloads::{KeyFileFormat, KeySpace};

use crate::compression;
use crate::files::{self, FileError};

/// Why the keys of a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A compressed file is damaged.
    #[error("{}: {source}", path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// It is not of its format.
    #[error("{}: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: KeySetError,
    },
    /// A key is longer than the engine takes.
    #[error("{}: a key has {bytes} bytes; a workload takes at most {LONGEST}", path.display())]
    LongKey {
        /// The file.
        path: PathBuf,
        /// The length of its longest key.
        bytes: usize,
    },
    /// No generated set is called so.
    #[error(transparent)]
    Generated(#[from] GeneratedError),
    /// The file is not what was planned.
    #[error(
        "{}: its keys are not those that were planned: their digest is {found}, not {planned}",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The digest of its keys.
        found: String,
        /// The digest in the settings.
        planned: String,
    },
}

/// The most bytes of a key: reads of absent keys ask for one more.
const LONGEST: usize = KEY_BYTES_MAX - 1;

/// Reads or generates the keys that a workload names; `None` if it names no set.
///
/// # Errors
/// [`KeyFileError`] if the file cannot be read, or holds other keys than the settings say; or if
/// there is no such generated set.
pub fn of_workload(space: &KeySpace) -> Result<Option<Arc<FileKeys>>, KeyFileError> {
    if let Some(set) = &space.generated {
        return Ok(Some(generated(set)?));
    }
    let (Some(path), Some(format)) = (&space.file, space.format) else {
        return Ok(None);
    };
    let keys = read(path, format)?;
    check(space, path, &keys)?;
    Ok(Some(keys))
}

/// Generates the keys that `set` names.
///
/// # Errors
/// [`KeyFileError::Generated`].
pub fn generated(set: &str) -> Result<Arc<FileKeys>, KeyFileError> {
    Ok(Arc::new(GeneratedSet::parse(set)?.keys_in_order(0)))
}

/// Checks that the keys of the file at `path` are those that the settings mean.
///
/// # Errors
/// [`KeyFileError::Changed`].
pub fn check(space: &KeySpace, path: &Path, keys: &FileKeys) -> Result<(), KeyFileError> {
    let found = digest(keys);
    match &space.digest {
        Some(planned) if *planned != found => Err(KeyFileError::Changed {
            path: path.to_owned(),
            found,
            planned: planned.clone(),
        }),
        _ => Ok(()),
    }
}

/// The digest of keys, as settings have it.
pub fn digest(keys: &FileKeys) -> String {
    format!("{:032x}", keys.digest())
}

/// Reads a file of keys, compressed or not.
///
/// # Errors
/// [`KeyFileError`] if it cannot be read, or a key is too long.
pub fn read(path: &Path, format: KeyFileFormat) -> Result<Arc<FileKeys>, KeyFileError> {
    let name = compression::file_name(path);
    let input = compression::open(files::open(path)?, &name).map_err(|source| {
        KeyFileError::Compression {
            path: path.to_owned(),
            source,
        }
    })?;
    let keys = KeyFormat::from(format)
        .read_in_order(input)
        .map_err(|source| KeyFileError::Format {
            path: path.to_owned(),
            source,
        })?;
    if keys.longest() > LONGEST {
        return Err(KeyFileError::LongKey {
            path: path.to_owned(),
            bytes: keys.longest(),
        });
    }
    Ok(Arc::new(keys))
}
