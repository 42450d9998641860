//! What a compaction does with the values that its entries point at: nothing, as a rule.
//!
//! A value that the separation policy would not separate any more comes back into the table:
//! databases leave key-value separation gradually, as compactions rewrite their tables. With
//! `gc_method = "compaction"` a value in a file that the collection policy has chosen is written
//! again, and its entry points there: BlobDB's and fjall's way. Either way the entry keeps its
//! sequence number, and the frame it pointed at becomes garbage in the edit that makes the output
//! live.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Scheduler;
use super::collection::gc_victims;
use super::new_files::NewFile;
use crate::config::GcMethod;
use crate::context::ReadContext;
use crate::directory::FileKind;
use crate::error::{Error, Result};
use crate::manifest::Version;
use crate::metrics::add;
use crate::state::{Core, Tree};
use crate::storage::{Entry, EntryKind, EntryRef, ValuePointer};
use crate::values::format::{decode, frame_bytes};
use crate::values::{Garbage, ValueFile, ValueFileState, ValueLogWriter, discard};

/// The values of one compaction.
pub(super) struct Values<'a> {
    core: &'a Core,
    tree: &'a Tree,
    version: Arc<Version>,
    /// Files on disk whose values are written again.
    victims: BTreeSet<u64>,
    writers: Vec<(ValueLogWriter, NewFile)>,
    /// Bytes read and written so far to write values again.
    pub(super) moved_bytes: u64,
}

impl<'a> Values<'a> {
    /// The values of a compaction that begins now.
    pub(super) fn new(core: &'a Core, tree: &'a Tree, scheduler: &Scheduler) -> Result<Self> {
        let version = tree.version();
        let victims = match core.config().value_log.gc_method {
            GcMethod::Rewrite => BTreeSet::new(),
            GcMethod::Compaction => gc_victims(core, scheduler, &version, true)?
                .map(|victims| victims.files)
                .unwrap_or_default(),
        };
        Ok(Self {
            core,
            tree,
            version,
            victims,
            writers: Vec::new(),
            moved_bytes: 0,
        })
    }

    /// The entry as it is written, if its value moves; what it no longer points at is added to
    /// `garbage`. A value that does not read back stays where it is, for a reader to find out.
    pub(super) async fn rewrite(
        &mut self,
        entry: EntryRef<'_>,
        garbage: &mut Garbage,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Entry>> {
        let Some(pointer) = entry.pointer() else {
            return Ok(None);
        };
        let version = self.version.clone();
        let Some(state) = version.value_files.get(&pointer.file) else {
            return Ok(None);
        };
        let rewritten = if self.comes_back(entry, &pointer) {
            self.inline(entry, &pointer, state, context).await.map(Some)
        } else {
            self.relocate(entry, &pointer, state, context).await
        };
        match rewritten {
            Ok(Some(rewritten)) => {
                discard(garbage, entry);
                Ok(Some(rewritten))
            }
            Ok(None) | Err(Error::Corruption { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a value comes back into the table.
    fn comes_back(&self, entry: EntryRef<'_>, pointer: &ValuePointer) -> bool {
        let policies = self.core.policies();
        self.core.config().value_log.inline_again
            && !policies
                .separation
                .separate(entry.key.len(), pointer.raw_bytes as usize)
    }

    /// The entry with its value in place of the pointer.
    async fn inline(
        &self,
        entry: EntryRef<'_>,
        pointer: &ValuePointer,
        state: &ValueFileState,
        context: &mut ReadContext<'_>,
    ) -> Result<Entry> {
        let value = state.get(entry.key, pointer, context).await?;
        add(&self.core.counters().mine().values_inlined, 1);
        Ok(entry.with_value(EntryKind::Put, value))
    }

    /// The entry with a pointer to where its value was written again; None if its file was not
    /// chosen.
    async fn relocate(
        &mut self,
        entry: EntryRef<'_>,
        pointer: &ValuePointer,
        state: &ValueFileState,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Entry>> {
        if !self.victims.contains(&state.file.number) {
            return Ok(None);
        }
        let place = state.place(pointer.offset)?;
        let bytes = frame_bytes(entry.key.len(), pointer.stored_bytes);
        context.work.system_calls += 1;
        let frame = state.file.read(place, bytes).await?;
        if decode(&frame, entry.key, pointer.checksum, &mut context.work).is_none() {
            let what = "the value's frame does not match its pointer";
            return Err(Error::corruption(state.file.path(), place, what));
        }
        let core = self.core;
        let writer = self.writer().await?;
        let moved = ValuePointer {
            file: writer.number,
            offset: writer.bytes(),
            ..*pointer
        };
        context.work.bytes_copied += frame.len() as u64;
        writer.append_counted(&frame, &mut context.work).await?;
        self.moved_bytes += 2 * frame.len() as u64;
        let mine = core.counters().mine();
        add(&mine.gc_write_bytes, frame.len() as u64);
        add(&mine.values_relocated, 1);
        let value = moved.encode().to_vec().into();
        Ok(Some(entry.with_value(EntryKind::Pointer, value)))
    }

    /// The value file that is being filled; a new one if the last is full.
    async fn writer(&mut self) -> Result<&mut ValueLogWriter> {
        let full = self.core.config().value_log.file.as_u64();
        let last = self.writers.last();
        if last.is_none_or(|(writer, _)| writer.bytes() >= full) {
            let env = self.core.env();
            let number = self.tree.new_number();
            let path = FileKind::Values.path(self.core.directory(), number);
            let unfinished = NewFile::new(&env.fs, &path);
            let writer = ValueLogWriter::create(env, &path, number).await?;
            self.writers.push((writer, unfinished));
        }
        let (writer, _) = self.writers.last_mut().expect("just pushed");
        Ok(writer)
    }

    /// Makes the files durable that values were written to. Returns them with their bytes.
    pub(super) async fn finish(&mut self) -> Result<Vec<(Arc<ValueFile>, u64)>> {
        for (writer, _) in &mut self.writers {
            writer.sync().await?;
        }
        let mut files = Vec::new();
        for (writer, unfinished) in std::mem::take(&mut self.writers) {
            let fs = self.core.env().fs.clone();
            let file = ValueFile::new(writer.number, writer.file().clone(), fs);
            files.push((Arc::new(file), writer.bytes()));
            unfinished.keep();
        }
        Ok(files)
    }
}
