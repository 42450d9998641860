//! The world's files, with the engine's errors: each says what was tried, and names the file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::temporary;
use crate::env::{CpuWork, Env, File, Fs, MaybeReady};
use crate::error::{Error, Result};

/// The file system of a world.
#[derive(Clone, Copy)]
pub(crate) struct Files<'a> {
    fs: &'a dyn Fs,
}

/// Names `path` in the error of `action`.
fn named<T>(action: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|error| Error::io(action, path, error))
}

impl<'a> Files<'a> {
    /// The files of the world `env`.
    pub(crate) fn of(env: &'a Env) -> Self {
        Self { fs: &*env.fs }
    }

    /// The files of the file system `fs`.
    pub(crate) fn on(fs: &'a dyn Fs) -> Self {
        Self { fs }
    }

    /// Creates an empty file for appending.
    pub(crate) fn create(self, path: &Path) -> Result<NamedFile> {
        let file = named("create", path, self.fs.create(path))?;
        Ok(NamedFile::new(file, path))
    }

    /// Opens an existing file for reading.
    pub(crate) fn open(self, path: &Path) -> Result<NamedFile> {
        let file = named("open", path, self.fs.open(path))?;
        Ok(NamedFile::new(file, path))
    }

    /// The names of the files in a directory, sorted.
    pub(crate) fn list(self, directory: &Path) -> Result<Vec<String>> {
        named("list", directory, self.fs.list(directory))
    }

    /// Gives a file another name, in place of one that has it.
    pub(crate) fn rename(self, from: &Path, to: &Path) -> Result<()> {
        named("rename", from, self.fs.rename(from, to))
    }

    /// Gives a file a second name. Returns false if the file system cannot.
    pub(crate) fn link(self, from: &Path, to: &Path) -> Result<bool> {
        use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
        let linked = self.fs.hard_link(from, to);
        match linked.as_ref().map_err(io::Error::kind) {
            // Linux says EPERM of a file system without links.
            Err(CrossesDevices | PermissionDenied | TooManyLinks | Unsupported) => Ok(false),
            _ => named("link", from, linked.map(|()| true)),
        }
    }

    /// Removes a file.
    pub(crate) fn remove(self, path: &Path) -> Result<()> {
        named("remove", path, self.fs.remove(path))
    }

    /// Creates a directory and those above it, durably.
    pub(crate) fn create_directory(self, path: &Path) -> Result<()> {
        named("create", path, self.fs.create_directory(path))
    }

    /// Makes the creations, links, renames and removals in a directory durable.
    pub(crate) async fn sync_directory(self, path: &Path) -> Result<()> {
        named("sync", path, self.fs.sync_directory(path).await)
    }

    /// Writes the content that is about to take the place of file `name` in `directory`.
    pub(crate) async fn write_replacement(
        self,
        directory: &Path,
        name: &str,
        content: &[u8],
    ) -> Result<Replacement<'a>> {
        let file = self.create(&directory.join(temporary(name)))?;
        file.append(content).await?;
        Ok(Replacement {
            fs: self.fs,
            file,
            path: directory.join(name),
        })
    }
}

/// New content of a file, under a temporary name: until it is put in place, the file keeps its old
/// content.
pub(crate) struct Replacement<'a> {
    fs: &'a dyn Fs,
    file: NamedFile,
    path: PathBuf,
}

impl Replacement<'_> {
    /// Makes the content durable.
    pub(crate) async fn sync(&self) -> Result<()> {
        self.file.sync().await
    }

    /// Puts the content in place. That is durable once the directory is synced.
    pub(crate) fn put_in_place(&self) -> Result<()> {
        Files { fs: self.fs }.rename(self.file.path(), &self.path)
    }
}

/// An open file and its path.
#[derive(Clone)]
pub(crate) struct NamedFile {
    file: Arc<dyn File>,
    path: PathBuf,
}

impl NamedFile {
    fn new(file: Arc<dyn File>, path: &Path) -> Self {
        Self {
            file,
            path: path.to_owned(),
        }
    }

    /// A file that is named and not opened: every call to it fails.
    pub(crate) fn unopened(path: &Path) -> Self {
        Self::new(Arc::new(Unopened), path)
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file without its path.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Names the file in the error of `action`, which was tried on [`file`](Self::file).
    pub(crate) fn named<T>(&self, action: &'static str, result: io::Result<T>) -> Result<T> {
        named(action, &self.path, result)
    }

    /// Its length.
    pub(crate) fn bytes(&self) -> Result<u64> {
        self.named("measure", self.file.bytes())
    }

    /// Reads `bytes` bytes at `offset`.
    pub(crate) async fn read_at(&self, offset: u64, bytes: usize) -> Result<Bytes> {
        self.named("read", self.file.read_at(offset, bytes).await)
    }

    /// Reads `bytes` bytes at `offset`. If the file ends before, it is damaged at `offset`, and
    /// `what` says how.
    pub(crate) async fn read_exactly(
        &self,
        offset: u64,
        bytes: usize,
        what: impl FnOnce() -> String,
    ) -> Result<Bytes> {
        let read = self.file.read_at(offset, bytes).await;
        self.exactly(offset, read, what)
    }

    /// Fills `into` like [`read_exactly`](Self::read_exactly) if that needs no wait; None if it
    /// does.
    pub(crate) fn read_ready(
        &self,
        offset: u64,
        into: &mut [u8],
        what: impl FnOnce() -> String,
    ) -> Option<Result<()>> {
        let read = self.file.read_ready(offset, into)?;
        Some(self.exactly(offset, read, what))
    }

    fn exactly<T>(
        &self,
        offset: u64,
        read: io::Result<T>,
        what: impl FnOnce() -> String,
    ) -> Result<T> {
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::corruption(&self.path, offset, what()))
            }
            read => self.named("read", read),
        }
    }

    /// Reads the whole file.
    pub(crate) async fn read_whole(&self) -> Result<Bytes> {
        let bytes = usize::try_from(self.bytes()?).map_err(|_| {
            Error::corruption(&self.path, 0, "the file is larger than the address space")
        })?;
        self.read_at(0, bytes).await
    }

    /// Appends `data`.
    pub(crate) async fn append(&self, data: &[u8]) -> Result<()> {
        self.named("append to", self.file.append(data).await)
    }

    /// Appends `data`, and counts the system call.
    pub(crate) async fn append_counted(&self, data: &[u8], work: &mut CpuWork) -> Result<()> {
        work.system_calls += 1;
        self.append(data).await
    }

    /// Makes everything appended so far durable.
    pub(crate) async fn sync(&self) -> Result<()> {
        self.named("sync", self.file.sync().await)
    }
}

/// A file that was not opened.
struct Unopened;

fn unopened() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "the file was not opened")
}

impl File for Unopened {
    fn read_at(&self, _offset: u64, _bytes: usize) -> MaybeReady<io::Result<Bytes>> {
        MaybeReady::ready(Err(unopened()))
    }

    fn append(&self, _data: &[u8]) -> MaybeReady<io::Result<()>> {
        MaybeReady::ready(Err(unopened()))
    }

    fn sync(&self) -> MaybeReady<io::Result<()>> {
        MaybeReady::ready(Err(unopened()))
    }

    fn bytes(&self) -> io::Result<u64> {
        Err(unopened())
    }
}
