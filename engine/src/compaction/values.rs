//! What a compaction does with the values that its entries point at: nothing, as a rule.
//!
//! A value that the separation policy would not separate any more comes back into the table: the way out of key-value
//! separation, taken as far as compactions come by. With `gc_method = "compaction"` a value in a file that the collection
//! policy has chosen is written anew, and its entry points there: BlobDB's and fjall's way. Either way the entry keeps its
//! sequence number, and the frame it pointed at becomes garbage in the edit that makes the output live.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::compaction::new_files::NewFile;
use crate::config::GcMethod;
use crate::context::ReadContext;
use crate::directory::FileKind;
use crate::error::{Error, Result};
use crate::manifest::Version;
use crate::metrics::add;
use crate::state::Inner;
use crate::storage::{Entry, EntryKind, ValuePointer};
use crate::values::format::{decode, frame_bytes};
use crate::values::{Garbage, ValueFile, ValueLogWriter, discard};

/// The values of one compaction.
pub(crate) struct Values<'a> {
    inner: &'a Inner,
    version: Arc<Version>,
    /// Files on disk whose values are written anew.
    victims: BTreeSet<u64>,
    writers: Vec<(ValueLogWriter, NewFile)>,
    /// Bytes read and written so far to write values anew.
    pub(crate) moved_bytes: u64,
}

impl<'a> Values<'a> {
    /// Of a compaction that begins now.
    pub(crate) fn new(inner: &'a Inner) -> Result<Self> {
        let version = inner.view.load().version.clone();
        let victims = match inner.config().value_log.gc_method {
            GcMethod::Rewrite => BTreeSet::new(),
            GcMethod::Compaction => inner
                .gc_victims(&version, true)?
                .map(|victims| victims.files)
                .unwrap_or_default(),
        };
        Ok(Self {
            inner,
            version,
            victims,
            writers: Vec::new(),
            moved_bytes: 0,
        })
    }

    /// The entry as it is written; what it no longer points at is `garbage`. A value that does not read back stays where it is,
    /// for a reader to be told of.
    pub(crate) async fn settle(
        &mut self,
        entry: &Entry,
        garbage: &mut Garbage,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Entry>> {
        let Some(pointer) = entry.pointer() else {
            return Ok(None);
        };
        let policy = &self.inner.policies().separation;
        let settings = &self.inner.config().value_log;
        let settled = if settings.inline_again
            && !policy.separate(entry.key.len(), pointer.raw_bytes as usize)
        {
            self.inline(entry, &pointer, context).await
        } else {
            self.relocate(entry, &pointer).await
        };
        match settled {
            Ok(Some(settled)) => {
                discard(garbage, entry);
                Ok(Some(settled))
            }
            Ok(None) | Err(Error::Corruption { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn inline(
        &self,
        entry: &Entry,
        pointer: &ValuePointer,
        context: &mut ReadContext<'_>,
    ) -> Result<Option<Entry>> {
        let Some(state) = self.version.value_files.get(&pointer.file) else {
            return Ok(None);
        };
        let value = state.get(&entry.key, pointer, context).await?;
        add(&self.inner.counters.mine().values_inlined, 1);
        Ok(Some(Entry {
            kind: EntryKind::Put,
            value,
            ..entry.clone()
        }))
    }

    async fn relocate(&mut self, entry: &Entry, pointer: &ValuePointer) -> Result<Option<Entry>> {
        let Some(state) = self.version.value_files.get(&pointer.file) else {
            return Ok(None);
        };
        if !self.victims.contains(&state.file.number) {
            return Ok(None);
        }
        let place = state.place(pointer.offset)?;
        let frame = state
            .file
            .read(place, frame_bytes(entry.key.len(), pointer.stored_bytes))
            .await?;
        decode(&frame, &entry.key, pointer.checksum).ok_or_else(|| {
            Error::corruption(
                state.file.path(),
                place,
                "the value's frame does not match its pointer",
            )
        })?;
        let inner = self.inner;
        let full = inner.config().value_log.file.as_u64();
        if self
            .writers
            .last()
            .is_none_or(|(writer, _)| writer.bytes() >= full)
        {
            let number = inner.new_number();
            let path = FileKind::Values.path(&inner.directory, number);
            let unfinished = NewFile::new(&inner.env.fs, &path);
            let writer = ValueLogWriter::create(&inner.env, path, number).await?;
            self.writers.push((writer, unfinished));
        }
        let (writer, _) = self.writers.last_mut().expect("just pushed");
        let moved = ValuePointer {
            file: writer.number,
            offset: writer.bytes(),
            ..*pointer
        };
        writer.append(&frame).await?;
        self.moved_bytes += 2 * frame.len() as u64;
        add(&inner.counters.mine().gc_write_bytes, frame.len() as u64);
        add(&inner.counters.mine().values_relocated, 1);
        Ok(Some(Entry {
            value: moved.encode().to_vec().into(),
            ..entry.clone()
        }))
    }

    /// Makes the files durable that values were written to, and returns them with their bytes.
    pub(crate) async fn finish(&mut self) -> Result<Vec<(Arc<ValueFile>, u64)>> {
        for (writer, _) in &mut self.writers {
            writer.sync().await?;
        }
        let mut files = Vec::new();
        for (writer, unfinished) in std::mem::take(&mut self.writers) {
            let path = writer.path().to_path_buf();
            let fs = self.inner.env.fs.clone();
            let file = ValueFile::new(writer.number, path, writer.file(), fs);
            files.push((Arc::new(file), writer.bytes()));
            unfinished.keep();
        }
        Ok(files)
    }
}
