//! Garbage collection of the value log: copy what is live, give up the rest.
//!
//! Which bytes are garbage is known exactly: whoever drops a pointer (a flush, a compaction) books the frame it led to in the
//! same edit, and recovery books what a crash left behind. A frame that is not booked is pointed at by a table, perhaps only
//! for a snapshot; a booked one never comes back. So a collection asks nobody whether a value is live, writes no key, and
//! races no writer: it copies the runs of live bytes of its victims to a new file, and one edit puts that in their place
//! under the numbers that pointers name. What became garbage meanwhile is carried over. A reader that holds the version before
//! holds its files, too.
//!
//! Thresholds say when: above `value_log.gc_low` while nothing else is to do, above `value_log.gc_high` beside everything else;
//! towards `value_log.gc_stop` writers are slowed down while files are being collected, so that the space that garbage takes is
//! bounded. The policy says which files. Only sealed files are collected: no log points into them.
//!
//! With `gc_method = "compaction"` values leave their file when a compaction meets their pointers
//! ([`mod@crate::compaction::values`]); collections as above then begin at the high threshold only.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aura_policies::gc::{ValueFileFacts, ValueLogFacts};

use crate::compaction::new_files::NewFile;
use crate::config::GcMethod;
use crate::directory::FileKind;
use crate::env::CpuWork;
use crate::error::{Error, Result};
use crate::limiter::Priority;
use crate::manifest::{Edit, Version};
use crate::metrics::{Event, EventKind, add};
use crate::state::{Inner, OpenedFiles, ReadState};
use crate::sync::lock;
use crate::values::format::{MAGIC, encode_map};
use crate::values::{
    Extents, FrameWalker, Garbage, Section, Step, ValueFile, ValueFileState, ValueLogWriter,
};

/// Bytes that a collection copies at a time.
const PIECE_BYTES: usize = 1 << 20;

/// The value log as it stands.
pub(crate) struct ValueLogState {
    /// The sealed files on disk.
    pub(crate) files: Vec<ValueFileFacts>,
    /// Bytes of frames of all files.
    pub(crate) bytes: u64,
    /// Of those, nothing points at.
    pub(crate) garbage_bytes: u64,
}

impl ValueLogState {
    /// Bytes of garbage beyond the part that is let lie.
    pub(crate) fn debt_bytes(&self, part: f64) -> u64 {
        self.garbage_bytes
            .saturating_sub((self.bytes as f64 * part) as u64)
    }

    /// The part that is garbage.
    fn garbage_share(&self) -> f64 {
        if self.bytes == 0 {
            0.0
        } else {
            self.garbage_bytes as f64 / self.bytes as f64
        }
    }
}

/// A file on disk, as the files add up whose frames it holds.
#[derive(Default)]
struct OnDisk {
    live: u64,
    newest: u64,
    collections: u32,
    sealed: bool,
}

/// What a policy has chosen.
pub(crate) struct Victims {
    /// Numbers on disk, at least one.
    pub(crate) files: BTreeSet<u64>,
    /// Whether garbage is above the high threshold.
    urgent: bool,
    /// The part of the log that is garbage.
    share: f64,
}

/// Files to collect together.
struct Collection {
    states: Vec<ValueFileState>,
    victims: BTreeSet<u64>,
    urgent: bool,
}

/// Holds the live frames of each sealed file, as `traced` from the tables of `version`, against what was booked: every byte of
/// a frame is pointed at once, or garbage. What differs, each with its file.
pub(crate) fn audit(version: &Version, mut traced: Garbage) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for state in version
        .value_files
        .values()
        .filter(|state| state.is_sealed())
    {
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

impl Inner {
    /// The value log as `version` has it. O(value files).
    pub(crate) fn value_log_state(&self, version: &Version) -> Result<ValueLogState> {
        let mut disk: BTreeMap<u64, OnDisk> = BTreeMap::new();
        for state in version.value_files.values() {
            let file = disk.entry(state.file.number).or_default();
            file.live += state.live_bytes()?;
            file.newest = file.newest.max(state.number);
            file.collections = file.collections.max(state.collections());
            file.sealed = state.is_sealed();
        }
        let mut log = ValueLogState {
            files: Vec::new(),
            bytes: 0,
            garbage_bytes: 0,
        };
        let mut ages = Vec::new();
        for (number, file) in version.values_on_disk() {
            let bytes = file.frames_end()?.saturating_sub(MAGIC.len() as u64);
            let on_disk = &disk[&number];
            let garbage_bytes = bytes.saturating_sub(on_disk.live);
            log.bytes += bytes;
            log.garbage_bytes += garbage_bytes;
            ages.push((on_disk.newest, bytes));
            if on_disk.sealed {
                let (id, collections) = (number, on_disk.collections);
                // The age is filled in when all are known; until then it is whose age it is.
                log.files.push(ValueFileFacts {
                    id,
                    bytes,
                    garbage_bytes,
                    age_bytes: on_disk.newest,
                    collections,
                });
            }
        }
        ages.sort_unstable();
        for file in &mut log.files {
            let younger = ages.partition_point(|(newest, _)| *newest <= file.age_bytes);
            file.age_bytes = ages[younger..].iter().map(|(_, bytes)| bytes).sum();
        }
        Ok(log)
    }

    /// What the policy would collect now; None where nothing is due. `idle`: nothing else is to do.
    pub(crate) fn gc_victims(&self, version: &Version, idle: bool) -> Result<Option<Victims>> {
        let log = self.value_log_state(version)?;
        let share = log.garbage_share();
        let urgent = share > self.config().value_log.gc_high;
        if !(urgent || idle && share > self.config().value_log.gc_low) {
            return Ok(None);
        }
        let busy = lock(&self.jobs).collecting.clone();
        let files: Vec<_> = log
            .files
            .into_iter()
            .filter(|file| !busy.contains(&file.id))
            .collect();
        let facts = ValueLogFacts {
            files,
            file_bytes: self.config().value_log.file.as_u64(),
            urgent,
        };
        let chosen = lock(&self.policies().gc).victims(&facts);
        let files: BTreeSet<u64> = chosen.iter().copied().collect();
        let with_garbage = |id: &u64| {
            facts
                .files
                .iter()
                .any(|file| file.id == *id && file.garbage_bytes > 0)
        };
        if files.len() != chosen.len() || !files.iter().all(with_garbage) {
            add(&self.counters.mine().plans_refused, 1);
            debug_assert!(
                false,
                "a collection of {chosen:?} was proposed of {facts:?}"
            );
            return Ok(None);
        }
        Ok((!files.is_empty()).then_some(Victims {
            files,
            urgent,
            share,
        }))
    }

    /// Collects what is most worth it, if anything is due. Where it cannot be copied, the log is left as it was.
    pub(crate) async fn collect_one(&self) -> Result<bool> {
        let Some(collection) = self.next_collection()? else {
            return Ok(false);
        };
        let result = self.collect(&collection).await;
        self.garbage_ppm.store(0, Ordering::Relaxed);
        {
            let mut jobs = lock(&self.jobs);
            jobs.collecting
                .retain(|file| !collection.victims.contains(file));
            if matches!(result, Err(Error::Corruption { .. })) {
                // It is not copied again: what is sound in it can still be read where it lies.
                jobs.collecting.extend(&collection.victims);
            }
        }
        match result {
            Ok(()) => Ok(true),
            // Nothing was changed. With a full disk writers will learn of it by themselves.
            Err(Error::Io { .. } | Error::Corruption { .. }) => {
                add(&self.counters.mine().gc_failures, 1);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn next_collection(&self) -> Result<Option<Collection>> {
        let version = self.view.load().version.clone();
        let idle =
            self.config().value_log.gc_method == GcMethod::Rewrite && self.is_idle_but_for_values();
        let Some(Victims {
            files: victims,
            urgent,
            share,
        }) = self.gc_victims(&version, idle)?
        else {
            return Ok(None);
        };
        // Only while something is done for it do writers wait for less garbage: they never wait in vain.
        self.garbage_ppm
            .store((share * 1e6) as u64, Ordering::Relaxed);
        let states = version
            .value_files
            .values()
            .filter(|state| victims.contains(&state.file.number))
            .cloned()
            .collect();
        lock(&self.jobs).collecting.extend(&victims);
        Ok(Some(Collection {
            states,
            victims,
            urgent,
        }))
    }

    async fn collect(&self, collection: &Collection) -> Result<()> {
        let start_nanos = self.env.clock.now();
        let number = self.new_number();
        let file = self.copy_live(collection, number).await?;
        let live_bytes = file.frames_end()?.saturating_sub(MAGIC.len() as u64);
        let opened = OpenedFiles {
            values: [(number, Arc::new(file))].into(),
            ..OpenedFiles::default()
        };
        let swap = |before: &Version| {
            let mut edit = Edit::default();
            for state in &collection.states {
                let Some(now) = before.value_files.get(&state.number) else {
                    continue;
                };
                edit.values_moved.push((state.number, number));
                let since = now.facts.dead.minus(&state.facts.dead);
                if !since.is_empty() {
                    edit.values_dead.insert(state.number, since);
                }
            }
            edit
        };
        self.commit_edit_with(swap, opened, ReadState::with_version)
            .await?;
        let files: BTreeMap<u64, &Arc<ValueFile>> = collection
            .states
            .iter()
            .map(|state| (state.file.number, &state.file))
            .collect();
        let mut bytes = 0;
        for file in files.values() {
            bytes += file.frames_end()?.saturating_sub(MAGIC.len() as u64);
        }
        let mine = self.counters.mine();
        add(&mine.gc_runs, 1);
        add(&mine.gc_victim_bytes, bytes);
        add(&mine.gc_read_bytes, live_bytes);
        add(&mine.gc_write_bytes, live_bytes);
        let (files, urgent) = (files.len() as u64, collection.urgent);
        let kind = EventKind::Collection {
            files,
            bytes,
            live_bytes,
            urgent,
        };
        self.counters.event(Event {
            start_nanos,
            end_nanos: self.env.clock.now(),
            kind,
        });
        Ok(())
    }

    /// Copies the live frames of the victims to value file `number`; it is durable.
    async fn copy_live(&self, collection: &Collection, number: u64) -> Result<ValueFile> {
        let path = FileKind::Values.path(&self.directory, number);
        let unfinished = NewFile::new(&self.env.fs, &path);
        let mut writer = ValueLogWriter::create(&self.env, path.clone(), number).await?;
        let mut sections = Vec::new();
        for state in &collection.states {
            let (runs, start) = (state.live_extents()?, writer.bytes());
            for run in &runs {
                self.copy_run(state, *run, &mut writer).await?;
            }
            sections.push(Section::new(
                state.number,
                state.collections() + 1,
                start,
                runs,
            ));
        }
        let map_start = writer.bytes();
        writer.append(&encode_map(&sections)).await?;
        writer.sync().await?;
        self.sync_directory().await?;
        writer.file().finish();
        unfinished.keep();
        Ok(
            ValueFile::new(number, path, writer.file(), self.env.fs.clone())
                .collected(sections, map_start),
        )
    }

    /// Copies the frames of one run, checking each.
    async fn copy_run(
        &self,
        state: &ValueFileState,
        (start, end): (u64, u64),
        to: &mut ValueLogWriter,
    ) -> Result<()> {
        let place = state.place(start)?;
        let mut walker = FrameWalker::new(&state.file, place, place + (end - start));
        let mut piece = Vec::new();
        loop {
            let step = walker.next().await?;
            if let Step::Frame(_, frame) = &step {
                piece.extend_from_slice(frame);
            }
            let ended = !matches!(step, Step::Frame(..));
            if ended || piece.len() >= PIECE_BYTES {
                let bytes = piece.len() as u64;
                let work = CpuWork {
                    bytes_checksummed: bytes,
                    bytes_copied: bytes,
                    system_calls: 2,
                    ..CpuWork::default()
                };
                self.env.clock.charge(&work);
                self.env.clock.wait_for_cpu().await;
                to.append(&piece).await?;
                piece.clear();
                // Read, and written.
                self.limit_io(Priority::Collection, 2 * bytes).await;
                self.check_open()?;
            }
            match step {
                Step::Frame(..) => {}
                Step::End => return Ok(()),
                Step::Unsound => {
                    let what = "a frame that something points at does not read back";
                    return Err(Error::corruption(state.file.path(), walker.offset(), what));
                }
            }
        }
    }
}
