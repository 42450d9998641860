//! The bytes of a file in memory.
//!
//! They are kept in chunks, so that a growing file is never copied as a whole and uses no more
//! memory than it needs.

use std::io;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

const CHUNK: usize = 256 << 10;

/// Bytes of a file, appended at the end and read at any position.
#[derive(Clone, Default)]
pub(super) struct Blob {
    /// All chunks are full except the last.
    chunks: Vec<Vec<u8>>,
    bytes: u64,
}

impl Blob {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn append(&mut self, mut data: &[u8]) {
        self.bytes += data.len() as u64;
        while !data.is_empty() {
            match self.chunks.last_mut() {
                Some(chunk) if chunk.len() < CHUNK => {
                    let (now, later) = data.split_at(data.len().min(CHUNK - chunk.len()));
                    chunk.extend_from_slice(now);
                    data = later;
                }
                _ => self.chunks.push(Vec::new()),
            }
        }
    }

    /// Reads exactly `bytes` bytes from `offset`. A range beyond the end fails before any
    /// allocation.
    pub(super) fn read(&self, offset: u64, bytes: usize) -> io::Result<Bytes> {
        let end = offset.checked_add(bytes as u64);
        if end.is_none_or(|end| end > self.bytes) {
            return Err(past_the_end(offset, bytes, self.bytes));
        }
        if bytes == 0 {
            return Ok(Bytes::new());
        }
        let Position { mut chunk, start } = position(offset);
        if start + bytes <= CHUNK {
            let slice = &self.chunks[chunk][start..start + bytes];
            return Ok(Bytes::copy_from_slice(slice));
        }
        let mut start = start;
        let mut data = BytesMut::with_capacity(bytes);
        while data.len() < bytes {
            let end = CHUNK.min(start + bytes - data.len());
            data.extend_from_slice(&self.chunks[chunk][start..end]);
            chunk += 1;
            start = 0;
        }
        Ok(data.freeze())
    }

    /// Truncates the file to `bytes`. A shorter file is left unchanged.
    pub(super) fn truncate(&mut self, bytes: u64) {
        if bytes >= self.bytes {
            return;
        }
        let Position { chunk, start } = position(bytes);
        self.chunks.truncate(chunk + 1);
        self.chunks[chunk].truncate(start);
        self.bytes = bytes;
    }

    /// Appends zeros up to `bytes`. A longer file is left unchanged.
    pub(super) fn fill_up(&mut self, bytes: u64) {
        let missing = bytes.saturating_sub(self.bytes);
        self.append(&vec![0; missing as usize]);
    }

    /// Overwrites a range inside the file with zeros.
    pub(super) fn zero(&mut self, range: Range<u64>) {
        for offset in range {
            let Position { chunk, start } = position(offset);
            self.chunks[chunk][start] = 0;
        }
    }

    /// Inverts one bit (0 is the lowest) of the byte at `offset`. Returns false if there is no such
    /// byte.
    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) -> bool {
        let inside = offset < self.bytes && bit < 8;
        if inside {
            let Position { chunk, start } = position(offset);
            self.chunks[chunk][start] ^= 1 << bit;
        }
        inside
    }
}

/// Place of a byte.
struct Position {
    chunk: usize,
    /// Offset inside the chunk.
    start: usize,
}

fn position(offset: u64) -> Position {
    Position {
        chunk: (offset / CHUNK as u64) as usize,
        start: (offset % CHUNK as u64) as usize,
    }
}

/// Returns the error of a read that reaches past the end of the file.
pub(super) fn past_the_end(offset: u64, bytes: usize, end: u64) -> io::Error {
    let message =
        format!("a read of {bytes} bytes at {offset} reaches past the end of the file at {end}");
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_across_chunks_and_refuses_to_pass_the_end() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 17).map(|i| (i * 31 % 251) as u8).collect();
        let mut blob = Blob::default();
        for part in bytes.chunks(10_007) {
            blob.append(part);
        }
        assert_eq!(blob.bytes(), bytes.len() as u64);
        for (start, end) in [
            (0, 1),
            (CHUNK - 5, CHUNK + 5),
            (CHUNK, 2 * CHUNK),
            (7, bytes.len()),
            (3 * CHUNK, bytes.len()),
        ] {
            assert_eq!(
                &blob.read(start as u64, end - start).unwrap()[..],
                &bytes[start..end],
                "{start}..{end}"
            );
        }
        assert_eq!(blob.read(bytes.len() as u64, 0).unwrap().len(), 0);
        for (offset, length) in [
            (bytes.len() as u64, 1),
            (0, bytes.len() + 1),
            (u64::MAX, 2),
            (1, usize::MAX),
        ] {
            assert_eq!(
                blob.read(offset, length).unwrap_err().kind(),
                io::ErrorKind::UnexpectedEof
            );
        }
    }

    #[test]
    fn cut_at_a_chunk_boundary_it_can_grow_again() {
        let mut blob = Blob::default();
        blob.append(&vec![1; 2 * CHUNK]);
        blob.truncate(CHUNK as u64);
        blob.append(&[2, 3]);
        assert_eq!(&blob.read(CHUNK as u64 - 1, 3).unwrap()[..], &[1, 2, 3]);
        blob.zero(CHUNK as u64 - 1..CHUNK as u64 + 1);
        assert!(blob.flip_bit(CHUNK as u64 + 1, 7));
        assert!(!blob.flip_bit(CHUNK as u64 + 2, 0));
        assert_eq!(&blob.read(CHUNK as u64 - 1, 3).unwrap()[..], &[0, 0, 131]);
    }
}
