//! Files in memory, for tests and temporary databases. Time and tasks are those of [`disk`].

use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::blob::Blob;
use super::disk::{self, DiskWorld};
use super::tree::{Locks, Tree};
use super::{Env, File, Fs, MaybeReady, lock, opened_for_reading};

/// Returns an [`Env`] over an empty [`MemoryFs`] whose tasks and timers run on `runtime`. The
/// runtime must have its time driver enabled.
pub fn env(runtime: &Handle) -> Env {
    Env {
        fs: Arc::new(MemoryFs::default()),
        ..disk::env(runtime)
    }
}

/// A file system in memory and a tokio runtime of its own. It is dropped like a [`DiskWorld`].
///
/// ```
/// use std::path::Path;
///
/// use aura_engine::env::memory::MemoryWorld;
///
/// # fn main() -> std::io::Result<()> {
/// let world = MemoryWorld::new(1)?;
/// let fs = world.env().fs;
/// let file = fs.create(Path::new("/notes"))?;
/// let bytes = world.block_on(async {
///     file.append(b"hello").await?;
///     file.read_at(1, 3).await
/// })?;
/// assert_eq!(bytes, "ell");
/// # Ok(())
/// # }
/// ```
pub struct MemoryWorld {
    disk: DiskWorld,
    fs: Arc<MemoryFs>,
}

impl MemoryWorld {
    /// Starts a runtime of `threads` worker threads (at least one) over an empty file system.
    ///
    /// # Errors
    /// If the operating system cannot start the threads.
    pub fn new(threads: usize) -> io::Result<Self> {
        Ok(Self {
            disk: DiskWorld::new(threads)?,
            fs: Arc::new(MemoryFs::default()),
        })
    }

    /// Returns an env over this world's files; every call returns the same files.
    pub fn env(&self) -> Env {
        Env {
            fs: self.fs.clone(),
            ..self.disk.env()
        }
    }

    /// Runs `future` on the calling thread until it is ready. Tasks run on the workers meanwhile.
    ///
    /// # Panics
    /// If called inside an asynchronous task.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.disk.block_on(future)
    }
}

/// A file system in memory. A removed file lives on while it is open.
#[derive(Default)]
pub struct MemoryFs {
    names: Mutex<Tree<Arc<Mutex<Blob>>>>,
    locks: Locks,
}

impl Fs for MemoryFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let body = Arc::default();
        lock(&self.names).insert(path, Arc::clone(&body))?;
        Ok(Arc::new(MemoryFile {
            body,
            writable: true,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(MemoryFile {
            body: lock(&self.names).get(path)?,
            writable: false,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        lock(&self.names).rename(from, to).map(drop)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        lock(&self.names).link(from, to).map(drop)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.names).remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        lock(&self.names).list(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        lock(&self.names).create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> MaybeReady<io::Result<()>> {
        MaybeReady::ready(lock(&self.names).check_directory(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut names = lock(&self.names);
        if names.get(path).is_err() {
            names.insert(path, Arc::default())?;
        }
        self.locks.take(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        lock(&self.names).get(path)?;
        self.locks.take_shared(path)
    }
}

struct MemoryFile {
    body: Arc<Mutex<Blob>>,
    writable: bool,
}

impl File for MemoryFile {
    fn read_at(&self, offset: u64, bytes: usize) -> MaybeReady<io::Result<Bytes>> {
        MaybeReady::ready(lock(&self.body).read(offset, bytes))
    }

    fn read_ready(&self, offset: u64, into: &mut [u8]) -> Option<io::Result<()>> {
        let read = lock(&self.body).read(offset, into.len());
        Some(read.map(|read| into.copy_from_slice(&read)))
    }

    fn append(&self, data: &[u8]) -> MaybeReady<io::Result<()>> {
        if !self.writable {
            return MaybeReady::ready(Err(opened_for_reading()));
        }
        lock(&self.body).append(data);
        MaybeReady::ready(Ok(()))
    }

    fn sync(&self) -> MaybeReady<io::Result<()>> {
        MaybeReady::ready(Ok(()))
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(lock(&self.body).bytes())
    }
}
