//! Results on disk: a trial's folder, and the tables that gather an experiment's trials.
//!
//! ```text
//! results/<experiment>/
//!   metrics.parquet           one row a trial, phase and metric: the columns of `TidyRow`, and one for every sweep key
//!   summary.json              over the seeds: n, mean, smallest, largest, half-width of the 95 % Student interval
//!   trials/<id>/
//!     manifest.json           what the trial was
//!     metrics.jsonl           its metrics, one a line
//!     series.parquet          its phases in slices of time
//!     latency/<phase>.<op>.hlog           HDR histogram V2, nanoseconds, from the intended start
//!     latency/<phase>.<op>.service.hlog   the same from the actual start; in an open loop only
//!     events.jsonl            flushes, compactions, stalls and actions of agents
//! ```
//!
//! The same results give the same bytes: no file holds a date, a path or a host. A file that gathers others is written
//! under a temporary name and renamed, so that a reader never sees half of one.
#![expect(clippy::disallowed_methods, reason = "results are ordinary files of the laboratory, outside any engine")]

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aura_engine::Event;
use bytesize::ByteSize;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, IntervalLogWriterBuilder, LogEntry};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use polars::prelude::{Column, DataFrame, NamedFrom, ParquetReader, ParquetWriter, PolarsError, SerReader, Series};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::metrics::{self, Measured};
use crate::record::{Manifest, MetricRow, OpClass, SeriesPoint, TrialResult, World};
use crate::stats::{self, Estimate};

/// A sweep's point: dotted key to value.
pub type Point = BTreeMap<String, String>;

/// What can go wrong with results on disk.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged: {message}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A phase's name cannot be part of a file name.
    #[error("phase {0:?}: a name has 1 to 64 letters, digits, - and _")]
    PhaseName(String),
    /// There is nothing to read.
    #[error("{} holds no finished trial", .0.display())]
    NoTrials(PathBuf),
}

type Result<T> = std::result::Result<T, StoreError>;

/// A trial read back.
pub struct StoredTrial {
    /// What it was.
    pub manifest: Manifest,
    /// Its metrics.
    pub rows: Vec<MetricRow>,
    /// Its slices by phase.
    pub series: BTreeMap<String, Vec<SeriesPoint>>,
    /// Latency in nanoseconds from the intended start, by phase and class.
    pub latency: BTreeMap<(String, OpClass), Histogram<u64>>,
    /// Latency in nanoseconds from the actual start; empty in a closed loop.
    pub service: BTreeMap<(String, OpClass), Histogram<u64>>,
}

/// One value of one trial: a row of `metrics.parquet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TidyRow {
    /// The trial's id.
    pub trial: String,
    /// The variant's name.
    pub variant: String,
    /// The sweep's point.
    pub point: Point,
    /// The seed.
    pub seed: u64,
    /// The world.
    pub world: World,
    /// The phase.
    pub phase: String,
    /// The metric's dotted name.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// What it is in its world.
    pub class: Measured,
}

/// An experiment's gathered metrics.
pub struct Collected {
    /// Every value, sorted by variant, point and seed; within a trial in the order of phases and of the registry.
    pub rows: Vec<TidyRow>,
    /// The hash of `rows`: two runs of an experiment in simulation must agree on it.
    pub hash: String,
}

/// One metric over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// The variant's name.
    pub variant: String,
    /// The sweep's point.
    pub point: Point,
    /// The phase.
    pub phase: String,
    /// The metric's dotted name.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// Seeds.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Half the width of the 95 % Student interval of the mean; needs two seeds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub half_width: Option<f64>,
}

/// A sweep's point as shown in tables: `engine.cache.size=32MiB`, several keys parted by a space; empty without a sweep.
pub fn point_label(point: &Point) -> String {
    point.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

/// The order of two points: key by key, values that are numbers or sizes by their amount, others by their letters.
pub fn order_points(a: &Point, b: &Point) -> Ordering {
    let amount = |value: &str| match value.parse::<f64>() {
        Ok(number) => Some(number),
        Err(_) => value.parse::<ByteSize>().ok().map(|size| size.as_u64() as f64),
    };
    for ((key, value), (other_key, other)) in a.iter().zip(b) {
        let by_amount = match (amount(value), amount(other)) {
            (Some(value), Some(other)) => value.total_cmp(&other),
            _ => Ordering::Equal,
        };
        let order = key.cmp(other_key).then(by_amount).then(value.cmp(other));
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// A CSV table (RFC 4180, lines ended by a line feed).
pub fn csv<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let quoted = |field: &str| match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    };
    let mut text = header.join(",") + "\n";
    for row in rows {
        text += &row.map(|field| quoted(&field)).join(",");
        text.push('\n');
    }
    text
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

fn damaged(path: &Path, message: impl ToString) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), message: message.to_string() }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(io_error("read", path))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(io_error("write", path))
}

/// Creates a folder and those above it.
///
/// # Errors
/// [`StoreError::Io`].
pub fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(io_error("create", path))
}

/// Writes a file under a temporary name and renames it.
///
/// # Errors
/// [`StoreError::Io`].
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    write(&part, bytes)?;
    fs::rename(&part, path).map_err(io_error("rename", &part))
}

/// Writes a trial's results into `folder`, which must exist; `DONE` is the caller's.
///
/// # Errors
/// [`StoreError::PhaseName`], or [`StoreError::Io`].
pub fn write_trial(folder: &Path, trial: &TrialResult, rows: &[MetricRow]) -> Result<()> {
    let latency = folder.join("latency");
    create_folder(&latency)?;
    write(&folder.join("manifest.json"), &json(&trial.manifest))?;
    write(&folder.join("metrics.jsonl"), &json_lines(rows))?;
    let path = folder.join("series.parquet");
    write(&path, &parquet(series_frame(trial)).map_err(|error| damaged(&path, error))?)?;
    let mut events = Vec::new();
    for phase in &trial.phases {
        check_phase_name(&phase.name)?;
        let line = |event| EventLine { phase: &phase.name, event };
        events.extend(json_lines(&phase.events.iter().map(line).collect::<Vec<_>>()));
        for (kind, histograms) in [("hlog", &phase.latency), ("service.hlog", &phase.service)] {
            for (class, histogram) in histograms {
                let path = latency.join(format!("{}.{}.{kind}", phase.name, class.name()));
                let log = histogram_log(histogram, phase.nanos).map_err(|message| damaged(&path, message))?;
                write(&path, &log)?;
            }
        }
    }
    write(&folder.join("events.jsonl"), &events)
}

#[derive(Serialize)]
struct EventLine<'a> {
    phase: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

fn check_phase_name(name: &str) -> Result<()> {
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match (1..=64).contains(&name.len()) && name.bytes().all(lawful) {
        true => Ok(()),
        false => Err(StoreError::PhaseName(name.to_owned())),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("results have string keys only");
    bytes.push(b'\n');
    bytes
}

fn json_lines(values: &[impl Serialize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        serde_json::to_writer(&mut bytes, value).expect("results have string keys only");
        bytes.push(b'\n');
    }
    bytes
}

fn parquet(frame: std::result::Result<DataFrame, PolarsError>) -> std::result::Result<Vec<u8>, PolarsError> {
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame?)?;
    Ok(bytes)
}

fn column<'a, T: ?Sized>(name: &str, values: &'a T) -> Column
where
    Series: NamedFrom<&'a T, T>,
{
    Series::new(name.into(), values).into()
}

type SeriesField = (&'static str, fn(&SeriesPoint) -> u64, fn(&mut SeriesPoint, u64));

/// The columns of `series.parquet` after the phase.
const SERIES: [SeriesField; 8] = [
    ("at_nanos", |slice| slice.at_nanos, |slice, value| slice.at_nanos = value),
    ("nanos", |slice| slice.nanos, |slice, value| slice.nanos = value),
    ("operations", |slice| slice.operations, |slice, value| slice.operations = value),
    ("latency_p99_nanos", |slice| slice.latency_p99_nanos, |slice, value| slice.latency_p99_nanos = value),
    ("stall_nanos", |slice| slice.stall_nanos, |slice, value| slice.stall_nanos = value),
    ("cache_hits", |slice| slice.cache_hits, |slice, value| slice.cache_hits = value),
    ("cache_misses", |slice| slice.cache_misses, |slice, value| slice.cache_misses = value),
    (
        "background_write_bytes",
        |slice| slice.background_write_bytes,
        |slice, value| slice.background_write_bytes = value,
    ),
];

fn series_frame(trial: &TrialResult) -> std::result::Result<DataFrame, PolarsError> {
    let slices = || trial.phases.iter().flat_map(|phase| phase.series.iter().map(move |slice| (&phase.name, slice)));
    let phases: Vec<&str> = slices().map(|(phase, _)| phase.as_str()).collect();
    let mut columns = vec![column("phase", phases.as_slice())];
    for (name, get, _) in SERIES {
        let values: Vec<u64> = slices().map(|(_, slice)| get(slice)).collect();
        columns.push(column(name, values.as_slice()));
    }
    DataFrame::new(phases.len(), columns)
}

/// One interval that starts at 0, so that the bytes do not depend on when the trial ran.
fn histogram_log(histogram: &Histogram<u64>, nanos: u64) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Values are nanoseconds]")
        .begin_log_with(&mut bytes, &mut serializer)
        .map_err(|error| error.to_string())?;
    log.write_histogram(histogram, Duration::ZERO, Duration::from_nanos(nanos), None)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn read_histogram(path: &Path) -> Result<Histogram<u64>> {
    let bytes = read(path)?;
    for entry in IntervalLogIterator::new(&bytes) {
        let entry = entry.map_err(|error| damaged(path, format!("{error:?}")))?;
        if let LogEntry::Interval(interval) = entry {
            let encoded = interval.encoded_histogram();
            let decoded = base64(encoded).ok_or_else(|| damaged(path, "the histogram is not base64"))?;
            return Deserializer::new()
                .deserialize(&mut decoded.as_slice())
                .map_err(|error| damaged(path, format!("{error:?}")));
        }
    }
    Err(damaged(path, "there is no histogram in it"))
}

/// Decodes padded standard base64 (RFC 4648), as interval logs use it.
fn base64(text: &str) -> Option<Vec<u8>> {
    let sextet = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits = text.trim_end_matches('=').as_bytes();
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut word = 0_u32;
        for (place, digit) in group.iter().enumerate() {
            word |= u32::from(sextet(*digit)?) << (26 - 6 * place);
        }
        bytes.extend_from_slice(&word.to_be_bytes()[..group.len() - 1]);
    }
    Some(bytes)
}

/// Reads a trial back.
///
/// # Errors
/// [`StoreError::Io`] or [`StoreError::Damaged`].
pub fn read_trial(folder: &Path) -> Result<StoredTrial> {
    let (manifest, rows) = read_metrics_of(folder)?;
    let mut trial = StoredTrial {
        manifest,
        rows,
        series: read_series(&folder.join("series.parquet"))?,
        latency: BTreeMap::new(),
        service: BTreeMap::new(),
    };
    let latency = folder.join("latency");
    for name in names(&latency)? {
        let (stem, map) = match (name.strip_suffix(".service.hlog"), name.strip_suffix(".hlog")) {
            (Some(stem), _) => (stem, &mut trial.service),
            (None, Some(stem)) => (stem, &mut trial.latency),
            (None, None) => continue,
        };
        let path = latency.join(&name);
        let class = |name: &str| OpClass::ALL.into_iter().find(|class| class.name() == name);
        let key = stem.rsplit_once('.').and_then(|(phase, op)| Some((phase.to_owned(), class(op)?)));
        let key = key.ok_or_else(|| damaged(&path, "its name is not <phase>.<operation>.hlog"))?;
        map.insert(key, read_histogram(&path)?);
    }
    Ok(trial)
}

fn read_metrics_of(folder: &Path) -> Result<(Manifest, Vec<MetricRow>)> {
    let manifest = parse(&folder.join("manifest.json"), &read(&folder.join("manifest.json"))?)?;
    let path = folder.join("metrics.jsonl");
    let bytes = read(&path)?;
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok((manifest, lines.map(|line| parse(&path, line)).collect::<Result<_>>()?))
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| damaged(path, error))
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io_error("list", folder))? {
        let entry = entry.map_err(io_error("list", folder))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

fn frame(path: &Path) -> Result<DataFrame> {
    let bytes = io::Cursor::new(read(path)?);
    ParquetReader::new(bytes).finish().map_err(|error| damaged(path, error))
}

fn strings(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<String>> {
    let column = frame.column(name).and_then(|column| column.str()).map_err(|error| damaged(path, error))?;
    Ok(column.iter().map(|value| value.unwrap_or_default().to_owned()).collect())
}

fn integers(path: &Path, frame: &DataFrame, name: &str) -> Result<Vec<u64>> {
    let column = frame.column(name).and_then(|column| column.u64()).map_err(|error| damaged(path, error))?;
    Ok(column.iter().map(Option::unwrap_or_default).collect())
}

fn read_series(path: &Path) -> Result<BTreeMap<String, Vec<SeriesPoint>>> {
    let frame = frame(path)?;
    let phases = strings(path, &frame, "phase")?;
    let mut slices = vec![SeriesPoint::default(); phases.len()];
    for (name, _, set) in SERIES {
        let values = integers(path, &frame, name)?;
        slices.iter_mut().zip(values).for_each(|(slice, value)| set(slice, value));
    }
    let mut series: BTreeMap<String, Vec<SeriesPoint>> = BTreeMap::new();
    for (phase, slice) in phases.into_iter().zip(slices) {
        series.entry(phase).or_default().push(slice);
    }
    Ok(series)
}

/// The folders of an experiment's finished trials, sorted; of those in `wanted` only, where it is given.
fn finished(experiment: &Path, wanted: Option<&BTreeSet<String>>) -> Result<Vec<PathBuf>> {
    let trials = experiment.join("trials");
    let is_wanted = |id: &String| wanted.is_none_or(|wanted| wanted.contains(id));
    let folders = names(&trials)?.into_iter().filter(is_wanted).map(|id| trials.join(id));
    let folders: Vec<_> = folders.filter(|folder| folder.join("DONE").exists()).collect();
    match folders.is_empty() {
        true => Err(StoreError::NoTrials(experiment.to_owned())),
        false => Ok(folders),
    }
}

/// Reads an experiment's finished trials, sorted by variant, point and seed; those in `wanted` only, where it is given.
///
/// # Errors
/// [`StoreError::NoTrials`], and those of [`read_trial`].
pub fn read_trials(experiment: &Path, wanted: Option<&BTreeSet<String>>) -> Result<Vec<StoredTrial>> {
    let folders = finished(experiment, wanted)?;
    let mut trials = folders.iter().map(|folder| read_trial(folder)).collect::<Result<Vec<_>>>()?;
    trials.sort_by(|a, b| order(&a.manifest).cmp(&order(&b.manifest)));
    Ok(trials)
}

fn order(manifest: &Manifest) -> (&str, &Point, u64, &str) {
    (&manifest.variant, &manifest.point, manifest.seed, &manifest.id)
}

/// Gathers an experiment's finished trials (those in `wanted` only, where it is given: an experiment's folder may hold
/// trials of an older config) and writes `metrics.parquet` and `summary.json`.
///
/// # Errors
/// [`StoreError::NoTrials`], [`StoreError::Io`] or [`StoreError::Damaged`].
pub fn collect(experiment: &Path, wanted: Option<&BTreeSet<String>>) -> Result<Collected> {
    let folders = finished(experiment, wanted)?;
    let mut trials = folders.iter().map(|folder| read_metrics_of(folder)).collect::<Result<Vec<_>>>()?;
    trials.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
    let rows: Vec<TidyRow> = trials.iter().flat_map(|(manifest, rows)| tidy(manifest, rows)).collect();
    let path = experiment.join("metrics.parquet");
    replace(&path, &parquet(tidy_frame(&rows)).map_err(|error| damaged(&path, error))?)?;
    replace(&experiment.join("summary.json"), &json(&summarise(&rows)))?;
    let hash = content_hash(&rows);
    Ok(Collected { rows, hash })
}

/// A trial's metrics as rows of the gathered table.
pub fn tidy(manifest: &Manifest, rows: &[MetricRow]) -> Vec<TidyRow> {
    let tidy = |row: &MetricRow| TidyRow {
        trial: manifest.id.clone(),
        variant: manifest.variant.clone(),
        point: manifest.point.clone(),
        seed: manifest.seed,
        world: manifest.world,
        phase: row.phase.clone(),
        metric: row.metric.clone(),
        value: row.value,
        unit: row.unit.clone(),
        // A metric of another version that this one does not know is a count, as far as anybody can tell.
        class: metrics::find(&row.metric).map_or(Measured::Exact, |metric| metric.class.within(manifest.world)),
    };
    rows.iter().map(tidy).collect()
}

type TextField = (&'static str, fn(&TidyRow) -> String);

const TEXT: [TextField; 8] = [
    ("trial", |row| row.trial.clone()),
    ("variant", |row| row.variant.clone()),
    ("point", |row| point_label(&row.point)),
    ("world", |row| world_name(row.world).to_owned()),
    ("phase", |row| row.phase.clone()),
    ("metric", |row| row.metric.clone()),
    ("unit", |row| row.unit.clone()),
    ("class", |row| row.class.name().to_owned()),
];

/// The name of a world in tables.
pub fn world_name(world: World) -> &'static str {
    match world {
        World::Simulated => "simulated",
        World::Real => "real",
    }
}

/// Sweep keys are dotted, so that their columns never meet a column of [`TEXT`]; one without a dot is in `point` only.
fn sweep_keys(rows: &[TidyRow]) -> BTreeSet<&String> {
    rows.iter().flat_map(|row| row.point.keys()).filter(|key| key.contains('.')).collect()
}

fn tidy_frame(rows: &[TidyRow]) -> std::result::Result<DataFrame, PolarsError> {
    let mut columns = Vec::new();
    for (name, get) in TEXT {
        let values: Vec<String> = rows.iter().map(get).collect();
        columns.push(column(name, values.as_slice()));
    }
    let seeds: Vec<u64> = rows.iter().map(|row| row.seed).collect();
    let values: Vec<f64> = rows.iter().map(|row| row.value).collect();
    columns.push(column("seed", seeds.as_slice()));
    columns.push(column("value", values.as_slice()));
    for key in sweep_keys(rows) {
        let values: Vec<Option<&str>> = rows.iter().map(|row| row.point.get(key).map(String::as_str)).collect();
        columns.push(column(key, values.as_slice()));
    }
    DataFrame::new(rows.len(), columns)
}

/// The hash of gathered metrics: over what the rows say, not over how a file encodes them.
pub fn content_hash(rows: &[TidyRow]) -> String {
    format!("{:032x}", xxh3_128(&json_lines(rows)))
}

/// Each metric over the seeds, in the order of `rows`.
pub fn summarise(rows: &[TidyRow]) -> Vec<SummaryRow> {
    type Key<'a> = (&'a str, &'a Point, &'a str, &'a str);
    let mut index: BTreeMap<Key, usize> = BTreeMap::new();
    let mut groups: Vec<(&TidyRow, Vec<f64>)> = Vec::new();
    for row in rows {
        let key = (row.variant.as_str(), &row.point, row.phase.as_str(), row.metric.as_str());
        let group = *index.entry(key).or_insert(groups.len());
        if group == groups.len() {
            groups.push((row, Vec::new()));
        }
        groups[group].1.push(row.value);
    }
    let summary = |(row, values): &(&TidyRow, Vec<f64>)| SummaryRow {
        variant: row.variant.clone(),
        point: row.point.clone(),
        phase: row.phase.clone(),
        metric: row.metric.clone(),
        unit: row.unit.clone(),
        n: values.len(),
        mean: stats::mean(values),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        half_width: Estimate::of(values).map(|estimate| estimate.half_width(0.95)),
    };
    groups.iter().map(summary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{derive, tests::sample};

    fn write_sample(experiment: &Path, variant: &str, seed: u64) -> PathBuf {
        let trial = sample(variant, seed, 1);
        let folder = experiment.join("trials").join(&trial.manifest.id);
        create_folder(&folder).expect("a temporary folder");
        write_trial(&folder, &trial, &derive(&trial)).expect("results are written");
        write(&folder.join("DONE"), b"").expect("results are written");
        folder
    }

    #[test]
    fn a_trial_comes_back_as_it_was() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let trial = sample("lru", 3, 1);
        let stored = read_trial(&write_sample(temporary.path(), "lru", 3)).expect("it was just written");
        assert_eq!(stored.manifest, trial.manifest);
        assert_eq!(stored.rows, derive(&trial));
        assert_eq!(stored.series["run"], trial.phases[0].series);
        for class in OpClass::ALL {
            let key = ("run".to_owned(), class);
            assert_eq!(stored.latency[&key], trial.phases[0].latency[&class], "{}", class.name());
            assert_eq!(stored.service[&key], trial.phases[0].service[&class], "{}", class.name());
        }
    }

    #[test]
    fn the_same_results_give_the_same_bytes() {
        let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        for temporary in [&one, &two] {
            write_sample(temporary.path(), "lru", 0);
            write_sample(temporary.path(), "sieve", 0);
        }
        let hashes = [&one, &two].map(|folder| collect(folder.path(), None).expect("two finished trials").hash);
        assert_eq!(hashes[0], hashes[1]);
        let files = ["metrics.parquet", "summary.json", "trials/lru-0/series.parquet", "trials/lru-0/metrics.jsonl"];
        for file in files.into_iter().chain(["trials/lru-0/latency/run.read.hlog", "trials/lru-0/events.jsonl"]) {
            assert_eq!(read(&one.path().join(file)).ok(), read(&two.path().join(file)).ok(), "{file}");
        }
    }

    #[test]
    fn gathering_keeps_every_value_and_takes_finished_and_wanted_trials_only() {
        let temporary = tempfile::tempdir().expect("a folder");
        for seed in [10, 9] {
            write_sample(temporary.path(), "lru", seed);
            write_sample(temporary.path(), "arc", seed);
        }
        let unfinished = write_sample(temporary.path(), "clock", 1);
        fs::remove_file(unfinished.join("DONE")).expect("it was written");
        let collected = collect(temporary.path(), None).expect("four finished trials");
        let expected = [("arc", 9), ("arc", 10), ("lru", 9), ("lru", 10)];
        let expected: Vec<TidyRow> = expected
            .into_iter()
            .flat_map(|(variant, seed)| tidy(&sample(variant, seed, 1).manifest, &derive(&sample(variant, seed, 1))))
            .collect();
        assert_eq!(collected.rows, expected);
        let wanted = BTreeSet::from(["lru-9".to_owned()]);
        let one = collect(temporary.path(), Some(&wanted)).expect("one trial");
        assert!(one.rows.iter().all(|row| row.trial == "lru-9") && one.hash != collected.hash);
    }

    #[test]
    fn the_gathered_table_has_a_column_for_every_sweep_key() {
        let temporary = tempfile::tempdir().expect("a folder");
        write_sample(temporary.path(), "lru", 0);
        let rows = collect(temporary.path(), None).expect("a trial").rows;
        let path = temporary.path().join("metrics.parquet");
        let frame = frame(&path).expect("it was just written");
        assert_eq!(frame.height(), rows.len());
        let sizes = strings(&path, &frame, "engine.cache.size").expect("the sweep's column");
        assert!(sizes.iter().all(|size| size == "32MiB"));
        assert_eq!(strings(&path, &frame, "point").expect("a column")[0], "engine.cache.size=32MiB");
        let values = frame.column("value").and_then(|column| column.f64().cloned()).expect("numbers");
        let values: Vec<f64> = values.iter().flatten().collect();
        assert_eq!(values, rows.iter().map(|row| row.value).collect::<Vec<_>>());
    }

    #[test]
    fn a_summary_has_an_interval_from_two_seeds_on() {
        let rows = |seeds: &[u64]| -> Vec<TidyRow> {
            seeds.iter().flat_map(|seed| tidy(&sample("a", *seed, 1).manifest, &derive(&sample("a", *seed, 1)))).collect()
        };
        let hits = |seeds: &[u64]| {
            let summary = summarise(&rows(seeds));
            summary.into_iter().find(|row| row.metric == "cache.hit_ratio").expect("the sample has reads")
        };
        assert_eq!((hits(&[0]).n, hits(&[0]).mean, hits(&[0]).half_width), (1, 0.75, None));
        let two = hits(&[0, 250]);
        assert_eq!((two.n, two.min, two.max, two.mean), (2, 0.75, 0.8, 0.775));
        // Half-width for two values is t(0.975, 1) = 12.7062 times half their distance.
        assert!((two.half_width.expect("two seeds") - 12.706_204_7 * 0.025).abs() < 1e-6);
    }

    #[test]
    fn damage_is_named_and_never_a_panic() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = write_sample(temporary.path(), "lru", 0);
        for file in ["manifest.json", "metrics.jsonl", "series.parquet", "latency/run.read.hlog"] {
            let path = folder.join(file);
            let whole = read(&path).expect("it was written");
            write(&path, &whole[..whole.len() / 2]).expect("it can be cut");
            let error = read_trial(&folder).map(|_| ()).expect_err("half a file is damage").to_string();
            assert!(error.contains(file) && error.contains("damaged"), "{file}: {error}");
            write(&path, &whole).expect("it can be mended");
        }
        assert!(matches!(collect(&temporary.path().join("x"), None), Err(StoreError::Io { .. })));
    }

    #[test]
    fn a_phase_that_is_no_file_name_is_refused() {
        let temporary = tempfile::tempdir().expect("a folder");
        let mut trial = sample("lru", 0, 1);
        trial.phases[0].name = "../run".to_owned();
        let error = write_trial(temporary.path(), &trial, &[]).expect_err("a path is no name");
        assert!(matches!(error, StoreError::PhaseName(name) if name == "../run"));
    }

    #[test]
    fn points_are_ordered_by_amount() {
        let point = |value: &str| Point::from([("engine.cache.size".to_owned(), value.to_owned())]);
        for (less, more) in [("32MiB", "128MiB"), ("512KiB", "1MiB"), ("9", "10"), ("0.5", "0.75"), ("arc", "lru")] {
            assert_eq!(order_points(&point(less), &point(more)), Ordering::Less, "{less} {more}");
        }
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let row = ["a,b".to_owned(), "say \"x\"".to_owned()];
        assert_eq!(csv(["one", "two"], [row]), "one,two\n\"a,b\",\"say \"\"x\"\"\"\n");
    }

    #[test]
    fn base64_agrees_with_the_rfc() {
        for (text, plain) in [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(base64(text).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        assert_eq!((base64("Zg="), base64("Zg=!"), base64("====")), (None, None, None));
    }
}
