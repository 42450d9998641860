//! One trial's folder: written after the trial, read for figures and comparisons.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use aura_engine::{Event, EventKind};
use aura_workloads::trace::{Contents, TraceWriter};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use super::decisions::{Decided, read_decisions};
use super::{Result, StoreError, damaged, parquet_error, parse, read_json};
use crate::files;
use crate::folders::{HistogramName, TrialFolder};
use crate::formats::parquet::{self, Frame, ParquetError, Values};
use crate::formats::{json, json_lines};
use crate::record::{
    CacheTrace, Manifest, MetricRow, OpClass, PhaseMeasure, SeriesPoint, TrialResult,
};

/// A trial read back.
pub struct StoredTrial {
    /// What the trial was.
    pub manifest: Manifest,
    /// Its metrics.
    pub rows: Vec<MetricRow>,
    /// Its slices of time, by phase.
    pub series: BTreeMap<String, Vec<SeriesPoint>>,
    /// Latencies in nanoseconds from the intended start.
    pub latency: BTreeMap<HistogramKey, Histogram<u64>>,
    /// Latencies in nanoseconds from the actual start; empty in a closed loop.
    pub service: BTreeMap<HistogramKey, Histogram<u64>>,
    /// What its agent and its self-tuner decided.
    pub decisions: Vec<Decided>,
}

/// A trial over time.
pub struct Course {
    /// What the trial was.
    pub manifest: Manifest,
    /// Its slices of time, by phase.
    pub series: BTreeMap<String, Vec<SeriesPoint>>,
}

/// A phase and a class of operations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistogramKey {
    /// The phase.
    pub phase: String,
    /// The class.
    pub class: OpClass,
}

/// A trial's metrics read back, without its series and histograms.
struct StoredMetrics {
    manifest: Manifest,
    rows: Vec<MetricRow>,
}

/// Writes a trial's results into `folder`, which must exist. The caller writes the mark `DONE`.
///
/// # Errors
/// [`StoreError::PhaseName`], or [`StoreError::File`].
pub fn write_trial(folder: &TrialFolder, trial: &TrialResult, rows: &[MetricRow]) -> Result<()> {
    files::create_folder(&folder.latency())?;
    files::write(&folder.manifest(), json(&trial.manifest).as_bytes())?;
    files::write(&folder.metrics(), json_lines(rows).as_bytes())?;
    let path = folder.series();
    let series = series_parquet(trial).map_err(|error| parquet_error(&path, error))?;
    files::write(&path, &series)?;
    let mut events = String::new();
    let mut decisions = String::new();
    for phase in &trial.phases {
        check_window_name(&phase.name)?;
        let line = |event| EventLine {
            phase: &phase.name,
            event,
        };
        let (windows, others): (Vec<_>, Vec<_>) = phase.events.iter().partition(|event| {
            let kind = &event.kind;
            matches!(kind, EventKind::Window { .. } | EventKind::SelfTuning(_))
        });
        events += &json_lines(others.into_iter().map(line));
        decisions += &json_lines(windows.into_iter().map(line));
        write_histograms(folder, phase)?;
    }
    files::write(&folder.events(), events.as_bytes())?;
    if !decisions.is_empty() {
        files::write(&folder.decisions(), decisions.as_bytes())?;
    }
    if let Some(recorded) = &trial.cache_trace {
        write_cache_trace(&folder.cache_trace(), recorded)?;
    }
    if let Some(recorded) = &trial.operations {
        files::write(&folder.operations(), recorded)?;
    }
    Ok(())
}

/// One line of `events.jsonl`, or of `decisions.jsonl`.
#[derive(Serialize)]
struct EventLine<'a> {
    phase: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

/// The most bytes of a window's name: a phase's 64, and its step.
const WINDOW_NAME_MAX: usize = 80;

fn check_window_name(name: &str) -> Result<()> {
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b" -_()".contains(&byte);
    if (1..=WINDOW_NAME_MAX).contains(&name.len()) && name.bytes().all(lawful) {
        Ok(())
    } else {
        Err(StoreError::PhaseName(name.to_owned()))
    }
}

fn write_histograms(folder: &TrialFolder, phase: &PhaseMeasure) -> Result<()> {
    for (service, histograms) in [(false, &phase.latency), (true, &phase.service)] {
        for (class, histogram) in histograms {
            let path = folder.histogram(&HistogramName {
                phase: phase.name.clone(),
                class: *class,
                service,
            });
            let log =
                histogram_log(histogram, phase.nanos).map_err(|message| damaged(&path, message))?;
            files::write(&path, &log)?;
        }
    }
    Ok(())
}

fn write_cache_trace(path: &Path, recorded: &CacheTrace) -> Result<()> {
    let bytes = cache_trace_bytes(recorded).map_err(|error| damaged(path, error))?;
    Ok(files::write(path, &bytes)?)
}

fn cache_trace_bytes(recorded: &CacheTrace) -> io::Result<Vec<u8>> {
    let output = zstd::Encoder::new(Vec::new(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    let contents = Contents {
        sizes: true,
        times: true,
        details: true,
    };
    let mut writer = TraceWriter::new(output, contents, recorded.rate)?;
    for record in &recorded.records {
        writer.push(record)?;
    }
    writer.finish()?.finish()
}

/// A column of `series.parquet`: its name, and the field of a slice.
struct SeriesColumn {
    name: &'static str,
    field: fn(&mut SeriesPoint) -> &mut u64,
}

/// The columns of `series.parquet` after `phase`.
const SERIES: [SeriesColumn; 9] = [
    SeriesColumn {
        name: "at_nanos",
        field: |slice| &mut slice.at_nanos,
    },
    SeriesColumn {
        name: "nanos",
        field: |slice| &mut slice.nanos,
    },
    SeriesColumn {
        name: "operations",
        field: |slice| &mut slice.operations,
    },
    SeriesColumn {
        name: "latency_p99_nanos",
        field: |slice| &mut slice.latency_p99_nanos,
    },
    SeriesColumn {
        name: "stall_nanos",
        field: |slice| &mut slice.stall_nanos,
    },
    SeriesColumn {
        name: "cache_hits",
        field: |slice| &mut slice.cache_hits,
    },
    SeriesColumn {
        name: "cache_misses",
        field: |slice| &mut slice.cache_misses,
    },
    SeriesColumn {
        name: "background_write_bytes",
        field: |slice| &mut slice.background_write_bytes,
    },
    SeriesColumn {
        name: "tail_nanos",
        field: |slice| &mut slice.tail_nanos,
    },
];

fn series_parquet(trial: &TrialResult) -> std::result::Result<Vec<u8>, ParquetError> {
    let mut phases: Vec<&str> = Vec::new();
    let mut slices: Vec<SeriesPoint> = Vec::new();
    for phase in &trial.phases {
        for slice in &phase.series {
            phases.push(&phase.name);
            slices.push(*slice);
        }
    }
    let mut columns = vec![("phase", Values::texts(phases.into_iter()))];
    for SeriesColumn { name, field } in SERIES {
        let values = slices.iter_mut().map(|slice| *field(slice));
        columns.push((name, Values::counts(values)));
    }
    parquet::write(&columns)
}

fn read_series(path: &Path) -> Result<BTreeMap<String, Vec<SeriesPoint>>> {
    let mut series: BTreeMap<String, Vec<SeriesPoint>> = BTreeMap::new();
    let rows = read_slices(path).map_err(|error| parquet_error(path, error))?;
    for (phase, slice) in rows {
        series.entry(phase).or_default().push(slice);
    }
    Ok(series)
}

fn read_slices(path: &Path) -> std::result::Result<Vec<(String, SeriesPoint)>, ParquetError> {
    let frame = Frame::read(path)?;
    let phases = frame.texts("phase")?;
    let mut slices = vec![SeriesPoint::default(); phases.len()];
    for SeriesColumn { name, field } in SERIES {
        // Trials of older versions lack columns that were added since.
        if !frame.has(name) {
            continue;
        }
        for (slice, value) in slices.iter_mut().zip(frame.counts(name)?) {
            *field(slice) = value.unwrap_or_default();
        }
    }
    Ok(phases.into_iter().zip(slices).collect())
}

/// Encodes a histogram as a log of one interval that starts at 0, so that the bytes do not depend
/// on when the trial ran.
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
    let bytes = files::read(path)?;
    for entry in IntervalLogIterator::new(&bytes) {
        let entry = entry.map_err(|error| damaged(path, format!("{error:?}")))?;
        if let LogEntry::Interval(interval) = entry {
            let decoded = base64(interval.encoded_histogram())
                .ok_or_else(|| damaged(path, "the histogram is not base64"))?;
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
/// [`StoreError::File`] or [`StoreError::Damaged`].
pub fn read_trial(folder: &TrialFolder) -> Result<StoredTrial> {
    let StoredMetrics { manifest, rows } = read_metrics(folder)?;
    let mut trial = StoredTrial {
        manifest,
        rows,
        series: read_series(&folder.series())?,
        latency: BTreeMap::new(),
        service: BTreeMap::new(),
        decisions: read_decisions(folder)?,
    };
    for file in files::names(&folder.latency())? {
        if !file.ends_with(".hlog") {
            continue;
        }
        let path = folder.latency().join(&file);
        let name = HistogramName::parse(&file)
            .ok_or_else(|| damaged(&path, "its name is not <phase>.<operation>.hlog"))?;
        let histograms = if name.service {
            &mut trial.service
        } else {
            &mut trial.latency
        };
        let key = HistogramKey {
            phase: name.phase,
            class: name.class,
        };
        histograms.insert(key, read_histogram(&path)?);
    }
    Ok(trial)
}

/// Reads a trial over time.
pub(super) fn read_course(folder: &TrialFolder) -> Result<Course> {
    Ok(Course {
        manifest: read_json(&folder.manifest())?,
        series: read_series(&folder.series())?,
    })
}

/// Reads a trial's manifest and metrics.
fn read_metrics(folder: &TrialFolder) -> Result<StoredMetrics> {
    let mut rows = Vec::new();
    for_each_metric(folder, |row| {
        rows.push(MetricRow {
            phase: row.phase.into_owned(),
            metric: row.metric.into_owned(),
            value: row.value,
            unit: row.unit.into_owned(),
        });
    })?;
    Ok(StoredMetrics {
        manifest: read_json(&folder.manifest())?,
        rows,
    })
}

/// A [`MetricRow`] whose words lie in the text that it was read from.
#[derive(Deserialize)]
pub(super) struct MetricLine<'a> {
    #[serde(borrow)]
    pub(super) phase: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) metric: Cow<'a, str>,
    pub(super) value: f64,
    #[serde(borrow)]
    pub(super) unit: Cow<'a, str>,
}

impl<'a> MetricLine<'a> {
    pub(super) fn of(row: &'a MetricRow) -> Self {
        Self {
            phase: Cow::Borrowed(&row.phase),
            metric: Cow::Borrowed(&row.metric),
            value: row.value,
            unit: Cow::Borrowed(&row.unit),
        }
    }
}

/// Reads a trial's metrics one by one.
pub(super) fn for_each_metric(
    folder: &TrialFolder,
    mut take: impl FnMut(MetricLine<'_>),
) -> Result<()> {
    let path = folder.metrics();
    for line in files::read(&path)?.split(|byte| *byte == b'\n') {
        if !line.is_empty() {
            take(parse(&path, line)?);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::Arc;

    use aura_engine::{DecisionMade, TuningRecord, TuningStep};
    use aura_policies::agent::{Action, Decision};
    use aura_policies::facts::{Knob, MemoryFacts, Outcome, WindowStats};
    use aura_policies::self_tuner::{Change, Proposal};

    use super::*;
    use crate::folders::RunFolder;
    use crate::metrics::derive;
    use crate::testing::sample_trial;

    /// Writes a finished trial.
    pub(in crate::store) fn write_sample(
        experiment: &RunFolder,
        variant: &str,
        seed: u64,
    ) -> TrialFolder {
        let trial = sample_trial(variant, seed, 1);
        let folder = experiment.trial(&trial.manifest.id);
        files::create_folder(folder.path()).expect("a temporary folder");
        write_trial(&folder, &trial, &derive(&trial)).expect("results are written");
        files::write(&folder.done(), b"").expect("results are written");
        folder
    }

    #[test]
    fn a_trial_reads_back_as_it_was() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let experiment = RunFolder::new(temporary.path());
        let trial = sample_trial("lru", 3, 1);
        let folder = write_sample(&experiment, "lru", 3);
        let stored = read_trial(&folder).expect("it was just written");
        assert_eq!(stored.manifest, trial.manifest);
        assert_eq!(stored.rows, derive(&trial));
        let phase = &trial.phases[0];
        assert_eq!(stored.series["run"], phase.series);
        for class in OpClass::ALL {
            let key = HistogramKey {
                phase: "run".to_owned(),
                class,
            };
            let name = class.name();
            assert_eq!(stored.latency[&key], phase.latency[&class], "{name}");
            assert_eq!(stored.service[&key], phase.service[&class], "{name}");
        }
    }

    fn undone_change() -> TuningRecord {
        let change = Change::Set {
            knob: Knob::Level0Trigger,
            value: 3.0,
        };
        TuningRecord {
            step: TuningStep::Undone,
            why: "costs-more",
            proposal: Some(Proposal::new(change, "climb")),
            window: 9,
            before: 100.0,
            after: 110.0,
            knobs: BTreeMap::from([("level0-trigger", 4.0)]),
            memory: MemoryFacts::default(),
        }
    }

    #[test]
    fn windows_of_an_agent_have_a_file_of_their_own() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let experiment = RunFolder::new(temporary.path());
        let folder = write_sample(&experiment, "none", 1);
        let read = |path: PathBuf| {
            let bytes = files::read(&path).expect("it was written");
            String::from_utf8(bytes).expect("text")
        };
        assert!(!folder.decisions().exists(), "no agent, no file");

        let mut trial = sample_trial("scheduled", 1, 1);
        let made = DecisionMade {
            decision: Decision::new(Action::Merge { from: 0, to: 2 }, "scheduled"),
            outcome: Outcome::Done,
        };
        let facts = WindowStats {
            index: 4,
            gets: 30,
            writes: 10,
            ..WindowStats::default()
        };
        let event = |kind| Event {
            start_nanos: 7,
            end_nanos: 7,
            kind,
        };
        trial.phases[0].events = vec![
            event(EventKind::Agent {
                made: made.clone(),
                window: 4,
                operations: 40,
                nanos: 100,
                debt_bytes: 0,
            }),
            event(EventKind::Window {
                facts: Arc::new(facts),
                decisions: vec![made],
            }),
        ];
        let tuning = EventKind::SelfTuning(undone_change());
        trial.phases[0].events.push(event(tuning));
        let folder = experiment.trial(&trial.manifest.id);
        files::create_folder(folder.path()).expect("a temporary folder");
        write_trial(&folder, &trial, &derive(&trial)).expect("results are written");
        check_events(&read(folder.events()));
        check_decisions(&read(folder.decisions()));
    }

    fn check_events(events: &str) {
        assert_eq!(events.lines().count(), 1, "{events}");
        let event: serde_json::Value = serde_json::from_str(events).expect("JSON");
        assert_eq!(
            (
                &event["event"],
                &event["action"],
                &event["to"],
                &event["reason"],
                &event["outcome"]
            ),
            (
                &"agent".into(),
                &"merge".into(),
                &2.into(),
                &"scheduled".into(),
                &"done".into()
            )
        );
    }

    fn check_decisions(windows: &str) {
        let lines: Vec<serde_json::Value> = windows
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let [window, tuning] = &lines[..] else {
            panic!("{windows}")
        };
        assert_eq!(tuning["event"], "self-tuning");
        assert_eq!(
            (&tuning["step"], &tuning["why"]),
            (&"undone".into(), &"costs-more".into())
        );
        assert_eq!(tuning["proposal"]["knob"], "level0-trigger");
        assert_eq!(tuning["proposal"]["reason"], "climb");
        assert_eq!(window["phase"], "run");
        assert_eq!((&window["index"], &window["gets"]), (&4.into(), &30.into()));
        assert_eq!(window["decisions"][0]["action"], "merge");
    }

    #[test]
    fn damage_is_named_and_never_a_panic() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = write_sample(&RunFolder::new(temporary.path()), "lru", 0);
        for file in [
            "manifest.json",
            "metrics.jsonl",
            "series.parquet",
            "latency/run.read.hlog",
        ] {
            let path = folder.path().join(file);
            let whole = files::read(&path).expect("it was written");
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
    fn a_phase_whose_name_is_a_path_is_refused() {
        let temporary = tempfile::tempdir().expect("a folder");
        let mut trial = sample_trial("lru", 0, 1);
        trial.phases[0].name = "../run".to_owned();
        let error = write_trial(&TrialFolder::new(temporary.path()), &trial, &[])
            .expect_err("a path is no name");
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
        for bad in ["Zg=", "Zg=!", "===="] {
            assert_eq!(base64(bad), None, "{bad}");
        }
    }
}
