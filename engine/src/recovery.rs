//! Recovery: the logs are replayed to a prefix of history, and what a crash left in value files is
//! booked as garbage.
//!
//! 1. Value files that may hold frames which only a log points at (those not sealed) are walked
//!    from where they are settled to their last sound frame, each in a task of its own; the logs
//!    are read meanwhile.
//! 2. The logs are replayed in order. The first record that is torn, or points at a value that is
//!    not there, ends history: a prefix, never a hole. Below what was known to be synced it is
//!    corruption, and the directory is not opened. Sequence numbers follow on one another, and so
//!    do logs (see [`Chain`]); a gap is corruption, too.
//! 3. One edit makes the replayed writes tables, seals the value files, books as garbage every
//!    frame that nothing points at and every byte after the last sound frame; then the logs are
//!    removed. A crash before that edit finds the same logs and files again, and recovers the same.

use std::collections::BTreeMap;
use std::mem;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::cache::BlockCache;
use crate::compaction::Flusher;
use crate::config::EngineConfig;
use crate::directory::{FileKind, ReadAccess, Role};
use crate::env::{BoxFuture, CpuWork, Env, spawn_all};
use crate::error::{Error, Result};
use crate::manifest::{Recovered, recover};
use crate::memtable::{Memtable, ValueTail};
use crate::state::Core;
use crate::storage::{BatchReader, EntryKind, Sequence, ValuePointer};
use crate::values::format::{MAGIC, frame_bytes};
use crate::values::{Frame, FrameWalker, Garbage, Step, ValueFileState};
use crate::wal::format::Record;
use crate::wal::{Chain, Link, Replay};

/// What opening a directory found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RecoveryReport {
    /// Nanoseconds from taking the directory to being ready.
    pub nanos: u64,
    /// Logs replayed.
    pub logs: u64,
    /// Bytes of those logs.
    pub log_bytes: u64,
    /// Batches found in them.
    pub batches: u64,
    /// Writes of those batches.
    pub writes: u64,
    /// Value files that were walked.
    pub value_files: u64,
    /// Bytes of them that were read and checked.
    pub value_bytes: u64,
    /// Bytes of them that nothing points at: written by a batch that history does not hold.
    pub value_garbage_bytes: u64,
}

/// A batch of a log above the directory's own.
#[derive(Clone)]
pub(crate) struct LoggedWrites {
    /// The encoded batch.
    pub(crate) body: Bytes,
    /// How many writes it has.
    pub(crate) writes: u32,
}

/// What the logs of a directory held.
pub(crate) struct Replayed {
    /// The oldest first.
    pub(crate) memtables: Vec<Arc<Memtable>>,
    /// The largest sequence number.
    pub(crate) sequence: Sequence,
    /// Logs that hold nothing and that no other log follows.
    pub(crate) orphans: Vec<u64>,
    /// The value files that were not sealed.
    values: BTreeMap<u64, FoundValues>,
    report: RecoveryReport,
}

/// The frames of a value file that was not sealed, from where it is settled.
struct FoundValues {
    file: u64,
    /// The sound frames, in order, and whether a record points at them.
    frames: Vec<(Frame, bool)>,
    /// Where the last of them ends.
    end: u64,
    /// Bytes of the file.
    bytes: u64,
}

impl FoundValues {
    async fn find(state: ValueFileState) -> Result<Self> {
        let bytes = state.file.bytes()?.max(MAGIC.len() as u64);
        let mut walker = FrameWalker::new(&state.file, state.facts.accounted, bytes);
        let mut frames = Vec::new();
        while let Step::Frame(frame, _) = walker.next().await? {
            frames.push((frame, false));
        }
        Ok(Self {
            file: state.number,
            frames,
            end: walker.offset(),
            bytes,
        })
    }

    /// The index in `frames` of the frame that `pointer` names; None if it is not there, or was
    /// made for another key.
    fn place(&self, key: &[u8], pointer: &ValuePointer) -> Option<usize> {
        let at = self
            .frames
            .binary_search_by_key(&pointer.offset, |(frame, _)| frame.offset)
            .ok()?;
        let frame = &self.frames[at].0;
        let bytes = frame_bytes(key.len(), pointer.stored_bytes) as u64;
        (frame.checksum == pointer.checksum && frame.bytes == bytes).then_some(at)
    }

    /// Bytes of the sound frames.
    fn sound_bytes(&self) -> u64 {
        self.frames.iter().map(|(frame, _)| frame.bytes).sum()
    }

    /// The parts of the file that nothing points at, as start and end.
    fn garbage(&self) -> Vec<(u64, u64)> {
        let unclaimed = self.frames.iter().filter(|(_, claimed)| !claimed);
        let mut parts: Vec<_> = unclaimed
            .map(|(frame, _)| (frame.offset, frame.offset + frame.bytes))
            .collect();
        parts.extend((self.end < self.bytes).then_some((self.end, self.bytes)));
        parts
    }
}

enum Part {
    Log(u64, Replay),
    Values(FoundValues),
}

/// Reads the logs and walks the value files, in parallel. Beside an engine that writes, the logs
/// come first: the values that a record points at are written before it.
async fn read_parts(
    env: &Env,
    directory: &Path,
    recovered: &Recovered,
    beside_writer: bool,
) -> Result<Vec<Part>> {
    let mut walks: Vec<BoxFuture<'static, Result<Part>>> = Vec::new();
    for state in recovered
        .version
        .value_files
        .values()
        .filter(|state| !state.is_sealed())
        .cloned()
    {
        walks.push(Box::pin(async move {
            FoundValues::find(state).await.map(Part::Values)
        }));
    }
    let mut reads: Vec<BoxFuture<'static, Result<Part>>> = Vec::new();
    for wal in recovered.wals.iter().copied() {
        let env = env.clone();
        let directory = directory.to_owned();
        reads.push(Box::pin(async move {
            let log = Replay::open(&env, &directory, wal).await?;
            Ok(Part::Log(wal, log))
        }));
    }
    let tasks = &*env.tasks;
    let parts = if beside_writer {
        let mut parts = spawn_all(tasks, "recovery", reads).await;
        parts.extend(spawn_all(tasks, "recovery", walks).await);
        parts
    } else {
        walks.extend(reads);
        spawn_all(tasks, "recovery", walks).await
    };
    parts.into_iter().collect()
}

/// Replays the logs in order, to the first record that cannot be used: a prefix of history, never a
/// hole. `beside_writer` says that an engine has the directory open to write.
pub(crate) async fn replay(
    env: &Env,
    directory: &Path,
    config: &EngineConfig,
    recovered: &Recovered,
    beside_writer: bool,
) -> Result<Replayed> {
    let mut replayed = Replayed {
        memtables: Vec::new(),
        orphans: Vec::new(),
        sequence: recovered.sequence,
        values: BTreeMap::new(),
        report: RecoveryReport::default(),
    };
    let mut logs = Vec::new();
    for part in read_parts(env, directory, recovered, beside_writer).await? {
        match part {
            Part::Log(wal, log) => logs.push((wal, log)),
            Part::Values(found) => drop(replayed.values.insert(found.file, found)),
        }
    }
    let mut chain = Chain::new(
        directory,
        recovered.logs_durable.clone(),
        Some(recovered.sequence),
    );
    let mut dangling = None;
    for (wal, mut log) in logs {
        // What ended history is the better reason for what is wrong with the next log.
        let link = chain.link(wal, &mut log);
        match link.map_err(|error| dangling.clone().unwrap_or(error))? {
            Link::Follows => {}
            Link::Orphan => {
                replayed.orphans.push(wal);
                continue;
            }
            Link::CutOff => break,
        }
        dangling = replayed.take_log(env, directory, config, recovered, &mut log)?;
        chain.add(wal, &log);
        if !log.is_complete() {
            log.check_torn()
                .map_err(|error| dangling.clone().unwrap_or(error))?;
        }
    }
    chain
        .check_durable()
        .map_err(|error| dangling.unwrap_or(error))?;
    Ok(replayed)
}

impl Replayed {
    /// Replays the sound records of a log up to the first with a missing value. Returns that error,
    /// with the log positioned at the record; None if no value is missing.
    fn take_log(
        &mut self,
        env: &Env,
        directory: &Path,
        config: &EngineConfig,
        recovered: &Recovered,
        log: &mut Replay,
    ) -> Result<Option<Error>> {
        let wal = log.number();
        let path = FileKind::Wal.path(directory, wal);
        let mut memtable = Memtable::new(config, wal);
        let mut work = CpuWork::default();
        let mut dangling = None;
        loop {
            let offset = log.offset();
            let Some(record) = log.next()? else { break };
            dangling = self.claim_values(&record, recovered, &path, offset)?;
            if dangling.is_some() {
                log.go_back_to(offset);
                break;
            }
            let inserted =
                memtable.insert_batch(record.sequence, record.writes, &record.body, &mut work);
            inserted.ok_or_else(|| {
                let what = "a record's checksum holds, but it is not a batch";
                Error::corruption(&path, offset, what)
            })?;
            self.report.batches += 1;
            self.report.writes += u64::from(record.writes);
            let end = record.sequence + u64::from(record.writes);
            self.sequence = self.sequence.max(end.saturating_sub(1));
            if memtable.bytes() >= config.memtable.as_u64() {
                let next = Memtable::new(config, wal);
                self.push(mem::replace(&mut memtable, next));
            }
        }
        env.clock.charge(&work);
        self.push(memtable);
        self.report.logs += 1;
        self.report.log_bytes += log.offset();
        Ok(dangling)
    }

    /// Takes writes that another log holds, as if a log of this directory held them behind the
    /// others.
    pub(crate) fn take_logged(
        &mut self,
        env: &Env,
        directory: &Path,
        config: &EngineConfig,
        logged: Vec<LoggedWrites>,
    ) -> Result<()> {
        let mut memtable = Memtable::new(config, 0);
        let mut work = CpuWork::default();
        for LoggedWrites { body, writes } in logged {
            let first = self.sequence + 1;
            let inserted = memtable.insert_batch(first, writes, &body, &mut work);
            inserted.ok_or_else(|| {
                let what = "a record's checksum holds, but it is not a batch";
                Error::corruption(directory, 0, what)
            })?;
            self.report.batches += 1;
            self.report.writes += u64::from(writes);
            self.sequence += u64::from(writes);
            if memtable.bytes() >= config.memtable.as_u64() {
                self.push(mem::replace(&mut memtable, Memtable::new(config, 0)));
            }
        }
        env.clock.charge(&work);
        self.push(memtable);
        Ok(())
    }

    /// What was found, before anything is done about it.
    pub(crate) fn report(&self) -> RecoveryReport {
        let mut report = self.report.clone();
        for found in self.values.values() {
            report.value_files += 1;
            report.value_bytes += found.sound_bytes();
            let garbage = found.garbage();
            report.value_garbage_bytes +=
                garbage.iter().map(|(start, end)| end - start).sum::<u64>();
        }
        report
    }

    fn push(&mut self, memtable: Memtable) {
        if !memtable.is_empty() {
            self.memtables.push(Arc::new(memtable));
        }
    }

    /// Marks the frames that `record` references. Returns what is wrong with the first that is not
    /// there: if it never reached the device, history ends at the record; if it did, this is the
    /// damage. A log never points into a sealed file: only tables do.
    fn claim_values(
        &mut self,
        record: &Record,
        recovered: &Recovered,
        path: &Path,
        offset: u64,
    ) -> Result<Option<Error>> {
        let damaged = |what: &str| Error::corruption(path, offset, what);
        let mut places = Vec::new();
        for write in BatchReader::new(record.body.clone()) {
            let Some((EntryKind::Pointer, key, value)) = write else {
                continue;
            };
            let Some(pointer) = ValuePointer::decode(&value) else {
                return Ok(Some(damaged("a value pointer does not read back")));
            };
            let Some(state) = recovered.version.value_files.get(&pointer.file) else {
                // The manifest names a value file from before the first record that points at it
                // until after the last such record has become a table: it has lost an edit.
                return Err(damaged(
                    "a record points at a value file that the manifest does not name",
                ));
            };
            let place = self
                .values
                .get(&pointer.file)
                .and_then(|found| found.place(&key, &pointer));
            let Some(place) = place else {
                let what = "a value whose record was synced does not read back";
                return Ok(Some(state.file.damaged(pointer.offset, what)));
            };
            places.push((pointer.file, place));
        }
        for (file, place) in places {
            self.values.get_mut(&file).expect("just found").frames[place].1 = true;
        }
        Ok(None)
    }
}

/// What a directory held at one moment.
pub(crate) struct Moment {
    pub(crate) recovered: Recovered,
    pub(crate) replayed: Replayed,
}

/// Reads the live files and the logs of one moment.
pub(crate) async fn read_moment(
    env: &Env,
    directory: &Path,
    config: &EngineConfig,
    cache: &Arc<BlockCache>,
    access: &ReadAccess,
) -> Result<Moment> {
    access
        .read(env, async || {
            let recovered = recover(env, directory, cache, Role::Whole).await?;
            let replayed = replay(env, directory, config, &recovered, access.is_shared).await?;
            Ok(Moment {
                recovered,
                replayed,
            })
        })
        .await
}

/// Makes tables of what the logs held, and books what a crash left in value files; the logs are
/// removed.
pub(crate) async fn make_tables(
    core: &Core,
    flusher: &Flusher<'_>,
    replayed: &Replayed,
    wals: &[u64],
) -> Result<()> {
    let mut garbage = Garbage::new();
    let mut tails = Vec::new();
    for found in replayed.values.values() {
        tails.push(ValueTail {
            file: found.file,
            bytes: found.bytes,
            full: true,
            lost_from: None,
        });
        let parts = found.garbage();
        if !parts.is_empty() {
            garbage.insert(found.file, parts);
        }
    }
    if !wals.is_empty() || !tails.is_empty() || !replayed.memtables.is_empty() {
        flusher
            .flush_all(&replayed.memtables, &tails, garbage)
            .await?;
    }
    for wal in wals {
        core.remove_file(&FileKind::Wal.path(core.directory(), *wal));
    }
    Ok(())
}
