//! Sealing: the active memtable takes no more writes, and the next one logs to a new file.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::MutexGuard;

use super::{CommitPipeline, Log};
use crate::config::SyncPolicy;
use crate::directory::{FileKind, Files};
use crate::error::Result;
use crate::manifest::Edit;
use crate::memtable::{Memtable, ValueTail};
use crate::metrics::{Event, EventKind, add};
use crate::state::OpenedFiles;
use crate::values::{Garbage, ValueFile, ValueFileState, ValueLogWriter, discard};
use crate::wal::format::FILE_HEADER_BYTES;
use crate::wal::{LogPart, WalWriter};

impl CommitPipeline {
    /// Keeps writers waiting, between two commit groups, for as long as the guard is held.
    pub(crate) async fn hold_log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().await
    }

    /// Seals the active memtable, unless it is empty. Returns the number of the log of the newest
    /// memtable that is sealed; 0 if none is.
    pub(crate) async fn seal_active(&self) -> Result<u64> {
        let mut log = self.log.lock().await;
        self.lifecycle.check_writable()?;
        if !self.tree.load().active.is_empty() {
            self.seal(&mut log)
                .await
                .inspect_err(|error| self.lifecycle.set_poison(error))?;
        }
        let state = self.tree.load();
        Ok(state.sealed.first().map_or(0, |memtable| memtable.wal))
    }

    /// Seals the active memtable.
    pub(super) async fn seal(&self, log: &mut Log) -> Result<()> {
        if let Some(above) = &self.above {
            above.sync_all().await?;
        }
        let syncs = self.core.config().wal.sync != SyncPolicy::Never;
        if syncs {
            // What the old log holds must be durable before the new one is: recovery is to a
            // prefix.
            self.sync_log(log).await?;
        }
        let number = self.tree.new_number();
        let next = self.next_wal(log, number).await?;
        std::mem::replace(&mut log.wal, next).finish();
        if syncs {
            self.core.sync_directory().await?;
        }
        self.forget_sealed(log);
        self.seal_values(log)?;
        let active = Arc::new(Memtable::new(&self.core.config(), number));
        self.tree.change(|state| state.with_active(active));
        self.lifecycle.signals().work_is_due();
        Ok(())
    }

    /// The log of the next memtable.
    async fn next_wal(&self, log: &Log, number: u64) -> Result<WalWriter> {
        let directory = self.core.directory();
        if self.above.is_some() {
            return Ok(WalWriter::elsewhere(directory, number));
        }
        let first = log.sequence + 1;
        WalWriter::create(self.core.env(), directory, number, first, Some(&log.wal)).await
    }

    /// Whether the memtables have no logs of their own.
    pub(crate) fn logs_above(&self) -> bool {
        self.above.is_some()
    }

    /// Seals the active memtable and begins a new log, after a failure that leaves nothing of the
    /// old one to be trusted. Returns the number of the log of the memtable that is sealed: until
    /// that is a table, the new log must take no record.
    pub(crate) async fn begin_log_again(&self, log: &mut Log) -> Result<u64> {
        // Writes that failed are in no memtable, and their numbers are free.
        log.sequence = self.tree.published();
        log.values.abandon();
        let number = self.tree.new_number();
        let env = self.core.env();
        let first = log.sequence + 1;
        let directory = self.core.directory();
        // It follows no log: until it is the first one, it holds no record, and is no part of
        // history. How the old one ends is not known.
        let created = WalWriter::create(env, directory, number, first, None).await;
        let next = created.inspect_err(|_| {
            // Without its header it would end history.
            self.core
                .remove_file(&FileKind::Wal.path(directory, number));
        })?;
        self.tree.sync_directory().await?;
        std::mem::replace(&mut log.wal, next).finish();
        log.synced_at = env.clock.now();
        let sealed = self.tree.load().active.wal;
        self.seal_lost_values()?;
        let active = Arc::new(Memtable::new(&self.core.config(), number));
        self.tree.change(|state| state.with_active(active));
        Ok(sealed)
    }

    /// Notes in the active memtable, which is being sealed, where in the value files the frames end
    /// that a memtable or a table points at: what failed writes left behind them is garbage once
    /// the flush seals the files. O(entries in memory). No value file is written to meanwhile.
    fn seal_lost_values(&self) -> Result<()> {
        let state = self.tree.load_to_keep();
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        let mut note = |file: u64, end: u64| {
            let known = ends.entry(file).or_default();
            *known = end.max(*known);
        };
        for memtable in state.memtables() {
            let tails = memtable
                .tails()
                .iter()
                .filter(|tail| tail.lost_from.is_none());
            tails.for_each(|tail| note(tail.file, tail.bytes));
            let mut frames = Garbage::new();
            memtable
                .iter()
                .for_each(|entry| discard(&mut frames, &entry));
            for (file, frames) in frames {
                frames.iter().for_each(|frame| note(file, frame.1));
            }
        }
        let files = state.version.value_files.values();
        let mut tails = Vec::new();
        for file in files.filter(|file| !file.is_sealed()) {
            let pointed_at = ends.get(&file.number).copied().unwrap_or(0);
            tails.push(ValueTail {
                file: file.number,
                bytes: file.file.bytes()?,
                full: true,
                lost_from: Some(pointed_at.max(file.facts.accounted)),
            });
        }
        state.active.seal(tails);
        Ok(())
    }

    /// Notes in the active memtable, which is being sealed, how far the value files are filled that
    /// it may point into.
    fn seal_values(&self, log: &mut Log) -> Result<()> {
        let state = self.tree.load();
        let files = &state.version.value_files;
        let mut tails = Vec::new();
        for file in files.values().filter(|file| !file.is_sealed()) {
            tails.push(ValueTail {
                file: file.number,
                bytes: file.file.bytes()?,
                full: !log.values.is_active(file.number),
                lost_from: None,
            });
        }
        state.active.seal(tails);
        Ok(())
    }

    /// Forgets full value files that a flush has sealed: they are durable, and may be gone.
    fn forget_sealed(&self, log: &mut Log) {
        let version = self.tree.version();
        let files = &version.value_files;
        log.values
            .forget_full(|file| files.get(&file).is_none_or(ValueFileState::is_sealed));
    }

    /// Begins a value file. The manifest names it before a pointer into it exists.
    pub(super) async fn begin_values(&self) -> Result<ValueLogWriter> {
        let env = self.core.env();
        let number = self.tree.new_number();
        let path = FileKind::Values.path(self.core.directory(), number);
        let writer = ValueLogWriter::create(env, &path, number).await?;
        self.core.sync_directory().await?;
        let file = ValueFile::new(number, writer.file().clone(), env.fs.clone());
        let opened = OpenedFiles {
            values: [(number, Arc::new(file))].into(),
            ..OpenedFiles::default()
        };
        let edit = Edit {
            values_opened: vec![number],
            ..Edit::default()
        };
        self.tree.commit(edit, opened).await?;
        Ok(writer)
    }

    /// Makes everything logged so far durable: values first, then the records that point at them.
    pub(super) async fn sync_log(&self, log: &mut Log) -> Result<()> {
        self.forget_sealed(log);
        let start = self.core.env().clock.now();
        let (durable, files) = log.values.sync(&*self.core.env().tasks).await?;
        add(&self.core.counters().mine().value_log_syncs, files);
        if log.wal.unsynced_bytes() > 0 {
            log.wal.sync(&durable).await?;
            // Otherwise the logs before this one, and its name, may not be on the device: no edit
            // says that it is before closing has seen to them.
            if self.core.config().wal.sync != SyncPolicy::Never {
                self.tree.set_log_durable(log.wal.durable_part());
            }
            add(&self.core.counters().mine().wal_syncs, 1);
        }
        log.synced_at = self.core.env().clock.now();
        self.book_sync(start, log.synced_at);
        Ok(())
    }

    /// Counts how long a sync of the logs took; a slow one is an event.
    fn book_sync(&self, start_nanos: u64, end_nanos: u64) {
        let nanos = end_nanos - start_nanos;
        let counters = self.core.counters();
        add(&counters.mine().sync_nanos, nanos);
        if nanos > self.core.telemetry().slow_sync_nanos() {
            counters.event(Event {
                start_nanos,
                end_nanos,
                kind: EventKind::SlowSync,
            });
        }
    }

    /// Makes everything logged so far durable, as a timer asks for it. A failure poisons the
    /// engine.
    pub(crate) async fn sync_by_timer(&self) -> Result<()> {
        self.lifecycle.check_writable()?;
        let mut log = self.log.lock().await;
        self.sync_log(&mut log)
            .await
            .inspect_err(|error| self.lifecycle.set_poison(error))
    }

    /// Makes everything logged so far durable, unless the engine only reads. For closing: no group
    /// is half written when this has returned.
    pub(crate) async fn sync_at_close(&self) -> Result<()> {
        // Who leads a commit group has this lock.
        let mut log = self.log.lock().await;
        match self.lifecycle.check_sound() {
            Ok(()) if !self.lifecycle.is_read_only() => {
                self.sync_log(&mut log).await?;
                log.wal.finish();
                Ok(())
            }
            otherwise => otherwise,
        }
    }

    /// Makes the logs durable whose memtables will not be flushed, and notes in the manifest how
    /// far all logs are durable: damage to them is not taken for a torn end. For closing.
    pub(crate) async fn remember_logs(&self) -> Result<()> {
        if self.logs_above() {
            return Ok(());
        }
        let mut parts = self.sync_sealed_logs().await?;
        let syncs = self.core.config().wal.sync != SyncPolicy::Never;
        parts.push(match syncs {
            true => self.tree.log_durable(),
            false => self.log.lock().await.wal.durable_part(),
        });
        // Logs without a record need no note.
        parts.retain(|part| part.bytes > FILE_HEADER_BYTES as u64);
        if parts.is_empty() {
            return Ok(());
        }
        let edit = Edit {
            logs_durable: parts,
            ..Edit::default()
        };
        self.tree.commit(edit, OpenedFiles::default()).await
    }

    /// Makes the logs of sealed memtables durable: under `sync = never` no seal did. Returns how
    /// long they are.
    async fn sync_sealed_logs(&self) -> Result<Vec<LogPart>> {
        let state = self.tree.load_to_keep();
        let mut parts = Vec::new();
        for memtable in state.sealed.iter().rev() {
            let path = FileKind::Wal.path(self.core.directory(), memtable.wal);
            let file = Files::of(self.core.env()).open(&path)?;
            let bytes = file.bytes()?;
            file.sync().await?;
            parts.push(LogPart {
                log: memtable.wal,
                bytes,
            });
        }
        if !parts.is_empty() {
            self.core.sync_directory().await?;
        }
        Ok(parts)
    }
}
