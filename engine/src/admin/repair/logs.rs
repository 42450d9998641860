//! What a repair takes from the logs.

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

/// What the logs hold.
#[derive(Default)]
pub(super) struct Logs {
    /// Whether they replay as they are, and so stay.
    pub(super) stay: bool,
    /// What they hold, or what is sound of it.
    pub(super) memtables: Vec<Arc<Memtable>>,
    /// The largest sequence number in them.
    pub(super) sequence: Sequence,
}

impl Logs {
    /// The range tombstones in them.
    pub(super) fn ranges(&self) -> Vec<RangeTombstone> {
        self.memtables
            .iter()
            .filter_map(|memtable| memtable.ranges())
            .flat_map(|set| set.tombstones())
            .collect()
    }
}

/// The logs being read one after the other.
struct Walk {
    logs: Logs,
    filling: Memtable,
    /// Writes up to this one are in tables.
    flushed: Sequence,
    /// Whether the manifest was lost.
    rebuilds: bool,
    /// How the logs read so far follow on one another.
    chain: Chain,
    /// Whether what follows is cut off from what was read.
    stopped: bool,
}

impl Repair<'_> {
    /// Reads the logs. Those of a sound manifest that replay stay; of others, the writes up to the damage are taken.
    /// Writes up to `flushed` are in tables.
    pub(super) async fn read_logs(
        &mut self,
        stored: Option<&Edit>,
        flushed: Sequence,
    ) -> Result<Logs> {
        let wal_min = stored.and_then(|edit| edit.wal_min);
        let mut wals: Vec<u64> = self
            .found(FileKind::Wal)
            .into_iter()
            .filter(|wal| *wal >= wal_min.unwrap_or(0))
            .collect();
        if let Some(edit) = stored
            && edit
                .values_opened
                .iter()
                .all(|number| self.values.contains_key(number))
            && let Some(logs) = self.replay_as_they_are(edit, &wals, flushed).await?
        {
            return Ok(logs);
        }
        self.discarded
            .extend(wals.iter().map(|wal| FileKind::Wal.name(*wal)));
        let filling = Memtable::new(self.config.memtable_structure, 0);
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
            self.report
                .losses
                .push(Loss::new(&path, 0, "the log is missing"));
            walk.stopped = true;
        }
        let mut chain = 0;
        if stored.is_none() {
            // One that holds nothing proves nothing: a repair that was cut short may have begun it.
            wals.retain(|wal| self.holds_records(*wal));
            chain = self.chain_start(&wals).await?;
        }
        for wal in &wals {
            walk.stopped |= *wal < chain;
            self.read_log(*wal, &mut walk).await?;
            // What comes before the chain is cut off from it, not the other way round.
            walk.stopped &= *wal >= chain;
        }
        if !walk.filling.is_empty() {
            walk.logs.memtables.push(Arc::new(walk.filling));
        }
        Ok(walk.logs)
    }

    async fn replay_as_they_are(
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
        match recovery::replay(self.env, self.directory, self.config, &recovered).await {
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
        let bytes = self
            .env
            .fs
            .open(&FileKind::Wal.path(self.directory, wal))
            .and_then(|file| file.bytes());
        bytes.is_ok_and(|bytes| bytes > FILE_HEADER_BYTES as u64)
    }

    /// The first of the logs that lead to the newest one without a gap.
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
        // A rebuild that was cut short may have left a table without what these removed, beside
        // those that hold it still.
        let removes = |entry: &Entry| {
            walk.rebuilds && matches!(entry.kind, EntryKind::Delete | EntryKind::DeleteRange)
        };
        let wanted = |record: &Record| {
            let unflushed = last_of(record) > walk.flushed;
            entries(record)
                .into_iter()
                .filter(|entry| unflushed || removes(entry))
                .collect::<Vec<_>>()
        };
        let wanted = records.iter().flat_map(wanted).collect();
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

    /// Reports a log that does not follow what was read, unless all of it is in tables.
    fn report_cut_off(&mut self, path: &Path, mut log: Replay, flushed: Sequence) {
        let writes = writes_from(&mut log, flushed);
        if writes > 0 {
            let loss = Loss::new(
                path,
                0,
                "the log does not follow on what could be read before it",
            );
            self.report.losses.push(Loss {
                bytes: Some(log.bytes()),
                entries: Some(writes),
                ..loss
            });
        }
    }

    /// Takes writes, but for those whose values are lost.
    async fn take(&mut self, path: &Path, writes: Vec<Entry>, walk: &mut Walk) -> Result<()> {
        let last = writes.iter().map(|entry| entry.sequence).max();
        walk.logs.sequence = walk.logs.sequence.max(last.unwrap_or(0));
        let (ranges, writes): (Vec<_>, Vec<_>) = writes
            .into_iter()
            .partition(|it| it.kind == EntryKind::DeleteRange);
        let copy = Key::copy_from_slice;
        let tombstone = |Entry {
                             key,
                             sequence,
                             value,
                             ..
                         }: &Entry| RangeTombstone {
            sequence: *sequence,
            start: copy(key),
            end: copy(value),
        };
        let ranges: Vec<_> = ranges.iter().map(tombstone).collect();
        self.report.log_writes_kept += ranges.len() as u64;
        walk.filling.insert_ranges(&ranges, &mut self.context.work);
        for entry in self.without_lost_values(path, writes).await? {
            self.report.log_writes_kept += 1;
            walk.filling.insert(entry, &mut self.context.work);
            if walk.filling.bytes() >= self.config.memtable.as_u64() {
                let next = Memtable::new(self.config.memtable_structure, 0);
                walk.logs
                    .memtables
                    .push(Arc::new(std::mem::replace(&mut walk.filling, next)));
            }
        }
        Ok(())
    }
}

/// The writes of a record; none where a sound record holds no batch.
fn entries(record: &Record) -> Vec<Entry> {
    let writes: Option<Vec<_>> = BatchReader::new(record.body.clone()).collect();
    let writes = (record.sequence..).zip(writes.unwrap_or_default());
    writes
        .map(|(sequence, (kind, key, value))| Entry {
            key,
            sequence,
            kind,
            value,
        })
        .collect()
}

fn durable_bytes(edit: &Edit) -> BTreeMap<u64, u64> {
    let parts = edit.logs_durable.iter();
    parts.map(|part| (part.log, part.bytes)).collect()
}

fn last_of(record: &Record) -> Sequence {
    record.sequence + u64::from(record.writes).saturating_sub(1)
}

/// Writes after `flushed` in the sound records that are left of a log, damage between them passed over.
fn writes_from(log: &mut Replay, flushed: Sequence) -> u64 {
    let records = std::iter::from_fn(|| log.next_anywhere());
    records
        .filter(|record| last_of(record) > flushed)
        .map(|record| u64::from(record.writes))
        .sum()
}
