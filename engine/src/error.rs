//! What can go wrong, with the place where it did.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aura_policies::PolicyError;

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The engine's error. Cheap to clone: every writer of a commit group is told of its failure.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{action} {}: {source}", file.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or directory.
        file: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// Bytes on disk are not what was written.
    #[error("{} is damaged at offset {offset}: {what}", file.display())]
    Corruption {
        /// The file.
        file: PathBuf,
        /// Where the damage was found.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The directory was written by a newer format.
    #[error("{} has format {found}; this version reads up to {supported}", file.display())]
    Format {
        /// The file that says so.
        file: PathBuf,
        /// The format it states.
        found: u32,
        /// The newest format known here.
        supported: u32,
    },
    /// Another engine has the directory open.
    #[error("{} is in use: another process or engine has it open", directory.display())]
    Locked {
        /// The directory.
        directory: PathBuf,
    },
    /// A directory cannot take a checkpoint.
    #[error("{} cannot take a checkpoint: {what}", directory.display())]
    Target {
        /// The directory.
        directory: PathBuf,
        /// Why.
        what: String,
    },
    /// The directory is a checkpoint that was cut short.
    #[error("{} is a checkpoint that was cut short: it is no database, and can be removed", directory.display())]
    Unfinished {
        /// The directory.
        directory: PathBuf,
    },
    /// A directory that is opened to read holds no database.
    #[error("{} holds no database", directory.display())]
    NoDatabase {
        /// The directory.
        directory: PathBuf,
    },
    /// A key is empty or longer than 64 KiB.
    #[error("a key has 1 to 65,536 bytes, this one {bytes}")]
    KeySize {
        /// Its bytes.
        bytes: usize,
    },
    /// A value is longer than 256 MiB.
    #[error("a value has at most 268,435,456 bytes, this one {bytes}")]
    ValueSize {
        /// Its bytes.
        bytes: usize,
    },
    /// A setting cannot be used.
    #[error("setting {key}: {message}")]
    Config {
        /// The setting's dotted name.
        key: String,
        /// What is wrong, with the range.
        message: String,
    },
    /// A setting names a policy that cannot be built.
    #[error("setting {key}: {source}")]
    Policy {
        /// The setting's dotted name.
        key: String,
        /// Why.
        source: PolicyError,
    },
    /// An earlier write failed in a way that leaves the end of the log unknown: no write is taken until reopened.
    #[error("the engine takes no writes since an earlier failure; reopen it: {cause}")]
    Poisoned {
        /// The earlier failure.
        cause: Arc<Error>,
    },
    /// The engine was opened to read.
    #[error("the engine was opened to read only")]
    ReadOnly,
    /// The runtime that ran a task of the engine ended before the task did.
    #[error("{work} was cut short: the runtime of the engine's tasks has ended")]
    Interrupted {
        /// What the task did.
        work: &'static str,
    },
    /// A batch is too long to be logged as one record.
    #[error("a batch has at most 4,294,967,295 bytes; with this write it would have {bytes}")]
    BatchSize {
        /// Bytes of the batch with the write that was refused.
        bytes: u64,
    },
    /// The engine was closed.
    #[error("the engine is closed")]
    Closed,
    /// A policy proposed a plan that would break the tree.
    #[error("an unlawful compaction plan was refused: {what}")]
    UnlawfulPlan {
        /// The rule it breaks.
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

    /// An I/O error with its place.
    pub fn io(action: &'static str, file: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            file: file.to_owned(),
            source: Arc::new(source),
        }
    }

    /// Damage, with its place.
    pub fn corruption(file: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Corruption {
            file: file.to_owned(),
            offset,
            what: what.into(),
        }
    }

    /// A setting out of its range.
    pub fn config(key: &str, message: impl Into<String>) -> Self {
        Self::Config {
            key: key.to_owned(),
            message: message.into(),
        }
    }
}
