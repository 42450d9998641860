//! Files of this machine: configs, results, traces and key files.
//!
//! This is the only place of the crate that touches the file system directly. Databases do not go
//! through it: they live in an engine's world (`aura_engine::env`). Every error names its file.

#![expect(
    clippy::disallowed_methods,
    reason = "results and configs are files of this machine, not of the engine's world"
)]

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A call that the operating system refused, with the file it was about.
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

type Result<T> = std::result::Result<T, FileError>;

fn because(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Reads a whole text file.
///
/// # Errors
/// [`FileError`] if it is missing, cannot be read, or is not UTF-8.
pub fn read_to_string(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(because("read", path))
}

/// Reads a whole file.
///
/// # Errors
/// [`FileError`] if it is missing or cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(because("read", path))
}

/// Hands a file to `take` in pieces of at most 64 KiB: a large one is never in memory as a whole.
///
/// # Errors
/// [`FileError`] if it is missing or cannot be read.
pub fn read_pieces(path: &Path, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut file = open(path)?;
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece).map_err(because("read", path))? {
            0 => return Ok(()),
            bytes => take(&piece[..bytes]),
        }
    }
}

/// Returns the file of the running program.
///
/// # Errors
/// [`FileError`] if the system does not know it.
pub fn program() -> Result<PathBuf> {
    std::env::current_exe().map_err(because("find", Path::new("the running program")))
}

/// Returns a path from the root; the path itself if the system does not know where it is.
pub fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Returns the time of this machine, in seconds since 1970: for records of when something ran,
/// never for a measurement.
#[expect(
    clippy::disallowed_methods,
    reason = "a record of when a trial ran is about this machine, not the engine's world"
)]
pub fn seconds_since_1970() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |time| time.as_secs())
}

/// Returns the time of this machine, in milliseconds since 1970; otherwise as
/// [`seconds_since_1970`].
#[expect(
    clippy::disallowed_methods,
    reason = "a record of when a trial ran is about this machine, not the engine's world"
)]
pub fn millis_since_1970() -> u64 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Returns when a file or folder was last changed, in seconds since 1970; `None` if it is missing
/// or the system does not say.
pub fn changed_at(path: &Path) -> Option<u64> {
    let changed = fs::metadata(path).ok()?.modified().ok()?;
    let since = changed.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(since.as_secs())
}

/// Returns the bytes of all files in a folder and below it; what is missing has none.
pub fn bytes_below(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return fs::metadata(path).map_or(0, |it| it.len());
    };
    let below = entries.filter_map(io::Result::ok);
    below.map(|entry| bytes_below(&entry.path())).sum()
}

/// Opens a file for reading.
///
/// # Errors
/// [`FileError`] if it is missing or cannot be read.
pub fn open(path: &Path) -> Result<fs::File> {
    fs::File::open(path).map_err(because("read", path))
}

/// Creates an empty file for writing, in place of an existing one.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn create(path: &Path) -> Result<fs::File> {
    fs::File::create(path).map_err(because("write", path))
}

/// Writes a whole file. A reader may see half of it meanwhile; [`replace`] avoids that.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn write(path: &Path, contents: &[u8]) -> Result<()> {
    fs::write(path, contents).map_err(because("write", path))
}

/// Writes a file under a temporary name and renames it, so that readers see all of it or nothing.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let part = part_of(path);
    write(&part, contents)?;
    rename(&part, path)
}

/// Writes a file piece by piece, otherwise as [`replace`]: what is large need not be in memory.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn replace_by(
    path: &Path,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<()> {
    let part = part_of(path);
    let mut buffered = io::BufWriter::with_capacity(1 << 16, create(&part)?);
    write(&mut buffered)
        .and_then(|()| io::Write::flush(&mut buffered))
        .map_err(because("write", &part))?;
    rename(&part, path)
}

/// The temporary name under which `path` is written until it is complete.
pub fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Renames a file or folder.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(because("rename", from))
}

/// Removes a file. A missing file is no error.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn remove(path: &Path) -> Result<()> {
    ignore_missing(fs::remove_file(path)).map_err(because("remove", path))
}

/// Creates a folder and its missing parents.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(because("create", path))
}

/// Removes a folder with everything in it. A missing folder is no error.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn remove_folder(path: &Path) -> Result<()> {
    ignore_missing(fs::remove_dir_all(path)).map_err(because("remove", path))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Copies the files of a folder to a new one, and waits until they are on the disk. Folders within
/// it are copied, too.
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    create_folder(to)?;
    for name in names(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            fs::copy(&from, &to).map_err(because("copy", &from))?;
            let synced = fs::File::open(&to).and_then(|file| file.sync_all());
            synced.map_err(because("write", &to))?;
        }
    }
    Ok(())
}

/// Lists the names in a folder, sorted; empty if the folder is missing.
///
/// # Errors
/// [`FileError`] if the folder cannot be read.
pub fn names(path: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(because("read", path))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(because("read", path))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Takes the exclusive lock of a file, creating it if needed. The lock is held until the returned
/// file is dropped or the process ends. Returns `None` if another process holds it.
///
/// # Errors
/// [`FileError`] if the file cannot be created.
pub fn lock(path: &Path) -> Result<Option<fs::File>> {
    let file = open_to_change(path)?;
    locked(file.try_lock(), file, path)
}

/// Takes a lock that several processes may hold, but none beside an exclusive one; otherwise as
/// [`lock`].
///
/// # Errors
/// [`FileError`] if the file cannot be created.
pub fn lock_shared(path: &Path) -> Result<Option<fs::File>> {
    let file = open_to_change(path)?;
    locked(file.try_lock_shared(), file, path)
}

/// Takes the exclusive lock of a file as soon as nobody else holds it; otherwise as [`lock`].
///
/// # Errors
/// [`FileError`] if the file cannot be created.
pub fn wait_for_lock(path: &Path) -> Result<fs::File> {
    let file = open_to_change(path)?;
    file.lock().map_err(because("lock", path))?;
    Ok(file)
}

/// Whether a process holds the exclusive lock of a file; not if the file is missing.
pub fn is_locked(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

/// Opens a file for reading and writing, with what it holds; an empty one if it is missing.
fn open_to_change(path: &Path) -> Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(because("create", path))
}

fn locked(
    tried: std::result::Result<(), fs::TryLockError>,
    file: fs::File,
    path: &Path,
) -> Result<Option<fs::File>> {
    match tried {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(because("lock", path)(error)),
    }
}

/// Writes `contents` in place of what an open file holds. A reader may see half of it meanwhile;
/// the file keeps its locks, unlike with [`replace`].
///
/// # Errors
/// [`FileError`] if the system refuses.
pub fn overwrite(file: &mut fs::File, path: &Path, contents: &[u8]) -> Result<()> {
    use io::{Seek, Write};
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(contents))
        .map_err(because("write", path))
}
