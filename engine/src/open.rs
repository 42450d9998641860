//! Opening a directory: read the set of files back, recover what the logs hold, start the tasks.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::cache::{BlockCache, Observer};
use crate::config::EngineConfig;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::index::read_registry;
use crate::limiter::Limiter;
use crate::memtable::Memtable;
use crate::metrics::Counters;
use crate::recovery::{RecoveryReport, replay};
use crate::state::{Inner, Jobs, Policies, View, lock};
use crate::version::{Edit, Manifest, recover};
use crate::vlog::ValueQueues;
use crate::wal::WalWriter;
use crate::write::{CommitQueue, Log};

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
    env.fs
        .create_directory(&directory)
        .map_err(|error| Error::io("create", &directory, error))?;
    let guard = take_lock(&env, &directory)?;
    let started = env.clock.now();
    let recovered = recover(&env, &directory, &cache).await?;
    let replayed = replay(&env, &directory, &config, &recovered).await?;

    let mut next_number = recovered.next_number;
    let mut number = || {
        next_number += 1;
        next_number - 1
    };
    let (wal_number, manifest_number) = (number(), number());
    let wal = WalWriter::create(&env, &directory, wal_number, None).await?;
    let sequence = replayed.sequence.max(recovered.sequence);
    let base = Edit {
        // Until the replayed memtables are flushed their logs are needed: a crash now must find them again.
        wal_min: Some(recovered.wals.first().copied().unwrap_or(wal_number)),
        next_number: Some(next_number),
        sequence: Some(recovered.sequence),
        ..Edit::default()
    };
    let version = recovered.version;
    let index_book = read_registry(&env, &directory, &version).await;
    let manifest = Manifest::begin(&env, &directory, manifest_number, &version, base).await?;
    write_settings(&env, &directory, &config).await?;

    let view = View::new(
        Memtable::new(config.memtable_structure, wal_number),
        &replayed.memtables,
        version,
    );
    let synced_at = env.clock.now();
    let values = ValueQueues::new(config.value_log.queues as usize);
    let inner = Arc::new(Inner {
        policies: ArcSwap::from_pointee(policies),
        reconfiguring: tokio::sync::Mutex::new(()),
        cache,
        counters: Counters::default(),
        limiter: Limiter::default(),
        index_book,
        view: ArcSwap::from_pointee(view),
        published: AtomicU64::new(sequence),
        next_number: AtomicU64::new(next_number),
        queue: Mutex::new(CommitQueue::default()),
        separated: AtomicU64::new(0),
        recovery: Mutex::new(RecoveryReport::default()),
        log: tokio::sync::Mutex::new(Log {
            wal,
            values,
            sequence,
            synced_at,
        }),
        manifest: tokio::sync::Mutex::new(manifest),
        jobs: Mutex::new(Jobs::default()),
        work_due: Notify::new(),
        progress: Notify::new(),
        window_ended: Notify::new(),
        debt_bytes: AtomicU64::new(0),
        garbage_ppm: AtomicU64::new(0),
        changes: AtomicU64::new(1),
        gc_looked: AtomicU64::new(0),
        operations: AtomicU64::new(0),
        closing: AtomicBool::new(false),
        poison: Mutex::new(None),
        poisoned: AtomicBool::new(false),
        directory_lock: Mutex::new(Some(guard)),
        env,
        directory,
        config: ArcSwap::from_pointee(config),
    });
    let mut report = inner
        .settle_recovery(replayed, &recovered.wals, &recovered.leftovers)
        .await?;
    report.nanos = inner.env.clock.now() - started;
    *lock(&inner.recovery) = report;
    inner.start();
    Ok(inner)
}

/// Keeps other engines out of `directory` for as long as the guard is held.
pub(crate) fn take_lock(env: &Env, directory: &Path) -> Result<Box<dyn Send + Sync>> {
    let path = directory.join(LOCK);
    env.fs.lock(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked {
            directory: directory.to_owned(),
        },
        _ => Error::io("lock", &path, error),
    })
}

/// Leaves the settings in the directory, for people and tools; the engine does not read them.
pub(crate) async fn write_settings(
    env: &Env,
    directory: &Path,
    config: &EngineConfig,
) -> Result<()> {
    let temporary = directory.join("SETTINGS.new");
    let settings = serde_json::to_vec_pretty(config).expect("settings are plain data");
    let file = env
        .fs
        .create(&temporary)
        .map_err(|error| Error::io("create", &temporary, error))?;
    file.append(&settings)
        .await
        .map_err(|error| Error::io("append to", &temporary, error))?;
    file.sync()
        .await
        .map_err(|error| Error::io("sync", &temporary, error))?;
    let path = directory.join(SETTINGS);
    env.fs
        .rename(&temporary, &path)
        .map_err(|error| Error::io("rename", &temporary, error))?;
    env.fs
        .sync_directory(directory)
        .await
        .map_err(|error| Error::io("sync", directory, error))
}
