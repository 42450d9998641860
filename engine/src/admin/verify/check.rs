//! Checking one moment of a database against its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Moment, ValueFileAudit, VerifyReport};
use crate::cache::no_cache;
use crate::context::ReadContext;
use crate::directory::{FileKind, Files, numbered};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::manifest::{Edit, Version, snapshot};
use crate::read::MergingIterator;
use crate::storage::{Direction, EntryKind, Key, ValuePointer};
use crate::values::format::MAGIC;
use crate::values::{Extents, FrameWalker, Garbage, Step, ValueFile, ValueFileState, discard};
use crate::wal::{Chain, Link, Replay};

/// Where the first frame of a value file starts.
const FRAMES_START: u64 = MAGIC.len() as u64;

/// A moment, and the files that it is compared with.
pub(super) struct Check<'a> {
    pub(super) env: &'a Env,
    pub(super) directory: &'a Path,
    pub(super) moment: Moment,
}

impl Check<'_> {
    /// Checks everything but the logs.
    pub(super) async fn run(&self) -> Result<VerifyReport> {
        let cache = no_cache()?;
        let mut context = ReadContext::new(&cache, &*self.env.clock).in_background();
        let mut report = VerifyReport::default();
        self.check_manifest(&mut report);
        self.check_names(&mut report);
        check_order(&self.moment.state.version, &mut report);
        let mut traced = Garbage::new();
        if self
            .check_tables(&mut report, &mut traced, &mut context)
            .await
        {
            // What a table points at is not known if it does not read back.
            report
                .problems
                .extend(audit_garbage(&self.moment.state.version, traced.clone())?);
        }
        self.check_memtables(&mut report, &mut traced, &mut context)
            .await;
        for (_, file) in self.moment.state.version.values_on_disk() {
            let checked = self
                .check_value_file(file, &traced, &mut report, &mut context)
                .await;
            checked.unwrap_or_else(|error| report.problem(&error));
        }
        if let Err(error) = self.reach(&mut report, &mut context).await {
            report.problem(&error);
        }
        context.charge();
        report.problems.dedup();
        Ok(report)
    }

    /// Compares what the manifest states with the version.
    fn check_manifest(&self, report: &mut VerifyReport) {
        let (path, stored) = match &self.moment.stored {
            Some(Ok(stored)) => stored,
            Some(Err(error)) => return report.problem(error),
            None => return,
        };
        let live = snapshot(&self.moment.state.version, Edit::default());
        if let Some(what) = stored.difference(&live) {
            report.problem(&Error::corruption(path, 0, what));
        }
    }

    /// Compares the version with the names in the directory and the lengths of the files.
    fn check_names(&self, report: &mut VerifyReport) {
        let mut expected: BTreeMap<PathBuf, (u64, bool)> = BTreeMap::new();
        for (_, table) in self.moment.state.version.tables() {
            expected.insert(table.path().to_owned(), (table.facts().bytes, true));
        }
        for state in self.moment.state.version.value_files.values() {
            let bytes = self
                .moment
                .ends
                .get(&state.file.number)
                .copied()
                .unwrap_or(0);
            expected.insert(state.file.path().to_owned(), (bytes, state.is_sealed()));
        }
        for (path, (bytes, whole)) in &expected {
            let opened = Files::of(self.env).open(path);
            match opened.and_then(|file| file.named("open", file.file().bytes())) {
                Ok(found) if found == *bytes || (!whole && found > *bytes) => {
                    report.disk_bytes += bytes
                }
                Ok(found) => {
                    let what = format!("it has {found} bytes where {bytes} are recorded");
                    report.problem(&Error::corruption(path, found.min(*bytes), what));
                }
                Err(error) => report.problem(&error),
            }
        }
        let mut known: BTreeSet<PathBuf> = expected.into_keys().collect();
        known.extend(
            self.moment
                .logs
                .keys()
                .map(|wal| FileKind::Wal.path(self.directory, *wal)),
        );
        if let Some(Ok((manifest, _))) = &self.moment.stored {
            known.insert(manifest.clone());
        }
        let stored = self.moment.stored.as_ref().and_then(|it| it.as_ref().ok());
        let stated = stored.and_then(|(_, edit)| edit.next_number);
        for (kind, number) in numbered(&self.moment.names, stated) {
            if !known.contains(&kind.path(self.directory, number)) {
                report.leftovers.push(kind.name(number));
            }
        }
        report.leftovers.sort_unstable();
        for wal in self.moment.logs.keys() {
            let log = self.env.fs.open(&FileKind::Wal.path(self.directory, *wal));
            report.disk_bytes += log.and_then(|file| file.bytes()).unwrap_or(0);
        }
    }

    /// Reads every table and what it points at. Returns whether all could be read whole.
    async fn check_tables(
        &self,
        report: &mut VerifyReport,
        traced: &mut Garbage,
        context: &mut ReadContext<'_>,
    ) -> bool {
        let mut whole = true;
        for (_, table) in self.moment.state.version.tables() {
            report.tables += 1;
            let mut pointers = Vec::new();
            let audit = table.verify(context, |entry| {
                discard(traced, entry);
                // A key of its own: the entry's would keep its block.
                pointers.extend(
                    entry
                        .pointer()
                        .map(|pointer| (Key::copy_from_slice(&entry.key), pointer)),
                );
            });
            match audit.await {
                Ok(audit) => report.entries += audit.entries,
                Err(error) => {
                    report.problem(&error);
                    whole = false;
                }
            }
            for (key, pointer) in pointers {
                self.check_value(table.path(), &key, &pointer, report, context)
                    .await;
            }
        }
        whole
    }

    async fn check_memtables(
        &self,
        report: &mut VerifyReport,
        traced: &mut Garbage,
        context: &mut ReadContext<'_>,
    ) {
        for memtable in self.moment.state.memtables() {
            let log = FileKind::Wal.path(self.directory, memtable.wal);
            for entry in memtable
                .iter()
                .filter(|entry| entry.sequence <= self.moment.sequence)
            {
                discard(traced, &entry);
                if let Some(pointer) = entry.pointer() {
                    self.check_value(&log, &entry.key, &pointer, report, context)
                        .await;
                }
            }
        }
    }

    /// Reads the value that an entry of `holder` points at.
    async fn check_value(
        &self,
        holder: &Path,
        key: &Key,
        pointer: &ValuePointer,
        report: &mut VerifyReport,
        context: &mut ReadContext<'_>,
    ) {
        report.values += 1;
        let sound = match self.moment.state.version.value_files.get(&pointer.file) {
            Some(state) => state.get(key, pointer, context).await.map(drop),
            None => Err(Error::corruption(
                holder,
                0,
                format!(
                    "it points at value file {}, which is not there",
                    pointer.file
                ),
            )),
        };
        if let Err(error) = sound {
            report.problem(&error);
        }
    }

    /// Walks a value file on disk from one end to the other. If it is a collected one, its map is
    /// read back, too.
    async fn check_value_file(
        &self,
        file: &ValueFile,
        traced: &Garbage,
        report: &mut VerifyReport,
        context: &mut ReadContext<'_>,
    ) -> Result<()> {
        let disk_bytes = self.moment.ends.get(&file.number).copied().unwrap_or(0);
        let frames_end = if file.is_collected() {
            file.frames_end()?
        } else {
            disk_bytes
        };
        let mut audit = ValueFileAudit {
            file: file.number,
            disk_bytes,
            ..ValueFileAudit::default()
        };
        audit.frame_bytes = frames_end.saturating_sub(FRAMES_START);
        let mut booked_bytes = 0;
        let mut live = Vec::new();
        let held = |state: &&ValueFileState| state.file.number == file.number;
        for state in self.moment.state.version.value_files.values().filter(held) {
            for (start, end) in traced.get(&state.number).into_iter().flatten() {
                audit.live_bytes += end - start;
                // One that was not kept was reported where its value was looked for.
                live.extend(state.place(*start));
            }
            booked_bytes += state.live_bytes()?;
            audit.garbage_bytes += state.facts.dead.bytes();
        }
        if file.is_collected() {
            // Files of which nothing is live any more are forgotten, but what was copied of them is
            // still here.
            audit.garbage_bytes = audit.frame_bytes.saturating_sub(booked_bytes);
            let again = Files::of(self.env).open(file.path())?;
            let again = ValueFile::new(file.number, again, self.env.fs.clone());
            if !again.read_map().await?.has_map_of(file) {
                report.problem(&file.damaged(
                    frames_end,
                    "the map is not the one that was read when it was opened",
                ));
            }
        }
        live.sort_unstable();
        let walked = walk(file, frames_end, &live, &mut audit, context).await;
        report.value_files.push(audit);
        walked
    }

    /// Counts the rows that can be reached, and the bytes of their keys and values.
    async fn reach(&self, report: &mut VerifyReport, context: &mut ReadContext<'_>) -> Result<()> {
        let mut merge = MergingIterator::new(Direction::Forward);
        self.moment
            .state
            .memtables()
            .for_each(|memtable| merge.add_memtable(memtable.clone()));
        for (number, level) in self.moment.state.version.levels.iter().enumerate() {
            level
                .runs
                .iter()
                .for_each(|run| merge.add_run(run.clone(), number, true));
        }
        merge.seek(None, context).await?;
        let ranges = self.moment.state.ranges();
        // No key is empty.
        let mut last = Vec::new();
        while let Some(entry) = merge.entry() {
            if entry.sequence <= self.moment.sequence && last != entry.key {
                let separated = entry.pointer().map(|pointer| u64::from(pointer.raw_bytes));
                let bytes = entry.key.len() as u64 + separated.unwrap_or(entry.value.len() as u64);
                let hidden = ranges.newest(entry.key, self.moment.sequence, &mut context.work);
                if entry.kind != EntryKind::Delete
                    && hidden.is_none_or(|(newest, _)| newest < entry.sequence)
                {
                    report.rows += 1;
                    report.reachable_bytes += bytes;
                    report.value_reachable_bytes += separated.map_or(0, |_| bytes);
                }
                last.clear();
                last.extend_from_slice(entry.key);
            }
            merge.step(context).await?;
        }
        Ok(())
    }

    /// Reads the logs back; returns what is wrong, with the number of the log.
    pub(super) async fn check_logs(&self, report: &mut VerifyReport) -> Vec<(u64, Error)> {
        let mut faults = Vec::new();
        let mut chain = Chain::new(self.directory, BTreeMap::new(), None);
        for (number, end) in &self.moment.logs {
            let mut log = match Replay::open(self.env, self.directory, *number).await {
                Ok(log) => log,
                Err(error) => {
                    // Without it nobody can say what follows.
                    chain = Chain::new(self.directory, BTreeMap::new(), None);
                    faults.push((*number, error));
                    continue;
                }
            };
            match chain.link(*number, &mut log) {
                Ok(Link::Follows) => {}
                Ok(Link::Orphan) => continue,
                Ok(Link::CutOff) => {
                    report.logs_cut_off.push(FileKind::Wal.name(*number));
                    continue;
                }
                Err(error) => {
                    faults.push((*number, error));
                    continue;
                }
            }
            report.logs += 1;
            if let Err(error) = count_records(&mut log, report) {
                faults.push((*number, error));
            }
            chain.add(*number, &log);
            let whole = match *end {
                u64::MAX => log.is_complete(),
                end => log.offset() >= end,
            };
            if !whole {
                faults.push((*number, log.damaged("a record does not read back")));
            }
        }
        faults
    }
}

fn count_records(log: &mut Replay, report: &mut VerifyReport) -> Result<()> {
    while log.next()?.is_some() {
        report.log_records += 1;
    }
    Ok(())
}

/// Checks that the tables of every run follow each other.
fn check_order(version: &Version, report: &mut VerifyReport) {
    for (level, state) in version.levels.iter().enumerate() {
        for run in &state.runs {
            for pair in run.tables.windows(2) {
                let left = pair[0].facts();
                let right = pair[1].facts();
                if left.largest >= right.smallest {
                    let what = format!("in level {level} it overlaps table {}", right.id);
                    report.problem(&Error::corruption(pair[0].path(), 0, what));
                }
            }
        }
    }
}

/// Compares the live frames of each sealed file, as `traced` from the tables of `version`, with
/// what was booked: every byte of a frame is pointed at once, or garbage. Returns what differs,
/// each with its file.
fn audit_garbage(version: &Version, mut traced: Garbage) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let sealed = version.value_files.values();
    for state in sealed.filter(|state| state.is_sealed()) {
        let mut live = Extents::default();
        let name = state.file.path().display();
        if !live.add(traced.remove(&state.number).unwrap_or_default()) {
            problems.push(format!(
                "{name}: two entries point at the same bytes of value file {}",
                state.number
            ));
        }
        let mut booked = Extents::default();
        if !booked.add(state.live_extents()?) || live != booked {
            let what = format!(
                "{:?} are pointed at, {:?} are not booked as garbage",
                live.ranges(),
                booked.ranges()
            );
            problems.push(format!(
                "{name}: of value file {} the bytes {what}",
                state.number
            ));
        }
    }
    Ok(problems)
}

/// Walks the frames of a file up to `end` and counts what is sound and what is not. After an
/// unsound stretch the walk goes on at the next of `live`: the places, in order, where live frames
/// start.
async fn walk(
    file: &ValueFile,
    end: u64,
    live: &[u64],
    audit: &mut ValueFileAudit,
    context: &mut ReadContext<'_>,
) -> Result<()> {
    let mut walker = FrameWalker::new(file, FRAMES_START, end);
    loop {
        match walker.next().await? {
            Step::Frame(frame, _) => {
                audit.frames += 1;
                context.work.bytes_checksummed += frame.bytes;
            }
            Step::End => return Ok(()),
            Step::Unsound => {
                let at = walker.offset();
                let next = live
                    .get(live.partition_point(|place| *place <= at))
                    .map_or(end, |place| *place.min(&end));
                audit.unreadable_bytes += next - at;
                walker = FrameWalker::new(file, next, end);
            }
        }
    }
}
