//! The engine's error: what went wrong, and where.
//!
//! One type serves every operation, because callers mostly pass errors on. Corruption names the
//! file and the offset; a bad setting names its key and its range.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_policies::PolicyError;

/// Result of an operation of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the engine. It is cheap to clone: every writer of a failed commit group gets one.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system reported an error.
    #[error("{action} {}: {source}", file.display())]
    Io {
        /// The action that failed, such as `read`.
        action: &'static str,
        /// The file or directory of the action.
        file: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// Bytes on disk are not what was written.
    #[error("{} is damaged at offset {offset}: {what}", file.display())]
    Corruption {
        /// The damaged file.
        file: PathBuf,
        /// Offset of the damage in bytes.
        offset: u64,
        /// Description of the damage.
        what: String,
    },
    /// The directory was written in a newer format.
    #[error("{} has format {found}; this version reads up to {supported}", file.display())]
    Format {
        /// The file that says so.
        file: PathBuf,
        /// The format that it states.
        found: u32,
        /// The newest format that this engine reads.
        supported: u32,
    },
    /// Another engine has the directory open.
    #[error("{} is in use: another process or engine has it open", directory.display())]
    Locked {
        /// The database's directory.
        directory: PathBuf,
    },
    /// A directory cannot take a checkpoint.
    #[error("{} cannot take a checkpoint: {what}", directory.display())]
    Target {
        /// The target directory.
        directory: PathBuf,
        /// The reason, such as that the target is not empty.
        what: String,
    },
    /// The directory is an unfinished checkpoint.
    #[error(
        "{} is an unfinished checkpoint, not a database; it can be removed",
        directory.display()
    )]
    Unfinished {
        /// The checkpoint's directory.
        directory: PathBuf,
    },
    /// A directory that was opened for reading holds no database.
    #[error("{} holds no database", directory.display())]
    NoDatabase {
        /// The directory that was opened.
        directory: PathBuf,
    },
    /// A directory was opened as a split database that is another one or none, or as a database of
    /// its own though it belongs to a split one.
    #[error("{} cannot be opened so: {what}", directory.display())]
    Split {
        /// The directory that was opened.
        directory: PathBuf,
        /// The reason.
        what: String,
    },
    /// A key is empty or longer than 64 KiB.
    #[error("a key has 1 to 65,536 bytes, this one {bytes}")]
    KeySize {
        /// Bytes of the key.
        bytes: usize,
    },
    /// A value is longer than 256 MiB.
    #[error("a value has at most 268,435,456 bytes, this one {bytes}")]
    ValueSize {
        /// Bytes of the value.
        bytes: usize,
    },
    /// A setting is out of its range.
    #[error("setting {key}: {message}")]
    Config {
        /// The setting's dotted name.
        key: String,
        /// What is wrong, with the permitted range.
        message: String,
    },
    /// A setting names a policy that cannot be built.
    #[error("setting {key}: {source}")]
    Policy {
        /// The setting's dotted name.
        key: String,
        /// The problem of the policy or of one of its parameters.
        source: PolicyError,
    },
    /// An earlier failure leaves it unknown what is on the disk, or keeps memtables from being
    /// flushed. The engine accepts no writes until it is [resumed](crate::AuraEngine::resume) or
    /// opened again.
    #[error("the engine accepts no writes after an earlier failure; resume or reopen it: {cause}")]
    Poisoned {
        /// The earlier failure.
        cause: Arc<Error>,
    },
    /// The engine was opened for reading only.
    #[error("the engine was opened for reading only")]
    ReadOnly,
    /// The runtime that ran a task of the engine ended before the task did.
    #[error("{work} was interrupted: the runtime of the engine's tasks has ended")]
    Interrupted {
        /// What the task did, such as `closing`.
        work: &'static str,
    },
    /// A batch is too large to be logged as one record.
    #[error("a batch has at most 4,294,967,295 bytes; with this write it would have {bytes}")]
    BatchSize {
        /// Bytes that the batch would have with the refused write.
        bytes: u64,
    },
    /// The engine was closed.
    #[error("the engine is closed")]
    Closed,
    /// A policy proposed a plan that would violate a rule of the tree.
    #[error("an unlawful compaction plan was refused: {what}")]
    UnlawfulPlan {
        /// The rule.
        what: String,
    },
    /// A change does not fit the set of live files: a fault of the engine. Nothing was changed.
    #[error("a change that does not fit the live files was refused: {what}")]
    Inconsistent {
        /// What does not fit.
        what: String,
    },
}

impl Error {
    /// Whether the files are damaged, rather than the device failing: corruption, or a file that
    /// is missing.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Corruption { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Creates an I/O error from the failed action, the file and the system's error.
    pub fn io(action: &'static str, file: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            file: file.to_owned(),
            source: Arc::new(source),
        }
    }

    /// Creates an error for damaged bytes at an offset of a file.
    pub fn corruption(file: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corruption {
            file: file.to_owned(),
            offset,
            what: what.into(),
        }
    }

    /// Creates an error for a setting that is out of its range.
    pub fn config(key: &str, message: impl Into<String>) -> Self {
        Self::Config {
            key: key.to_owned(),
            message: message.into(),
        }
    }
}
