//! `aura trace`: traces converted and summed up.

use std::path::Path;

use aura_workloads::trace::{
    Columns, Format as TraceFormat, KindCount, ReadOptions, Sample, Summary, Trace,
};
use bytesize::ByteSize;
use serde_json::{Value, json};

use super::{Answer, EXIT_DONE, Failure, remark};
use crate::cli::{Global, TraceInput, TraceVerb};
use crate::compare::digits;
use crate::config::hint;
use crate::rows::{self, Cell, Rows};
use crate::traces::{self, TraceFileError};

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
    pub(super) fn new(input: &TraceInput, times: bool) -> Result<Self, Failure> {
        let columns = input
            .columns
            .as_deref()
            .map(str::parse::<Columns>)
            .transpose();
        let columns = columns
            .map_err(|error| Failure::usage(error, "such as --columns time=1,key=2,size=3"))?;
        let sample = match input.sample {
            None => None,
            Some(rate) => Some(Sample::new(rate, input.seed).ok_or_else(|| {
                Failure::usage(
                    format_args!("--sample {rate}: a rate is above 0 and at most 1"),
                    "such as --sample 0.01",
                )
            })?),
        };
        let format = input
            .trace_format
            .as_deref()
            .map(format_named)
            .transpose()?;
        let columns = columns.unwrap_or_default();
        Ok(Self {
            format,
            options: ReadOptions {
                columns,
                limit: input.limit,
                sample,
                times,
            },
        })
    }

    pub(super) fn read(&self, path: &Path) -> Result<(Trace, TraceFormat), Failure> {
        Ok(traces::read(path, self.format, &self.options)?)
    }
}

pub(super) fn trace(global: &Global, verb: &TraceVerb) -> Answer {
    match verb {
        TraceVerb::Convert {
            input,
            output,
            to,
            how,
        } => convert(global, input, output, to.as_deref(), how),
        TraceVerb::Info { traces, how } => {
            let reader = TraceReader::new(how, true)?;
            let mut rows = Rows::new(["trace", "what", "value"]);
            for path in traces {
                let (trace, format) = reader.read(path)?;
                info(&traces::name_of(path), format, &trace, &mut rows);
            }
            rows::print(&rows.text(global.format))?;
            Ok(EXIT_DONE)
        }
    }
}

fn convert(
    global: &Global,
    input: &Path,
    output: &Path,
    to: Option<&str>,
    how: &TraceInput,
) -> Answer {
    let reader = TraceReader::new(how, true)?;
    let format = match to {
        Some(name) => format_named(name)?,
        None => traces::format_of(output).ok_or_else(|| {
            let message = format!(
                "{}: the name does not tell the format to be written",
                output.display()
            );
            Failure::usage(
                message,
                "end it with .aurat, .csv or .oracleGeneral.bin, or use --to",
            )
        })?,
    };
    let (trace, from) = reader.read(input)?;
    traces::write(output, format, &trace)?;
    if trace.removals() > 0 {
        remark(
            global,
            &format!("{} deletions in the trace were left out", trace.removals()),
        );
    }
    let (requests, objects) = (trace.objects().len(), trace.keys().len());
    remark(
        global,
        &format!(
            "wrote {}: {requests} requests for {objects} objects, {from} to {format}",
            output.display()
        ),
    );
    Ok(EXIT_DONE)
}

/// A number of bytes, as people read it.
fn bytes(amount: u64) -> Cell {
    Cell::new(json!(amount), ByteSize(amount).display().iec().to_string())
}

/// A share, as people read it.
fn percent(ratio: f64) -> Cell {
    Cell::new(json!(ratio), format!("{} %", digits(ratio * 100.0, 3)))
}

fn info(name: &str, format: TraceFormat, trace: &Trace, rows: &mut Rows<3>) {
    let summary = Summary::of(trace);
    let mut row = |what: &'static str, value: Cell| rows.push([name.into(), what.into(), value]);
    row("format", format.name().into());
    row("requests", summary.requests.into());
    row("objects", summary.objects.into());
    row("one-hit wonders", summary.one_hit_wonders.into());
    if summary.objects > 0 {
        row(
            "one-hit wonders over objects",
            percent(summary.one_hit_wonders as f64 / summary.objects as f64),
        );
    }
    if let Some(popularity) = summary.popularity {
        row(
            "requests for the top 1 % of objects",
            percent(popularity.top_1_percent),
        );
        row(
            "requests for the top 10 % of objects",
            percent(popularity.top_10_percent),
        );
        if let Some(exponent) = popularity.zipf_exponent {
            row(
                "Zipf exponent (least squares)",
                Cell::new(json!(exponent), digits(exponent, 3)),
            );
        }
    }
    if let (Some(requested), Some(footprint)) = (summary.request_bytes, summary.object_bytes) {
        row("bytes requested", bytes(requested));
        row("bytes of distinct objects", bytes(footprint));
        row("objects that change their size", summary.changing.into());
    }
    if let Some(sizes) = summary.sizes {
        row("smallest object", bytes(sizes.min));
        row("median object", bytes(sizes.p50));
        row("object at 90 %", bytes(sizes.p90));
        row("object at 99 %", bytes(sizes.p99));
        row("largest object", bytes(sizes.max));
    }
    if let Some(span_ns) = summary.span_ns {
        let seconds = span_ns as f64 / 1e9;
        row(
            "span of time",
            Cell::new(json!(seconds), format!("{} s", digits(seconds, 6))),
        );
    }
    for KindCount {
        kind,
        requests,
        hits,
    } in &summary.kinds
    {
        let text = format!("{kind}: {requests}, of which the recorded cache held {hits}");
        row(
            "requests by kind",
            Cell::new(
                json!({ "kind": kind, "requests": requests, "hits": hits }),
                text,
            ),
        );
    }
    if !summary.kinds.is_empty() {
        row("requests by scans", summary.scanned.into());
    }
    rest(trace, &mut row);
}

/// What was left out of a trace.
fn rest(trace: &Trace, row: &mut impl FnMut(&'static str, Cell)) {
    if trace.removals() > 0 {
        row("deletions, left out", trace.removals().into());
    }
    if trace.sample_rate() < 1.0 {
        row(
            "share of keys kept",
            Value::from(trace.sample_rate()).into(),
        );
        row("requests read", trace.requests_read().into());
    }
    if trace.recorded_rate() < 1.0 {
        row(
            "share of keys recorded",
            Value::from(trace.recorded_rate()).into(),
        );
    }
}
