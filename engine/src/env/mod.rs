//! The engine's only access to the outside: files, time and tasks.
//!
//! Engine code never calls the operating system. It gets an [`Env`] and sees neither tokio nor the
//! simulator, so that the same code runs in three worlds:
//!
//! - [`disk`]: local files with positioned I/O, the monotonic clock, tokio tasks. A read that the
//!   page cache holds is answered inline, without a change of thread; a sync runs on a blocking
//!   thread.
//! - [`memory`]: files in memory, for tests and temporary databases; time and tasks as on disk.
//! - [`sim`]: files in memory behind a device model, virtual nanoseconds, one thread, one seed. The
//!   same seed gives the same events in the same order on any machine. Crashes and faults are
//!   injected here.
//!
//! All three return [`MaybeReady`], which is ready at once if there is nothing to wait for. A call
//! that needs no device then costs neither an allocation nor a task switch.
//!
//! ```
//! use aura_engine::env::memory::MemoryWorld;
//! use aura_engine::{Engine, EngineBuilder, Error};
//!
//! let world = MemoryWorld::new(2).expect("threads");
//! let value = world.block_on(async {
//!     let engine = EngineBuilder::new(world.env(), "/db").open().await?;
//!     engine.put(b"key", b"value").await?;
//!     let value = engine.get(b"key").await?;
//!     engine.close().await?;
//!     Ok::<_, Error>(value)
//! })?;
//! assert_eq!(value.as_deref(), Some(&b"value"[..]));
//! # Ok::<(), Error>(())
//! ```

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::sync::lock;

mod blob;
mod disk_direct;
mod disk_timer;
mod pool;
mod tree;
mod work;

pub mod disk;
pub mod memory;
pub mod sim;

#[cfg(test)]
mod tests;

pub use work::CpuWork;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Result of a call that may have to wait: ready in place, or a boxed future.
pub enum MaybeReady<T> {
    /// The value, until the first poll takes it.
    Ready(Option<T>),
    /// The value is still to come.
    Pending(BoxFuture<'static, T>),
}

impl<T> MaybeReady<T> {
    /// Creates a result that is ready.
    pub fn ready(value: T) -> Self {
        Self::Ready(Some(value))
    }

    /// Creates a result that a future will return.
    pub fn pending(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Pending(Box::pin(future))
    }
}

impl<T: Unpin> Future for MaybeReady<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut *self {
            Self::Ready(value) => {
                Poll::Ready(value.take().expect("polled again after it was ready"))
            }
            Self::Pending(future) => future.as_mut().poll(context),
        }
    }
}

/// A file, append-only while it is written, readable at any position at any time.
pub trait File: Send + Sync {
    /// Reads exactly `bytes` bytes from `offset`. If the file ends before, the error is
    /// [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, offset: u64, bytes: usize) -> MaybeReady<io::Result<Bytes>>;

    /// Fills `into` with the bytes from `offset` if that needs no wait for a device; None if it
    /// does, or if nobody knows. The errors are those of [`read_at`](Self::read_at).
    fn read_ready(&self, _offset: u64, _into: &mut [u8]) -> Option<io::Result<()>> {
        None
    }

    /// Appends `data` to the file, as far as the operating system: a crash of the machine may lose
    /// it, a crash of the process does not. The data is copied before the call returns.
    fn append(&self, data: &[u8]) -> MaybeReady<io::Result<()>>;

    /// Makes everything appended so far survive a crash of the machine.
    ///
    /// After a failed sync, every later sync through this handle fails too, even if the first
    /// caller was dropped before it had the result. Systems report bytes that could not be written
    /// back only once, and then report success (Rebello et al., "Can Applications Recover from
    /// fsync Failures?", ATC 2020).
    fn sync(&self) -> MaybeReady<io::Result<()>>;

    /// Returns the number of bytes in the file.
    fn bytes(&self) -> io::Result<u64>;

    /// Writes zeros behind the end, which the next `bytes` bytes appended overwrite, so that a sync
    /// of those need not change the length of the file. Until [`finish`](Self::finish), and after a
    /// crash, a handle that [`Fs::open`] returned finds the zeros behind what was appended. Where
    /// the world cannot, nothing happens.
    fn reserve(&self, _bytes: u64) {}

    /// States that no append and no sync will follow. The descriptor may then be closed, and opened
    /// again for a later read. Zeros that were [reserved](Self::reserve) are cut off.
    fn finish(&self) {}
}

/// The files of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// Files open now.
    pub now: u64,
    /// Files that may be open at the same time.
    pub max: u64,
}

/// A file system.
pub trait Fs: Send + Sync {
    /// Creates an empty file for appending. An existing file of that name is replaced.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Renames a file. An existing file of the new name is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name. Fails with [`io::ErrorKind::AlreadyExists`] if the name is
    /// taken. Both names refer to the same bytes, which stay for as long as one name does. Some
    /// file systems cannot link, and links across devices are impossible.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns the names of the files in a directory, sorted. A symbolic link to a file counts as a
    /// file, and so does a dangling one, because the name is taken.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Creates a directory and its missing parents, durably. An existing directory is no error.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, links, renames and removals in a directory survive a crash of the machine.
    fn sync_directory(&self, path: &Path) -> MaybeReady<io::Result<()>>;

    /// Takes the exclusive lock file at `path` until the guard is dropped or the process ends.
    /// Fails with [`io::ErrorKind::WouldBlock`] if the lock is held.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;

    /// Takes the lock file at `path` shared with other readers, until the guard is dropped. Fails
    /// with [`io::ErrorKind::WouldBlock`] if the lock is held exclusively. The file must exist;
    /// nothing is written.
    fn lock_shared(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns how many files the process has open and may have open, or `None` without a limit.
    fn open_files(&self) -> Option<OpenFiles> {
        None
    }
}

/// Time, and the CPU of a simulated machine.
pub trait Clock: Send + Sync {
    /// Returns the nanoseconds since some fixed moment. It never decreases.
    fn now(&self) -> u64;

    /// Waits for `nanos` nanoseconds. In the real world it may take a millisecond longer.
    fn sleep(&self, nanos: u64) -> MaybeReady<()>;

    /// Waits until [`now`](Self::now) is `at`, as exactly as the world can. In the real world the
    /// last stretch is spun, so that it is for the arrivals of an open loop only.
    fn sleep_until(&self, at: u64) -> MaybeReady<()> {
        match at.saturating_sub(self.now()) {
            0 => MaybeReady::ready(()),
            nanos => self.sleep(nanos),
        }
    }

    /// Charges `work` to the running task. It takes effect when the task next waits for a device,
    /// or in [`wait_for_cpu`](Self::wait_for_cpu). In the real world it does nothing.
    fn charge(&self, work: &CpuWork);

    /// Returns the nanoseconds that `work` is charged; 0 if the clock runs while work is done.
    fn cost_nanos(&self, _work: &CpuWork) -> u64 {
        0
    }

    /// Waits until the CPU has done the work charged so far. In the real world it gives way to the
    /// tasks that are ready.
    fn wait_for_cpu(&self) -> MaybeReady<()>;
}

/// Runs `work` and returns its result with the nanoseconds it ran, waiting excluded. They include
/// the CPU's time and system calls that were answered at once. A simulated clock stands still
/// meanwhile.
pub(crate) async fn timed<T>(clock: &dyn Clock, work: impl Future<Output = T>) -> (T, u64) {
    let mut work = std::pin::pin!(work);
    let mut nanos = 0;
    let value = std::future::poll_fn(|context| {
        let start = clock.now();
        let poll = work.as_mut().poll(context);
        nanos += clock.now().saturating_sub(start);
        poll
    });
    (value.await, nanos)
}

/// Runs all `futures` concurrently in the calling task and returns their values in order.
pub(crate) async fn join_all<T>(mut futures: Vec<BoxFuture<'static, T>>) -> Vec<T> {
    let mut values: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, value) in futures.iter_mut().zip(&mut values) {
            if value.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *value = Some(ready);
            }
        }
        match values.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    values.into_iter().flatten().collect()
}

/// Runs all `futures` and returns their results in order. Each gets a task of its own, except the
/// last, which the calling task runs; so they use several threads if the world has them. A task
/// that is lost with its runtime returns [`Error::Interrupted`].
pub(crate) async fn spawn_all<T: Send + 'static>(
    tasks: &dyn Spawn,
    name: &'static str,
    mut futures: Vec<BoxFuture<'static, Result<T>>>,
) -> Vec<Result<T>> {
    let Some(last) = futures.pop() else {
        return Vec::new();
    };
    let mut receivers = Vec::with_capacity(futures.len());
    for future in futures {
        let (tx, rx) = tokio::sync::oneshot::channel();
        tasks.spawn(name, Box::pin(async move { drop(tx.send(future.await)) }));
        receivers.push(rx);
    }
    let last = last.await;
    let mut values = Vec::with_capacity(receivers.len() + 1);
    for rx in receivers {
        values.push(rx.await.unwrap_or(Err(Error::Interrupted { work: name })));
    }
    values.push(last);
    values
}

/// Starts tasks that run concurrently with the caller.
pub trait Spawn: Send + Sync {
    /// Starts `task`. `name` is for debuggers.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);

    /// Starts `task` on a thread of its own, if the world has threads. It then waits for no worker
    /// that is busy with a long job, and its syncs run on that thread without a switch to another.
    fn spawn_on_thread(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.spawn(name, task);
    }

    /// Returns whether callers run on several threads at the same time, so that one may wait a
    /// moment for another without giving up its thread.
    fn has_threads(&self) -> bool {
        false
    }

    /// Polls `task` in the calling thread, where its syncs then wait for the device; None, without
    /// a poll, if the world has no such threads.
    fn poll_here(
        &self,
        _task: Pin<&mut (dyn Future<Output = ()> + Send)>,
        _context: &mut Context<'_>,
    ) -> Option<Poll<()>> {
        None
    }
}

/// The files, time and tasks that an engine runs on.
#[derive(Clone)]
pub struct Env {
    /// The file system.
    pub fs: Arc<dyn Fs>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The task starter.
    pub tasks: Arc<dyn Spawn>,
}

pub(crate) use pool::bounded;

/// Returns the error of a sync after a failed one.
fn earlier_sync_failed() -> io::Error {
    io::Error::other("an earlier sync of the file failed: its bytes may be lost")
}

/// Returns the error of an append through a handle that [`Fs::open`] returned.
fn opened_for_reading() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "the file was opened for reading",
    )
}
