//! Garbage collection of the value log: copy what is live, give up the rest.
//!
//! Which bytes are garbage is known exactly: a flush or a compaction that drops a pointer books the
//! frame it led to in the same edit, and recovery books what a crash left behind. A frame that is
//! not booked is pointed at by a table, perhaps only for a snapshot; a booked one never comes back.
//! So a collection asks nobody whether a value is live, writes no key, and races no writer: it
//! copies the live extents of its victims to a new file, and one edit puts that in their place
//! under the numbers that pointers name. What became garbage meanwhile is carried over. A reader
//! that holds the version before holds its files, too.
//!
//! Thresholds say when: above `value_log.gc_low` while nothing else is to do, above
//! `value_log.gc_high` beside everything else; towards `value_log.gc_stop` writers are slowed down
//! while files are being collected, so that the space that garbage takes is bounded. The policy
//! says which files. Only sealed files are collected: no log points into them.
//!
//! With `gc_method = "compaction"` values are moved when a compaction meets their pointers
//! ([`mod@super::values`]); collections as above then begin at the high threshold only.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use aura_policies::gc::ValueLogFacts;

use super::Scheduler;
use super::new_files::NewFile;
use super::value_log::ValueLogState;
use crate::config::GcMethod;
use crate::directory::FileKind;
use crate::env::CpuWork;
use crate::error::{Error, Result};
use crate::limiter::Priority;
use crate::manifest::{Edit, Version};
use crate::metrics::{Event, EventKind, add};
use crate::state::{Core, Lifecycle, OpenedFiles, ReadState, Tree};
use crate::sync::lock;
use crate::values::format::{MAGIC, encode_map};
use crate::values::{FrameWalker, Section, Step, ValueFile, ValueFileState, ValueLogWriter};

/// Bytes that a collection copies at a time.
const PIECE_BYTES: usize = 1 << 20;

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

/// What the policy would collect now; None if nothing is due. `idle` says that nothing else is to
/// do.
///
/// # Errors
/// A value file that cannot be measured.
pub(super) fn gc_victims(
    core: &Core,
    scheduler: &Scheduler,
    version: &Version,
    idle: bool,
) -> Result<Option<Victims>> {
    let log = ValueLogState::of(version)?;
    let share = log.garbage_share();
    let config = core.config();
    let settings = &config.value_log;
    let urgent = share > settings.gc_high;
    if !(urgent || idle && share > settings.gc_low) {
        return Ok(None);
    }
    let busy = scheduler.collecting();
    let mut files = log.files;
    files.retain(|file| !busy.contains(&file.id));
    let facts = ValueLogFacts {
        files,
        file_bytes: settings.file.as_u64(),
        urgent,
    };
    let chosen = lock(&core.policies().gc).victims(&facts);
    let files: BTreeSet<u64> = chosen.iter().copied().collect();
    let has_garbage = |id: &u64| {
        let mut known = facts.files.iter();
        known.any(|file| file.id == *id && file.garbage_bytes > 0)
    };
    if files.len() != chosen.len() || !files.iter().all(has_garbage) {
        add(&core.counters().mine().plans_refused, 1);
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

/// Collects value files.
pub(crate) struct Collector<'a> {
    pub(crate) core: &'a Core,
    pub(crate) tree: &'a Tree,
    pub(crate) lifecycle: &'a Lifecycle,
    pub(crate) scheduler: &'a Scheduler,
}

impl Collector<'_> {
    /// Collects what is most worth it, if anything is due. Returns whether something was collected.
    /// If the live frames cannot be copied, the value log stays as it was.
    pub(crate) async fn collect_one(&self) -> Result<bool> {
        let Some(collection) = self.next_collection()? else {
            return Ok(false);
        };
        let result = self.collect(&collection).await;
        let damaged = matches!(result, Err(Error::Corruption { .. }));
        self.scheduler.end_collection(&collection.victims, damaged);
        match result {
            Ok(()) => Ok(true),
            // Nothing was changed. With a full disk writers will learn of it by themselves.
            Err(error @ (Error::Io { .. } | Error::Corruption { .. })) => {
                self.core.note_failure("collection", &error, None);
                add(&self.core.counters().mine().gc_failures, 1);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn next_collection(&self) -> Result<Option<Collection>> {
        let version = self.tree.version();
        let idle = self.core.config().value_log.gc_method == GcMethod::Rewrite
            && self.scheduler.is_idle_but_for_values();
        let victims = gc_victims(self.core, self.scheduler, &version, idle)?;
        let Some(victims) = victims else {
            return Ok(None);
        };
        self.scheduler
            .begin_collection(&victims.files, victims.share);
        let states = version.value_files.values();
        let states = states.filter(|state| victims.files.contains(&state.file.number));
        Ok(Some(Collection {
            states: states.cloned().collect(),
            victims: victims.files,
            urgent: victims.urgent,
        }))
    }

    async fn collect(&self, collection: &Collection) -> Result<()> {
        let start_nanos = self.core.env().clock.now();
        let number = self.tree.new_number();
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
        self.tree
            .commit_with(swap, opened, ReadState::with_version)
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
        let mine = self.core.counters().mine();
        add(&mine.gc_runs, 1);
        add(&mine.gc_victim_bytes, bytes);
        add(&mine.gc_read_bytes, live_bytes);
        add(&mine.gc_write_bytes, live_bytes);
        self.core.counters().event(Event {
            start_nanos,
            end_nanos: self.core.env().clock.now(),
            kind: EventKind::Collection {
                files: files.len() as u64,
                bytes,
                live_bytes,
                urgent: collection.urgent,
            },
        });
        Ok(())
    }

    /// Copies the live frames of the victims to value file `number`; it is durable.
    async fn copy_live(&self, collection: &Collection, number: u64) -> Result<ValueFile> {
        let path = FileKind::Values.path(self.core.directory(), number);
        let unfinished = NewFile::new(&self.core.env().fs, &path);
        let mut writer = ValueLogWriter::create(self.core.env(), &path, number).await?;
        let mut sections = Vec::new();
        for state in &collection.states {
            let extents = state.live_extents()?;
            let start = writer.bytes();
            for (start, end) in &extents {
                let extent = *start..*end;
                self.copy_extent(state, extent, &mut writer).await?;
            }
            sections.push(Section::new(
                state.number,
                state.collections() + 1,
                start,
                extents,
            ));
        }
        let map_start = writer.bytes();
        writer.append(&encode_map(&sections)).await?;
        writer.sync().await?;
        self.tree.sync_directory().await?;
        writer.file().file().finish();
        unfinished.keep();
        let fs = self.core.env().fs.clone();
        let file = ValueFile::new(number, writer.file().clone(), fs);
        Ok(file.collected(sections, map_start))
    }

    /// Copies the frames of one extent, checking each.
    async fn copy_extent(
        &self,
        state: &ValueFileState,
        extent: Range<u64>,
        to: &mut ValueLogWriter,
    ) -> Result<()> {
        let place = state.place(extent.start)?;
        let end = place + (extent.end - extent.start);
        let mut walker = FrameWalker::new(&state.file, place, end);
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
                self.core.env().clock.charge(&work);
                self.core.env().clock.wait_for_cpu().await;
                to.append(&piece).await?;
                piece.clear();
                // Read, and written.
                self.core.limit_io(Priority::Collection, 2 * bytes).await;
                self.lifecycle.check_open()?;
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
