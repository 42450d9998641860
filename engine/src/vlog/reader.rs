//! Reading values, through the cache.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_policies::cache::Kind;

use super::format::{decode, frame_bytes};
use crate::cache::{BlockId, Name, Object};
use crate::codec::decompress;
use crate::context::ReadContext;
use crate::env::{File, Fs};
use crate::error::{Error, Result};
use crate::storage::{Value, ValuePointer};

/// A value file that readers hold. Removed from disk when it is obsolete and the last reader lets go.
pub(crate) struct ValueFile {
    path: PathBuf,
    file: Arc<dyn File>,
    fs: Arc<dyn Fs>,
    obsolete: AtomicBool,
}

impl ValueFile {
    /// A value file that is open already.
    pub(crate) fn new(path: PathBuf, file: Arc<dyn File>, fs: Arc<dyn Fs>) -> Self {
        Self { path, file, fs, obsolete: AtomicBool::new(false) }
    }

    /// The error for a value at `offset` that is not the one that was written.
    pub(crate) fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::corruption(&self.path, offset, what)
    }

    /// Bytes on disk.
    pub(crate) fn bytes(&self) -> Result<u64> {
        self.file.bytes().map_err(|error| Error::io("measure", &self.path, error))
    }

    /// Makes everything appended so far durable.
    pub(crate) async fn sync(&self) -> Result<()> {
        self.file.sync().await.map_err(|error| Error::io("sync", &self.path, error))
    }

    /// Whether the frame that `pointer` names is there, whole and made for `key`.
    pub(crate) async fn holds(&self, key: &[u8], pointer: &ValuePointer) -> Result<bool> {
        let bytes = frame_bytes(key.len(), pointer.stored_bytes);
        match self.file.read_at(pointer.offset, bytes).await {
            Ok(frame) => Ok(decode(&frame, key, pointer.checksum).is_some()),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(Error::io("read", &self.path, error)),
        }
    }

    /// Nothing points at it any more: it goes when the last reader lets go.
    pub(crate) fn set_obsolete(&self) {
        self.obsolete.store(true, Ordering::Release);
    }

    /// The value that `pointer` names, checked against `key`.
    ///
    /// # Errors
    /// I/O errors, and [`Error::Corruption`] where the frame is not the one the pointer was made for.
    pub(crate) async fn get(&self, key: &[u8], pointer: &ValuePointer, context: &mut ReadContext<'_>) -> Result<Value> {
        let name = Name::part(Kind::Value, BlockId { file: pointer.file, offset: pointer.offset });
        if let Some((Object::Bytes(value), _)) = context.ask(&name) {
            return Ok(value);
        }
        let bytes = frame_bytes(key.len(), pointer.stored_bytes);
        let frame = context.read(&*self.file, &self.path, pointer.offset, bytes).await?;
        let damaged = |what: &str| self.damaged(pointer.offset, what);
        context.work.bytes_checksummed += bytes as u64;
        let stored = decode(&frame, key, pointer.checksum)
            .ok_or_else(|| damaged("the value's frame does not match its pointer"))?;
        let value = decompress(pointer.compression, &stored, pointer.raw_bytes as usize, &mut context.work)
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
