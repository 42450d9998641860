//! Reads the frames of a value file one after another.

use bytes::Bytes;

use super::ValueFile;
use super::format::{HEADER_BYTES, checksum_of, frame_bytes_of};
use crate::error::Result;

/// Bytes read at a time.
const WINDOW_BYTES: u64 = 1 << 20;

/// A frame that was found sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where it starts in the file.
    pub(crate) offset: u64,
    /// Its bytes.
    pub(crate) bytes: u64,
    /// Its checksum.
    pub(crate) checksum: u32,
}

/// What the walker found at its position.
pub(crate) enum Step {
    /// A sound frame with its bytes.
    Frame(Frame, Bytes),
    /// Bytes that are not a sound frame.
    Unsound,
    /// The end of the walk.
    End,
}

/// A walk over a part of a value file. It keeps one window in memory at a time, or one frame if
/// that is larger.
pub(crate) struct FrameWalker<'a> {
    file: &'a ValueFile,
    at: u64,
    end: u64,
    window: Bytes,
    window_start: u64,
}

impl<'a> FrameWalker<'a> {
    /// Starts a walk from `start`, where a frame begins, to `end`.
    pub(crate) fn new(file: &'a ValueFile, start: u64, end: u64) -> Self {
        Self {
            file,
            at: start,
            end,
            window: Bytes::new(),
            window_start: start,
        }
    }

    /// Returns where the next frame starts.
    pub(crate) fn offset(&self) -> u64 {
        self.at
    }

    /// Returns the next `bytes` bytes, or `None` if the walk ends before.
    async fn peek(&mut self, bytes: u64) -> Result<Option<Bytes>> {
        let left = self.end.checked_sub(self.at);
        if left.is_none_or(|left| left < bytes) {
            return Ok(None);
        }
        if self.at + bytes > self.window_start + self.window.len() as u64 {
            let wanted = bytes.max(WINDOW_BYTES).min(self.end - self.at);
            self.window = self.file.read(self.at, wanted as usize).await?;
            self.window_start = self.at;
        }
        let from = (self.at - self.window_start) as usize;
        Ok(Some(self.window.slice(from..from + bytes as usize)))
    }

    /// Reads the next frame. The walk stops at an unsound one.
    ///
    /// # Errors
    /// I/O errors, and corruption if the file is shorter than the part that is walked.
    pub(crate) async fn next(&mut self) -> Result<Step> {
        if self.at >= self.end {
            return Ok(Step::End);
        }
        let Some(header) = self.peek(HEADER_BYTES as u64).await? else {
            return Ok(Step::Unsound);
        };
        let Some(bytes) = frame_bytes_of(&header) else {
            return Ok(Step::Unsound);
        };
        let Some(frame) = self.peek(bytes as u64).await? else {
            return Ok(Step::Unsound);
        };
        let Some(checksum) = checksum_of(&frame) else {
            return Ok(Step::Unsound);
        };
        let found = Frame {
            offset: self.at,
            bytes: bytes as u64,
            checksum,
        };
        self.at += found.bytes;
        Ok(Step::Frame(found, frame))
    }
}
