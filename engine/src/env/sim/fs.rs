//! Files in memory behind the device. They track what of them would survive a crash.
//!
//! - Bytes are durable once a sync that began after them has ended. Names are durable once a sync
//!   of their directory has ended; directories themselves are durable at once.
//! - Metadata calls take no time. A request goes to the device when its future is first polled,
//!   after the CPU time charged before the call.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::agenda::Agenda;
use super::crash::{CrashMode, FsImage, survive};
use super::device::Device;
use super::executor::Core;
use super::fault::{Call, Faults};
use crate::env::blob::Blob;
use crate::env::tree::{Locks, Tree};
use crate::env::{File, Fs, MaybeReady, earlier_sync_failed, lock, opened_for_reading};

/// A file, independent of its names.
pub(super) struct Body {
    /// Number in the order of creation. It determines the file's place on the device.
    pub(super) number: u32,
    pub(super) state: Mutex<BodyState>,
}

/// The bytes of a file, and how far they have got on their way to the device.
#[derive(Default)]
pub(super) struct BodyState {
    pub(super) blob: Blob,
    /// Bytes that survive a crash.
    pub(super) synced: u64,
    /// Up to where a crash leaves zeros behind the bytes.
    pub(super) reserved: u64,
    /// Whether a sync failed, so that its bytes will never be durable.
    pub(super) given_up: bool,
    /// Bytes queued for write-back so far.
    pub(super) queued: u64,
    /// Bytes handed to the device so far.
    pub(super) issued: u64,
    /// Bytes that the device has acknowledged so far.
    pub(super) written: u64,
    /// When the last piece under way will be acknowledged.
    pub(super) written_at: u64,
    /// Syncs that wait until the file is written back.
    pub(super) waiting: Vec<WaitingSync>,
}

/// A sync that waits for write-back.
pub(super) struct WaitingSync {
    /// The bytes of the file that must be acknowledged first.
    pub(super) up_to: u64,
    pub(super) ticket: u32,
}

impl Body {
    fn durable(number: u32, blob: Blob) -> Arc<Self> {
        let end = blob.bytes();
        let state = BodyState {
            blob,
            synced: end,
            queued: end,
            issued: end,
            written: end,
            ..BodyState::default()
        };
        Arc::new(Self {
            number,
            state: Mutex::new(state),
        })
    }
}

/// A change of names in a directory that is not yet durable.
pub(super) struct Change {
    number: u64,
    directory: PathBuf,
    removed: Option<PathBuf>,
    added: Option<(PathBuf, Arc<Body>)>,
}

impl Change {
    /// Makes the change, unless it was made before.
    pub(super) fn apply(&self, names: &mut Tree<Arc<Body>>) -> io::Result<()> {
        if let Some(path) = &self.removed {
            // The name may never have become durable.
            names.remove(path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
        }
        match &self.added {
            Some((path, body)) => names.insert(path, body.clone()),
            None => Ok(()),
        }
    }
}

/// The current names, and those that a crash would leave.
#[derive(Default)]
struct Names {
    live: Tree<Arc<Body>>,
    durable: Tree<Arc<Body>>,
    /// The changes that lead from `durable` to `live`, in order.
    changes: Vec<Change>,
    changes_made: u64,
    bodies_made: u32,
}

impl Names {
    fn body(&mut self, blob: Blob) -> Arc<Body> {
        let number = self.bodies_made;
        self.bodies_made += 1;
        Body::durable(number, blob)
    }

    fn change(&mut self, removed: Option<&Path>, added: Option<(&Path, Arc<Body>)>) {
        let place = added.as_ref().map(|(path, _)| *path).or(removed);
        let directory = place
            .and_then(Path::parent)
            .unwrap_or(Path::new(""))
            .to_path_buf();
        let added = added.map(|(path, body)| (path.to_path_buf(), body));
        self.changes.push(Change {
            number: self.changes_made,
            directory,
            removed: removed.map(Path::to_path_buf),
            added,
        });
        self.changes_made += 1;
    }

    /// Makes the changes in `directory` durable that were made before change number `end`.
    fn make_durable(&mut self, directory: &Path, end: u64) -> io::Result<()> {
        let mut left = Vec::new();
        for change in std::mem::take(&mut self.changes) {
            if change.directory == directory && change.number < end {
                change.apply(&mut self.durable)?;
            } else {
                left.push(change);
            }
        }
        self.changes = left;
        Ok(())
    }

    fn create(&mut self, path: &Path) -> io::Result<Arc<Body>> {
        let body = self.body(Blob::default());
        self.live.insert(path, body.clone())?;
        self.change(None, Some((path, body.clone())));
        Ok(body)
    }
}

/// The simulated file system.
pub(super) struct SimFs {
    shared: Arc<Shared>,
}

/// State that the file system shares with its files.
struct Shared {
    core: Arc<Core>,
    faults: Arc<Faults>,
    names: Mutex<Names>,
    locks: Locks,
}

impl Shared {
    /// Returns a call that waits for the CPU, for the request that `start` makes at the device, and
    /// for `delay` more nanoseconds. A crash in the meantime fails it.
    fn device_call(
        self: &Arc<Self>,
        delay: u64,
        start: impl FnOnce(&mut Device, &mut Agenda, u64) -> u32 + Send + 'static,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let shared = self.clone();
        let cpu = self.core.wait_for_cpu();
        async move {
            if let Some(cpu) = cpu {
                cpu.await;
            }
            shared.core.request(start).await;
            if delay > 0 {
                shared.core.sleep(delay).await;
            }
            shared.faults.check()
        }
    }
}

impl SimFs {
    pub(super) fn new(core: Arc<Core>, faults: Arc<Faults>) -> Self {
        Self {
            shared: Arc::new(Shared {
                core,
                faults,
                names: Mutex::default(),
                locks: Locks::default(),
            }),
        }
    }

    /// Fills the file system with the files that a crash left.
    pub(super) fn load(&self, image: &FsImage) -> io::Result<()> {
        let mut names = lock(&self.shared.names);
        names.live = image.tree.without_files();
        for (path, blob) in image.tree.iter() {
            let body = names.body(blob.clone());
            names.live.insert(path, body)?;
        }
        names.durable = names.live.clone();
        Ok(())
    }

    pub(super) fn crash_image(&self, mode: CrashMode, seed: u64) -> io::Result<FsImage> {
        let names = lock(&self.shared.names);
        survive(&names.durable, &names.changes, mode, seed)
    }

    pub(super) fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let body = lock(&self.shared.names).live.get(path)?;
        if lock(&body.state).blob.flip_bit(offset, bit) {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("there is no bit {bit} of a byte at {offset}"),
        ))
    }

    pub(super) fn truncate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let body = lock(&self.shared.names).live.get(path)?;
        let mut state = lock(&body.state);
        state.blob.truncate(bytes);
        state.synced = state.synced.min(bytes);
        state.queued = state.queued.min(bytes);
        Ok(())
    }

    fn file(&self, body: Arc<Body>, writable: bool) -> Arc<dyn File> {
        Arc::new(SimFile {
            shared: self.shared.clone(),
            body,
            writable,
            sync_failed: AtomicBool::new(false),
        })
    }

    /// Locks the names, once a call may start.
    fn names(&self, call: Call) -> io::Result<MutexGuard<'_, Names>> {
        self.shared.faults.begin(call)?;
        Ok(lock(&self.shared.names))
    }
}

impl Fs for SimFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let body = self.names(Call::Create)?.create(path)?;
        Ok(self.file(body, true))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let body = self.names(Call::Ask)?.live.get(path)?;
        Ok(self.file(body, false))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names(Call::Rename)?;
        let body = names.live.rename(from, to)?;
        names.change(Some(from), Some((to, body)));
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names(Call::Link)?;
        let body = names.live.link(from, to)?;
        names.change(None, Some((to, body)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut names = self.names(Call::Remove)?;
        names.live.remove(path)?;
        names.change(Some(path), None);
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.names(Call::Ask)?.live.list(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut names = self.names(Call::Create)?;
        names.live.create_directory(path)?;
        names.durable.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> MaybeReady<io::Result<()>> {
        let shared = self.shared.clone();
        let begin = || {
            let delay = shared.faults.begin(Call::Sync)?;
            let names = lock(&shared.names);
            names.live.check_directory(path)?;
            Ok((delay, names.changes_made))
        };
        let (delay, end) = match begin() {
            Ok(begun) => begun,
            Err(error) => return MaybeReady::ready(Err(error)),
        };
        let path = path.to_path_buf();
        let synced =
            shared.device_call(delay, |device, agenda, now| device.sync_names(agenda, now));
        MaybeReady::pending(async move {
            synced.await?;
            lock(&shared.names).make_durable(&path, end)
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut names = self.names(Call::Create)?;
        if names.live.get(path).is_err() {
            names.create(path)?;
        }
        self.shared.locks.take(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.names(Call::Ask)?.live.get(path)?;
        self.shared.locks.take_shared(path)
    }
}

/// A read that has begun.
struct BegunRead {
    data: Bytes,
    /// Nanoseconds by which a fault delays it.
    delay: u64,
    /// Bytes that the device must be asked for; those not yet written back are in memory.
    on_device: u64,
}

struct SimFile {
    shared: Arc<Shared>,
    body: Arc<Body>,
    writable: bool,
    /// Whether a sync through this handle has failed.
    sync_failed: AtomicBool,
}

impl SimFile {
    fn begin_read(&self, offset: u64, bytes: usize) -> io::Result<BegunRead> {
        let delay = self.shared.faults.begin(Call::Read)?;
        let state = lock(&self.body.state);
        let data = state.blob.read(offset, bytes)?;
        let end = state.written.min(offset + bytes as u64);
        Ok(BegunRead {
            data,
            delay,
            on_device: end.saturating_sub(offset),
        })
    }

    /// Appends. Returns the delay and the ticket to wait for.
    fn begin_append(&self, data: &[u8]) -> io::Result<(u64, Option<u32>)> {
        if !self.writable {
            return Err(opened_for_reading());
        }
        let begun = self.shared.faults.begin(Call::Write);
        let taken = match &begun {
            Ok(_) => data,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => &data[..data.len() / 2],
            Err(_) => &[],
        };
        lock(&self.body.state).blob.append(taken);
        let mut state = self.shared.core.state();
        let ticket = state.append(self.shared.core.now(), &self.body);
        begun.map(|delay| (delay, ticket))
    }

    /// Returns the delay of a sync and the byte up to which it goes, or `None` if all is durable.
    fn begin_sync(&self) -> io::Result<(u64, Option<u64>)> {
        let begun = self.shared.faults.begin(Call::Sync);
        if self.sync_failed.load(Ordering::Relaxed) {
            return Err(earlier_sync_failed());
        }
        let mut state = lock(&self.body.state);
        let end = state.blob.bytes();
        match begun {
            Ok(delay) => Ok((delay, (state.synced < end).then_some(end))),
            Err(error) => {
                state.given_up = true;
                self.sync_failed.store(true, Ordering::Relaxed);
                Err(error)
            }
        }
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, bytes: usize) -> MaybeReady<io::Result<Bytes>> {
        let BegunRead {
            data,
            delay,
            on_device,
        } = match self.begin_read(offset, bytes) {
            Ok(begun) => begun,
            Err(error) => return MaybeReady::ready(Err(error)),
        };
        if delay == 0 && (on_device == 0 || self.shared.core.is_instant()) {
            return MaybeReady::ready(Ok(data));
        }
        if delay == 0 && self.shared.core.reads_at_once() {
            self.shared.core.state().device.count_read(on_device);
            return MaybeReady::ready(Ok(data));
        }
        let number = self.body.number;
        let read = move |device: &mut Device, agenda: &mut Agenda, now: u64| {
            device.read(agenda, now, number, offset, on_device)
        };
        let done = self.shared.device_call(delay, read);
        MaybeReady::pending(async move { done.await.map(|()| data) })
    }

    fn append(&self, data: &[u8]) -> MaybeReady<io::Result<()>> {
        let (delay, ticket) = match self.begin_append(data) {
            Ok((0, None)) => return MaybeReady::ready(Ok(())),
            Ok(begun) => begun,
            Err(error) => return MaybeReady::ready(Err(error)),
        };
        let shared = self.shared.clone();
        let ticket = ticket.map(|number| shared.core.ticket(number));
        MaybeReady::pending(async move {
            if let Some(ticket) = ticket {
                ticket.await;
            }
            if delay > 0 {
                shared.core.sleep(delay).await;
            }
            shared.faults.check()
        })
    }

    fn sync(&self) -> MaybeReady<io::Result<()>> {
        let (delay, end) = match self.begin_sync() {
            Ok((0, None)) => return MaybeReady::ready(Ok(())),
            Ok((delay, end)) => (delay, end.unwrap_or(0)),
            Err(error) => return MaybeReady::ready(Err(error)),
        };
        let body = self.body.clone();
        let given_up_before = lock(&body.state).given_up;
        let synced = body.clone();
        let done = self.shared.device_call(delay, move |device, agenda, now| {
            device.sync(agenda, now, &body)
        });
        MaybeReady::pending(async move {
            done.await?;
            let mut state = lock(&synced.state);
            if !state.given_up {
                state.synced = state.synced.max(end.min(state.blob.bytes()));
                return Ok(());
            }
            // A sync that failed meanwhile lost bytes of this one, too. A handle opened after that
            // knows nothing of it, as on Linux.
            match given_up_before {
                true => Ok(()),
                false => Err(earlier_sync_failed()),
            }
        })
    }

    fn bytes(&self) -> io::Result<u64> {
        self.shared.faults.check()?;
        Ok(lock(&self.body.state).blob.bytes())
    }

    /// Costs nothing and spares nothing: a sync has one price.
    fn reserve(&self, bytes: u64) {
        let mut state = lock(&self.body.state);
        state.reserved = state.reserved.max(state.blob.bytes() + bytes);
    }

    fn finish(&self) {
        lock(&self.body.state).reserved = 0;
    }
}
