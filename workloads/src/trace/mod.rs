//! Traces of cache requests: their formats, read and written over any `Read` and `Write`, and their form in memory.
//!
//! ```text
//!   bytes --Format::detect()--> format --read()--> Trace: requests over objects numbered from 0
//!                                  |                 |
//!                          one file a format         +--> Summary, or another format's writer
//! ```
//!
//! A reader checks all that it reads: garbage is an error that names the line or the byte, never a panic. While reading, a
//! [`Sample`] may keep some of the keys only, so that a trace larger than the memory can be studied.

use std::fmt;
use std::io::{self, BufRead};

mod aurat;
mod columns;
mod csv;
mod input;
mod keys;
mod lis;
mod meta_kv;
mod oracle_general;
mod twitter;
mod vscsi;

mod loaded;
mod sample;
mod summary;

pub use aurat::{Contents, KINDS, TraceRecord, TraceWriter};
pub use columns::{Columns, ColumnsError};
pub use loaded::{Detail, Trace};
pub use sample::Sample;
pub use summary::{FITTED_COUNT_MIN, Popularity, SizeQuantiles, Summary};

use loaded::Builder;

/// How a trace is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The ARC authors' block ranges.
    Lis,
    /// libCacheSim's binary records with the next access.
    OracleGeneral,
    /// Comma-separated values, with a map of columns.
    Csv,
    /// CloudPhysics' records of SCSI commands.
    Vscsi,
    /// Twitter's cluster traces.
    Twitter,
    /// Meta's key-value traces, as CacheBench reads them.
    MetaKv,
    /// Plain 64-bit keys.
    Keys,
    /// AuraDB's own.
    Aurat,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 8] = [
        Self::Aurat,
        Self::Csv,
        Self::Keys,
        Self::Lis,
        Self::MetaKv,
        Self::OracleGeneral,
        Self::Twitter,
        Self::Vscsi,
    ];

    /// The name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lis => "lis",
            Self::OracleGeneral => "oracle-general",
            Self::Csv => "csv",
            Self::Vscsi => "vscsi",
            Self::Twitter => "twitter",
            Self::MetaKv => "meta-kv",
            Self::Keys => "keys",
            Self::Aurat => "aurat",
        }
    }

    /// The format of a name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format of a file by its name, from which the ending of a compression has been taken, and its first bytes: some
    /// thousand, or all there are. None if neither tells.
    pub fn detect(name: &str, head: &[u8]) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if head.starts_with(&aurat::MAGIC) || ending == "aurat" {
            return Some(Self::Aurat);
        }
        match ending {
            "lis" => return Some(Self::Lis),
            "vscsi" => return Some(Self::Vscsi),
            "u64" | "keys" => return Some(Self::Keys),
            _ if name.contains("oraclegeneral") => return Some(Self::OracleGeneral),
            _ => {}
        }
        if !input::is_text(head) {
            return vscsi::version(head).map(|_| Self::Vscsi);
        }
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if meta_kv::is_header(line) {
            Some(Self::MetaKv)
        } else if twitter::is_row(line) {
            Some(Self::Twitter)
        } else if lis::is_line(line) {
            Some(Self::Lis)
        } else if ending == "csv" || line.contains(&b',') {
            Some(Self::Csv)
        } else {
            None
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A place in a trace's (uncompressed) bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, from 1.
    Line(u64),
    /// A byte, from 0.
    Byte(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Byte(byte) => write!(f, "byte {byte}"),
        }
    }
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The bytes do not follow the format.
    #[error("{place}: {message}")]
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong.
        message: String,
    },
    /// The trace ends within a record.
    #[error("{place}: the trace ends within a record")]
    Truncated {
        /// Where the record begins.
        place: Place,
    },
    /// The source of the bytes failed.
    #[error("{place}: {source}")]
    Io {
        /// Up to where it had been read.
        place: Place,
        /// The error.
        source: io::Error,
    },
    /// There are more distinct keys than can be numbered.
    #[error("more than {} distinct keys: sample them", u32::MAX - 1)]
    TooManyObjects,
    /// The output refused.
    #[error("the trace cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The format cannot say what the trace holds.
    #[error("{format} cannot be written: {message}")]
    CannotSay {
        /// The format.
        format: Format,
        /// What it has no room for.
        message: String,
    },
}

impl TraceError {
    fn malformed(place: Place, message: impl Into<String>) -> Self {
        Self::Malformed {
            place,
            message: message.into(),
        }
    }
}

type Result<T> = std::result::Result<T, TraceError>;

/// What is read of a trace.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Where a CSV file has what; ignored by other formats.
    pub columns: Columns,
    /// Only so many requests, counted before sampling.
    pub limit: Option<u64>,
    /// Only some of the keys.
    pub sample: Option<Sample>,
    /// Whether the requests' times are kept: 8 bytes a request.
    pub times: bool,
}

/// Reads a whole trace.
///
/// # Errors
/// See [`TraceError`].
pub fn read(input: impl BufRead, format: Format, options: &ReadOptions) -> Result<Trace> {
    let mut builder = Builder::new(options);
    match format {
        Format::Lis => lis::read(input, &mut builder),
        Format::OracleGeneral => oracle_general::read(input, &mut builder),
        Format::Csv => csv::read(input, &options.columns, &mut builder),
        Format::Vscsi => vscsi::read(input, &mut builder),
        Format::Twitter => twitter::read(input, &mut builder),
        Format::MetaKv => meta_kv::read(input, &mut builder),
        Format::Keys => keys::read(input, &mut builder),
        Format::Aurat => aurat::read(input, &mut builder),
    }?;
    Ok(builder.finish())
}

/// Writes a trace: to [`Format::Aurat`], [`Format::OracleGeneral`] or [`Format::Csv`].
///
/// # Errors
/// [`TraceError::CannotSay`] for another format or a value it has no room for; [`TraceError::Io`].
pub fn write(trace: &Trace, format: Format, output: impl io::Write) -> Result<()> {
    match format {
        Format::Aurat => aurat::write(trace, output),
        Format::OracleGeneral => oracle_general::write(trace, output),
        Format::Csv => csv::write(trace, output),
        _ => Err(TraceError::CannotSay {
            format,
            message: "it is read only; traces are written as aurat, csv or oracle-general"
                .to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
