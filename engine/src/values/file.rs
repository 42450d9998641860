//! A value file on disk, and reading values from it through the cache.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_policies::cache::BlockKind;

use super::Section;
use super::format::{MAGIC, TRAILER_BYTES, decode, decode_map, frame_bytes, map_bytes};
use crate::cache::{BlockId, CacheKey, Object};
use crate::codec::decompress;
use crate::context::ReadContext;
use crate::env::{File, Fs};
use crate::error::{Error, Result};
use crate::storage::{Value, ValuePointer};

/// A value file that readers hold. Removed from disk when it is obsolete and the last reader lets go.
pub(crate) struct ValueFile {
    /// Its number on disk. Pointers name the file where the value was first written, which may be another.
    pub(crate) number: u64,
    path: PathBuf,
    file: Arc<dyn File>,
    fs: Arc<dyn Fs>,
    /// What a collected file holds; empty for one that writers filled.
    sections: Vec<Section>,
    /// Where the map of a collected file starts.
    map_start: Option<u64>,
    obsolete: AtomicBool,
}

impl ValueFile {
    /// A value file that writers fill, open already.
    pub(crate) fn new(number: u64, path: PathBuf, file: Arc<dyn File>, fs: Arc<dyn Fs>) -> Self {
        Self {
            number,
            path,
            file,
            fs,
            sections: Vec::new(),
            map_start: None,
            obsolete: AtomicBool::new(false),
        }
    }

    /// A collected file that has just been written.
    #[must_use]
    pub(crate) fn collected(mut self, sections: Vec<Section>, map_start: u64) -> Self {
        (self.sections, self.map_start) = (sections, Some(map_start));
        self
    }

    /// The same, with the map of a collected file.
    ///
    /// # Errors
    /// I/O errors, and [`Error::Corruption`] where the map does not read back.
    pub(crate) async fn read_map(self) -> Result<Self> {
        let end = self.bytes()?;
        let damaged =
            |offset| self.damaged(offset, "the map of a collected file does not read back");
        let trailer_start = end
            .checked_sub(TRAILER_BYTES as u64)
            .ok_or_else(|| damaged(0))?;
        let trailer = self.read(trailer_start, TRAILER_BYTES).await?;
        let map_start =
            map_bytes(&trailer).and_then(|bytes| trailer_start.checked_sub(bytes as u64));
        let map_start = map_start
            .filter(|start| *start >= MAGIC.len() as u64)
            .ok_or_else(|| damaged(trailer_start))?;
        let map = self.read(map_start, (end - map_start) as usize).await?;
        let sections = decode_map(&map).ok_or_else(|| damaged(map_start))?;
        Ok(self.collected(sections, map_start))
    }

    /// The error for bytes at `offset` that are not those that were written.
    pub(crate) fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::corruption(&self.path, offset, what)
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> Result<u64> {
        self.file
            .bytes()
            .map_err(|error| Error::io("measure", &self.path, error))
    }

    /// Where its frames end.
    pub(crate) fn frames_end(&self) -> Result<u64> {
        self.map_start.map_or_else(|| self.bytes(), Ok)
    }

    /// What it holds of older files, where it is a collected one.
    pub(crate) fn section(&self, file: u64) -> Option<&Section> {
        self.sections.iter().find(|section| section.file == file)
    }

    /// The numbers that pointers name of the older files that it holds something of, where it is a collected one.
    pub(crate) fn files_held(&self) -> Vec<u64> {
        self.sections.iter().map(|section| section.file).collect()
    }

    /// Whether it says the same of what it holds of older files.
    pub(crate) fn has_map_of(&self, other: &Self) -> bool {
        (&self.sections, self.map_start) == (&other.sections, other.map_start)
    }

    /// Whether garbage collection wrote it.
    pub(crate) fn is_collected(&self) -> bool {
        self.map_start.is_some()
    }

    /// Makes everything appended so far durable.
    pub(crate) async fn sync(&self) -> Result<()> {
        self.file
            .sync()
            .await
            .map_err(|error| Error::io("sync", &self.path, error))
    }

    /// Says that nothing more is written to it.
    pub(crate) fn finish(&self) {
        self.file.finish();
    }

    /// Exactly `bytes` bytes at `offset`, past the cache.
    pub(crate) async fn read(&self, offset: u64, bytes: usize) -> Result<bytes::Bytes> {
        self.file
            .read_at(offset, bytes)
            .await
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => Error::corruption(
                    &self.path,
                    offset,
                    format!("the file ends before the {bytes} bytes that lie here"),
                ),
                _ => Error::io("read", &self.path, error),
            })
    }

    /// Nothing points at it any more: it goes when the last reader lets go.
    pub(crate) fn set_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// The value that `pointer` names, whose frame lies at `place`, checked against `key`.
    ///
    /// # Errors
    /// I/O errors, and [`Error::Corruption`] where the frame is not the one the pointer was made for.
    pub(crate) async fn get(
        &self,
        key: &[u8],
        pointer: &ValuePointer,
        place: u64,
        context: &mut ReadContext<'_>,
    ) -> Result<Value> {
        let name = CacheKey::part(
            BlockKind::Value,
            BlockId {
                file: pointer.file,
                offset: pointer.offset,
            },
        );
        if let Some((Object::Bytes(value), _)) = context.ask(&name) {
            return Ok(value);
        }
        let bytes = frame_bytes(key.len(), pointer.stored_bytes);
        let frame = context.read(&*self.file, &self.path, place, bytes).await?;
        let damaged = |what: &str| self.damaged(place, what);
        context.work.bytes_checksummed += bytes as u64;
        let stored = decode(&frame, key, pointer.checksum)
            .ok_or_else(|| damaged("the value's frame does not match its pointer"))?;
        let value = decompress(
            pointer.compression,
            &stored,
            pointer.raw_bytes as usize,
            &mut context.work,
        )
        .ok_or_else(|| damaged("the value does not decompress"))?;
        context.offer(&name, &Object::Bytes(value.clone()), 1);
        Ok(value)
    }
}

impl Drop for ValueFile {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Acquire) {
            // A file that cannot be removed now is removed when the directory is next opened.
            let _ = self.fs.remove(&self.path);
        }
    }
}
