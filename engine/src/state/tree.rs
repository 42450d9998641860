//! The tree: what readers see, and the manifest that makes it durable.
//!
//! Every change of the set of live files is one edit, made durable and then visible by
//! [`Tree::commit`]. A change of the memtables alone, which logs make durable, is
//! [`Tree::change`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use aura_policies::facts::TableId;
use aura_policies::picker::Asks;
use tokio::sync::MutexGuard;

use super::{Core, Lifecycle, ReadState, Uncut};
use crate::error::{Error, Result};
use crate::manifest::{Edit, Manifest, Version};
use crate::metrics::add;
use crate::storage::Sequence;
use crate::sync::lock;
use crate::table::Table;
use crate::values::ValueFile;
use crate::wal::LogPart;

/// Files that an edit adds, open.
#[derive(Default)]
pub(crate) struct OpenedFiles {
    /// Tables by number.
    pub(crate) tables: BTreeMap<TableId, Arc<Table>>,
    /// Value files by number on disk.
    pub(crate) values: BTreeMap<u64, Arc<ValueFile>>,
}

/// The memtables, the live files, the numbers given out and the snapshots held.
pub(crate) struct Tree {
    core: Arc<Core>,
    lifecycle: Arc<Lifecycle>,
    /// What readers see. Loaded without a lock; replaced under `changing`.
    read_state: ArcSwap<ReadState>,
    /// Held for the steps that replace `read_state`: a flush and a seal may both be about to.
    changing: Mutex<()>,
    /// The largest sequence number that readers see.
    published: AtomicU64,
    /// The next number of a file or run.
    next_number: AtomicU64,
    /// Held while an edit is made durable and takes effect; the version changes only under it.
    manifest: tokio::sync::Mutex<Manifest>,
    /// How far the log that is being written is known to be on the device.
    log_durable: Mutex<LogPart>,
    /// Snapshots held, by sequence number. `published` is read under this lock when one is made.
    snapshots: Mutex<BTreeMap<Sequence, usize>>,
}

impl Tree {
    /// A tree of `state`, whose writes up to `published` are seen.
    pub(crate) fn new(
        core: Arc<Core>,
        lifecycle: Arc<Lifecycle>,
        state: ReadState,
        published: Sequence,
        next_number: u64,
        manifest: Manifest,
    ) -> Self {
        Self {
            core,
            lifecycle,
            read_state: ArcSwap::from_pointee(state),
            changing: Mutex::new(()),
            published: AtomicU64::new(published),
            next_number: AtomicU64::new(next_number),
            manifest: tokio::sync::Mutex::new(manifest),
            log_durable: Mutex::new(LogPart::default()),
            snapshots: Mutex::new(BTreeMap::new()),
        }
    }

    /// The memtables and files of this moment.
    pub(crate) fn load(&self) -> Guard<Arc<ReadState>> {
        self.read_state.load()
    }

    /// The memtables and files of this moment, to be kept.
    pub(crate) fn load_to_keep(&self) -> Arc<ReadState> {
        self.read_state.load_full()
    }

    /// The live files of this moment.
    pub(crate) fn version(&self) -> Arc<Version> {
        self.read_state.load().version.clone()
    }

    /// The largest sequence number that readers see.
    pub(crate) fn published(&self) -> Sequence {
        self.published.load(Ordering::Acquire)
    }

    /// Lets readers see every write up to `sequence`.
    pub(crate) fn publish(&self, sequence: Sequence) {
        self.published.store(sequence, Ordering::Release);
    }

    /// The state of this moment and the largest sequence number published. The state holds all
    /// writes up to that, and every file that they point at.
    pub(crate) fn now(&self) -> (Arc<ReadState>, Sequence) {
        loop {
            // The sequence number afterwards: it covers all that the state's tables hold.
            let state = self.read_state.load_full();
            let published = self.published();
            if Arc::ptr_eq(&state, &self.read_state.load()) {
                return (state, published);
            }
        }
    }

    /// A number for a new file or run.
    pub(crate) fn new_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Replaces what readers see.
    pub(crate) fn change(&self, change: impl FnOnce(&ReadState) -> ReadState) {
        let _serial = lock(&self.changing);
        let before = self.read_state.load();
        // Memtables are about to be sealed or dropped, and new tables are open beside the old.
        self.core.note_memory(before.memtable_bytes());
        self.read_state.store(Arc::new(change(&before)));
    }

    /// Makes `edit` durable, then lets readers see the version after it.
    ///
    /// # Errors
    /// As [`Self::commit_with`].
    pub(crate) async fn commit(&self, edit: Edit, opened: OpenedFiles) -> Result<()> {
        self.commit_with(|_| edit, opened, ReadState::with_version)
            .await
    }

    /// Makes the edit durable that `edit` makes for the version in force, then lets readers see it.
    /// Value files that hold only garbage after it are removed with it. `change` makes the next
    /// read state of the current one and the new version.
    ///
    /// # Errors [`Error::Inconsistent`] if the edit does not fit the version. A manifest that
    /// cannot be written poisons the engine: whether the edit will be read back is not known.
    pub(crate) async fn commit_with(
        &self,
        edit: impl FnOnce(&Version) -> Edit,
        opened: OpenedFiles,
        change: impl FnOnce(&ReadState, Version) -> ReadState,
    ) -> Result<()> {
        let mut manifest = self.manifest.lock().await;
        // An edit after one that failed would lie behind a torn record, where nothing is read back.
        self.lifecycle.check_sound()?;
        let before = self.version();
        let mut edit = edit(&before);
        edit.next_number = Some(self.next_number.load(Ordering::Relaxed));
        let durable = self.log_durable();
        if durable.bytes > 0 && edit.logs_durable.is_empty() {
            edit.logs_durable.push(durable);
        }
        let mut after = edit
            .apply(&before, &opened.tables, &opened.values)
            .map_err(|what| Error::Inconsistent { what })?;
        edit.values_removed = after.values_without_frames(&edit)?;
        edit.values_removed
            .iter()
            .for_each(|file| drop(after.value_files.remove(file)));
        // If this ends early, memory and manifest differ.
        let uncut = Uncut::new(&self.lifecycle, "an edit of the manifest");
        let written = self.log_edit(&mut manifest, &edit, &after).await;
        let written = written.inspect_err(|error| self.lifecycle.set_poison(error))?;
        add(&self.core.counters().mine().manifest_bytes, written);
        let gone = self.files_gone(&before, &after, &opened);
        let sealed: Vec<Arc<ValueFile>> = edit
            .values_sealed
            .iter()
            .filter_map(|(number, _)| Some(after.value_files.get(number)?.file.clone()))
            .collect();
        self.change(|state| change(state, after));
        uncut.ended();
        sealed.iter().for_each(|file| file.finish());
        // They are removed when their last reader drops them.
        gone.iter().for_each(|file| file.set_obsolete());
        Ok(())
    }

    /// The value files that `after` does not use any more. Counts the bytes that they give back.
    fn files_gone(
        &self,
        before: &Version,
        after: &Version,
        opened: &OpenedFiles,
    ) -> Vec<Arc<ValueFile>> {
        let mut gone = before.values_gone(after);
        // What a collection copied may have become garbage to the last byte.
        let unused = |file: &&Arc<ValueFile>| !after.values_on_disk().contains_key(&file.number);
        gone.extend(opened.values.values().filter(unused).cloned());
        let reclaimed = gone.iter().map(|file| file.bytes().unwrap_or(0)).sum();
        add(&self.core.counters().mine().gc_reclaimed_bytes, reclaimed);
        gone
    }

    /// Appends an edit to the manifest, and begins the manifest again if it has grown long. Returns
    /// the bytes written.
    async fn log_edit(&self, manifest: &mut Manifest, edit: &Edit, after: &Version) -> Result<u64> {
        let written = manifest.append(edit).await?;
        if !manifest.is_long() {
            return Ok(written);
        }
        add(&self.core.counters().mine().manifest_rolls, 1);
        let number = self.new_number();
        let rolled = manifest
            .roll(self.core.env(), self.core.directory(), number, after)
            .await?;
        Ok(written + rolled)
    }

    /// Begins the manifest again with the state in force: an edit that failed is then not read
    /// back. Needs a failure that keeps other edits from being made.
    ///
    /// # Errors
    /// I/O errors. Then either manifest is in force, and both lead to the same state, but for edits
    /// whose failure is known.
    pub(crate) async fn renew_manifest(&self) -> Result<()> {
        let mut manifest = self.manifest.lock().await;
        let number = self.new_number();
        let version = self.version();
        add(&self.core.counters().mine().manifest_rolls, 1);
        let (env, directory) = (self.core.env(), self.core.directory());
        let written = manifest.roll(env, directory, number, &version).await?;
        add(&self.core.counters().mine().manifest_bytes, written);
        Ok(())
    }

    /// Makes the names of new files durable. A failure stops writes: names that others made may be
    /// lost with it.
    pub(crate) async fn sync_directory(&self) -> Result<()> {
        let synced = self.core.sync_directory().await;
        synced.inspect_err(|error| self.lifecycle.set_poison(error))
    }

    /// Makes a value file durable that writers append to. A failure stops writes: what they wrote
    /// may be lost with it.
    pub(crate) async fn sync_values(&self, file: &ValueFile) -> Result<()> {
        let synced = file.sync().await;
        synced.inspect_err(|error| self.lifecycle.set_poison(error))
    }

    /// Keeps edits from being made for as long as the guard is held.
    pub(crate) async fn hold_manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().await
    }

    /// How far the log that is being written is known to be on the device.
    pub(crate) fn log_durable(&self) -> LogPart {
        *lock(&self.log_durable)
    }

    /// Notes how far the log that is being written is on the device: the next edit says so.
    pub(crate) fn set_log_durable(&self, part: LogPart) {
        *lock(&self.log_durable) = part;
    }

    /// Makes a snapshot of the last published write. Returns its sequence number.
    pub(crate) fn pin(&self) -> Sequence {
        let mut snapshots = lock(&self.snapshots);
        // Under the lock by which jobs learn of snapshots: none begins between the look and the
        // entry.
        let sequence = self.published();
        *snapshots.entry(sequence).or_default() += 1;
        sequence
    }

    /// Gives a snapshot back.
    pub(crate) fn unpin(&self, sequence: Sequence) {
        let mut snapshots = lock(&self.snapshots);
        if let Some(count) = snapshots.get_mut(&sequence) {
            *count -= 1;
            if *count == 0 {
                snapshots.remove(&sequence);
            }
        }
        drop(snapshots);
        let has_deadlines = self.core.policies().picker_asks == Asks::Deletions;
        if has_deadlines || !self.load().version.ranges.is_empty() {
            // Tables and tombstones that nobody sees any more may be dropped.
            self.lifecycle.signals().work_is_due();
        }
    }

    /// The snapshots held, in order.
    pub(crate) fn snapshots(&self) -> Vec<Sequence> {
        lock(&self.snapshots).keys().copied().collect()
    }

    /// The oldest snapshot held, if there is a snapshot.
    pub(crate) fn oldest_snapshot(&self) -> Option<Sequence> {
        lock(&self.snapshots).keys().next().copied()
    }
}
