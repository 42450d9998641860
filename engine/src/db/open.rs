//! Opening a directory: read the set of live files, recover what the logs hold, start the tasks.
//!
//! Opening to write goes in this order, so that a crash at any point, or a future that is dropped,
//! leaves a directory that opens again:
//!
//! 1. The lock, the manifest, the live files; the logs are read into memtables. Nothing is written.
//! 2. What an earlier failure left is removed, before anything new takes room on the disk.
//! 3. A new log, a new manifest with the same state, the settings.
//! 4. One edit makes the memtables tables; the old logs are removed.
//!
//! Opening to read does the first step only, and serves the memtables that the logs were read into.
//! It works on a full disk and on media that cannot be written, and beside an engine that has the
//! directory open to write: it takes the state of one moment, and tries again if files were removed
//! meanwhile.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::Db;
use super::figures::Watch;
use super::side::Side;
use crate::cache::{BlockCache, GhostCache, Observer};
use crate::compaction::{Flusher, Scheduler};
use crate::config::EngineConfig;
use crate::directory::{FileKind, Files, Role, read_access, take_lock, write_settings};
use crate::env::{Env, bounded};
use crate::error::{Error, Result};
use crate::manifest::{Edit, Manifest, Recovered, recover};
use crate::memtable::Memtable;
use crate::metrics::{Event, EventKind, Telemetry};
use crate::models::{IndexBook, read_registry};
use crate::read::Reader;
use crate::recovery::{Moment, RecoveryReport, Replayed, make_tables, read_moment, replay};
use crate::state::{Core, Lifecycle, Policies, ReadState, Tree};
use crate::storage::Sequence;
use crate::wal::{LogPart, WalWriter};
use crate::write::{AnyLogAbove, CommitPipeline, Log};

/// What an engine needs before it looks at its directory.
struct Prepared {
    env: Env,
    directory: PathBuf,
    config: EngineConfig,
    policies: Policies,
    cache: Arc<BlockCache>,
    telemetry: Telemetry,
    above: AnyLogAbove,
}

/// What an engine is given beside its settings.
#[derive(Default)]
pub(super) struct Extras {
    /// What is notified of look-ups in the cache.
    pub(super) observer: Option<Observer>,
    /// What is observed beyond the counters.
    pub(super) telemetry: Telemetry,
    /// What a split database gives the engine if it is a side of one.
    pub(super) side: Option<Side>,
}

impl Extras {
    /// What the engine's directory is to its log.
    fn role(&self) -> Role {
        match self.side {
            None => Role::Whole,
            Some(_) => Role::Side,
        }
    }
}

impl Prepared {
    /// Checks the settings and builds what they name. Open files are bounded from here on.
    fn new(env: &Env, directory: PathBuf, config: EngineConfig, extras: Extras) -> Result<Self> {
        config.validate()?;
        let policies = Policies::build(&config)?;
        let mut cache = BlockCache::new(&config.cache, config.seed)?;
        cache.observer = extras.observer;
        cache.ghost = ghost_for(&policies, &config);
        Ok(Self {
            env: bounded(env, u64::from(config.max_open_files)),
            directory,
            policies,
            cache: Arc::new(cache),
            telemetry: extras.telemetry,
            above: extras.side.map(|side| side.above),
            config,
        })
    }
}

/// The ghost cache that the self-tuner asks for, if it does.
fn ghost_for(policies: &Policies, config: &EngineConfig) -> Option<GhostCache> {
    let asks = policies.self_tuner_asks_for_ghost;
    asks.then(|| GhostCache::new(config.memory_total()))
}

/// What an engine is put together from.
struct Parts {
    prepared: Prepared,
    index_book: IndexBook,
    state: ReadState,
    sequence: Sequence,
    next_number: u64,
    wal: WalWriter,
    manifest: Manifest,
    directory_lock: Option<Box<dyn Send + Sync>>,
    read_only: bool,
}

impl Parts {
    fn assemble(self) -> Db {
        let Prepared {
            env,
            directory,
            config,
            policies,
            cache,
            telemetry,
            above,
        } = self.prepared;
        let queues = config.value_log.queues;
        let log = Log::new(self.wal, queues, self.sequence, env.clock.now());
        let index_book = self.index_book;
        let opened_at = env.clock.now();
        let watch = Watch::new(&telemetry, opened_at);
        let core = Core::new(
            env, directory, config, policies, cache, index_book, telemetry,
        );
        let core = Arc::new(core);
        let lifecycle = Arc::new(Lifecycle::new(self.read_only, self.directory_lock));
        let tree = Arc::new(Tree::new(
            core.clone(),
            lifecycle.clone(),
            self.state,
            self.sequence,
            self.next_number,
            self.manifest,
        ));
        let scheduler = Scheduler::new(core.clone(), tree.clone(), lifecycle.clone());
        let scheduler = Arc::new(scheduler);
        let commits = CommitPipeline::new(
            core.clone(),
            tree.clone(),
            lifecycle.clone(),
            scheduler.clone(),
            log,
            above,
        );
        Db {
            reader: Reader::new(core.clone(), tree.clone(), lifecycle.clone()),
            core,
            tree,
            commits: Arc::new(commits),
            scheduler,
            lifecycle,
            merging: tokio::sync::Mutex::new(()),
            watch: Mutex::new(watch),
            recovery: RecoveryReport::default(),
        }
    }
}

/// Opens `directory`, creating it if it is not there, and starts the tasks.
pub(super) async fn open(
    env: Env,
    directory: PathBuf,
    config: EngineConfig,
    extras: Extras,
) -> Result<Arc<Db>> {
    let db = prepare(env, directory, config, extras).await?;
    db.start()?;
    Ok(db)
}

/// Opens `directory`, creating it if it is not there. No task runs yet.
pub(super) async fn prepare(
    env: Env,
    directory: PathBuf,
    config: EngineConfig,
    mut extras: Extras,
) -> Result<Arc<Db>> {
    let role = extras.role();
    let logged = extras
        .side
        .as_mut()
        .map(|side| std::mem::take(&mut side.logged));
    let prepared = Prepared::new(&env, directory, config, extras)?;
    let Prepared {
        env,
        directory,
        config,
        cache,
        ..
    } = &prepared;
    Files::of(env).create_directory(directory)?;
    let directory_lock = take_lock(env, directory)?;
    let started = env.clock.now();
    let recovered = recover(env, directory, cache, role).await?;
    let mut replayed = replay(env, directory, config, &recovered, false).await?;
    replayed.take_logged(env, directory, config, logged.unwrap_or_default())?;
    remove_leftovers(env, directory, &recovered, &replayed).await?;

    let wal_number = recovered.next_number;
    let next_number = wal_number + 2;
    let sequence = replayed.sequence.max(recovered.sequence);
    let wal = match role {
        Role::Whole => WalWriter::create(env, directory, wal_number, sequence + 1, None).await?,
        Role::Side => WalWriter::elsewhere(directory, wal_number),
    };
    let base = Edit {
        // The old logs are needed until the memtables made of them are flushed: a crash now must
        // find them again.
        wal_min: Some(recovered.wals.first().copied().unwrap_or(wal_number)),
        next_number: Some(next_number),
        sequence: Some(recovered.sequence),
        logs_durable: durable_parts(&recovered),
        ..Edit::default()
    };
    let version = recovered.version;
    let index_book = read_registry(env, directory, &version).await;
    let manifest = Manifest::begin(env, directory, wal_number + 1, &version, base).await?;
    if let Some(old) = &recovered.manifest {
        // One that cannot be removed now is removed by the next opening.
        let _ = env.fs.remove(old);
    }
    write_settings(env, directory, config).await?;

    let active = Memtable::new(config, wal_number);
    let parts = Parts {
        state: ReadState::new(active, &replayed.memtables, version),
        prepared,
        index_book,
        sequence,
        next_number,
        wal,
        manifest,
        directory_lock: Some(directory_lock),
        read_only: false,
    };
    let mut db = parts.assemble();
    db.recovery = replayed.report();
    let flusher = Flusher {
        core: &db.core,
        tree: &db.tree,
    };
    make_tables(&db.core, &flusher, &replayed, &recovered.wals).await?;
    db.recovered_since(started);
    Ok(Arc::new(db))
}

impl Db {
    /// Notes what opening took, from `start_nanos` to now.
    fn recovered_since(&mut self, start_nanos: u64) {
        let end_nanos = self.core.env().clock.now();
        self.recovery.nanos = end_nanos - start_nanos;
        self.core.counters().event(Event {
            start_nanos,
            end_nanos,
            kind: EventKind::Recovery {
                logs: self.recovery.logs,
                log_bytes: self.recovery.log_bytes,
                writes: self.recovery.writes,
            },
        });
    }
}

fn durable_parts(recovered: &Recovered) -> Vec<LogPart> {
    let part = |(log, bytes): (&u64, &u64)| LogPart {
        log: *log,
        bytes: *bytes,
    };
    recovered.logs_durable.iter().map(part).collect()
}

/// Removes what earlier openings and crashes left, so that what they failed to finish does not take
/// the room that this one needs.
async fn remove_leftovers(
    env: &Env,
    directory: &Path,
    recovered: &Recovered,
    replayed: &Replayed,
) -> Result<()> {
    let orphans = replayed.orphans.iter();
    let orphans = orphans.map(|wal| FileKind::Wal.name(*wal));
    let names: Vec<String> = recovered.leftovers.iter().cloned().chain(orphans).collect();
    if names.is_empty() {
        return Ok(());
    }
    if let Some(path) = &recovered.manifest {
        // It may have been read from memory: on the device an older state may be in force, which
        // names these files.
        let files = Files::of(env);
        let manifest = files.open(path)?;
        manifest.sync().await?;
        files.sync_directory(directory).await?;
    }
    for name in &names {
        // What cannot be removed now may be removed by the next opening.
        let _ = env.fs.remove(&directory.join(name));
    }
    Ok(())
}

/// Opens `directory` to read what it holds now. Nothing in it is changed.
pub(super) async fn open_read_only(
    env: Env,
    directory: PathBuf,
    config: EngineConfig,
    extras: Extras,
) -> Result<Arc<Db>> {
    let prepared = Prepared::new(&env, directory, config, extras)?;
    let Prepared {
        env,
        directory,
        config,
        cache,
        ..
    } = &prepared;
    let started = env.clock.now();
    let access = read_access(env, directory)?;
    let moment = read_moment(env, directory, config, cache, &access).await?;
    let Moment {
        recovered,
        replayed,
    } = moment;
    let manifest = recovered
        .manifest
        .as_ref()
        .ok_or_else(|| Error::NoDatabase {
            directory: directory.clone(),
        })?;
    let last_log = recovered.wals.last().copied().unwrap_or(recovered.wal_min);
    let index_book = read_registry(env, directory, &recovered.version).await;
    let active = Memtable::new(config, last_log);
    let parts = Parts {
        wal: WalWriter::read_only(directory, last_log),
        manifest: Manifest::read_only(manifest),
        state: ReadState::new(active, &replayed.memtables, recovered.version),
        sequence: replayed.sequence.max(recovered.sequence),
        next_number: recovered.next_number,
        prepared,
        index_book,
        directory_lock: access.into_guard(),
        read_only: true,
    };
    let mut db = parts.assemble();
    db.recovery = replayed.report();
    db.recovered_since(started);
    Ok(Arc::new(db))
}
