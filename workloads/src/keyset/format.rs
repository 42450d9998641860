//! Files of keys, read as streams of bytes.
//!
//! ```text
//! u64        key u64 | key u64 | ...                              (all numbers little-endian)
//! u64d       smallest key u64 | difference u64 | difference u64 | ...
//! sosd-u64   count u64 | key u64 | key u64 | ...           (SOSD's data sets named *_uint64)
//! sosd-u32   count u64 | key u32 | key u32 | ...           (SOSD's data sets named *_uint32)
//! lines      one key a line, any bytes
//! numbers    one decimal number a line
//! ```
//!
//! Nothing in a file is trusted. A count is checked against what follows before memory is allocated
//! for it. A sum over 64 bits, an incomplete key and an endless line are errors that name the
//! place.

use std::io::{self, BufRead, BufReader, Read};

use super::{FileKeys, KEYS_MAX, KeySet, Keys, StringKeys};
use crate::keys::KeyFileFormat;

/// The longest key of a text file, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// How keys are written in a file.
///
/// ```
/// use aura_workloads::keyset::{KeyFormat, Keys};
///
/// let set = KeyFormat::Numbers.read(&b"30\n10\n20\n10\n"[..], None)?;
/// assert_eq!(set.keys, Keys::Numbers(vec![10, 20, 30]));
/// assert_eq!(set.duplicates, 1);
/// assert!(!set.sorted);
/// # Ok::<(), aura_workloads::keyset::KeySetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFormat {
    /// 64-bit little-endian numbers.
    U64,
    /// The first number, then the difference of each number to the one before.
    U64Delta,
    /// SOSD's: a 64-bit count, then 64-bit numbers.
    SosdU64,
    /// SOSD's: a 64-bit count, then 32-bit numbers.
    SosdU32,
    /// Strings, one a line.
    Lines,
    /// Decimal numbers, one a line.
    Numbers,
}

/// Why a file of keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It cannot be read or decompressed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It ends within a number.
    #[error("it ends within a number, with {bytes} of its {wanted} bytes, after {keys} whole keys")]
    Torn {
        /// Whole keys before it.
        keys: u64,
        /// Bytes after them.
        bytes: usize,
        /// Bytes of a number.
        wanted: usize,
    },
    /// The header does not match what follows.
    #[error("its header promises {promised} keys, and {found} follow")]
    Count {
        /// The header's number.
        promised: u64,
        /// The number found, as far as the file was read.
        found: String,
    },
    /// Differences add up to more than 64 bits.
    #[error("the differences up to key {0} (counted from 0) add up to more than 64 bits")]
    Overflow(u64),
    /// A line does not hold a number.
    #[error("line {line} is not a number from 0 to 2^64 - 1: `{text}`")]
    NotANumber {
        /// The line, counted from 1.
        line: u64,
        /// Its beginning.
        text: String,
    },
    /// A line is too long.
    #[error("line {0} is over {LINE_BYTES_MAX} bytes: this is not a text file with one key a line")]
    LongLine(u64),
    /// It holds more keys than there are ranks.
    #[error("it holds more than {KEYS_MAX} keys, the most that an index can number")]
    TooMany,
    /// It holds no key.
    #[error("it holds no key")]
    Empty,
}

type Result<T> = std::result::Result<T, KeySetError>;

impl KeyFormat {
    /// Every format.
    pub const ALL: [Self; 6] = [
        Self::U64,
        Self::U64Delta,
        Self::SosdU64,
        Self::SosdU32,
        Self::Lines,
        Self::Numbers,
    ];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::U64 => "u64",
            Self::U64Delta => "u64d",
            Self::SosdU64 => "sosd-u64",
            Self::SosdU32 => "sosd-u32",
            Self::Lines => "lines",
            Self::Numbers => "numbers",
        }
    }

    /// The format with this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format that a file's name suggests, without the ending of its compression.
    pub fn of_file_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        match () {
            () if ends(&[".u64d"]) => Some(Self::U64Delta),
            () if ends(&[".u64"]) => Some(Self::U64),
            () if ends(&["_uint64", ".sosd"]) => Some(Self::SosdU64),
            () if ends(&["_uint32"]) => Some(Self::SosdU32),
            () if ends(&[".txt", ".keys", ".lst"]) => Some(Self::Lines),
            () => None,
        }
    }

    /// Reads keys, at most the first `limit` of the file.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn read(self, source: impl Read, limit: Option<u64>) -> Result<KeySet> {
        Ok(match self.keys(source, limit)? {
            Keys::Numbers(numbers) => KeySet::numbers(numbers),
            Keys::Strings(strings) => KeySet::strings(strings),
        })
    }

    /// Reads keys in the order in which the file has them.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub fn read_in_order(self, source: impl Read) -> Result<FileKeys> {
        self.keys(source, None).map(FileKeys::of)
    }

    /// The keys of a file, as it has them.
    fn keys(self, source: impl Read, limit: Option<u64>) -> Result<Keys> {
        let source = BufReader::with_capacity(1 << 16, source);
        let keys = match self {
            Self::U64 => Keys::Numbers(plain(source, limit)?),
            Self::U64Delta => Keys::Numbers(deltas(source, limit)?),
            Self::SosdU64 => Keys::Numbers(sosd(source, limit, u64::from_le_bytes)?),
            Self::SosdU32 => Keys::Numbers(sosd(source, limit, |bytes| {
                u64::from(u32::from_le_bytes(bytes))
            })?),
            Self::Lines => Keys::Strings(strings(source, limit)?),
            Self::Numbers => Keys::Numbers(numbers(source, limit)?),
        };
        if keys.is_empty() {
            Err(KeySetError::Empty)
        } else {
            Ok(keys)
        }
    }
}

impl From<KeyFileFormat> for KeyFormat {
    fn from(format: KeyFileFormat) -> Self {
        match format {
            KeyFileFormat::SosdU64 => Self::SosdU64,
            KeyFileFormat::SosdU32 => Self::SosdU32,
            KeyFileFormat::Lines => Self::Lines,
        }
    }
}

/// The next `W` bytes; `None` at the end. `keys` is for the error.
fn word<const W: usize>(source: &mut impl Read, keys: u64) -> Result<Option<[u8; W]>> {
    let mut bytes = [0; W];
    let mut filled = 0;
    while filled < W {
        match source.read(&mut bytes[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => {
                return Err(KeySetError::Torn {
                    keys,
                    bytes: filled,
                    wanted: W,
                });
            }
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Some(bytes))
}

/// Whether the key after `count` others is still wanted.
fn wanted(count: u64, limit: Option<u64>) -> Result<bool> {
    match limit {
        Some(limit) if count >= limit => Ok(false),
        _ if count >= KEYS_MAX => Err(KeySetError::TooMany),
        _ => Ok(true),
    }
}

fn plain(mut source: impl Read, limit: Option<u64>) -> Result<Vec<u64>> {
    let mut keys = Vec::new();
    while let Some(bytes) = word(&mut source, keys.len() as u64)? {
        if !wanted(keys.len() as u64, limit)? {
            break;
        }
        keys.push(u64::from_le_bytes(bytes));
    }
    Ok(keys)
}

fn deltas(mut source: impl Read, limit: Option<u64>) -> Result<Vec<u64>> {
    let mut keys: Vec<u64> = Vec::new();
    while let Some(bytes) = word(&mut source, keys.len() as u64)? {
        let count = keys.len() as u64;
        if !wanted(count, limit)? {
            break;
        }
        let before = keys.last().copied().unwrap_or(0);
        keys.push(
            before
                .checked_add(u64::from_le_bytes(bytes))
                .ok_or(KeySetError::Overflow(count))?,
        );
    }
    Ok(keys)
}

fn sosd<const W: usize>(
    mut source: impl Read,
    limit: Option<u64>,
    key: fn([u8; W]) -> u64,
) -> Result<Vec<u64>> {
    let promised = u64::from_le_bytes(word(&mut source, 0)?.ok_or(KeySetError::Empty)?);
    let mut keys = Vec::new();
    loop {
        let found = keys.len() as u64;
        if found < promised && !wanted(found, limit)? {
            return Ok(keys);
        }
        match word(&mut source, found)? {
            Some(bytes) if found < promised => keys.push(key(bytes)),
            Some(_) => {
                return Err(KeySetError::Count {
                    promised,
                    found: "more".to_owned(),
                });
            }
            None if found < promised => {
                return Err(KeySetError::Count {
                    promised,
                    found: found.to_string(),
                });
            }
            None => return Ok(keys),
        }
    }
}

/// Calls `take` with each line that is not empty and its number, counted from 1, until `take`
/// returns false.
fn lines(mut source: impl BufRead, mut take: impl FnMut(u64, &[u8]) -> Result<bool>) -> Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let most = LINE_BYTES_MAX as u64 + 2;
        if (&mut source).take(most).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() > LINE_BYTES_MAX {
            return Err(KeySetError::LongLine(number));
        }
        if !text.is_empty() && !take(number, text)? {
            break;
        }
    }
    Ok(())
}

fn strings(source: impl BufRead, limit: Option<u64>) -> Result<StringKeys> {
    let mut keys = StringKeys::default();
    lines(source, |_, text| {
        let wanted = wanted(keys.len() as u64, limit)?;
        if wanted {
            keys.push(text);
        }
        Ok(wanted)
    })?;
    Ok(keys)
}

fn numbers(source: impl BufRead, limit: Option<u64>) -> Result<Vec<u64>> {
    let mut keys = Vec::new();
    lines(source, |line, text| {
        let wanted = wanted(keys.len() as u64, limit)?;
        if wanted {
            let number = std::str::from_utf8(text.trim_ascii())
                .ok()
                .and_then(|text| text.parse().ok());
            let shown = || String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
            keys.push(number.ok_or_else(|| KeySetError::NotANumber {
                line,
                text: shown(),
            })?);
        }
        Ok(wanted)
    })?;
    Ok(keys)
}
