//! Direct I/O: files that the page cache does not hold.
//!
//! The system takes whole blocks at aligned places of files and memory. So a read covers the blocks
//! that it touches, and an append writes all whole blocks that it completes. The rest of it, less
//! than a block, stays in memory, and goes into the page cache as well: the file always has its
//! exact length, and a crash of the process loses nothing. The system writes that page back when it
//! is synced, or when its block is completed.

#![expect(
    clippy::disallowed_methods,
    reason = "files of the real world are opened here"
)]

use std::fs::{self, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;

use super::blob::past_the_end;

/// Bytes of a block, and the alignment of places. No device in use asks for more.
const BLOCK: usize = 4096;

/// Creates an empty file for direct I/O.
pub(super) fn create(path: &Path) -> io::Result<(fs::File, Tail)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    let file = open_with(&mut options, path)?;
    let cached = OpenOptions::new().write(true).open(path)?;
    let tail = Tail {
        end: 0,
        bytes: Vec::new(),
        cached,
        failed: false,
    };
    Ok((file, tail))
}

/// Opens a file for direct reads.
pub(super) fn open(path: &Path) -> io::Result<fs::File> {
    open_with(OpenOptions::new().read(true), path)
}

#[cfg(target_os = "linux")]
fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;

    let direct = rustix::fs::OFlags::DIRECT.bits();
    options.custom_flags(direct as i32).open(path)
}

#[cfg(not(target_os = "linux"))]
fn open_with(_options: &mut OpenOptions, _path: &Path) -> io::Result<fs::File> {
    let message = "direct I/O is known of Linux only";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

/// Asks the system to drop the clean pages of a file from its page cache.
#[cfg(target_os = "linux")]
pub(super) fn forget_pages(file: &fs::File) -> io::Result<()> {
    let dont_need = rustix::fs::Advice::DontNeed;
    Ok(rustix::fs::fadvise(file, 0, None, dont_need)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn forget_pages(_file: &fs::File) -> io::Result<()> {
    let message = "dropping pages is known of Linux only";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

/// Writes and reads a block in `directory`, and removes it.
pub(super) fn try_in(directory: &Path) -> io::Result<()> {
    let path = directory.join(format!("direct-{}", std::process::id()));
    let tried = create(&path).and_then(|(file, mut tail)| {
        tail.append(&file, &[1; BLOCK])?;
        read(&file, 0, BLOCK).map(drop)
    });
    // A file system that refuses the flag may have created the file.
    let removed = fs::remove_file(&path);
    tried.and(removed)
}

/// Reads exactly `bytes` bytes from `offset`.
pub(super) fn read(file: &fs::File, offset: u64, bytes: usize) -> io::Result<Bytes> {
    let before = (offset % BLOCK as u64) as usize;
    let start = offset - before as u64;
    let wanted = before + bytes;
    let mut buffer = Buffer::new(wanted.next_multiple_of(BLOCK));
    let mut got = 0;
    while got < wanted {
        let more = match file.read_at(&mut buffer.bytes_mut()[got..], start + got as u64) {
            Ok(more) => more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        got += more;
        // If the file ends within a block, no aligned read goes beyond.
        let is_end = more == 0 || !got.is_multiple_of(BLOCK);
        if is_end && got < wanted {
            let end = start + got as u64;
            return Err(past_the_end(offset, bytes, end));
        }
    }
    Ok(Bytes::copy_from_slice(&buffer.bytes_mut()[before..wanted]))
}

/// The end of a file that is written.
pub(super) struct Tail {
    /// The file's length.
    end: u64,
    /// The bytes after the last whole block.
    bytes: Vec<u8>,
    /// The file again, by way of the page cache.
    cached: fs::File,
    /// Whether an append failed: what the file ends with is unknown.
    failed: bool,
}

impl Tail {
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The bytes of a range, if all of them are after the last whole block.
    pub(super) fn get(&self, offset: u64, bytes: usize) -> Option<Bytes> {
        let start = offset.checked_sub(self.end - self.bytes.len() as u64)?;
        let start = usize::try_from(start).ok()?;
        let range: Range<usize> = start..start.checked_add(bytes)?;
        self.bytes.get(range).map(Bytes::copy_from_slice)
    }

    /// Appends `data` to `file`.
    pub(super) fn append(&mut self, file: &fs::File, data: &[u8]) -> io::Result<()> {
        if self.failed {
            let message = "an earlier append failed: the file's end is unknown";
            return Err(io::Error::other(message));
        }
        let written = self.write(file, data);
        self.failed = written.is_err();
        written
    }

    fn write(&mut self, file: &fs::File, data: &[u8]) -> io::Result<()> {
        let start = self.end - self.bytes.len() as u64;
        let together = self.bytes.len() + data.len();
        let whole = together - together % BLOCK;
        if whole == 0 {
            self.cached.write_all_at(data, self.end)?;
            self.bytes.extend_from_slice(data);
        } else {
            let completing = whole - self.bytes.len();
            let mut buffer = Buffer::new(whole);
            let (tail, blocks) = buffer.bytes_mut().split_at_mut(self.bytes.len());
            tail.copy_from_slice(&self.bytes);
            blocks.copy_from_slice(&data[..completing]);
            file.write_all_at(buffer.bytes_mut(), start)?;
            let rest = &data[completing..];
            self.cached.write_all_at(rest, start + whole as u64)?;
            self.bytes.clear();
            self.bytes.extend_from_slice(rest);
        }
        self.end += data.len() as u64;
        Ok(())
    }
}

/// Memory at an aligned place.
struct Buffer {
    /// Longer by a block, of which the first part may be left out.
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    fn new(len: usize) -> Self {
        let memory = vec![0; len + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK);
        Self { memory, start, len }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with direct I/O; none where the system has no such.
    fn directory() -> Option<tempfile::TempDir> {
        let directory = tempfile::tempdir().unwrap();
        try_in(directory.path()).is_ok().then_some(directory)
    }

    #[test]
    fn memory_is_aligned_at_every_length() {
        for len in [0, 1, BLOCK, 5 * BLOCK] {
            let mut buffer = Buffer::new(len);
            let bytes = buffer.bytes_mut();
            assert_eq!(bytes.len(), len);
            assert_eq!(bytes.as_ptr().align_offset(BLOCK), 0);
        }
    }

    #[test]
    fn appends_of_all_lengths_are_read_back_whole_and_in_parts() {
        let Some(directory) = directory() else { return };
        let path = directory.path().join("file");
        let (file, mut tail) = create(&path).unwrap();
        let mut expected: Vec<u8> = Vec::new();
        for (turn, len) in [0, 1, 4095, 1, 4095, 4096, 0, 9000, 4097, 3, 20_000]
            .into_iter()
            .enumerate()
        {
            let data: Vec<u8> = (0..len).map(|at| (at % 251 + turn) as u8).collect();
            tail.append(&file, &data).unwrap();
            expected.extend(data);
            assert_eq!(tail.end(), expected.len() as u64);
            assert_eq!(fs::read(&path).unwrap(), expected, "after {turn}");
            let reader = open(&path).unwrap();
            for start in [0, 1, 4095, 4096, expected.len() / 2, expected.len()] {
                let Some(part) = expected.get(start..) else {
                    continue;
                };
                let start = start as u64;
                assert_eq!(read(&reader, start, part.len()).unwrap(), part);
                assert!(read(&reader, start, part.len() + 1).is_err());
                let kept = tail.get(start, part.len());
                assert_eq!(kept.is_some(), part.len() <= tail.bytes.len());
                assert!(kept.is_none_or(|kept| kept == part));
            }
        }
    }

    #[test]
    fn after_a_failed_append_no_other_is_made() {
        let Some(directory) = directory() else { return };
        let path = directory.path().join("file");
        let (file, mut tail) = create(&path).unwrap();
        let unwritable = open(&path).unwrap();
        assert!(tail.append(&unwritable, &[1; BLOCK]).is_err());
        assert!(tail.append(&file, b"more").is_err());
        assert_eq!(file.metadata().unwrap().len(), 0);
    }

    #[test]
    fn a_missing_directory_has_no_direct_io() {
        let missing = try_in(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
