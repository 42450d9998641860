//! One trial's folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aura_engine::Event;
use aura_workloads::trace::{Contents, TraceWriter};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use polars::prelude::{DataFrame, PolarsError};
use serde::Serialize;

use super::{
    Result, StoreError, column, create_folder, damaged, frame, integers, json, json_lines, parquet,
    parse, read, strings,
};
use crate::files;
use crate::record::{CacheTrace, Manifest, MetricRow, OpClass, SeriesPoint, TrialResult};

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

/// Writes a trial's results into `folder`, which must exist; `DONE` is the caller's.
///
/// # Errors
/// [`StoreError::PhaseName`], or [`StoreError::Io`].
pub fn write_trial(folder: &Path, trial: &TrialResult, rows: &[MetricRow]) -> Result<()> {
    let latency = folder.join("latency");
    create_folder(&latency)?;
    files::write(&folder.join("manifest.json"), &json(&trial.manifest))?;
    files::write(&folder.join("metrics.jsonl"), &json_lines(rows))?;
    let path = folder.join("series.parquet");
    files::write(
        &path,
        &parquet(series_frame(trial)).map_err(|error| damaged(&path, error))?,
    )?;
    let mut events = Vec::new();
    for phase in &trial.phases {
        check_phase_name(&phase.name)?;
        let line = |event| EventLine {
            phase: &phase.name,
            event,
        };
        events.extend(json_lines(
            &phase.events.iter().map(line).collect::<Vec<_>>(),
        ));
        for (kind, histograms) in [("hlog", &phase.latency), ("service.hlog", &phase.service)] {
            for (class, histogram) in histograms {
                let path = latency.join(format!("{}.{}.{kind}", phase.name, class.name()));
                let log = histogram_log(histogram, phase.nanos)
                    .map_err(|message| damaged(&path, message))?;
                files::write(&path, &log)?;
            }
        }
    }
    files::write(&folder.join("events.jsonl"), &events)?;
    match &trial.cache_trace {
        Some(recorded) => write_cache_trace(&folder.join("cache.aurat.zst"), recorded),
        None => Ok(()),
    }
}

fn write_cache_trace(path: &Path, recorded: &CacheTrace) -> Result<()> {
    let written = || {
        let output = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
        let contents = Contents {
            sizes: true,
            times: true,
            details: true,
        };
        let mut writer = TraceWriter::new(output, contents, recorded.rate)?;
        recorded
            .records
            .iter()
            .try_for_each(|record| writer.push(record))?;
        writer.finish()?.finish()
    };
    let bytes = written().map_err(|error: std::io::Error| damaged(path, error))?;
    Ok(files::write(path, &bytes)?)
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

type SeriesField = (
    &'static str,
    fn(&SeriesPoint) -> u64,
    fn(&mut SeriesPoint, u64),
);

/// The columns of `series.parquet` after the phase.
const SERIES: [SeriesField; 8] = [
    (
        "at_nanos",
        |slice| slice.at_nanos,
        |slice, value| slice.at_nanos = value,
    ),
    (
        "nanos",
        |slice| slice.nanos,
        |slice, value| slice.nanos = value,
    ),
    (
        "operations",
        |slice| slice.operations,
        |slice, value| slice.operations = value,
    ),
    (
        "latency_p99_nanos",
        |slice| slice.latency_p99_nanos,
        |slice, value| slice.latency_p99_nanos = value,
    ),
    (
        "stall_nanos",
        |slice| slice.stall_nanos,
        |slice, value| slice.stall_nanos = value,
    ),
    (
        "cache_hits",
        |slice| slice.cache_hits,
        |slice, value| slice.cache_hits = value,
    ),
    (
        "cache_misses",
        |slice| slice.cache_misses,
        |slice, value| slice.cache_misses = value,
    ),
    (
        "background_write_bytes",
        |slice| slice.background_write_bytes,
        |slice, value| slice.background_write_bytes = value,
    ),
];

fn series_frame(trial: &TrialResult) -> std::result::Result<DataFrame, PolarsError> {
    let slices = || {
        trial
            .phases
            .iter()
            .flat_map(|phase| phase.series.iter().map(move |slice| (&phase.name, slice)))
    };
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
            let decoded =
                base64(encoded).ok_or_else(|| damaged(path, "the histogram is not base64"))?;
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
    for name in files::names(&latency)? {
        let (stem, map) = match (
            name.strip_suffix(".service.hlog"),
            name.strip_suffix(".hlog"),
        ) {
            (Some(stem), _) => (stem, &mut trial.service),
            (None, Some(stem)) => (stem, &mut trial.latency),
            (None, None) => continue,
        };
        let path = latency.join(&name);
        let class = |name: &str| OpClass::ALL.into_iter().find(|class| class.name() == name);
        let key = stem
            .rsplit_once('.')
            .and_then(|(phase, op)| Some((phase.to_owned(), class(op)?)));
        let key = key.ok_or_else(|| damaged(&path, "its name is not <phase>.<operation>.hlog"))?;
        map.insert(key, read_histogram(&path)?);
    }
    Ok(trial)
}

pub(super) fn read_metrics_of(folder: &Path) -> Result<(Manifest, Vec<MetricRow>)> {
    let manifest = parse(
        &folder.join("manifest.json"),
        &read(&folder.join("manifest.json"))?,
    )?;
    let path = folder.join("metrics.jsonl");
    let bytes = read(&path)?;
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    Ok((
        manifest,
        lines
            .map(|line| parse(&path, line))
            .collect::<Result<_>>()?,
    ))
}

fn read_series(path: &Path) -> Result<BTreeMap<String, Vec<SeriesPoint>>> {
    let frame = frame(path)?;
    let phases = strings(path, &frame, "phase")?;
    let mut slices = vec![SeriesPoint::default(); phases.len()];
    for (name, _, set) in SERIES {
        let values = integers(path, &frame, name)?;
        slices
            .iter_mut()
            .zip(values)
            .for_each(|(slice, value)| set(slice, value));
    }
    let mut series: BTreeMap<String, Vec<SeriesPoint>> = BTreeMap::new();
    for (phase, slice) in phases.into_iter().zip(slices) {
        series.entry(phase).or_default().push(slice);
    }
    Ok(series)
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::metrics::{derive, tests::sample};

    /// Writes a finished trial.
    pub(in crate::store) fn write_sample(experiment: &Path, variant: &str, seed: u64) -> PathBuf {
        let trial = sample(variant, seed, 1);
        let folder = experiment.join("trials").join(&trial.manifest.id);
        create_folder(&folder).expect("a temporary folder");
        write_trial(&folder, &trial, &derive(&trial)).expect("results are written");
        files::write(&folder.join("DONE"), b"").expect("results are written");
        folder
    }

    #[test]
    fn a_trial_comes_back_as_it_was() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let trial = sample("lru", 3, 1);
        let stored =
            read_trial(&write_sample(temporary.path(), "lru", 3)).expect("it was just written");
        assert_eq!(stored.manifest, trial.manifest);
        assert_eq!(stored.rows, derive(&trial));
        assert_eq!(stored.series["run"], trial.phases[0].series);
        for class in OpClass::ALL {
            let key = ("run".to_owned(), class);
            assert_eq!(
                stored.latency[&key],
                trial.phases[0].latency[&class],
                "{}",
                class.name()
            );
            assert_eq!(
                stored.service[&key],
                trial.phases[0].service[&class],
                "{}",
                class.name()
            );
        }
    }

    #[test]
    fn damage_is_named_and_never_a_panic() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = write_sample(temporary.path(), "lru", 0);
        for file in [
            "manifest.json",
            "metrics.jsonl",
            "series.parquet",
            "latency/run.read.hlog",
        ] {
            let path = folder.join(file);
            let whole = read(&path).expect("it was written");
            files::write(&path, &whole[..whole.len() / 2]).expect("it can be cut");
            let error = read_trial(&folder)
                .map(|_| ())
                .expect_err("half a file is damage")
                .to_string();
            assert!(
                error.contains(file) && error.contains("damaged"),
                "{file}: {error}"
            );
            files::write(&path, &whole).expect("it can be mended");
        }
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
    fn base64_agrees_with_the_rfc() {
        for (text, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(base64(text).as_deref(), Some(plain.as_bytes()), "{text}");
        }
        assert_eq!(
            (base64("Zg="), base64("Zg=!"), base64("====")),
            (None, None, None)
        );
    }
}
