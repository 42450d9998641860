//! What the set of live files knows about a value file.

use std::sync::Arc;

use super::format::MAGIC;
use super::{Extents, ReadyValue, ValueFile};
use crate::context::ReadContext;
use crate::error::{Error, Result};
use crate::storage::{Value, ValuePointer};

/// What the manifest says about a value file, by the number that pointers name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ValueFacts {
    /// The file on disk that holds its frames: itself until it is collected.
    pub(crate) physical: u64,
    /// Its bytes once it is sealed. Every frame is then durable, and referenced by a table or
    /// garbage.
    pub(crate) sealed_bytes: Option<u64>,
    /// End of the accounted frames of an unsealed file: every frame before it is referenced by a
    /// table or garbage.
    pub(crate) accounted: u64,
    /// Extents of the file on disk that nothing points to any more.
    pub(crate) dead: Arc<Extents>,
}

impl ValueFacts {
    /// Returns the facts of a file just created.
    pub(crate) fn opened(number: u64) -> Self {
        Self {
            physical: number,
            sealed_bytes: None,
            accounted: MAGIC.len() as u64,
            dead: Arc::default(),
        }
    }
}

/// A value file with its facts.
#[derive(Clone)]
pub(crate) struct ValueFileState {
    /// The number that pointers name.
    pub(crate) number: u64,
    /// What the manifest says about it.
    pub(crate) facts: ValueFacts,
    /// The open file on disk.
    pub(crate) file: Arc<ValueFile>,
}

impl ValueFileState {
    /// Returns whether the file is sealed. An unsealed file may still grow, or hold frames that
    /// only a log points to.
    pub(crate) fn is_sealed(&self) -> bool {
        self.facts.sealed_bytes.is_some()
    }

    /// Returns the extents of its frames in the file on disk, by the offsets that pointers name.
    pub(crate) fn extents(&self) -> Result<Vec<(u64, u64)>> {
        if let Some(section) = self.file.section(self.number) {
            return Ok(section.extents().to_vec());
        }
        Ok(vec![(MAGIC.len() as u64, self.frames_end()?)])
    }

    /// Returns where the frames of a file end that was never collected.
    fn frames_end(&self) -> Result<u64> {
        match self.facts.sealed_bytes {
            Some(bytes) => Ok(bytes),
            None => self.file.bytes(),
        }
    }

    /// Returns where the frames of the file on disk end. Nothing is asked of a file that no longer
    /// grows: it may be closed.
    pub(crate) fn disk_frames_end(&self) -> Result<u64> {
        self.file.map_start().map_or_else(|| self.frames_end(), Ok)
    }

    /// Returns the bytes of its frames in the file on disk.
    pub(crate) fn frames_bytes(&self) -> Result<u64> {
        if let Some(section) = self.file.section(self.number) {
            return Ok(section.bytes());
        }
        Ok(self.frames_end()?.saturating_sub(MAGIC.len() as u64))
    }

    /// Returns the extents of its frames that something points to.
    pub(crate) fn live_extents(&self) -> Result<Vec<(u64, u64)>> {
        let mut live = Vec::new();
        for (start, end) in self.extents()? {
            live.extend(self.facts.dead.gaps(start, end));
        }
        Ok(live)
    }

    /// Returns the bytes of its frames that something points to.
    pub(crate) fn live_bytes(&self) -> Result<u64> {
        Ok(self.frames_bytes()?.saturating_sub(self.facts.dead.bytes()))
    }

    /// Returns how many times its frames were copied.
    pub(crate) fn collections(&self) -> u32 {
        let section = self.file.section(self.number);
        section.map_or(0, |section| section.collections)
    }

    /// Returns where in the file on disk the byte lies that pointers know at `offset`.
    pub(crate) fn place(&self, offset: u64) -> Result<u64> {
        if !self.file.is_collected() {
            return Ok(offset);
        }
        let section = self.file.section(self.number);
        let place = section.and_then(|section| section.place(offset));
        place.ok_or_else(|| {
            let what = format!(
                "a pointer names offset {offset} of value file {}, which was not kept",
                self.number
            );
            Error::corruption(self.file.path(), 0, what)
        })
    }

    /// Reads the value of `pointer` and checks it against `key`.
    ///
    /// # Errors
    /// I/O errors, and [`Error::Corruption`] if the frame is not the one the pointer was made for.
    pub(crate) async fn get(
        &self,
        key: &[u8],
        pointer: &ValuePointer,
        context: &mut ReadContext<'_>,
    ) -> Result<Value> {
        let place = self.place(pointer.offset)?;
        self.file.get(key, pointer, place, context).await
    }

    /// Reads like [`get`](Self::get), for a scan, if that needs no wait; None if it does. See
    /// [`ValueFile::get_ready`] for `buffer`.
    pub(crate) fn get_ready(
        &self,
        key: &[u8],
        pointer: &ValuePointer,
        buffer: &mut Vec<u8>,
        context: &mut ReadContext<'_>,
    ) -> Option<Result<ReadyValue>> {
        match self.place(pointer.offset) {
            Ok(place) => self.file.get_ready(key, pointer, place, buffer, context),
            Err(error) => Some(Err(error)),
        }
    }
}
