//! A bound on open files.
//!
//! A database has a file for each table and value file, but a process may have only a limited
//! number open. Here a file keeps its descriptor while it is written. After [`File::finish`], or if
//! it was opened for reading, its descriptor may be closed to make room for others, and the file is
//! opened again for its next read. CLOCK chooses the file to close: a hand goes round the open
//! files and closes the first one that was not used since the hand last passed it.
//!
//! A file must keep its name for as long as it is read. Tables and value files do: their names are
//! removed after their last reader. RocksDB's table cache (`max_open_files`) serves the same
//! purpose.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use rustix::io::Errno;

use super::{Env, File, Fs, MaybeReady, OpenFiles, lock};

/// Fraction of the files that the process may still open that an engine takes by default: one in
/// this many.
const DEFAULT_SHARE: u64 = 2;

/// Files that are opened before the bound grows by one after a shortage. A bound that grew faster
/// would soon leave the rest of the process without a descriptor again.
const OPENED_PER_GROWTH: u64 = 1000;

/// Returns `env` with at most `max` files open at the same time. 0 means half of what the process
/// may still open. Files being written count, and stay open even beyond the bound.
pub(crate) fn bounded(env: &Env, max: u64) -> Env {
    let max = match (max, env.fs.open_files()) {
        (0, None) => return env.clone(),
        (0, Some(files)) => files.max.saturating_sub(files.now) / DEFAULT_SHARE,
        (max, _) => max,
    };
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let pool = Pool {
        fs: env.fs.clone(),
        ring: Mutex::new(Ring {
            max,
            max_set: max,
            ..Ring::default()
        }),
    };
    Env {
        fs: Arc::new(PooledFs(Arc::new(pool))),
        ..env.clone()
    }
}

/// The descriptor of a file, if it is open.
struct Slot {
    handle: ArcSwapOption<Arc<dyn File>>,
    /// Whether the file was used since the hand last passed it.
    used: AtomicBool,
    /// Whether the file is written, and so must stay open.
    writing: AtomicBool,
}

/// All files, open or closed.
#[derive(Default)]
struct Ring {
    /// Files that may be open now.
    max: usize,
    /// Files that may be open while the process has descriptors for them.
    max_set: usize,
    /// Files opened since the bound last changed.
    opened: u64,
    open: usize,
    slots: Vec<Option<Arc<Slot>>>,
    free: Vec<usize>,
    hand: usize,
}

impl Ring {
    /// Closes files until fewer than `max` are open, or no other may be closed.
    fn make_room(&mut self, max: usize) {
        // One round clears every mark, so the second round finds a file if one may be closed.
        let mut steps_left = 2 * self.slots.len();
        while self.open >= max.max(1) && steps_left > 0 {
            steps_left -= 1;
            self.hand = (self.hand + 1) % self.slots.len();
            let Some(slot) = &self.slots[self.hand] else {
                continue;
            };
            let stays = slot.writing.load(Ordering::Acquire)
                || slot.handle.load().is_none()
                || slot.used.swap(false, Ordering::Relaxed);
            if !stays {
                slot.handle.store(None);
                self.open -= 1;
            }
        }
    }

    fn insert(&mut self, slot: Arc<Slot>) -> usize {
        self.open += 1;
        match self.free.pop() {
            Some(number) => {
                self.slots[number] = Some(slot);
                number
            }
            None => {
                self.slots.push(Some(slot));
                self.slots.len() - 1
            }
        }
    }

    fn remove(&mut self, number: usize) {
        let slot = self.slots[number].take();
        self.free.push(number);
        if slot.is_some_and(|slot| slot.handle.load().is_some()) {
            self.open -= 1;
        }
    }
}

struct Pool {
    fs: Arc<dyn Fs>,
    ring: Mutex<Ring>,
}

impl Pool {
    /// Opens a file by `open`, once there is room. If other parts of the process have used up its
    /// descriptors nevertheless, half of the open files are closed first, and the bound is halved.
    fn open_with(
        &self,
        ring: &mut Ring,
        open: impl Fn() -> io::Result<Arc<dyn File>>,
    ) -> io::Result<Arc<dyn File>> {
        ring.opened += 1;
        if ring.opened >= OPENED_PER_GROWTH && ring.max < ring.max_set {
            ring.max += 1;
            ring.opened = 0;
        }
        ring.make_room(ring.max);
        match open() {
            Err(error) if is_out_of_descriptors(&error) => {
                ring.max = (ring.open / 2).max(1);
                ring.opened = 0;
                ring.make_room(ring.max);
                open().map_err(|error| self.explain(error, ring.open))
            }
            opened => opened,
        }
    }

    fn explain(&self, error: io::Error, open: usize) -> io::Error {
        if !is_out_of_descriptors(&error) {
            return error;
        }
        let allowed = match self.fs.open_files() {
            Some(files) => files.max.to_string(),
            None => "unlimited".to_owned(),
        };
        let message = format!(
            "{error}: the process may have {allowed} files open, and the engine holds {open} of \
             them; raise the limit (ulimit -n), or close other files of the process"
        );
        io::Error::new(error.kind(), message)
    }

    fn file(
        self: &Arc<Self>,
        path: &Path,
        writing: bool,
        open: impl Fn() -> io::Result<Arc<dyn File>>,
    ) -> io::Result<Arc<dyn File>> {
        let mut ring = lock(&self.ring);
        let file = self.open_with(&mut ring, open)?;
        let slot = Arc::new(Slot {
            handle: ArcSwapOption::from_pointee(file),
            used: AtomicBool::new(false),
            writing: AtomicBool::new(writing),
        });
        let number = ring.insert(slot.clone());
        Ok(Arc::new(PooledFile {
            pool: self.clone(),
            path: path.to_path_buf(),
            slot,
            number,
        }))
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    errno == Some(Errno::MFILE.raw_os_error()) || errno == Some(Errno::NFILE.raw_os_error())
}

struct PooledFs(Arc<Pool>);

impl Fs for PooledFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.0.file(path, true, || self.0.fs.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.0.file(path, false, || self.0.fs.open(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.fs.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.fs.hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.fs.remove(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.0.fs.list(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.0.fs.create_directory(path)
    }

    fn sync_directory(&self, path: &Path) -> MaybeReady<io::Result<()>> {
        self.0.fs.sync_directory(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.0.fs.lock(path)
    }

    fn lock_shared(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.0.fs.lock_shared(path)
    }

    fn open_files(&self) -> Option<OpenFiles> {
        self.0.fs.open_files()
    }
}

struct PooledFile {
    pool: Arc<Pool>,
    path: PathBuf,
    slot: Arc<Slot>,
    number: usize,
}

impl PooledFile {
    /// Calls the file, after opening it again if its descriptor was closed.
    fn call<T>(&self, call: impl FnOnce(&dyn File) -> T) -> io::Result<T> {
        if let Some(file) = &*self.slot.handle.load() {
            // Readers share this cache line, so it is written only if the mark changes.
            if !self.slot.used.load(Ordering::Relaxed) {
                self.slot.used.store(true, Ordering::Relaxed);
            }
            return Ok(call(&***file));
        }
        self.reopened().map(|file| call(&*file))
    }

    fn reopened(&self) -> io::Result<Arc<dyn File>> {
        let mut ring = lock(&self.pool.ring);
        if let Some(file) = &*self.slot.handle.load() {
            return Ok(Arc::clone(file));
        }
        let file = self
            .pool
            .open_with(&mut ring, || self.pool.fs.open(&self.path))?;
        self.slot.handle.store(Some(Arc::new(file.clone())));
        ring.open += 1;
        Ok(file)
    }
}

impl File for PooledFile {
    fn read_at(&self, offset: u64, bytes: usize) -> MaybeReady<io::Result<Bytes>> {
        self.call(|file| file.read_at(offset, bytes))
            .unwrap_or_else(|error| MaybeReady::ready(Err(error)))
    }

    fn read_ready(&self, offset: u64, into: &mut [u8]) -> Option<io::Result<()>> {
        self.call(|file| file.read_ready(offset, into))
            .unwrap_or_else(|error| Some(Err(error)))
    }

    fn append(&self, data: &[u8]) -> MaybeReady<io::Result<()>> {
        self.call(|file| file.append(data))
            .unwrap_or_else(|error| MaybeReady::ready(Err(error)))
    }

    fn sync(&self) -> MaybeReady<io::Result<()>> {
        self.call(|file| file.sync())
            .unwrap_or_else(|error| MaybeReady::ready(Err(error)))
    }

    fn bytes(&self) -> io::Result<u64> {
        self.call(|file| file.bytes())?
    }

    fn reserve(&self, bytes: u64) {
        let _ = self.call(|file| file.reserve(bytes));
    }

    fn finish(&self) {
        let _ = self.call(|file| file.finish());
        self.slot.writing.store(false, Ordering::Release);
    }
}

impl Drop for PooledFile {
    fn drop(&mut self) {
        lock(&self.pool.ring).remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::env::memory::MemoryWorld;

    /// A file system that counts its open files and allows no more than `limit`.
    struct Counting {
        fs: Arc<dyn Fs>,
        open: Arc<AtomicUsize>,
        limit: usize,
    }

    struct Counted {
        file: Arc<dyn File>,
        open: Arc<AtomicUsize>,
    }

    impl Counting {
        fn count(&self, file: Arc<dyn File>) -> io::Result<Arc<dyn File>> {
            if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit {
                self.open.fetch_sub(1, Ordering::Relaxed);
                return Err(Errno::MFILE.into());
            }
            Ok(Arc::new(Counted {
                file,
                open: self.open.clone(),
            }))
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    impl Fs for Counting {
        fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
            self.count(self.fs.create(path)?)
        }

        fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
            self.count(self.fs.open(path)?)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.fs.rename(from, to)
        }

        fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.fs.hard_link(from, to)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            self.fs.remove(path)
        }

        fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
            self.fs.list(directory)
        }

        fn create_directory(&self, path: &Path) -> io::Result<()> {
            self.fs.create_directory(path)
        }

        fn sync_directory(&self, path: &Path) -> MaybeReady<io::Result<()>> {
            self.fs.sync_directory(path)
        }

        fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
            self.fs.lock(path)
        }

        fn open_files(&self) -> Option<OpenFiles> {
            Some(OpenFiles {
                now: self.open.load(Ordering::Relaxed) as u64,
                max: self.limit as u64,
            })
        }
    }

    impl File for Counted {
        fn read_at(&self, offset: u64, bytes: usize) -> MaybeReady<io::Result<Bytes>> {
            self.file.read_at(offset, bytes)
        }

        fn append(&self, data: &[u8]) -> MaybeReady<io::Result<()>> {
            self.file.append(data)
        }

        fn sync(&self) -> MaybeReady<io::Result<()>> {
            self.file.sync()
        }

        fn bytes(&self) -> io::Result<u64> {
            self.file.bytes()
        }
    }

    struct Setup {
        world: MemoryWorld,
        env: Env,
        open: Arc<AtomicUsize>,
    }

    /// Returns an env whose system allows `limit` open files, bounded to `max`.
    fn setup(limit: usize, max: u64) -> Setup {
        let world = MemoryWorld::new(1).unwrap();
        let open = Arc::new(AtomicUsize::new(0));
        let counting = Counting {
            fs: world.env().fs,
            open: open.clone(),
            limit,
        };
        let env = Env {
            fs: Arc::new(counting),
            ..world.env()
        };
        Setup {
            env: bounded(&env, max),
            world,
            open,
        }
    }

    async fn write(env: &Env, number: usize) -> Arc<dyn File> {
        let path = PathBuf::from(format!("/{number}"));
        let file = env.fs.create(&path).unwrap();
        file.append(&number.to_le_bytes()).await.unwrap();
        file.sync().await.unwrap();
        file.finish();
        file
    }

    async fn check(file: &Arc<dyn File>, number: usize) {
        assert_eq!(file.read_at(0, 8).await.unwrap()[..], number.to_le_bytes());
    }

    #[test]
    fn many_files_are_read_through_few_descriptors() {
        let setup = setup(64, 0);
        setup.world.block_on(async {
            let mut files = Vec::new();
            for number in 0..500 {
                files.push(write(&setup.env, number).await);
                assert!(setup.open.load(Ordering::Relaxed) <= 32);
            }
            for step in 0..5000 {
                let number = step * 7919 % files.len();
                check(&files[number], number).await;
                assert!(setup.open.load(Ordering::Relaxed) <= 32);
            }
            assert!(files.iter().all(|file| file.bytes().unwrap() == 8));
            files.clear();
            assert_eq!(setup.open.load(Ordering::Relaxed), 0);
        });
    }

    #[test]
    fn a_file_that_is_read_again_and_again_stays_open() {
        let setup = setup(usize::MAX, 4);
        setup.world.block_on(async {
            let mut files = Vec::new();
            for number in 0..10 {
                files.push(write(&setup.env, number).await);
            }
            check(&files[0], 0).await;
            check(&files[0], 0).await;
            // Its name is gone, so only the descriptor it has can still read it.
            setup.env.fs.remove(Path::new("/0")).unwrap();
            for number in (1..10).chain(1..10) {
                check(&files[number], number).await;
                check(&files[0], 0).await;
            }
        });
    }

    #[test]
    fn files_that_are_written_to_stay_open_beyond_the_bound() {
        let setup = setup(usize::MAX, 2);
        setup.world.block_on(async {
            let mut files = Vec::new();
            for number in 0..5 {
                let path = PathBuf::from(format!("/{number}"));
                files.push(setup.env.fs.create(&path).unwrap());
            }
            assert_eq!(setup.open.load(Ordering::Relaxed), 5);
            for file in &files {
                file.append(b"data").await.unwrap();
            }
            for file in &files {
                file.finish();
            }
            let more = setup.env.fs.open(Path::new("/0")).unwrap();
            assert_eq!(setup.open.load(Ordering::Relaxed), 2);
            assert_eq!(more.bytes().unwrap(), 4);
        });
    }

    #[test]
    fn files_are_closed_when_the_process_has_no_descriptor_left() {
        let setup = setup(20, 100);
        setup.world.block_on(async {
            let mut files = Vec::new();
            for number in 0..100 {
                files.push(write(&setup.env, number).await);
            }
            for (number, file) in files.iter().enumerate() {
                check(file, number).await;
            }
        });
    }

    #[test]
    fn the_error_names_the_limit_when_no_file_can_be_closed() {
        let setup = setup(3, 100);
        let mut files = Vec::new();
        for number in 0..3 {
            let path = PathBuf::from(format!("/{number}"));
            files.push(setup.env.fs.create(&path).unwrap());
        }
        let error = setup.env.fs.create(Path::new("/more")).err().unwrap();
        let message = error.to_string();
        assert!(message.contains("may have 3 files open"), "{message}");
        assert!(message.contains("ulimit -n"), "{message}");
        assert_eq!(files.len(), 3);
    }
}
