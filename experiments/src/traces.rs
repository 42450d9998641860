//! Cache traces in files: plain, or compressed with zstd, gzip or xz.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aura_workloads::trace::{self, Format, ReadOptions, Trace, TraceError};
use flate2::write::GzEncoder;
use liblzma::write::XzEncoder;

use crate::files::{self, FileError};
use crate::packed::{self, Compression, file_name, peek, plain_name};

const GZIP_LEVEL: u32 = 6;
const XZ_LEVEL: u32 = 6;

/// Why a trace file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum TraceFileError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not hold a trace of its format, or cannot hold one.
    #[error("{}: {source}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: TraceError,
    },
    /// Neither name nor contents tell the format.
    #[error("{}: neither the name nor the first bytes tell the trace's format", .0.display())]
    UnknownFormat(PathBuf),
    /// A compressed file could not be opened or ended.
    #[error("{}: {source}", path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

type Result<T> = std::result::Result<T, TraceFileError>;

/// What a trace is called: its file's name without endings that tell compression and format.
pub fn name_of(path: &Path) -> String {
    let mut name = plain_name(path);
    for ending in [
        ".bin",
        ".oracleGeneral",
        ".aurat",
        ".csv",
        ".lis",
        ".vscsi",
        ".u64",
        ".keys",
    ] {
        if name.len() > ending.len() && name.ends_with(ending) {
            name.truncate(name.len() - ending.len());
        }
    }
    name
}

/// Reads a trace from a file whose format is told, or is told by its name or contents.
///
/// # Errors
/// See [`TraceFileError`].
pub fn read(path: &Path, format: Option<Format>, options: &ReadOptions) -> Result<(Trace, Format)> {
    let failed = |source| TraceFileError::Compression {
        path: path.to_owned(),
        source,
    };
    let plain = packed::open(files::open(path)?, &file_name(path)).map_err(failed)?;
    let (head, input) = peek(plain).map_err(failed)?;
    let format = format
        .or_else(|| Format::detect(&plain_name(path), &head))
        .ok_or_else(|| TraceFileError::UnknownFormat(path.to_owned()))?;
    let trace = trace::read(input, format, options).map_err(|source| TraceFileError::Trace {
        path: path.to_owned(),
        source,
    })?;
    Ok((trace, format))
}

/// Writes a trace to a file, compressed as its name's ending says. The file appears whole or not at all.
///
/// # Errors
/// See [`TraceFileError`].
pub fn write(path: &Path, format: Format, trace: &Trace) -> Result<()> {
    let part = path.with_file_name(format!("{}.part", file_name(path)));
    let written = write_to(&part, Compression::of_name(&file_name(path)), format, trace);
    match written {
        Ok(()) => Ok(files::rename(&part, path)?),
        Err(error) => {
            // The first error is the one to be told.
            drop(files::remove(&part));
            Err(error)
        }
    }
}

fn write_to(
    part: &Path,
    compression: Option<Compression>,
    format: Format,
    trace: &Trace,
) -> Result<()> {
    let failed = |source| TraceFileError::Compression {
        path: part.to_owned(),
        source,
    };
    let told = |source| TraceFileError::Trace {
        path: part.to_owned(),
        source,
    };
    let mut file = files::create(part)?;
    match compression {
        None => trace::write(trace, format, &mut file).map_err(told),
        Some(Compression::Zstd) => {
            let mut output =
                zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(failed)?;
            trace::write(trace, format, &mut output).map_err(told)?;
            output
                .finish()
                .and_then(|mut file| file.flush())
                .map_err(failed)
        }
        Some(Compression::Gzip) => {
            let mut output = GzEncoder::new(file, flate2::Compression::new(GZIP_LEVEL));
            trace::write(trace, format, &mut output).map_err(told)?;
            output
                .finish()
                .and_then(|mut file| file.flush())
                .map_err(failed)
        }
        Some(Compression::Xz) => {
            let mut output = XzEncoder::new(file, XZ_LEVEL);
            trace::write(trace, format, &mut output).map_err(told)?;
            output
                .finish()
                .and_then(|mut file| file.flush())
                .map_err(failed)
        }
    }
}

/// The format that a file to be written is named for.
pub fn format_of(path: &Path) -> Option<Format> {
    Format::detect(&plain_name(path), b"")
        .or_else(|| plain_name(path).ends_with(".csv").then_some(Format::Csv))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_endings() {
        for (file, name) in [
            ("a/zipf_1.0.csv.zst", "zipf_1.0"),
            ("cloud.oracleGeneral.bin.xz", "cloud"),
            ("cluster52.sort.zst", "cluster52.sort"),
            ("OLTP.lis", "OLTP"),
            (".csv", ".csv"),
        ] {
            assert_eq!(name_of(Path::new(file)), name, "{file}");
        }
    }

    #[test]
    fn an_output_is_of_the_format_that_its_name_says() {
        for (file, format) in [
            ("x.aurat.zst", Some(Format::Aurat)),
            ("x.oracleGeneral.gz", Some(Format::OracleGeneral)),
            ("x.oracleGeneral.bin", Some(Format::OracleGeneral)),
            ("x.csv", Some(Format::Csv)),
            ("x.txt", None),
        ] {
            assert_eq!(format_of(Path::new(file)), format, "{file}");
        }
    }
}
