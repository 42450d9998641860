//! Opening a directory: read the set of files back, replay the logs, flush what they held, start the tasks.

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::cache::{BlockCache, Observer};
use crate::config::EngineConfig;
use crate::env::{Env, Work};
use crate::error::{Error, Result};
use crate::index::read_registry;
use crate::limiter::Limiter;
use crate::memtable::Memtable;
use crate::metrics::Counters;
use crate::state::{Inner, Jobs, Policies, View};
use crate::storage::{BatchReader, Kind, Sequence, ValuePointer};
use crate::version::{Edit, FileKind, Manifest, Recovered, Version, recover};
use crate::wal::format::Record;
use crate::wal::{WalWriter, replay};
use crate::write::{CommitQueue, Log, insert};

/// The file that keeps other engines out.
pub(crate) const LOCK: &str = "LOCK";
const SETTINGS: &str = "SETTINGS.json";

/// Opens `directory`, creating it where it is not there.
pub(crate) async fn open(
    env: Env,
    directory: PathBuf,
    config: EngineConfig,
    observer: Option<Observer>,
) -> Result<Arc<Inner>> {
    config.validate()?;
    let policies = Policies::build(&config)?;
    let mut cache = BlockCache::new(&config.cache, config.seed)?;
    cache.observer = observer;
    let cache = Arc::new(cache);
    env.fs.create_directory(&directory).map_err(|error| Error::io("create", &directory, error))?;
    let lock_path = directory.join(LOCK);
    let guard = env.fs.lock(&lock_path).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked { directory: directory.clone() },
        _ => Error::io("lock", &lock_path, error),
    })?;
    let recovered = recover(&env, &directory, &cache).await?;
    let replayed = replay_logs(&env, &directory, &config, &recovered).await?;

    let mut next_number = recovered.next_number;
    let mut number = || {
        next_number += 1;
        next_number - 1
    };
    let (wal_number, manifest_number) = (number(), number());
    let wal = WalWriter::create(&env, &directory, wal_number, None).await?;
    let sequence = replayed.sequence.max(recovered.sequence);
    let mut version = recovered.version;
    seal_value_files(&mut version).await?;
    let index_book = read_registry(&env, &directory, &version).await;
    // Until the replayed memtables are flushed their logs are needed: a crash now must find them again.
    let wal_min = recovered.wals.first().copied().unwrap_or(wal_number);
    let base = Edit {
        wal_min: Some(wal_min),
        next_number: Some(next_number),
        sequence: Some(recovered.sequence),
        ..Edit::default()
    };
    let manifest = Manifest::begin(&env, &directory, manifest_number, &version, base).await?;
    write_settings(&env, &directory, &config).await?;

    let view = View {
        active: Arc::new(Memtable::new(config.memtable_structure, wal_number)),
        sealed: replayed.memtables.into_iter().rev().collect(),
        version: Arc::new(version),
    };
    let synced_at = env.clock.now();
    let inner = Arc::new(Inner {
        policies,
        cache,
        counters: Counters::default(),
        limiter: Limiter::default(),
        index_book,
        view: ArcSwap::from_pointee(view),
        published: AtomicU64::new(sequence),
        next_number: AtomicU64::new(next_number),
        queue: Mutex::new(CommitQueue::default()),
        log: tokio::sync::Mutex::new(Log { wal, values: None, sequence, synced_at }),
        manifest: tokio::sync::Mutex::new(manifest),
        jobs: Mutex::new(Jobs::default()),
        work_due: Notify::new(),
        progress: Notify::new(),
        window_ended: Notify::new(),
        debt_bytes: AtomicU64::new(0),
        operations: AtomicU64::new(0),
        closing: AtomicBool::new(false),
        poison: Mutex::new(None),
        poisoned: AtomicBool::new(false),
        directory_lock: Mutex::new(Some(guard)),
        env,
        directory,
        config,
    });
    settle_recovery(&inner, &recovered.wals, &recovered.leftovers).await?;
    inner.start();
    Ok(inner)
}

/// Flushes what the logs held, so that the logs and what a crash left behind can go.
async fn settle_recovery(inner: &Arc<Inner>, wals: &[u64], leftovers: &[String]) -> Result<()> {
    while let Some(memtable) = inner.view.load_full().sealed.last().cloned() {
        inner.flush_memtable(&memtable).await?;
    }
    if !wals.is_empty() {
        let wal_min = Some(inner.view.load().active.wal);
        let edit = Edit { wal_min, ..Edit::default() };
        inner
            .commit_edit(edit, Default::default(), |view, version| View {
                active: view.active.clone(),
                sealed: view.sealed.clone(),
                version: Arc::new(version),
            })
            .await?;
    }
    for wal in wals {
        inner.remove_file(&FileKind::Wal.path(&inner.directory, *wal));
    }
    for name in leftovers {
        inner.remove_file(&inner.directory.join(name));
    }
    Ok(())
}

struct Replayed {
    /// The oldest first.
    memtables: Vec<Arc<Memtable>>,
    sequence: Sequence,
}

/// Replays the logs in order, to the first record that cannot be used: a prefix of history, never a hole.
async fn replay_logs(env: &Env, directory: &Path, config: &EngineConfig, recovered: &Recovered) -> Result<Replayed> {
    let mut replayed = Replayed { memtables: Vec::new(), sequence: recovered.sequence };
    // Where the last log read ended; its place is the first log's until one was read. A log that is missing, or shorter
    // than the next one remembers, ends history as a torn record does.
    let mut last = (recovered.wal_min, 0);
    let mut stopped = false;
    for wal in &recovered.wals {
        let path = FileKind::Wal.path(directory, *wal);
        let mut log = replay(env, &path).await?;
        let header = log.header();
        let follows = header.previous == last.0;
        stopped |= if last.1 == 0 { *wal != last.0 } else { !follows || header.previous_bytes > last.1 };
        if stopped {
            if follows && header.previous_synced > last.1 {
                let path = FileKind::Wal.path(directory, last.0);
                return Err(Error::corruption(&path, last.1, "a record that was synced does not read back"));
            }
            break;
        }
        let mut memtable = Memtable::new(config.memtable_structure, *wal);
        let mut work = Work::default();
        loop {
            let offset = log.offset();
            let Some(record) = log.next() else { break };
            if !pointers_are_sound(&recovered.version, &record).await? {
                (last, stopped) = ((*wal, offset), true);
                break;
            }
            insert(&memtable, &record, &mut work)
                .ok_or_else(|| Error::corruption(&path, offset, "a record's checksum holds but it is no batch"))?;
            replayed.sequence = replayed.sequence.max(record.sequence + u64::from(record.writes) - 1);
            if memtable.bytes() >= config.memtable.as_u64() {
                replayed.push(mem::replace(&mut memtable, Memtable::new(config.memtable_structure, *wal)));
            }
        }
        env.clock.charge(&work);
        replayed.push(memtable);
        if !stopped {
            last = (*wal, log.offset());
            stopped = !log.is_complete();
        }
        if stopped {
            log.check_torn_at(&path, last.1 as usize)?;
        }
    }
    Ok(replayed)
}

impl Replayed {
    fn push(&mut self, memtable: Memtable) {
        if !memtable.is_empty() {
            self.memtables.push(Arc::new(memtable));
        }
    }
}

/// Whether every value that a record points at is there. One that is not never reached the device: the record is where
/// history ends.
async fn pointers_are_sound(version: &Version, record: &Record) -> Result<bool> {
    for write in BatchReader::new(record.body.clone()) {
        let Some((Kind::Pointer, key, value)) = write else { continue };
        let Some(pointer) = ValuePointer::decode(&value) else { return Ok(false) };
        let Some(state) = version.value_files.get(&pointer.file) else { return Ok(false) };
        if !state.file.holds(&key, &pointer).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The value files that were being filled are full from now on. Recovered pointers lead into them, so they are made
/// durable before a table or manifest relies on them.
async fn seal_value_files(version: &mut Version) -> Result<()> {
    for state in version.value_files.values_mut().filter(|state| state.sealed_bytes.is_none()) {
        state.file.sync().await?;
        state.sealed_bytes = Some(state.file.bytes()?);
    }
    Ok(())
}

/// Leaves the settings in the directory, for people and tools; the engine does not read them.
async fn write_settings(env: &Env, directory: &Path, config: &EngineConfig) -> Result<()> {
    let temporary = directory.join("SETTINGS.new");
    let settings = serde_json::to_vec_pretty(config).expect("settings are plain data");
    let file = env.fs.create(&temporary).map_err(|error| Error::io("create", &temporary, error))?;
    file.append(&settings).await.map_err(|error| Error::io("append to", &temporary, error))?;
    file.sync().await.map_err(|error| Error::io("sync", &temporary, error))?;
    let path = directory.join(SETTINGS);
    env.fs.rename(&temporary, &path).map_err(|error| Error::io("rename", &temporary, error))?;
    env.fs.sync_directory(directory).await.map_err(|error| Error::io("sync", directory, error))
}
