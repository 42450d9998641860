//! `aura trace`: traces converted and summed up.

use std::path::{Path, PathBuf};

use aura_workloads::trace::{
    Columns, Format as TraceFormat, KindCount, ReadOptions, Sample, Summary, Trace, TraceError,
};
use bytesize::ByteSize;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{CommandResult, Failure, Global};
use crate::exit::Exit;
use crate::formats::{Cell, Table, column, digits, print};
use crate::nearest::hint;
use crate::traces::{self, ReadTrace, TraceFileError};

/// Convert cache traces, or sum up what they hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  aura trace info cluster52.sort.zst
  aura trace convert OLTP.lis.zst oltp.oracleGeneral.bin.zst

Prints what `aura trace info` finds, one fact a row; `convert` writes a file.

Exit codes: 0 done; 2 bad usage, or a trace that cannot be read as its format; 3 a file cannot be
written.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Convert(Convert),
    Info(Info),
}

/// Write a trace in another format, compressed as the output's extension says.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  aura trace convert OLTP.lis oltp.aurat.zst
  aura trace convert requests.csv out.oracleGeneral.bin.zst --columns time=ts,key=url,size=bytes
  aura trace convert big.oracleGeneral.zst small.csv --sample 0.01 --limit 1000000000
  aura trace convert rocksdb.trace operations.aurat.zst --replayable

Formats that can be written: aurat, csv, oracle-general (with each request's next access computed).

Prints on standard error how many requests and objects were written.

Exit codes: 0 the file is complete; 2 bad usage, or the trace cannot be read or has no place in the
format; 3 the file cannot be written.")]
struct Convert {
    /// The trace.
    input: PathBuf,
    /// The file to be written.
    output: PathBuf,
    /// The output's format. Default: as its name says.
    #[arg(long, value_name = "FORMAT")]
    to: Option<String>,
    /// Write the operations on a store, with keys and values' lengths, for `workload.trace`; as
    /// aurat.
    #[arg(long)]
    replayable: bool,
    #[command(flatten)]
    how: TraceInput,
}

/// Sum up traces: requests, objects, bytes, sizes, popularity, time, kinds.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  aura trace info cluster52.sort.zst
  aura trace info a.lis b.oracleGeneral.zst --format json

Prints one fact a row: the trace, what it is, and its value.

Exit codes: 0 done; 2 bad usage, or a trace that cannot be read as its format.")]
struct Info {
    /// The traces.
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    #[command(flatten)]
    how: TraceInput,
}

// No doc comment: clap would show it as the description of the whole command.
#[derive(Clone, Debug, Args)]
pub(super) struct TraceInput {
    /// The traces' format. Default: detected from name and contents.
    #[arg(long, value_name = "FORMAT")]
    trace_format: Option<String>,
    /// What each column of a CSV file holds, by number or name:
    /// time=1,key=2,size=bytes,op=4,ttl=5,cost=6,header=yes,delimiter=tab; of operations also
    /// key_size and scan. Default: by the header, and by the first rows.
    #[arg(long, value_name = "MAP")]
    columns: Option<String>,
    /// Read these operations only, such as get,set; of traces that say what each request is.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    operations: Vec<String>,
    /// Leave out deletions and times to live: objects stay until they are evicted.
    #[arg(long)]
    pub(super) ignore_removals: bool,
    /// Read a trace that ends within a record up to there.
    #[arg(long)]
    truncated: bool,
    /// Read the first N requests only.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Keep this share of the keys, by their hash, with all their requests (SHARDS).
    #[arg(long, value_name = "RATE")]
    sample: Option<f64>,
    /// The seed of sampling, and of policies that draw lots.
    #[arg(long, default_value_t = Sample::SEED, value_name = "N")]
    pub(super) seed: u64,
}

impl From<TraceFileError> for Failure {
    fn from(error: TraceFileError) -> Self {
        match error {
            TraceFileError::UnknownFormat(_) => {
                Self::usage(error, &format!("name it with --trace-format: {}", known()))
            }
            TraceFileError::File(ref file) if file.action == "read" => {
                Self::usage(error, "name a trace file")
            }
            TraceFileError::File(_) => Self::environment(error),
            TraceFileError::Compression { .. } => {
                Self::usage(error, "is the file whole, and named for its compression?")
            }
            TraceFileError::Empty(_) => Self::usage(error, "name a trace file with requests"),
            TraceFileError::Trace {
                source: TraceError::Truncated { .. },
                ..
            } => Self::usage(
                error,
                "--truncated reads what comes before; --limit N reads the first N requests",
            ),
            TraceFileError::Trace { .. } => Self::usage(
                error,
                "--trace-format names another format, --columns the columns of a CSV file",
            ),
        }
    }
}

fn known() -> String {
    TraceFormat::ALL.map(TraceFormat::name).join(", ")
}

fn format_named(name: &str) -> Result<TraceFormat, Failure> {
    TraceFormat::find(name).ok_or_else(|| {
        let near = hint(name, TraceFormat::ALL.map(TraceFormat::name).into_iter());
        Failure::usage(
            format_args!("unknown trace format `{name}`{near}"),
            &format!("formats: {}", known()),
        )
    })
}

/// How traces are read, checked before one is.
pub(super) struct TraceReader {
    format: Option<TraceFormat>,
    options: ReadOptions,
}

impl TraceReader {
    /// Checks the arguments. `times` keeps the requests' times, for 8 bytes each.
    pub(super) fn new(input: &TraceInput, times: bool) -> Result<Self, Failure> {
        let columns = match &input.columns {
            None => Columns::default(),
            Some(columns) => columns
                .parse()
                .map_err(|error| Failure::usage(error, "such as --columns time=1,key=2,size=3"))?,
        };
        let sample = match input.sample {
            None => None,
            Some(rate) => Some(Sample::new(rate, input.seed).ok_or_else(|| {
                Failure::usage(
                    format_args!("--sample {rate}: a rate is above 0 and at most 1"),
                    "such as --sample 0.01",
                )
            })?),
        };
        let format = match &input.trace_format {
            None => None,
            Some(name) => Some(format_named(name)?),
        };
        Ok(Self {
            format,
            options: ReadOptions {
                columns,
                limit: input.limit,
                sample,
                times,
                lives: !input.ignore_removals,
                truncated: input.truncated,
                operations: input.operations.clone(),
            },
        })
    }

    pub(super) fn read(&self, path: &Path) -> Result<ReadTrace, Failure> {
        Ok(traces::read(path, self.format, &self.options)?)
    }

    /// Reads a trace and hands it to `take`, block by block.
    pub(super) fn stream(
        &self,
        path: &Path,
        take: &mut dyn FnMut(Trace),
    ) -> Result<ReadTrace, Failure> {
        Ok(traces::stream(path, self.format, &self.options, take)?)
    }
}

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        match &self.command {
            Command::Convert(convert) => convert.run(global),
            Command::Info(info) => info.run(global),
        }
    }
}

impl Convert {
    fn run(&self, global: &Global) -> CommandResult {
        let reader = TraceReader::new(&self.how, true)?;
        let format = self.format()?;
        if self.replayable {
            return self.write_operations(&reader, format, global);
        }
        let read = reader.read(&self.input)?;
        let trace = &read.trace;
        traces::write(&self.output, format, trace)?;
        if trace.removals() + trace.expirations() > 0 {
            global.remark(&format!(
                "left out, as {format} has no place for them: {}",
                ends_of(trace)
            ));
        }
        let requests = trace.objects().len();
        let objects = trace.keys().len();
        global.remark(&format!(
            "wrote {}: {requests} requests for {objects} objects, {} to {format}",
            self.output.display(),
            read.format
        ));
        Ok(Exit::Done)
    }

    /// Writes operations on a store.
    fn write_operations(
        &self,
        reader: &TraceReader,
        format: TraceFormat,
        global: &Global,
    ) -> CommandResult {
        if format != TraceFormat::Aurat {
            return Err(Failure::usage(
                format_args!("{format} has no place for operations"),
                "with --replayable, end the output's name with .aurat or .aurat.zst",
            ));
        }
        let read = traces::read_operations(&self.input, reader.format, &reader.options)?;
        let (operations, from) = read;
        traces::write_operations(&self.output, &operations)?;
        if operations.open_range_deletes() > 0 {
            global.remark(&format!(
                "warning: left out {} deletes of ranges: the trace does not state where they end",
                operations.open_range_deletes()
            ));
        }
        global.remark(&format!(
            "wrote {}: {} operations on {} keys, {from} to {format}",
            self.output.display(),
            operations.len(),
            operations.keys()
        ));
        Ok(Exit::Done)
    }

    /// The format to be written.
    fn format(&self) -> Result<TraceFormat, Failure> {
        if let Some(name) = &self.to {
            return format_named(name);
        }
        traces::format_of(&self.output).ok_or_else(|| {
            let output = self.output.display();
            Failure::usage(
                format_args!("{output}: the name does not say the format to be written"),
                "end it with .aurat, .csv or .oracleGeneral.bin, or use --to",
            )
        })
    }
}

/// Says how the objects of a trace end.
pub(super) fn ends_of(trace: &Trace) -> String {
    let removals = trace.removals();
    let expirations = trace.expirations();
    format!("{removals} deletions, {expirations} requests after a time to live")
}

/// One row of `aura trace info`.
struct Fact {
    trace: String,
    what: &'static str,
    value: Cell,
}

impl Info {
    fn run(&self, global: &Global) -> CommandResult {
        let reader = TraceReader::new(&self.how, true)?;
        let mut facts = Vec::new();
        for path in &self.traces {
            let read = reader.read(path)?;
            let mut list = FactList {
                trace: traces::name_of(path),
                facts: &mut facts,
            };
            list.add("format", read.format.name());
            list.add_summary(&Summary::of(&read.trace));
            list.add_omissions(&read.trace);
        }
        let columns = [
            column("trace", |fact: &Fact| fact.trace.as_str().into()),
            column("what", |fact| fact.what.into()),
            column("value", |fact| fact.value.clone()),
        ];
        print(&Table::of(&columns, &facts).text(global.format))?;
        Ok(Exit::Done)
    }
}

/// A number of bytes.
fn bytes(amount: u64) -> Cell {
    Cell::new(amount, ByteSize(amount).display().iec().to_string())
}

/// A share.
fn percent(ratio: f64) -> Cell {
    Cell::new(ratio, format!("{} %", digits(ratio * 100.0, 3)))
}

/// The facts of one trace.
struct FactList<'a> {
    trace: String,
    facts: &'a mut Vec<Fact>,
}

impl FactList<'_> {
    fn add(&mut self, what: &'static str, value: impl Into<Cell>) {
        self.facts.push(Fact {
            trace: self.trace.clone(),
            what,
            value: value.into(),
        });
    }

    fn add_summary(&mut self, summary: &Summary) {
        self.add("requests", summary.requests);
        self.add("objects", summary.objects);
        self.add("one-hit wonders", summary.one_hit_wonders);
        if summary.objects > 0 {
            let share = summary.one_hit_wonders as f64 / summary.objects as f64;
            self.add("one-hit wonders over objects", percent(share));
        }
        if let Some(popularity) = &summary.popularity {
            let top_1 = percent(popularity.top_1_percent);
            let top_10 = percent(popularity.top_10_percent);
            self.add("requests for the top 1 % of objects", top_1);
            self.add("requests for the top 10 % of objects", top_10);
            if let Some(exponent) = popularity.zipf_exponent {
                let exponent = Cell::number(exponent);
                self.add("Zipf exponent (least squares)", exponent);
            }
        }
        if let (Some(requested), Some(footprint)) = (summary.request_bytes, summary.object_bytes) {
            self.add("bytes requested", bytes(requested));
            self.add("bytes of distinct objects", bytes(footprint));
            self.add("objects that change their size", summary.changing);
        }
        if let Some(sizes) = &summary.sizes {
            self.add("smallest object", bytes(sizes.min));
            self.add("median object", bytes(sizes.p50));
            self.add("object at 90 %", bytes(sizes.p90));
            self.add("object at 99 %", bytes(sizes.p99));
            self.add("largest object", bytes(sizes.max));
        }
        if let Some(span_ns) = summary.span_ns {
            let seconds = span_ns as f64 / 1e9;
            let span = Cell::new(seconds, format!("{} s", digits(seconds, 6)));
            self.add("span of time", span);
        }
        self.add_kinds(summary);
    }

    fn add_kinds(&mut self, summary: &Summary) {
        for KindCount {
            kind,
            requests,
            hits,
        } in &summary.kinds
        {
            let data = json!({ "kind": kind, "requests": requests, "hits": hits });
            let text = format!("{kind}: {requests}, of which the recorded cache held {hits}");
            self.add("requests by kind", Cell::new(data, text));
        }
        if !summary.kinds.is_empty() {
            self.add("requests by scans", summary.scanned);
        }
    }

    /// What a trace holds beside whole requests, and what was left out.
    fn add_omissions(&mut self, trace: &Trace) {
        if trace.removals() > 0 {
            self.add("deletions", trace.removals());
        }
        if trace.expirations() > 0 {
            self.add("requests after a time to live", trace.expirations());
        }
        if trace.zero_sizes() > 0 {
            self.add("requests of size 0", trace.zero_sizes());
        }
        if trace.sample_rate() < 1.0 {
            self.add("share of keys kept", Value::from(trace.sample_rate()));
            self.add("requests read", trace.requests_read());
        }
        if trace.recorded_rate() < 1.0 {
            let rate = Value::from(trace.recorded_rate());
            self.add("share of keys recorded", rate);
        }
    }
}
