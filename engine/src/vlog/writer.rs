//! Writing values: compressed and framed by each writer for itself, appended by the leader of the commit group.

use std::path::PathBuf;
use std::sync::Arc;

use super::format::{MAGIC, encode};
use crate::codec::compress;
use crate::config::Compression;
use crate::env::{Env, File, Work};
use crate::error::{Error, Result};
use crate::storage::ValuePointer;

/// Values of one batch, framed and ready to append. Their pointers count from the start of the frames.
#[derive(Default)]
pub(crate) struct StagedValues {
    /// The frames, one after the other.
    pub(crate) frames: Vec<u8>,
    /// A pointer a frame, in order.
    pub(crate) pointers: Vec<ValuePointer>,
}

impl StagedValues {
    /// Compresses and frames one value.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8], compression: Compression, work: &mut Work) {
        let packed = compress(compression, value, work);
        let compression = if packed.is_some() { compression } else { Compression::None };
        let stored = packed.as_deref().unwrap_or(value);
        let offset = self.frames.len() as u64;
        let raw_bytes = value.len() as u32;
        let checksum = encode(&mut self.frames, key, stored, raw_bytes, compression);
        work.bytes_checksummed += stored.len() as u64;
        work.bytes_copied += stored.len() as u64;
        let stored_bytes = stored.len() as u32;
        self.pointers.push(ValuePointer { file: 0, offset, stored_bytes, raw_bytes, compression, checksum });
    }
}

/// The value file being filled.
pub(crate) struct ValueLogWriter {
    /// Its number.
    pub(crate) number: u64,
    file: Arc<dyn File>,
    path: PathBuf,
    bytes: u64,
    synced: u64,
}

impl ValueLogWriter {
    /// Creates value file `number`.
    pub(crate) async fn create(env: &Env, path: PathBuf, number: u64) -> Result<Self> {
        let file = env.fs.create(&path).map_err(|error| Error::io("create", &path, error))?;
        file.append(MAGIC).await.map_err(|error| Error::io("append to", &path, error))?;
        Ok(Self { number, file, path, bytes: MAGIC.len() as u64, synced: 0 })
    }

    /// The open file, for readers.
    pub(crate) fn file(&self) -> Arc<dyn File> {
        self.file.clone()
    }

    /// Its path.
    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Bytes appended.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends staged frames and makes their pointers point at them.
    pub(crate) async fn append(&mut self, staged: &mut StagedValues) -> Result<()> {
        let start = self.bytes;
        self.file.append(&staged.frames).await.map_err(|error| Error::io("append to", &self.path, error))?;
        self.bytes += staged.frames.len() as u64;
        for pointer in &mut staged.pointers {
            pointer.file = self.number;
            pointer.offset += start;
        }
        Ok(())
    }

    /// Whether something was appended since the last sync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced < self.bytes
    }

    /// Makes everything appended so far durable.
    pub(crate) async fn sync(&mut self) -> Result<()> {
        let bytes = self.bytes;
        self.file.sync().await.map_err(|error| Error::io("sync", &self.path, error))?;
        self.synced = bytes;
        Ok(())
    }
}
