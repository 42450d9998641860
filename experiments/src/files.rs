//! The one place of this crate that touches the file system: results are files of this machine, written beside the
//! engine's world, not within it. Every error says which file.

#![expect(
    clippy::disallowed_methods,
    reason = "results and configs are files of this machine, not of the engine's world"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the system refused, and where.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried, such as `read`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

fn because(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The text of a file.
///
/// # Errors
/// If it is not there, cannot be read, or is not UTF-8.
pub fn read_to_string(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(because("read", path))
}

/// A file to be read.
///
/// # Errors
/// If it is not there or must not be read.
pub fn open(path: &Path) -> Result<fs::File, FileError> {
    fs::File::open(path).map_err(because("read", path))
}

/// A file to be written, empty.
///
/// # Errors
/// If the system refuses.
pub fn create(path: &Path) -> Result<fs::File, FileError> {
    fs::File::create(path).map_err(because("write", path))
}

/// Removes a file; one that is not there is no error.
///
/// # Errors
/// If the system refuses.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(because("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Writes a whole file.
///
/// # Errors
/// If the system refuses.
pub fn write(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    fs::write(path, contents).map_err(because("write", path))
}

/// Gives a file or folder another name.
///
/// # Errors
/// If the system refuses.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(because("rename", from))
}

/// Creates a folder and those above it.
///
/// # Errors
/// If the system refuses.
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(because("create", path))
}

/// Removes a folder and all in it; one that is not there is no error.
///
/// # Errors
/// If the system refuses.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(because("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// The names in a folder, sorted; none if it is not there.
///
/// # Errors
/// If it cannot be read.
pub fn names(path: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(because("read", path))?,
    };
    let names =
        entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let mut names = names
        .collect::<io::Result<Vec<_>>>()
        .map_err(because("read", path))?;
    names.sort();
    Ok(names)
}

/// Takes the exclusive lock of a file until the answer is dropped or the process ends; None if somebody holds it.
///
/// # Errors
/// If the file cannot be made.
pub fn lock(path: &Path) -> Result<Option<fs::File>, FileError> {
    let file = fs::File::create(path).map_err(because("create", path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(because("lock", path)(error)),
    }
}
