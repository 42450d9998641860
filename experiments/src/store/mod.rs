//! Results on disk: a trial's folder, and the tables that gather an experiment's trials.
//!
//! [`crate::folders`] lists the files. The same results give the same bytes: no file of a
//! simulated trial holds a date, a path or a host ([`crate::attempts`] has those). A file that
//! gathers others is written under a temporary name and renamed, so that a reader never sees half
//! of it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::files::{self, FileError};
use crate::formats::parquet::ParquetError;

mod decisions;
mod pieces;
mod tidy;
mod trial;

pub use decisions::{Decided, Maker};
pub use pieces::{Piece, operations_at, pieces};
pub use tidy::{
    Collected, RowName, RowTrial, SummaryRow, TidyRow, collect, content_hash, gather, manifests,
    read_courses, read_trials, summarise, tidy, trials_of,
};
pub use trial::{Course, HistogramKey, StoredTrial, read_trial, write_trial};

/// Results that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file does not hold what it should.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A phase's name cannot be part of a file name.
    #[error("phase {0:?}: a name has 1 to 64 letters, digits, spaces, - and _")]
    PhaseName(String),
    /// There is nothing to read.
    #[error("{} holds no finished trial", .0.display())]
    NoTrials(PathBuf),
}

type Result<T> = std::result::Result<T, StoreError>;

/// The error of a file that does not hold what it should.
fn damaged(path: &Path, message: impl ToString) -> StoreError {
    StoreError::Damaged {
        path: path.to_owned(),
        message: message.to_string(),
    }
}

/// The error of a Parquet file.
fn parquet_error(path: &Path, error: ParquetError) -> StoreError {
    match error {
        ParquetError::File(error) => error.into(),
        ParquetError::Content(error) => damaged(path, error),
    }
}

/// Reads a JSON file.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    parse(path, &files::read(path)?)
}

/// Parses JSON that was read from `path`.
fn parse<'a, T: Deserialize<'a>>(path: &Path, bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| damaged(path, error))
}
