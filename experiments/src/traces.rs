//! Traces in files, plain or compressed: of requests to caches, and of operations on stores.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use aura_workloads::trace::{
    self, Columns, ColumnsError, Format, Operations, ReadOptions, Sample, Trace, TraceError,
};
use aura_workloads::{Lengths, TraceConfig, WorkloadConfig};

use crate::compression::{self, Compression, Compressor, Peeked, file_name, peek, plain_name};
use crate::files::{self, FileError};

/// Extensions that say a trace's format, in the order in which they are taken off a name.
const EXTENSIONS: [&str; 11] = [
    ".bin",
    ".oracleGeneral",
    ".aurat",
    ".csv",
    ".tsv",
    ".psv",
    ".lcs",
    ".lis",
    ".vscsi",
    ".u64",
    ".keys",
];

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Why a trace file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum TraceFileError {
    /// The system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file holds no trace of its format, or its format has no room for the trace.
    #[error("{}: {source}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: TraceError,
    },
    /// The file is empty.
    #[error("{}: holds no request: it is empty", .0.display())]
    Empty(PathBuf),
    /// Neither name nor contents say the format.
    #[error("{}: neither the name nor the first bytes say the trace's format", .0.display())]
    UnknownFormat(PathBuf),
    /// A compressed file is damaged, or could not be finished.
    #[error("{}: {source}", path.display())]
    Compression {
        /// The file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl TraceFileError {
    fn trace(path: &Path, source: TraceError) -> Self {
        Self::Trace {
            path: path.to_owned(),
            source,
        }
    }

    fn compression(path: &Path, source: io::Error) -> Self {
        Self::Compression {
            path: path.to_owned(),
            source,
        }
    }
}

type Result<T> = std::result::Result<T, TraceFileError>;

/// A trace, and the format it was read as.
pub struct ReadTrace {
    /// The trace.
    pub trace: Trace,
    /// Its format.
    pub format: Format,
}

/// Returns a trace's name: that of its file, without extensions of compression and format.
pub fn name_of(path: &Path) -> String {
    if path == Path::new(STANDARD_INPUT) {
        return "stdin".to_owned();
    }
    let mut name = plain_name(path);
    for extension in EXTENSIONS {
        if name.len() > extension.len() && name.ends_with(extension) {
            name.truncate(name.len() - extension.len());
        }
    }
    name
}

/// Reads a trace from a file, or from standard input if the path is `-`. Without a `format` it is
/// detected from the name or the contents.
///
/// # Errors
/// [`TraceFileError`].
pub fn read(path: &Path, format: Option<Format>, options: &ReadOptions) -> Result<ReadTrace> {
    let (trace, format) = read_by(path, format, options, |input, format| {
        trace::read(input, format, options)
    })?;
    Ok(ReadTrace { trace, format })
}

/// Requests of a block of a trace that is streamed: enough to make a change of threads cheap, and
/// few enough for a processor's cache.
const BLOCK_REQUESTS: usize = 1 << 17;

/// Reads a trace like [`read`] and hands it to `take`, block by block. The trace that is returned
/// has the counts of all and no requests.
///
/// # Errors
/// [`TraceFileError`]. The blocks before it were handed out.
pub fn stream(
    path: &Path,
    format: Option<Format>,
    options: &ReadOptions,
    take: &mut dyn FnMut(Trace),
) -> Result<ReadTrace> {
    let mut take = |block| {
        take(block);
        true
    };
    let (trace, format) = read_by(path, format, options, |input, format| {
        trace::read_blocks(input, format, options, BLOCK_REQUESTS, &mut take)
    })?;
    Ok(ReadTrace { trace, format })
}

/// Opens a trace, finds its format, and reads it.
fn read_by<T>(
    path: &Path,
    format: Option<Format>,
    options: &ReadOptions,
    read: impl FnOnce(Box<dyn io::BufRead>, Format) -> std::result::Result<T, TraceError>,
) -> Result<(T, Format)> {
    let failed = |source| TraceFileError::compression(path, source);
    let file: Box<dyn io::Read> = match path == Path::new(STANDARD_INPUT) {
        true => Box::new(io::stdin()),
        false => Box::new(files::open(path)?),
    };
    let plain = compression::open(file, &file_name(path)).map_err(failed)?;
    let Peeked { head, input } = peek(plain).map_err(failed)?;
    if head.is_empty() {
        return Err(TraceFileError::Empty(path.to_owned()));
    }
    let mapped = (options.columns != Columns::default()).then_some(Format::Csv);
    let format = format
        .or_else(|| Format::detect(&plain_name(path), &head))
        .or(mapped)
        .ok_or_else(|| TraceFileError::UnknownFormat(path.to_owned()))?;
    let trace =
        read(Box::new(input), format).map_err(|source| TraceFileError::trace(path, source))?;
    Ok((trace, format))
}

/// Reads the operations of a trace from a file, and says which format it has.
///
/// # Errors
/// [`TraceFileError`].
pub fn read_operations(
    path: &Path,
    format: Option<Format>,
    options: &ReadOptions,
) -> Result<(Operations, Format)> {
    read_by(path, format, options, |input, format| {
        trace::read_operations(input, format, options)
    })
}

/// The operations that a workload replays.
pub struct TraceOfWorkload {
    /// The digest of what the file holds.
    pub digest: String,
    /// The operations, ready to be replayed.
    pub operations: Arc<Operations>,
}

/// Why a workload's trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] TraceFileError),
    /// The columns are not described.
    #[error(transparent)]
    Columns(#[from] ColumnsError),
    /// The share of the keys is not one.
    #[error("{0}: a share is above 0 and at most 1")]
    Sample(f64),
    /// The file is not what was planned.
    #[error(
        "{}: its operations are not those that were planned: their digest is {found}, not \
         {planned}",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The digest of its operations.
        found: String,
        /// The digest in the settings.
        planned: String,
    },
}

impl ReplayError {
    /// The key of the config that is to blame.
    pub fn key(&self) -> &'static str {
        match self {
            Self::File(_) | Self::Changed { .. } => "workload.trace.file",
            Self::Columns(_) => "workload.trace.columns",
            Self::Sample(_) => "workload.trace.sample",
        }
    }
}

/// Reads the trace that a workload replays, and makes it ready; `None` if it names none.
///
/// What a plan has fixed by its digest is read once in a process, as long as a trial has it or it
/// is one of the last two: the trials of a run replay one trace, and many may begin at one time.
/// Without a digest the file is read.
///
/// # Errors
/// [`ReplayError`] if the file cannot be read, or holds other operations than the settings say.
pub fn of_workload(
    workload: &WorkloadConfig,
) -> std::result::Result<Option<TraceOfWorkload>, ReplayError> {
    let Some(config) = &workload.trace else {
        return Ok(None);
    };
    // Others wait meanwhile: they want the same trace.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(digest) = &config.digest
        && let Some(operations) = known.find(&key_of(workload, config, digest))
    {
        let digest = digest.clone();
        return Ok(Some(TraceOfWorkload { digest, operations }));
    }
    let read = read_for(workload, config)?;
    known.keep(key_of(workload, config, &read.digest), &read.operations);
    Ok(Some(read))
}

static KNOWN: Mutex<Known> = Mutex::new(Known {
    all: BTreeMap::new(),
    last: VecDeque::new(),
});

/// Traces that are kept for the next trial although none has them now.
const KEPT: usize = 2;

/// The traces that were read and made ready, by all that they depend on.
struct Known {
    all: BTreeMap<String, Weak<Operations>>,
    last: VecDeque<Arc<Operations>>,
}

impl Known {
    fn find(&mut self, key: &str) -> Option<Arc<Operations>> {
        let found = self.all.get(key)?.upgrade()?;
        self.hold(&found);
        Some(found)
    }

    fn keep(&mut self, key: String, operations: &Arc<Operations>) {
        self.all.retain(|_, known| known.strong_count() > 0);
        self.all.insert(key, Arc::downgrade(operations));
        self.hold(operations);
    }

    /// Makes a trace the last one that is kept.
    fn hold(&mut self, operations: &Arc<Operations>) {
        self.last.retain(|kept| !Arc::ptr_eq(kept, operations));
        self.last.push_back(operations.clone());
        if self.last.len() > KEPT {
            self.last.pop_front();
        }
    }
}

/// All that a trace that is ready depends on: what is read of the file, by its digest, and what is
/// drawn in the place of what it does not state.
fn key_of(workload: &WorkloadConfig, config: &TraceConfig, digest: &str) -> String {
    let preload = config.preload;
    serde_json::json!([digest, preload, workload.value, workload.scan]).to_string()
}

/// Reads a workload's trace from its file, and makes it ready.
fn read_for(
    workload: &WorkloadConfig,
    config: &TraceConfig,
) -> std::result::Result<TraceOfWorkload, ReplayError> {
    let columns = config.columns.as_deref().map(str::parse).transpose()?;
    let sample = match config.sample {
        Some(rate) => Some(Sample::new(rate, Sample::SEED).ok_or(ReplayError::Sample(rate))?),
        None => None,
    };
    let options = ReadOptions {
        columns: columns.unwrap_or_default(),
        limit: config.limit,
        sample,
        truncated: config.truncated,
        ..ReadOptions::default()
    };
    let (operations, _) = read_operations(&config.file, config.format, &options)?;
    let digest = format!("{:032x}", operations.digest());
    if let Some(planned) = config.digest.as_ref().filter(|planned| **planned != digest) {
        return Err(ReplayError::Changed {
            path: config.file.clone(),
            found: digest,
            planned: planned.clone(),
        });
    }
    let value = workload.value.clone().unwrap_or_default();
    let scan = workload.scan.unwrap_or_default();
    let (min, max) = (u64::from(scan.min_length), u64::from(scan.max_length));
    let scans = Lengths::new(min, max, scan.length_distribution);
    let operations = Arc::new(operations.prepared(config.preload, &value.bytes, scans));
    Ok(TraceOfWorkload { digest, operations })
}

/// Writes a trace to a file, compressed as its extension says. The file appears whole or not at
/// all.
///
/// # Errors
/// [`TraceFileError`].
pub fn write(path: &Path, format: Format, trace: &Trace) -> Result<()> {
    write_by(path, |output| trace::write(trace, format, output))
}

/// Writes operations to a file in [`Format::Aurat`], as [`write()`] does.
///
/// # Errors
/// [`TraceFileError`].
pub fn write_operations(path: &Path, operations: &Operations) -> Result<()> {
    write_by(path, |output| trace::write_operations(operations, output))
}

fn write_by(
    path: &Path,
    write: impl FnOnce(&mut Compressor) -> std::result::Result<(), TraceError>,
) -> Result<()> {
    let part = files::part_of(path);
    let compression = Compression::of_name(&file_name(path));
    match write_to(&part, compression, write) {
        Ok(()) => Ok(files::rename(&part, path)?),
        Err(error) => {
            // The first error is the one to report.
            drop(files::remove(&part));
            Err(error)
        }
    }
}

fn write_to(
    part: &Path,
    compression: Option<Compression>,
    write: impl FnOnce(&mut Compressor) -> std::result::Result<(), TraceError>,
) -> Result<()> {
    let failed = |source| TraceFileError::compression(part, source);
    let mut output = Compressor::new(files::create(part)?, compression).map_err(failed)?;
    write(&mut output).map_err(|source| TraceFileError::trace(part, source))?;
    output.finish().map_err(failed)
}

/// Returns the format that the name of a file to be written says.
pub fn format_of(path: &Path) -> Option<Format> {
    let name = plain_name(path);
    Format::detect(&name, b"").or_else(|| name.ends_with(".csv").then_some(Format::Csv))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_extensions() {
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
    fn what_a_plan_fixed_is_read_once_and_a_changed_file_is_refused_where_it_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("once.csv");
        files::write(&file, b"key,op,size\nonce1,get,5\nonce2,put,\n").expect("a file");
        let written = serde_json::json!({ "trace": { "file": file } });
        let mut workload: WorkloadConfig = serde_json::from_value(written).expect("a workload");
        let first = of_workload(&workload)
            .expect("a trace")
            .expect("it names one");
        let trace = workload.trace.as_mut().expect("a trace");
        trace.digest = Some(first.digest.clone());
        // Nobody opens the file again.
        files::remove(&file).expect("a file");
        let again = of_workload(&workload)
            .expect("it is known")
            .expect("it names one");
        assert!(Arc::ptr_eq(&first.operations, &again.operations));
        // Other settings give other operations.
        for (key, value) in [
            ("value", serde_json::json!({ "bytes": 77 })),
            (
                "trace",
                serde_json::json!({ "file": file, "preload": false, "digest": first.digest }),
            ),
        ] {
            let mut other = serde_json::to_value(&workload).expect("a table");
            other[key] = value;
            let other: WorkloadConfig = serde_json::from_value(other).expect("a workload");
            assert!(of_workload(&other).is_err(), "{key}: the file is gone");
        }
        files::write(&file, b"key,op,size\nonce3,get,5\n").expect("a file");
        let trace = workload.trace.as_mut().expect("a trace");
        trace.digest = Some("0".repeat(32));
        assert!(matches!(
            of_workload(&workload),
            Err(ReplayError::Changed { .. })
        ));
    }

    #[test]
    fn an_output_has_the_format_that_its_name_says() {
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
