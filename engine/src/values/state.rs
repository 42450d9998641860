//! What the set of live files knows of a value file.

use std::sync::Arc;

use super::format::MAGIC;
use super::{Extents, ValueFile};
use crate::context::ReadContext;
use crate::error::{Error, Result};
use crate::storage::{Value, ValuePointer};

/// What the manifest says of a value file, by the number that pointers name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ValueFacts {
    /// The file on disk that holds its frames: itself, until it was collected.
    pub(crate) physical: u64,
    /// Its bytes, once it is sealed: every frame is durable, and pointed at by a table or garbage.
    pub(crate) sealed_bytes: Option<u64>,
    /// Until it is sealed: up to where frames are pointed at by tables, or garbage.
    pub(crate) settled: u64,
    /// What nothing points at any more, of what the file on disk holds.
    pub(crate) dead: Arc<Extents>,
}

impl ValueFacts {
    /// A file that was just created.
    pub(crate) fn opened(number: u64) -> Self {
        Self {
            physical: number,
            sealed_bytes: None,
            settled: MAGIC.len() as u64,
            dead: Arc::default(),
        }
    }
}

/// A value file and what is known of it.
#[derive(Clone)]
pub(crate) struct ValueFileState {
    /// The number that pointers name.
    pub(crate) number: u64,
    /// What the manifest says.
    pub(crate) facts: ValueFacts,
    /// The open file on disk.
    pub(crate) file: Arc<ValueFile>,
}

impl ValueFileState {
    /// Whether it can still grow, or holds frames that only a log points at.
    pub(crate) fn is_sealed(&self) -> bool {
        self.facts.sealed_bytes.is_some()
    }

    /// The frames that the file on disk holds of it, as ranges of the offsets that pointers name.
    pub(crate) fn runs(&self) -> Result<Vec<(u64, u64)>> {
        Ok(match self.file.section(self.number) {
            Some(section) => section.runs().to_vec(),
            None => vec![(
                MAGIC.len() as u64,
                self.facts
                    .sealed_bytes
                    .map_or_else(|| self.file.bytes(), Ok)?,
            )],
        })
    }

    /// Bytes of those frames.
    pub(crate) fn frames_bytes(&self) -> Result<u64> {
        Ok(
            match (self.file.section(self.number), self.facts.sealed_bytes) {
                (Some(section), _) => section.bytes(),
                (None, Some(bytes)) => bytes.saturating_sub(MAGIC.len() as u64),
                (None, None) => self.file.bytes()?.saturating_sub(MAGIC.len() as u64),
            },
        )
    }

    /// The part of them that something points at.
    pub(crate) fn live_runs(&self) -> Result<Vec<(u64, u64)>> {
        Ok(self
            .runs()?
            .into_iter()
            .flat_map(|(start, end)| self.facts.dead.gaps(start, end))
            .collect())
    }

    /// Bytes that something points at.
    pub(crate) fn live_bytes(&self) -> Result<u64> {
        Ok(self.frames_bytes()?.saturating_sub(self.facts.dead.bytes()))
    }

    /// How often its frames were copied.
    pub(crate) fn collections(&self) -> u32 {
        self.file
            .section(self.number)
            .map_or(0, |section| section.collections)
    }

    /// Where in the file on disk the byte lies that pointers know at `offset`.
    pub(crate) fn place(&self, offset: u64) -> Result<u64> {
        if !self.file.is_collected() {
            return Ok(offset);
        }
        let place = self
            .file
            .section(self.number)
            .and_then(|section| section.place(offset));
        place.ok_or_else(|| {
            let what = format!(
                "a pointer names offset {offset} of value file {}, which was not kept",
                self.number
            );
            Error::corruption(self.file.path(), 0, what)
        })
    }

    /// The value that `pointer` names, checked against `key`.
    ///
    /// # Errors
    /// I/O errors, and [`Error::Corruption`] where the frame is not the one the pointer was made for.
    pub(crate) async fn get(
        &self,
        key: &[u8],
        pointer: &ValuePointer,
        context: &mut ReadContext<'_>,
    ) -> Result<Value> {
        self.file
            .get(key, pointer, self.place(pointer.offset)?, context)
            .await
    }
}
