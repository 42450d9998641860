//! Compressed files: zstd, gzip and xz, recognised by a file's name, or else by its first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use liblzma::bufread::XzDecoder;
use liblzma::write::XzEncoder;

/// Bytes read at once: enough that decompressing is called seldom, few enough to stay in a core's
/// cache.
const BUFFER_BYTES: usize = 1 << 17;

/// Bytes at a file's start that are read to recognise its format.
const HEAD_BYTES: u64 = 4096;

const GZIP_LEVEL: u32 = 6;
const XZ_LEVEL: u32 = 6;

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

    fn extension(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
            Self::Xz => ".xz",
        }
    }

    /// The bytes with which every file of the kind begins.
    fn magic(self) -> &'static [u8] {
        match self {
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Self::Gzip => &[0x1f, 0x8b],
            Self::Xz => &[0xfd, b'7', b'z', b'X', b'Z', 0],
        }
    }

    /// The compression that a file's name says; `None` if it says none.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| name.ends_with(kind.extension()))
    }

    fn of_head(head: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| head.starts_with(kind.magic()))
    }

    fn reader(self, input: impl BufRead + 'static) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Xz => Box::new(XzDecoder::new_multi_decoder(input)),
        })
    }
}

/// Returns a path's last part.
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Returns a file's name without the extension of a compression.
pub fn plain_name(path: &Path) -> String {
    let name = file_name(path);
    match Compression::of_name(&name) {
        Some(kind) => name[..name.len() - kind.extension().len()].to_owned(),
        None => name,
    }
}

/// Opens a file called `name` for reading, decompressed.
///
/// # Errors
/// The system's error if it cannot be read, or does not begin as its name says.
pub fn open(file: impl Read + 'static, name: &str) -> io::Result<Box<dyn BufRead>> {
    let Peeked { head, input } = peek(BufReader::with_capacity(BUFFER_BYTES, file))?;
    let compression = Compression::of_name(name).or_else(|| Compression::of_head(&head));
    Ok(match compression {
        None => Box::new(input),
        Some(kind) => Box::new(BufReader::with_capacity(BUFFER_BYTES, kind.reader(input)?)),
    })
}

/// The first bytes of an input, and the whole input.
pub struct Peeked<R> {
    /// The first bytes.
    pub head: Vec<u8>,
    /// The input, from its first byte.
    pub input: io::Chain<Cursor<Vec<u8>>, R>,
}

/// Looks at the first bytes of an input.
///
/// # Errors
/// The system's error if they cannot be read.
pub fn peek<R: BufRead>(mut input: R) -> io::Result<Peeked<R>> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(Peeked {
        input: Cursor::new(head.clone()).chain(input),
        head,
    })
}

/// Writes a file, compressed or not.
pub enum Compressor {
    /// Not compressed.
    Plain(File),
    /// Zstandard.
    Zstd(zstd::Encoder<'static, File>),
    /// gzip.
    Gzip(GzEncoder<File>),
    /// xz.
    Xz(XzEncoder<File>),
}

impl Compressor {
    /// Starts to write `file`.
    ///
    /// # Errors
    /// The library's error if it refuses.
    pub fn new(file: File, compression: Option<Compression>) -> io::Result<Self> {
        Ok(match compression {
            None => Self::Plain(file),
            Some(Compression::Zstd) => {
                Self::Zstd(zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?)
            }
            Some(Compression::Gzip) => {
                Self::Gzip(GzEncoder::new(file, flate2::Compression::new(GZIP_LEVEL)))
            }
            Some(Compression::Xz) => Self::Xz(XzEncoder::new(file, XZ_LEVEL)),
        })
    }

    /// Writes what is left. A file that is not finished is not whole.
    ///
    /// # Errors
    /// The system's error.
    pub fn finish(self) -> io::Result<()> {
        let mut file = match self {
            Self::Plain(file) => file,
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Xz(encoder) => encoder.finish()?,
        };
        file.flush()
    }

    fn inner(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(file) => file,
            Self::Zstd(encoder) => encoder,
            Self::Gzip(encoder) => encoder,
            Self::Xz(encoder) => encoder,
        }
    }
}

impl Write for Compressor {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.inner().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush()
    }
}
