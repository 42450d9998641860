//! Writes a value file.

use std::path::Path;

use super::format::MAGIC;
use crate::directory::{Files, NamedFile};
use crate::env::{CpuWork, Env};
use crate::error::Result;

/// A value file being written.
pub(crate) struct ValueLogWriter {
    /// Its number.
    pub(crate) number: u64,
    file: NamedFile,
    bytes: u64,
    synced: u64,
}

impl ValueLogWriter {
    /// Creates value file `number`.
    pub(crate) async fn create(env: &Env, path: &Path, number: u64) -> Result<Self> {
        let file = Files::of(env).create(path)?;
        file.append(MAGIC).await?;
        Ok(Self {
            number,
            file,
            bytes: MAGIC.len() as u64,
            synced: 0,
        })
    }

    /// Returns the open file, for readers.
    pub(crate) fn file(&self) -> &NamedFile {
        &self.file
    }

    /// Returns the bytes appended so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reserves the next `bytes` bytes of the file, which the caller appends. Returns where they
    /// start.
    pub(super) fn reserve(&mut self, bytes: u64) -> u64 {
        let start = self.bytes;
        self.bytes += bytes;
        start
    }

    /// Appends `data`.
    pub(crate) async fn append(&mut self, data: &[u8]) -> Result<()> {
        self.file.append(data).await?;
        self.bytes += data.len() as u64;
        Ok(())
    }

    /// Appends `data`, and counts the system call.
    pub(crate) async fn append_counted(&mut self, data: &[u8], work: &mut CpuWork) -> Result<()> {
        work.system_calls += 1;
        self.append(data).await
    }

    /// Returns whether bytes were appended since the last sync.
    pub(crate) fn is_dirty(&self) -> bool {
        self.synced < self.bytes
    }

    /// Registers that everything appended so far is durable.
    pub(super) fn set_synced(&mut self) {
        self.synced = self.bytes;
    }

    /// Makes everything appended so far durable.
    pub(crate) async fn sync(&mut self) -> Result<()> {
        self.file.sync().await?;
        self.set_synced();
        Ok(())
    }
}
