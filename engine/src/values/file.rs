//! A value file on disk, and reads of its values through the cache.

use std::ops;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_policies::cache::BlockKind;
use bytes::Bytes;

use super::Section;
use super::format::{MAGIC, TRAILER_BYTES, decode, decode_map, frame_bytes, map_bytes};
use crate::cache::{BlockId, CacheKey, Object};
use crate::codec::decompress;
use crate::config::Compression;
use crate::context::ReadContext;
use crate::directory::NamedFile;
use crate::env::Fs;
use crate::error::{Error, Result};
use crate::storage::{Value, ValuePointer};

/// The longest frame that is read without a wait.
const READY_BYTES_MAX: usize = 1 << 20;

/// A value that a scan need not wait for.
pub(crate) enum ReadyValue {
    /// A part of the buffer that values are read into.
    Within(ops::Range<usize>),
    /// A value of its own, which the cache holds or which was compressed.
    Apart(Value),
}

impl ReadyValue {
    /// Returns the value, where `buffer` is what values were read into.
    pub(crate) fn within(self, buffer: &Bytes) -> Value {
        match self {
            Self::Within(range) => buffer.slice(range),
            Self::Apart(value) => value,
        }
    }
}

/// A value file that readers hold. Once obsolete, it is removed from disk when its last reader
/// drops it.
pub(crate) struct ValueFile {
    /// Its number on disk. Pointers name the file where the value was first written, which may be
    /// another one.
    pub(crate) number: u64,
    file: NamedFile,
    fs: Arc<dyn Fs>,
    /// The sections of a collected file; empty for a file that writers filled.
    sections: Vec<Section>,
    /// Where the map of a collected file starts.
    map_start: Option<u64>,
    obsolete: AtomicBool,
}

impl ValueFile {
    /// Creates the handle of an open file that writers fill.
    pub(crate) fn new(number: u64, file: NamedFile, fs: Arc<dyn Fs>) -> Self {
        Self {
            number,
            file,
            fs,
            sections: Vec::new(),
            map_start: None,
            obsolete: AtomicBool::new(false),
        }
    }

    /// Turns the handle into that of a collected file just written.
    #[must_use]
    pub(crate) fn collected(mut self, sections: Vec<Section>, map_start: u64) -> Self {
        self.sections = sections;
        self.map_start = Some(map_start);
        self
    }

    /// Turns the handle into that of a collected file, after reading its map.
    ///
    /// # Errors
    /// I/O errors, and [`Error::Corruption`] if the map is damaged.
    pub(crate) async fn read_map(self) -> Result<Self> {
        let end = self.bytes()?;
        let damaged = |offset| self.damaged(offset, "the map of a collected file is damaged");
        let Some(trailer_start) = end.checked_sub(TRAILER_BYTES as u64) else {
            return Err(damaged(0));
        };
        let trailer = self.read(trailer_start, TRAILER_BYTES).await?;
        let bytes = map_bytes(&trailer).ok_or_else(|| damaged(trailer_start))?;
        let map_start = trailer_start.checked_sub(bytes as u64);
        let map_start = map_start.filter(|start| *start >= MAGIC.len() as u64);
        let map_start = map_start.ok_or_else(|| damaged(trailer_start))?;
        let map = self.read(map_start, (end - map_start) as usize).await?;
        let sections = decode_map(&map).ok_or_else(|| damaged(map_start))?;
        Ok(self.collected(sections, map_start))
    }

    /// Returns the error for damaged bytes at `offset`.
    pub(crate) fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::corruption(self.path(), offset, what)
    }

    /// Returns the file's path.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Returns the bytes on disk.
    pub(crate) fn bytes(&self) -> Result<u64> {
        self.file.bytes()
    }

    /// Returns where the map of a collected file starts.
    pub(super) fn map_start(&self) -> Option<u64> {
        self.map_start
    }

    /// Returns where the frames end.
    pub(crate) fn frames_end(&self) -> Result<u64> {
        self.map_start.map_or_else(|| self.bytes(), Ok)
    }

    /// Returns the section of value file `file`, if this is a collected file that holds it.
    pub(crate) fn section(&self, file: u64) -> Option<&Section> {
        self.sections.iter().find(|section| section.file == file)
    }

    /// Returns the numbers of the value files whose frames a collected file holds.
    pub(crate) fn files_held(&self) -> Vec<u64> {
        self.sections.iter().map(|section| section.file).collect()
    }

    /// Returns whether both files have the same map.
    pub(crate) fn has_map_of(&self, other: &Self) -> bool {
        self.sections == other.sections && self.map_start == other.map_start
    }

    /// Returns whether garbage collection wrote the file.
    pub(crate) fn is_collected(&self) -> bool {
        self.map_start.is_some()
    }

    /// Makes everything appended so far durable.
    pub(crate) async fn sync(&self) -> Result<()> {
        self.file.sync().await
    }

    /// States that nothing more will be written.
    pub(crate) fn finish(&self) {
        self.file.file().finish();
    }

    /// Reads exactly `bytes` bytes at `offset`, without the cache.
    pub(crate) async fn read(&self, offset: u64, bytes: usize) -> Result<Bytes> {
        let what = || format!("the file ends inside the {bytes} bytes that start here");
        self.file.read_exactly(offset, bytes, what).await
    }

    /// Marks the file as no longer referenced. It is removed when its last reader drops it.
    pub(crate) fn set_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// Reads the value of `pointer`, whose frame lies at `place`, and checks it against `key`.
    ///
    /// # Errors
    /// I/O errors, and [`Error::Corruption`] if the frame is not the one the pointer was made for.
    pub(crate) async fn get(
        &self,
        key: &[u8],
        pointer: &ValuePointer,
        place: u64,
        context: &mut ReadContext<'_>,
    ) -> Result<Value> {
        let name = name_of(pointer);
        if let Some((Object::Bytes(value), _)) = context.ask(&name) {
            return Ok(value);
        }
        let bytes = frame_bytes(key.len(), pointer.stored_bytes);
        let frame = context.read(&self.file, place, bytes).await?;
        let stored = self.stored_in(&frame, key, pointer, place, context)?;
        let value = self.unpack(&frame.slice_ref(stored), pointer, place, context)?;
        context.offer(&name, &Object::Bytes(value.clone()), 1);
        Ok(value)
    }

    /// Reads like [`get`](Self::get), for a scan, if that needs no wait; None if it does. What the
    /// page cache holds is appended to `buffer`, for room in the cache costs as much as the system
    /// call that it would spare.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub(crate) fn get_ready(
        &self,
        key: &[u8],
        pointer: &ValuePointer,
        place: u64,
        buffer: &mut Vec<u8>,
        context: &mut ReadContext<'_>,
    ) -> Option<Result<ReadyValue>> {
        let name = name_of(pointer);
        if let Some(Object::Bytes(value)) = context.ask_if_held(&name) {
            return Some(Ok(ReadyValue::Apart(value)));
        }
        let bytes = frame_bytes(key.len(), pointer.stored_bytes);
        if bytes > READY_BYTES_MAX {
            return None;
        }
        let start = buffer.len();
        buffer.resize(start + bytes, 0);
        let Some(read) = context.read_ready(&self.file, place, &mut buffer[start..]) else {
            buffer.truncate(start);
            return None;
        };
        context.pass_by(&name, pointer.raw_bytes.into());
        let frame = &buffer[start..];
        let stored = read.and_then(|()| self.stored_in(frame, key, pointer, place, context));
        Some(match (stored, pointer.compression) {
            (Ok(stored), Compression::None) if stored.len() == pointer.raw_bytes as usize => Ok(
                ReadyValue::Within(buffer.len() - stored.len()..buffer.len()),
            ),
            (Ok(stored), _) => {
                let stored = Bytes::copy_from_slice(stored);
                let value = self.unpack(&stored, pointer, place, context);
                value.map(ReadyValue::Apart)
            }
            (Err(error), _) => Err(error),
        })
    }

    /// Checks the frame of a value, and returns the value as it is stored.
    fn stored_in<'a>(
        &self,
        frame: &'a [u8],
        key: &[u8],
        pointer: &ValuePointer,
        place: u64,
        context: &mut ReadContext<'_>,
    ) -> Result<&'a [u8]> {
        decode(frame, key, pointer.checksum, &mut context.work)
            .ok_or_else(|| self.damaged(place, "the value's frame does not match its pointer"))
    }

    fn unpack(
        &self,
        stored: &Bytes,
        pointer: &ValuePointer,
        place: u64,
        context: &mut ReadContext<'_>,
    ) -> Result<Value> {
        decompress(
            pointer.compression,
            stored,
            pointer.raw_bytes as usize,
            &mut context.work,
        )
        .ok_or_else(|| self.damaged(place, "the value does not decompress"))
    }
}

/// Returns the cache key of a value.
fn name_of(pointer: &ValuePointer) -> CacheKey<'static> {
    CacheKey::part(
        BlockKind::Value,
        BlockId {
            file: pointer.file,
            offset: pointer.offset,
        },
    )
}

impl Drop for ValueFile {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Acquire) {
            // If it cannot be removed now, the next opening of the directory removes it.
            let _ = self.fs.remove(self.path());
        }
    }
}
