//! Traces of cache requests: their formats, read and written over any `Read` and `Write`, and their
//! form in memory.
//!
//! ```text
//!   bytes --Format::detect()--> format --read()--> Trace: requests over objects numbered from 0
//!                                  |                 |
//!                          one file a format         +--> Summary, or another format's writer
//! ```
//!
//! A reader checks everything it reads: garbage is an error that names the line or the byte, never
//! a panic. A [`Sample`] keeps only some of the keys while reading, so that a trace larger than
//! memory can be studied.
//!
//! ```
//! use aura_workloads::trace::{self, Format, ReadOptions, Summary};
//!
//! let text = "time,key,size\n0,a,100\n1,b,300\n2,a,100\n";
//! let format = Format::detect("requests.csv", text.as_bytes()).expect("by its name");
//! let read = trace::read(text.as_bytes(), format, &ReadOptions::default())?;
//! assert_eq!(read.objects(), [0, 1, 0]);
//! assert_eq!(Summary::of(&read).request_bytes, Some(500));
//!
//! let mut binary = Vec::new();
//! trace::write(&read, Format::OracleGeneral, &mut binary)?;
//! assert_eq!(binary.len(), 3 * 24);
//! # Ok::<(), aura_workloads::trace::TraceError>(())
//! ```

use std::fmt;
use std::io::{self, BufRead};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod aurat;
mod columns;
mod csv;
mod input;
mod keys;
mod lcs;
mod lis;
mod meta_kv;
mod oracle_general;
mod rocksdb;
mod rocksdb_text;
mod twitter;
mod vscsi;

mod loaded;
mod numbers;
mod operations;
mod sample;
mod summary;

pub use aurat::{Contents, KINDS, OperationRecord, TraceRecord, TraceWriter};
pub use columns::{Columns, ColumnsError};
pub use loaded::{Detail, Position, Trace};
pub use operations::{Action, Finds, Operations, Traced, ValueSource};
pub use sample::Sample;
pub use summary::{FITTED_COUNT_MIN, KindCount, Popularity, SizeQuantiles, Summary};

use loaded::{Builder, Sink};

/// The format of a trace.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// libCacheSim's own format.
    Lcs,
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
    #[serde(alias = "meta")]
    MetaKv,
    /// Plain 64-bit keys.
    Keys,
    /// RocksDB's traces of queries.
    #[serde(rename = "rocksdb")]
    RocksDb,
    /// RocksDB's traces as its analyzer writes them for readers.
    #[serde(rename = "rocksdb-text")]
    RocksDbText,
    /// AuraDB's own traces.
    Aurat,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 11] = [
        Self::Aurat,
        Self::Csv,
        Self::Keys,
        Self::Lcs,
        Self::Lis,
        Self::MetaKv,
        Self::OracleGeneral,
        Self::RocksDb,
        Self::RocksDbText,
        Self::Twitter,
        Self::Vscsi,
    ];

    /// The name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lcs => "lcs",
            Self::Lis => "lis",
            Self::OracleGeneral => "oracle-general",
            Self::Csv => "csv",
            Self::Vscsi => "vscsi",
            Self::Twitter => "twitter",
            Self::MetaKv => "meta-kv",
            Self::Keys => "keys",
            Self::RocksDb => "rocksdb",
            Self::RocksDbText => "rocksdb-text",
            Self::Aurat => "aurat",
        }
    }

    /// Whether rows may say which operation they are.
    fn has_operations(self) -> bool {
        matches!(self, Self::Csv | Self::Lcs | Self::Twitter | Self::MetaKv)
    }

    /// The format with this name.
    pub fn find(name: &str) -> Option<Self> {
        if name == "meta" {
            return Some(Self::MetaKv);
        }
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format of a file, by its name without the ending of a compression, and by its first
    /// bytes: some thousand, or all of them. `None` if neither says.
    pub fn detect(name: &str, head: &[u8]) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if head.starts_with(&aurat::MAGIC) || ending == "aurat" {
            return Some(Self::Aurat);
        }
        if head.starts_with(&lcs::MAGIC) || ending == "lcs" {
            return Some(Self::Lcs);
        }
        if rocksdb::is_trace(head) {
            return Some(Self::RocksDb);
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
        } else if rocksdb_text::is_line(line) {
            Some(Self::RocksDbText)
        } else if lis::is_line(line) {
            Some(Self::Lis)
        } else if matches!(ending, "csv" | "tsv" | "psv") || csv::is_row(line) {
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

/// A place in the uncompressed bytes of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, counted from 1.
    Line(u64),
    /// A byte, counted from 0.
    Byte(u64),
    /// A request, counted from 0.
    Record(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Byte(byte) => write!(f, "byte {byte}"),
            Self::Record(record) => write!(f, "request {record}"),
        }
    }
}

/// Why a trace cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The bytes do not follow the format.
    #[error("{place}: {message}")]
    Malformed {
        /// The place.
        place: Place,
        /// What is wrong.
        message: String,
    },
    /// The trace ends within a record.
    #[error("{place}: the trace ends within a record")]
    Truncated {
        /// The place where the record begins.
        place: Place,
    },
    /// The source of the bytes failed.
    #[error("{place}: {source}")]
    Io {
        /// The end of what was read.
        place: Place,
        /// The error.
        source: io::Error,
    },
    /// There are more distinct keys than numbers for them.
    #[error("more than {} distinct keys: sample them", u32::MAX - 1)]
    TooManyObjects,
    /// The output failed.
    #[error("the trace cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The format cannot hold what is in the trace.
    #[error("{format} cannot be written: {message}")]
    CannotSay {
        /// The format.
        format: Format,
        /// What it cannot hold.
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
    /// The columns of a CSV file; ignored by other formats.
    pub columns: Columns,
    /// The most requests to read, counted before sampling.
    pub limit: Option<u64>,
    /// Which keys are kept; all if `None`.
    pub sample: Option<Sample>,
    /// Whether the times of requests are kept, at 8 bytes a request.
    pub times: bool,
    /// Whether deletions and times to live end objects ([`Trace::ends`]). Otherwise deletions are
    /// counted, and times to live are ignored.
    pub lives: bool,
    /// Whether a trace that ends within a record is read up to there.
    pub truncated: bool,
    /// The operations whose rows are read, such as `get`, in any case; all if empty. Only CSV,
    /// lcs, Twitter's and Meta's traces have operations.
    pub operations: Vec<String>,
}

/// Reads a whole trace.
///
/// # Errors
/// [`TraceError`].
pub fn read(input: impl BufRead, format: Format, options: &ReadOptions) -> Result<Trace> {
    read_into(Builder::new(options, None), input, format, options)
}

/// Reads a trace that may be larger than memory, and hands it out in blocks of `requests`
/// requests, the last of fewer. Memory is taken for a block and for the keys: 19 to 24 bytes
/// each.
///
/// Objects keep their numbers from block to block; a block has no keys. Reading ends when `take`
/// returns false. Returns what is known of the whole trace: its keys and counts, but no requests.
///
/// # Errors
/// [`TraceError`]. The blocks before it were handed out.
pub fn read_blocks(
    input: impl BufRead,
    format: Format,
    options: &ReadOptions,
    requests: usize,
    take: &mut dyn FnMut(Trace) -> bool,
) -> Result<Trace> {
    let sink = Sink { requests, take };
    read_into(Builder::new(options, Some(sink)), input, format, options)
}

/// Reads the operations of a trace, to be replayed on a store. Of a format without operations
/// every request is a get. Times to live end nothing, and costs are ignored.
///
/// # Errors
/// [`TraceError`], also for an operation whose name is not known.
pub fn read_operations(
    input: impl BufRead,
    format: Format,
    options: &ReadOptions,
) -> Result<Operations> {
    let mut builder = Builder::of_operations(options);
    fill_builder(&mut builder, input, format, options)?;
    Ok(builder.finish_operations())
}

fn read_into(
    mut builder: Builder,
    input: impl BufRead,
    format: Format,
    options: &ReadOptions,
) -> Result<Trace> {
    fill_builder(&mut builder, input, format, options)?;
    builder.finish()
}

fn fill_builder(
    builder: &mut Builder,
    input: impl BufRead,
    format: Format,
    options: &ReadOptions,
) -> Result<()> {
    if !options.operations.is_empty() && !format.has_operations() {
        return Err(csv::without_operations());
    }
    let read = match format {
        Format::Lcs => lcs::read(input, builder),
        Format::Lis => lis::read(input, builder),
        Format::OracleGeneral => oracle_general::read(input, builder),
        Format::Csv => csv::read(input, &options.columns, builder),
        Format::Vscsi => vscsi::read(input, builder),
        Format::Twitter => twitter::read(input, builder),
        Format::MetaKv => meta_kv::read(input, builder),
        Format::Keys => keys::read(input, builder),
        Format::RocksDb => rocksdb::read(input, builder),
        Format::RocksDbText => rocksdb_text::read(input, builder),
        Format::Aurat => aurat::read(input, builder),
    };
    match read {
        Err(TraceError::Truncated { .. }) if options.truncated => {}
        read => read?,
    }
    Ok(())
}

/// Writes a trace as [`Format::Aurat`], [`Format::OracleGeneral`] or [`Format::Csv`].
///
/// # Errors
/// [`TraceError::CannotSay`] for another format, or for a value that the format cannot hold;
/// [`TraceError::Io`].
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

/// Writes operations as [`Format::Aurat`].
///
/// # Errors
/// [`TraceError::Write`].
pub fn write_operations(operations: &Operations, output: impl io::Write) -> Result<()> {
    aurat::write_operations(operations, output)
}

#[cfg(test)]
mod operation_tests;
#[cfg(test)]
mod tests;
