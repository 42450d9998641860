//! Takes from the logs what can be used.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Loss, Repair};
use crate::directory::FileKind;
use crate::error::Result;
use crate::manifest::{Edit, Recovered, Version};
use crate::memtable::Memtable;
use crate::ranges::RangeTombstone;
use crate::recovery;
use crate::storage::{BatchReader, Entry, EntryKind, Key, Sequence};
use crate::wal::format::{FILE_HEADER_BYTES, Record};
use crate::wal::{Chain, Link, Replay};

/// The content of the logs.
#[derive(Default)]
pub(super) struct Logs {
    /// Whether they replay without fault, and so stay.
    pub(super) stay: bool,
    /// Their writes, or those that are sound.
    pub(super) memtables: Vec<Arc<Memtable>>,
    /// The largest sequence number in them.
    pub(super) sequence: Sequence,
}

impl Logs {
    /// Returns their range tombstones.
    pub(super) fn ranges(&self) -> Vec<RangeTombstone> {
        let mut tombstones = Vec::new();
        for memtable in &self.memtables {
            if let Some(ranges) = memtable.ranges() {
                tombstones.extend(ranges.tombstones());
            }
        }
        tombstones
    }
}

/// State of reading the logs one after another.
struct Walk {
    logs: Logs,
    filling: Memtable,
    /// Writes up to this sequence number are in tables.
    flushed: Sequence,
    /// Whether the manifest was lost.
    rebuilds: bool,
    /// The order of the logs read so far.
    chain: Chain,
    /// Whether the following logs are cut off from those read so far.
    stopped: bool,
}

impl Repair<'_> {
    /// Reads the logs. The logs of a sound manifest stay if they replay; of others, the writes up
    /// to the damage are taken. Writes up to `flushed` are in tables.
    pub(super) async fn read_logs(
        &mut self,
        stored: Option<&Edit>,
        flushed: Sequence,
    ) -> Result<Logs> {
        let wal_min = stored.and_then(|edit| edit.wal_min);
        let mut wals = self.found(FileKind::Wal);
        wals.retain(|wal| *wal >= wal_min.unwrap_or(0));
        if let Some(edit) = stored {
            let mut opened = edit.values_opened.iter();
            if opened.all(|number| self.values.contains_key(number))
                && let Some(logs) = self.replay_unchanged(edit, &wals, flushed).await?
            {
                return Ok(logs);
            }
        }
        for wal in &wals {
            self.discarded.insert(FileKind::Wal.name(*wal));
        }
        let filling = Memtable::new(self.config, 0);
        let mut walk = Walk {
            logs: Logs::default(),
            filling,
            flushed,
            rebuilds: stored.is_none(),
            chain: Chain::new(
                self.directory,
                stored.map(durable_bytes).unwrap_or_default(),
                stored.map(|_| flushed),
            ),
            stopped: false,
        };
        if let Some(wal_min) = wal_min.filter(|wal_min| wals.first() != Some(wal_min)) {
            let path = FileKind::Wal.path(self.directory, wal_min);
            let loss = Loss::new(&path, 0, "the log is missing");
            self.report.losses.push(loss);
            walk.stopped = true;
        }
        let mut chain = 0;
        if stored.is_none() {
            // An empty log proves nothing: an interrupted repair may have begun it.
            wals.retain(|wal| self.holds_records(*wal));
            chain = self.chain_start(&wals).await?;
        }
        for wal in &wals {
            walk.stopped |= *wal < chain;
            self.read_log(*wal, &mut walk).await?;
            // Logs before the chain are cut off from it, but the chain is not cut off from history.
            walk.stopped &= *wal >= chain;
        }
        if !walk.filling.is_empty() {
            walk.logs.memtables.push(Arc::new(walk.filling));
        }
        Ok(walk.logs)
    }

    /// Replays the logs as an opening would. Returns `None` if they are damaged.
    async fn replay_unchanged(
        &self,
        edit: &Edit,
        wals: &[u64],
        sequence: Sequence,
    ) -> Result<Option<Logs>> {
        if wals.first().copied() != edit.wal_min {
            return Ok(None);
        }
        let recovered = Recovered {
            version: Version {
                value_files: self.values.clone(),
                ..Version::default()
            },
            sequence,
            next_number: self.next_number,
            wal_min: edit.wal_min.unwrap_or(0),
            wals: wals.to_vec(),
            logs_durable: durable_bytes(edit),
            leftovers: Vec::new(),
            manifest: None,
        };
        match recovery::replay(self.env, self.directory, self.config, &recovered, false).await {
            Ok(replayed) => Ok(Some(Logs {
                stay: true,
                memtables: replayed.memtables,
                sequence,
            })),
            Err(error) if error.is_damage() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn holds_records(&self, wal: u64) -> bool {
        let path = FileKind::Wal.path(self.directory, wal);
        let bytes = self.env.fs.open(&path).and_then(|file| file.bytes());
        bytes.is_ok_and(|bytes| bytes > FILE_HEADER_BYTES as u64)
    }

    /// Returns the first of the logs that lead to the newest one without a gap.
    async fn chain_start(&self, wals: &[u64]) -> Result<u64> {
        let Some(mut start) = wals.last().copied() else {
            return Ok(0);
        };
        loop {
            let previous = match Replay::open(self.env, self.directory, start).await {
                Ok(log) => log.header().previous,
                Err(error) if error.is_damage() => return Ok(start),
                Err(error) => return Err(error),
            };
            if previous >= start || !wals.contains(&previous) {
                return Ok(start);
            }
            start = previous;
        }
    }

    async fn read_log(&mut self, wal: u64, walk: &mut Walk) -> Result<()> {
        let path = FileKind::Wal.path(self.directory, wal);
        let mut log = match Replay::open(self.env, self.directory, wal).await {
            Ok(log) => log,
            Err(error) if error.is_damage() => {
                self.report.losses.push(Loss::of(&error, &path));
                walk.stopped = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if !walk.stopped {
            match walk.chain.link(wal, &mut log) {
                Ok(Link::Follows) => {}
                Ok(Link::Orphan) => return Ok(()),
                Ok(Link::CutOff) => walk.stopped = true,
                Err(error) => {
                    self.report.losses.push(Loss::of(&error, &path));
                    walk.stopped = true;
                }
            }
        }
        if walk.stopped {
            self.report_cut_off(&path, log, walk.flushed);
            return Ok(());
        }
        let mut records = Vec::new();
        let hole = loop {
            match log.next() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let wanted = wanted(&records, walk);
        self.take(&path, wanted, walk).await?;
        walk.chain.add(wal, &log);
        if !log.is_complete() {
            walk.stopped = true;
            let damage = hole.or_else(|| log.check_torn().err());
            let damage = damage.or_else(|| walk.chain.check_durable_of(wal).err());
            if let Some(error) = damage {
                let loss = Loss::of(&error, &path);
                let bytes = Some(log.bytes() - log.offset());
                let entries = Some(writes_from(&mut log, walk.flushed));
                self.report.losses.push(Loss {
                    what: format!("{}; nothing that follows is kept", loss.what),
                    bytes,
                    entries,
                    ..loss
                });
            }
        }
        Ok(())
    }

    /// Reports a log that does not follow those read so far, unless all its writes are in tables.
    fn report_cut_off(&mut self, path: &Path, mut log: Replay, flushed: Sequence) {
        let writes = writes_from(&mut log, flushed);
        if writes > 0 {
            let what = "the log does not follow the logs that could be read before it";
            let loss = Loss::new(path, 0, what);
            self.report.losses.push(Loss {
                bytes: Some(log.bytes()),
                entries: Some(writes),
                ..loss
            });
        }
    }

    /// Takes writes, except those whose values are lost.
    async fn take(&mut self, path: &Path, writes: Vec<Entry>, walk: &mut Walk) -> Result<()> {
        let last = writes.iter().map(|entry| entry.sequence).max();
        walk.logs.sequence = walk.logs.sequence.max(last.unwrap_or(0));
        let mut ranges = Vec::new();
        let mut others = Vec::new();
        for entry in writes {
            if entry.kind != EntryKind::DeleteRange {
                others.push(entry);
                continue;
            }
            ranges.push(RangeTombstone {
                sequence: entry.sequence,
                start: Key::copy_from_slice(&entry.key),
                end: Key::copy_from_slice(&entry.value),
            });
        }
        self.report.log_writes_kept += ranges.len() as u64;
        walk.filling.insert_ranges(&ranges, &mut self.context.work);
        for entry in self.without_lost_values(path, others).await? {
            self.report.log_writes_kept += 1;
            walk.filling.insert(&entry, &mut self.context.work);
            if walk.filling.bytes() >= self.config.memtable.as_u64() {
                let next = Memtable::new(self.config, 0);
                let full = std::mem::replace(&mut walk.filling, next);
                walk.logs.memtables.push(Arc::new(full));
            }
        }
        Ok(())
    }
}

/// Returns the writes of `records` that a repair needs: those that are in no table.
///
/// A rebuild also needs older deletes. One that was interrupted may have left a table without the
/// entries that they removed beside tables that still hold them.
fn wanted(records: &[Record], walk: &Walk) -> Vec<Entry> {
    let mut wanted = Vec::new();
    for record in records {
        let is_unflushed = last_of(record) > walk.flushed;
        for entry in entries(record) {
            let removes = matches!(entry.kind, EntryKind::Delete | EntryKind::DeleteRange);
            if is_unflushed || (walk.rebuilds && removes) {
                wanted.push(entry);
            }
        }
    }
    wanted
}

/// Returns the writes of a record, or no writes if a sound record holds no batch.
fn entries(record: &Record) -> Vec<Entry> {
    let writes: Option<Vec<_>> = BatchReader::new(record.body.clone()).collect();
    let writes = (record.sequence..).zip(writes.unwrap_or_default());
    let mut entries = Vec::new();
    for (sequence, (kind, key, value)) in writes {
        entries.push(Entry {
            key,
            sequence,
            kind,
            value,
        });
    }
    entries
}

fn durable_bytes(edit: &Edit) -> BTreeMap<u64, u64> {
    let parts = edit.logs_durable.iter();
    parts.map(|part| (part.log, part.bytes)).collect()
}

fn last_of(record: &Record) -> Sequence {
    record.sequence + u64::from(record.writes).saturating_sub(1)
}

/// Counts the writes after `flushed` in the rest of a log, skipping damage.
fn writes_from(log: &mut Replay, flushed: Sequence) -> u64 {
    let mut writes = 0;
    while let Some(record) = log.next_anywhere() {
        if last_of(&record) > flushed {
            writes += u64::from(record.writes);
        }
    }
    writes
}
