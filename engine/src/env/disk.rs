//! The real world: local files, the monotonic clock, tokio tasks.
//!
//! Reads, appends and metadata calls run inline: the page cache answers in about a microsecond,
//! while a change of thread would cost tens. A sync waits for the device and runs on a blocking
//! thread, unless the caller has said that its own may wait ([`Spawn::poll_here`]).
//!
//! With direct I/O ([`DiskWorld::with_direct_io`]) the chosen files bypass the page cache. Their
//! reads and appends run inline, too, and block their thread until the device has answered.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reaches files, time and threads"
)]

use std::cell::Cell;
use std::fs::{self, OpenOptions, TryLockError};
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
#[cfg(target_os = "linux")]
use rustix::io::{ReadWriteFlags, preadv2};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Handle, Runtime};

use super::blob::past_the_end;
use super::disk_direct::{self, Tail};
use super::disk_timer::Timer;
use super::{
    BoxFuture, Clock, CpuWork, Env, File, Fs, MaybeReady, OpenFiles, Spawn, earlier_sync_failed,
    lock, opened_for_reading,
};

/// Longest read for which memory is allocated without a check. A longer read is first compared with
/// the file's length, so that a damaged length cannot demand more memory than there is.
const READ_UNCHECKED_MAX: usize = 1 << 20;

/// How often the page cache is asked whether it holds a read, while it does: the question takes
/// longer than the read. Up to that many reads may so wait for a device.
const READY_ASKED_EVERY: u32 = 16;

/// Returns an [`Env`] over local files whose tasks, timers and syncs run on `runtime`. The runtime
/// must have its time driver enabled.
pub fn env(runtime: &Handle) -> Env {
    env_with(runtime, |_| false)
}

/// Returns an [`Env`] whose files are of direct I/O if `is_direct` says so of their paths.
fn env_with(runtime: &Handle, is_direct: fn(&Path) -> bool) -> Env {
    let clock = DiskClock {
        start: Instant::now(),
        runtime: runtime.clone(),
        timer: Timer::default(),
    };
    Env {
        fs: Arc::new(DiskFs {
            runtime: runtime.clone(),
            is_direct,
        }),
        clock: Arc::new(clock),
        tasks: Arc::new(Tasks(runtime.clone())),
    }
}

/// Local files and a tokio runtime of their own.
///
/// Dropping it ends its tasks at their next wait, without waiting for them. It may be dropped
/// inside another runtime.
///
/// ```
/// use aura_engine::env::disk::DiskWorld;
/// use aura_engine::{Engine, EngineBuilder, Error};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let directory = tempfile::tempdir()?;
/// let world = DiskWorld::new(2)?;
/// world.block_on(async {
///     let engine = EngineBuilder::new(world.env(), directory.path()).open().await?;
///     engine.put(b"key", b"value").await?;
///     engine.close().await?;
///
///     // The write is on disk: another engine finds it.
///     let engine = EngineBuilder::new(world.env(), directory.path()).open().await?;
///     assert_eq!(engine.get(b"key").await?.as_deref(), Some(&b"value"[..]));
///     engine.close().await
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct DiskWorld {
    /// Taken by `drop` only.
    runtime: Option<Runtime>,
    env: Env,
}

impl DiskWorld {
    /// Starts a runtime of `threads` worker threads (at least one).
    ///
    /// # Errors
    /// If the operating system cannot start the threads.
    pub fn new(threads: usize) -> io::Result<Self> {
        Self::with_direct_io(threads, |_| false)
    }

    /// Starts a runtime of `threads` worker threads (at least one). Files bypass the page cache if
    /// `is_direct` says so of their paths: whatever is read of them comes from the device.
    ///
    /// Not every file system can do that: see [`check_direct_io`].
    ///
    /// # Errors
    /// If the operating system cannot start the threads.
    pub fn with_direct_io(threads: usize, is_direct: fn(&Path) -> bool) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .enable_time()
            .build()?;
        let env = env_with(runtime.handle(), is_direct);
        Ok(Self {
            runtime: Some(runtime),
            env,
        })
    }

    /// Returns the env to open engines with.
    pub fn env(&self) -> Env {
        self.env.clone()
    }

    /// Runs `future` on the calling thread until it is ready. Tasks run on the workers meanwhile.
    ///
    /// # Panics
    /// If called inside an asynchronous task, because the thread would block its own runtime.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime
            .as_ref()
            .expect("the runtime is there until it is dropped")
            .block_on(future)
    }
}

impl Drop for DiskWorld {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

thread_local! {
    /// Whether the calls of the thread may wait for the device.
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Lets the calls of this thread wait for the device, until it is dropped: the thread goes on with
/// other work then.
struct MayBlock {
    before: bool,
}

impl MayBlock {
    fn begin() -> Self {
        Self {
            before: MAY_BLOCK.replace(true),
        }
    }
}

impl Drop for MayBlock {
    fn drop(&mut self) {
        MAY_BLOCK.set(self.before);
    }
}

/// Checks that files in `directory` can bypass the page cache: one is written, read and removed.
///
/// # Errors
/// What the system says if it refuses. A file system in memory may not refuse, although it has no
/// device.
pub fn check_direct_io(directory: &Path) -> io::Result<()> {
    disk_direct::try_in(directory)
}

/// Asks the system to drop what its page cache holds of the files in `directory`. They are synced
/// first, because only clean pages can go. No rights are needed but those to read the files; a page
/// that another process has mapped stays.
///
/// # Errors
/// If the directory or a file in it cannot be read or synced. A file that is gone meanwhile is no
/// error.
pub fn drop_page_cache(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let file = match fs::File::open(entry.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        file.sync_data()?;
        disk_direct::forget_pages(&file)?;
    }
    Ok(())
}

struct DiskFs {
    runtime: Handle,
    /// Whether a file of this path bypasses the page cache.
    is_direct: fn(&Path) -> bool,
}

impl DiskFs {
    /// Runs a call that waits for the device on a blocking thread, which may be the current one.
    fn blocking(
        runtime: &Handle,
        call: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> MaybeReady<io::Result<()>> {
        if MAY_BLOCK.get() {
            return MaybeReady::ready(call());
        }
        let done = runtime.spawn_blocking(call);
        MaybeReady::pending(async move {
            match done.await {
                Ok(result) => result,
                Err(stopped) => Err(io::Error::other(stopped)),
            }
        })
    }

    fn file(&self, file: fs::File, access: Access) -> Arc<dyn File> {
        let file = OpenFile {
            file: Some(Arc::new(file)),
            runtime: self.runtime.clone(),
        };
        Arc::new(DiskFile {
            file,
            access,
            sync_failed: Arc::default(),
            ready_streak: AtomicU32::new(0),
        })
    }
}

impl Fs for DiskFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        if (self.is_direct)(path) {
            let (file, tail) = disk_direct::create(path)?;
            return Ok(self.file(file, Access::Direct(Some(Mutex::new(tail)))));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(self.file(file, Access::Cached(Some(Mutex::default()))))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        if (self.is_direct)(path) {
            return Ok(self.file(disk_direct::open(path)?, Access::Direct(None)));
        }
        Ok(self.file(fs::File::open(path)?, Access::Cached(None)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        // A link to a symbolic link would depend on what that leads to.
        fs::hard_link(fs::canonicalize(from)?, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let is_file = if kind.is_symlink() {
                // A dangling link takes the name as well.
                fs::metadata(entry.path()).map_or(true, |file| file.is_file())
            } else {
                kind.is_file()
            };
            if is_file {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut missing = Vec::new();
        for above in path.ancestors() {
            if above.as_os_str().is_empty() || above.is_dir() {
                break;
            }
            missing.push(above);
        }
        fs::create_dir_all(path)?;
        // A file is durable only if the name of its directory is, so each new name is synced.
        for parent in missing.into_iter().rev().filter_map(Path::parent) {
            let parent = match parent.as_os_str().is_empty() {
                true => Path::new("."),
                false => parent,
            };
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> MaybeReady<io::Result<()>> {
        let path = path.to_path_buf();
        Self::blocking(&self.runtime, move || fs::File::open(path)?.sync_all())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let locked = file.try_lock();
        locked_file(path, file, locked)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = fs::File::open(path)?;
        let locked = file.try_lock_shared();
        locked_file(path, file, locked)
    }

    fn open_files(&self) -> Option<OpenFiles> {
        let max = getrlimit(Resource::Nofile).current?;
        // A system without this directory does not say how many are open.
        let now = fs::read_dir("/dev/fd").map_or(0, |open| open.count() as u64);
        Some(OpenFiles { now, max })
    }
}

/// Returns the guard of a lock file, if it was locked.
fn locked_file(
    path: &Path,
    file: fs::File,
    locked: Result<(), TryLockError>,
) -> io::Result<Box<dyn Send + Sync>> {
    match locked {
        Ok(()) => Ok(Box::new(file)),
        Err(TryLockError::WouldBlock) => {
            let message = format!("{} is locked", path.display());
            Err(io::Error::new(io::ErrorKind::WouldBlock, message))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Raises the number of files that this process may have open as far as the system permits.
///
/// Returns the new number, or `None` without a limit. Programs call it at their start: an engine
/// bounds its open files by this number ([`EngineConfig::max_open_files`]).
///
/// [`EngineConfig::max_open_files`]: crate::EngineConfig::max_open_files
pub fn raise_open_files_max() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// How a file is read and appended to. Its end is `None` for a file opened for reading.
enum Access {
    /// By way of the page cache.
    Cached(Option<Mutex<End>>),
    /// In whole blocks.
    Direct(Option<Mutex<Tail>>),
}

/// The end of a file that is written by way of the page cache.
#[derive(Default)]
struct End {
    /// Where the next append goes.
    at: u64,
    /// Where the zeros end that were reserved; before `at` if none are left.
    reserved: u64,
}

impl End {
    fn append(&mut self, file: &fs::File, data: &[u8]) -> io::Result<()> {
        let after = self.at + data.len() as u64;
        if let Err(error) = file.write_all_at(data, self.at) {
            // Part of the data may be in the file. The next append must go behind it.
            if let Ok(file) = file.metadata() {
                self.at = file.len().min(after);
            }
            return Err(error);
        }
        self.at = after;
        Ok(())
    }

    fn reserve(&mut self, file: &fs::File, bytes: u64) {
        let start = self.reserved.max(self.at);
        let zeros = vec![0; (self.at + bytes).saturating_sub(start) as usize];
        match file.write_all_at(&zeros, start) {
            Ok(()) => self.reserved = start + zeros.len() as u64,
            // A full disk, for one. It is only a hint.
            Err(_) => self.give_back(file),
        }
    }

    /// Cuts off what is reserved. If that fails, zeros stay, as after a crash.
    fn give_back(&mut self, file: &fs::File) {
        let _ = file.set_len(self.at);
        self.reserved = 0;
    }
}

/// Reads exactly `bytes` bytes, into memory that is not set to zero first.
fn read_whole(file: &fs::File, mut offset: u64, bytes: usize) -> io::Result<Bytes> {
    let mut data = Vec::with_capacity(bytes);
    while data.len() < bytes {
        match pread(file, spare_capacity(&mut data), offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => offset += read as u64,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The allocator may give more room than was asked for.
    data.truncate(bytes);
    Ok(data.into())
}

/// Fills `into` with bytes that the page cache holds; None if it does not hold all of them.
#[cfg(target_os = "linux")]
fn read_from_page_cache(file: &fs::File, offset: u64, into: &mut [u8]) -> Option<()> {
    let bytes = into.len();
    let mut into = [io::IoSliceMut::new(into)];
    let read = preadv2(file, &mut into, offset, ReadWriteFlags::NOWAIT);
    (read == Ok(bytes)).then_some(())
}

/// No system call says whether a read has to wait.
#[cfg(not(target_os = "linux"))]
fn read_from_page_cache(_file: &fs::File, _offset: u64, _into: &mut [u8]) -> Option<()> {
    None
}

/// A file of at least this many bytes is not closed for the last time where others wait.
const CLOSED_APART_MIN: u64 = 256 << 10;

/// An open file. Once its name is removed, closing it gives its space back, which takes a large
/// file tens of milliseconds: that is left to a thread that nobody waits for.
struct OpenFile {
    /// None while it is dropped.
    file: Option<Arc<fs::File>>,
    runtime: Handle,
}

impl Deref for OpenFile {
    type Target = Arc<fs::File>;

    fn deref(&self) -> &Arc<fs::File> {
        self.file.as_ref().expect("it is open until it is dropped")
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else {
            return;
        };
        let is_large = |it: fs::Metadata| it.nlink() == 0 && it.len() >= CLOSED_APART_MIN;
        if file.metadata().is_ok_and(is_large) {
            // A runtime that has ended drops the closure here.
            drop(self.runtime.spawn_blocking(move || drop(file)));
        }
    }
}

struct DiskFile {
    file: OpenFile,
    access: Access,
    /// Whether a sync has failed. It is locked during a sync, so that syncs run one after another.
    sync_failed: Arc<Mutex<bool>>,
    /// Reads since the page cache was last asked whether it held one, if it did; otherwise 0. Races
    /// on it do no harm.
    ready_streak: AtomicU32,
}

impl DiskFile {
    fn read(&self, offset: u64, bytes: usize) -> io::Result<Bytes> {
        if bytes > READ_UNCHECKED_MAX {
            let end = self.bytes()?;
            let last = offset.checked_add(bytes as u64);
            if last.is_none_or(|last| last > end) {
                return Err(past_the_end(offset, bytes, end));
            }
        }
        if let Access::Direct(tail) = &self.access {
            let kept = tail.as_ref().and_then(|it| lock(it).get(offset, bytes));
            return match kept {
                Some(kept) => Ok(kept),
                None => disk_direct::read(&self.file, offset, bytes),
            };
        }
        read_whole(&self.file, offset, bytes)
    }

    /// Reads what the page cache holds; None if a device has to be waited for, and where the system
    /// does not say.
    fn read_ready(&self, offset: u64, into: &mut [u8]) -> Option<io::Result<()>> {
        if matches!(self.access, Access::Direct(_)) {
            return None;
        }
        let streak = self.ready_streak.load(Ordering::Relaxed);
        if !streak.is_multiple_of(READY_ASKED_EVERY) {
            self.ready_streak.store(streak + 1, Ordering::Relaxed);
            return Some(self.file.read_exact_at(into, offset));
        }
        let read = read_from_page_cache(&self.file, offset, into);
        let goes_on = u32::from(read.is_some());
        self.ready_streak.store(goes_on, Ordering::Relaxed);
        read.map(Ok)
    }

    fn write(&self, data: &[u8]) -> io::Result<()> {
        match &self.access {
            Access::Cached(Some(end)) => lock(end).append(&self.file, data),
            Access::Direct(Some(tail)) => lock(tail).append(&self.file, data),
            Access::Cached(None) | Access::Direct(None) => Err(opened_for_reading()),
        }
    }
}

impl File for DiskFile {
    fn read_at(&self, offset: u64, bytes: usize) -> MaybeReady<io::Result<Bytes>> {
        MaybeReady::ready(self.read(offset, bytes))
    }

    fn read_ready(&self, offset: u64, into: &mut [u8]) -> Option<io::Result<()>> {
        self.read_ready(offset, into)
    }

    fn append(&self, data: &[u8]) -> MaybeReady<io::Result<()>> {
        MaybeReady::ready(self.write(data))
    }

    fn sync(&self) -> MaybeReady<io::Result<()>> {
        let file = self.file.clone();
        let failed = self.sync_failed.clone();
        // The result is kept here as well, because the caller may be dropped before it arrives.
        DiskFs::blocking(&self.file.runtime, move || {
            let mut failed = lock(&failed);
            if *failed {
                return Err(earlier_sync_failed());
            }
            let synced = file.sync_data();
            *failed = synced.is_err();
            synced
        })
    }

    fn bytes(&self) -> io::Result<u64> {
        match &self.access {
            Access::Cached(Some(end)) => Ok(lock(end).at),
            Access::Direct(Some(tail)) => Ok(lock(tail).end()),
            Access::Cached(None) | Access::Direct(None) => Ok(self.file.metadata()?.len()),
        }
    }

    fn reserve(&self, bytes: u64) {
        if let Access::Cached(Some(end)) = &self.access {
            lock(end).reserve(&self.file, bytes);
        }
    }

    fn finish(&self) {
        let Access::Cached(Some(end)) = &self.access else {
            return;
        };
        let mut end = lock(end);
        if end.reserved > end.at {
            end.give_back(&self.file);
        }
    }
}

struct DiskClock {
    start: Instant,
    runtime: Handle,
    timer: Timer,
}

impl Clock for DiskClock {
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn sleep(&self, nanos: u64) -> MaybeReady<()> {
        // The timer belongs to the runtime entered here, so any thread may wait for it.
        let _entered = self.runtime.enter();
        MaybeReady::pending(tokio::time::sleep(Duration::from_nanos(nanos)))
    }

    fn sleep_until(&self, at: u64) -> MaybeReady<()> {
        let at = self.start + Duration::from_nanos(at);
        MaybeReady::pending(self.timer.wait_until(at))
    }

    fn charge(&self, _work: &CpuWork) {}

    /// Lets others run: a job that never has to wait would else keep its worker for as long as it
    /// takes, and with it the client that it woke last, whom no other worker may take over.
    fn wait_for_cpu(&self) -> MaybeReady<()> {
        MaybeReady::pending(tokio::task::yield_now())
    }
}

struct Tasks(Handle);

impl Spawn for Tasks {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }

    fn spawn_on_thread(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        let runtime = self.0.clone();
        self.0.spawn_blocking(move || {
            let _may = MayBlock::begin();
            runtime.block_on(task);
        });
    }

    fn has_threads(&self) -> bool {
        true
    }

    fn poll_here(
        &self,
        task: Pin<&mut (dyn Future<Output = ()> + Send)>,
        context: &mut Context<'_>,
    ) -> Option<Poll<()>> {
        let _may = MayBlock::begin();
        Some(task.poll(context))
    }
}
