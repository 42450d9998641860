//! The engine's only way out: files, time and tasks.
//!
//! Engine code never touches the operating system; it is handed an [`Env`] and sees neither tokio nor the simulator.
//!
//! - [`disk`]: local files by positioned I/O, the monotonic clock, tokio tasks. A read that the page cache holds is
//!   answered inline, without a thread hop; a sync goes to a blocking thread.
//! - [`memory`]: files in memory, for tests and throw-away databases; time and tasks as on disk.
//! - [`sim`]: files in memory behind a device model, virtual nanoseconds, one thread, seeded: the same seed gives the
//!   same events in the same order on any machine. Crashes and faults are injected here.
//!
//! All three answer through [`MaybeReady`], which is ready at once where nothing has to be waited for, so that a call which
//! needs no device costs neither an allocation nor a task switch.

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
mod pool;
mod tree;

pub mod disk;
pub mod memory;
pub mod sim;

#[cfg(test)]
mod tests;

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The answer of a call that may have to wait: ready in place, or a boxed future.
pub enum MaybeReady<T> {
    /// The answer, until it is taken by the first poll.
    Ready(Option<T>),
    /// Still to come.
    Pending(BoxFuture<'static, T>),
}

impl<T> MaybeReady<T> {
    /// An answer that is there.
    pub fn ready(value: T) -> Self {
        Self::Ready(Some(value))
    }

    /// An answer that a future will give.
    pub fn pending(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Pending(Box::pin(future))
    }
}

impl<T: Unpin> Future for MaybeReady<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut *self {
            Self::Ready(value) => Poll::Ready(
                value
                    .take()
                    .expect("an Io must not be polled after it was ready"),
            ),
            Self::Pending(future) => future.as_mut().poll(context),
        }
    }
}

/// One file: append-only while it is written, read at any position at any time.
pub trait File: Send + Sync {
    /// Exactly `bytes` bytes from `offset`; fewer left is [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, offset: u64, bytes: usize) -> MaybeReady<io::Result<Bytes>>;

    /// Adds `data` at the end, to the operating system and no further: a crash of the machine may lose it, a crash of
    /// the process may not. The data is taken over before the call returns.
    fn append(&self, data: &[u8]) -> MaybeReady<io::Result<()>>;

    /// Makes everything appended so far survive a crash of the machine.
    ///
    /// After a sync that failed, every later sync through this handle fails, even if the caller of
    /// the first one was dropped before it had the answer. A system reports bytes that could not be
    /// written back once; to the next who asks it says that all is well (Rebello et al., "Can
    /// Applications Recover from fsync Failures?", ATC 2020).
    fn sync(&self) -> MaybeReady<io::Result<()>>;

    /// Bytes in the file.
    fn bytes(&self) -> io::Result<u64>;

    /// Says that no append and no sync will follow: the descriptor may be closed, and opened again
    /// for a later read.
    fn finish(&self) {}
}

/// A file system.
pub trait Fs: Send + Sync {
    /// Creates an empty file for appending, in place of one that stands there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens an existing file for reading.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, in place of one that stands there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name; [`io::ErrorKind::AlreadyExists`] where one stands there. Both name the same bytes, which
    /// stay for as long as one of them does. Not every file system can, and none across devices.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in a directory, sorted. A symbolic link to a file is a file, and so is
    /// one that leads nowhere: the name is taken.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Creates a directory and those above it, durably; one that exists is no error.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the creations, links, renames and removals in a directory survive a crash of the machine.
    fn sync_directory(&self, path: &Path) -> MaybeReady<io::Result<()>>;

    /// Takes the exclusive lock file at `path` until the guard is dropped (or the process ends);
    /// [`io::ErrorKind::WouldBlock`] if somebody holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;

    /// Takes the lock file at `path`, which must exist, together with others that only read, until
    /// the guard is dropped; [`io::ErrorKind::WouldBlock`] if somebody holds it exclusively.
    /// Nothing is written.
    fn lock_shared(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How many files the process may have open at a time; None if there is no limit.
    fn open_files_max(&self) -> Option<u64> {
        None
    }
}

/// CPU work done, in counts: what a simulation charges time for, and what `metrics` reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuWork {
    /// Operations begun (the fixed cost of a call).
    pub operations: u64,
    /// Key comparisons.
    pub comparisons: u64,
    /// Steps through a memtable's nodes.
    pub memtable_steps: u64,
    /// Entries put into a memtable.
    pub memtable_inserts: u64,
    /// Filters asked.
    pub filter_probes: u64,
    /// Learned models evaluated.
    pub model_evaluations: u64,
    /// Cache look-ups.
    pub cache_probes: u64,
    /// Bytes compressed.
    pub bytes_compressed: u64,
    /// Bytes decompressed (of output).
    pub bytes_decompressed: u64,
    /// Bytes checksummed.
    pub bytes_checksummed: u64,
    /// Bytes copied.
    pub bytes_copied: u64,
    /// Calls to the operating system.
    pub system_calls: u64,
}

/// Time, and in a simulation the CPU.
pub trait Clock: Send + Sync {
    /// Nanoseconds since some fixed moment; never goes back.
    fn now(&self) -> u64;

    /// Waits for `nanos`.
    fn sleep(&self, nanos: u64) -> MaybeReady<()>;

    /// Charges `work` to the running task. It takes effect at the task's next wait for a device, or at `settle`.
    /// Costs nothing in the real world.
    fn charge(&self, work: &CpuWork);

    /// Nanoseconds that `work` takes where it is charged for; 0 where the clock goes on while work is done.
    fn cost_nanos(&self, _work: &CpuWork) -> u64 {
        0
    }

    /// Waits until the CPU has done the work charged so far. Ready at once in the real world.
    fn settle(&self) -> MaybeReady<()>;
}

/// What `work` gives, and the nanoseconds that it took without those it waited: the CPU's, and those of calls to the
/// operating system that were answered at once. A simulated clock stands still meanwhile.
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

/// The values of all `futures`, which run side by side in the calling task.
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
        if values.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    values.into_iter().flatten().collect()
}

/// As [`join_all`], with a task for each but the last, which the calling task runs: on several threads, where the world has
/// them. A task that is lost with its runtime gives [`Error::Closed`].
pub(crate) async fn spawn_all<T: Send + 'static>(
    tasks: &dyn Spawn,
    name: &'static str,
    mut futures: Vec<BoxFuture<'static, Result<T>>>,
) -> Vec<Result<T>> {
    let Some(last) = futures.pop() else {
        return Vec::new();
    };
    let told: Vec<_> = futures
        .into_iter()
        .map(|future| {
            let (tell, told) = tokio::sync::oneshot::channel();
            tasks.spawn(name, Box::pin(async move { drop(tell.send(future.await)) }));
            told
        })
        .collect();
    let last = last.await;
    let mut values = Vec::with_capacity(told.len() + 1);
    for one in told {
        values.push(one.await.unwrap_or(Err(Error::Closed)));
    }
    values.push(last);
    values
}

/// Starts tasks.
pub trait Spawn: Send + Sync {
    /// Runs `task` beside the caller. `name` is for debuggers.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);

    /// Runs `task` as [`spawn`](Self::spawn) does, but on a thread of its own where the world has
    /// threads: it waits for no worker that is busy with a long job, and its syncs are made on that
    /// thread, so that none costs a switch to another one and back.
    fn spawn_on_thread(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.spawn(name, task);
    }
}

/// A world to run in.
#[derive(Clone)]
pub struct Env {
    /// Files.
    pub fs: Arc<dyn Fs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Tasks.
    pub tasks: Arc<dyn Spawn>,
}

pub(crate) use pool::bounded;

/// The answer to a sync after one that failed.
fn earlier_sync_failed() -> io::Error {
    io::Error::other("an earlier sync of the file failed: what it was for may be lost")
}

/// The answer to an append through a handle that [`Fs::open`] gave.
fn opened_for_reading() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "the file was opened for reading",
    )
}
