//! Files plain, or compressed with zstd, gzip or xz: told by their names, or else by their first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;

/// Read at once: large enough that decompressing is called seldom, small enough to stay in a core's cache.
const BUFFER_BYTES: usize = 1 << 17;

/// From so many first bytes a format is told.
const HEAD_BYTES: u64 = 4096;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard: `.zst`.
    Zstd,
    /// gzip: `.gz`.
    Gzip,
    /// xz: `.xz`.
    Xz,
}

impl Compression {
    const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::Xz];

    fn ending(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
        }
    }

    /// The bytes that every file of the kind begins with.
    fn magic(self) -> &'static [u8] {
        match self {
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Self::Gzip => &[0x1f, 0x8b],
            Self::Xz => &[0xfd, b'7', b'z', b'X', b'Z', 0],
        }
    }

    /// As a file's name says.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| name.ends_with(kind.ending()))
    }

    fn reader(self, input: impl BufRead + 'static) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Xz => Box::new(XzDecoder::new_multi_decoder(input)),
        })
    }
}

/// A path's last part.
pub fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// A file's name without the ending of a compression.
pub fn plain_name(path: &Path) -> String {
    let name = file_name(path);
    match Compression::of_name(&name) {
        Some(kind) => name[..name.len() - kind.ending().len()].to_owned(),
        None => name,
    }
}

/// Reads a file called `name`, decompressed.
///
/// # Errors
/// If it cannot be read, or does not begin as its name says.
pub fn open(file: File, name: &str) -> io::Result<Box<dyn BufRead>> {
    let (head, input) = peek(BufReader::with_capacity(BUFFER_BYTES, file))?;
    let compression = Compression::of_name(name).or_else(|| {
        Compression::ALL
            .into_iter()
            .find(|kind| head.starts_with(kind.magic()))
    });
    Ok(match compression {
        None => Box::new(input),
        Some(kind) => Box::new(BufReader::with_capacity(BUFFER_BYTES, kind.reader(input)?)),
    })
}

/// The first bytes of an input, and the input as it was.
pub type Peeked<R> = (Vec<u8>, io::Chain<Cursor<Vec<u8>>, R>);

/// Looks at the first bytes.
///
/// # Errors
/// If they cannot be read.
pub fn peek<R: BufRead>(mut input: R) -> io::Result<Peeked<R>> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(input)))
}
