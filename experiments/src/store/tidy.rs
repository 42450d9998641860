//! The tables that gather an experiment's trials: tidy rows, their hash, and a summary over seeds.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::trial::{StoredTrial, read_metrics, read_trial};
use super::{Result, StoreError, parquet_error, read_json};
use crate::files;
use crate::folders::{RunFolder, TrialFolder};
use crate::formats::parquet::{self, ParquetError, Values};
use crate::formats::{json, json_lines};
use crate::metrics::{self, Exactness};
use crate::point::{self, Point};
use crate::record::{Manifest, MetricRow, World};
use crate::stats::{self, CONFIDENCE, Estimate};

/// One value of one trial: a row of `metrics.parquet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TidyRow {
    /// The trial's id.
    pub trial: String,
    /// The variant's name.
    pub variant: String,
    /// The sweep point.
    pub point: Point,
    /// The seed.
    pub seed: u64,
    /// The world.
    pub world: World,
    /// The phase.
    pub phase: String,
    /// The metric's dotted name.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// The metric's unit.
    pub unit: String,
    /// How exact the value is.
    pub class: Exactness,
}

/// An experiment's gathered metrics.
pub struct Collected {
    /// Every value, sorted by variant, point and seed; within a trial by phase and registry.
    pub rows: Vec<TidyRow>,
    /// The hash of `rows`. Two runs of an experiment in simulation have the same.
    pub hash: String,
    /// What the trials were, in the order of `rows`.
    pub manifests: Vec<Manifest>,
}

/// One metric over the seeds: a row of `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// The variant's name.
    pub variant: String,
    /// The sweep point.
    pub point: Point,
    /// The phase.
    pub phase: String,
    /// The metric's dotted name.
    pub metric: String,
    /// The metric's unit.
    pub unit: String,
    /// Seeds.
    pub n: usize,
    /// The mean over the seeds.
    pub mean: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// Half the width of the 95 % Student interval of the mean; `None` with one seed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub half_width: Option<f64>,
}

/// Lists the folders of an experiment's finished trials by id; only those in `wanted`, if given.
fn finished(run: &RunFolder, wanted: Option<&BTreeSet<String>>) -> Result<Vec<TrialFolder>> {
    let mut folders = Vec::new();
    for id in files::names(&run.trials())? {
        let folder = run.trial(&id);
        if wanted.is_none_or(|wanted| wanted.contains(&id)) && folder.is_done() {
            folders.push(folder);
        }
    }
    if folders.is_empty() {
        return Err(StoreError::NoTrials(run.path().to_owned()));
    }
    Ok(folders)
}

/// Reads an experiment's finished trials, sorted by variant, point and seed; only those in
/// `wanted`, if given.
///
/// # Errors
/// [`StoreError::NoTrials`], and the errors of [`read_trial`].
pub fn read_trials(run: &RunFolder, wanted: Option<&BTreeSet<String>>) -> Result<Vec<StoredTrial>> {
    let mut trials = finished(run, wanted)?
        .iter()
        .map(read_trial)
        .collect::<Result<Vec<_>>>()?;
    trials.sort_by(|a, b| order(&a.manifest).cmp(&order(&b.manifest)));
    Ok(trials)
}

/// Reads the manifests of all finished trials of an experiment's folder, of every plan and program
/// that ran there.
///
/// # Errors
/// [`StoreError::NoTrials`], [`StoreError::File`] or [`StoreError::Damaged`].
pub fn manifests(run: &RunFolder) -> Result<Vec<Manifest>> {
    let folders = finished(run, None)?;
    let read = |folder: &TrialFolder| read_json(&folder.manifest());
    folders.iter().map(read).collect()
}

fn order(manifest: &Manifest) -> impl Ord + '_ {
    (
        &manifest.variant,
        &manifest.point,
        manifest.seed,
        &manifest.id,
    )
}

/// Gathers an experiment's finished trials and writes `metrics.parquet` and `summary.json`.
///
/// Only trials in `wanted` are gathered, if it is given: the folder may hold trials of an older
/// config.
///
/// # Errors
/// [`StoreError::NoTrials`], [`StoreError::File`] or [`StoreError::Damaged`].
pub fn collect(run: &RunFolder, wanted: Option<&BTreeSet<String>>) -> Result<Collected> {
    let collected = gather(run, wanted)?;
    let rows = &collected.rows;
    let path = run.metrics();
    let table = tidy_parquet(rows).map_err(|error| parquet_error(&path, error))?;
    files::replace(&path, &table)?;
    files::replace(&run.summary(), json(&summarise(rows)).as_bytes())?;
    Ok(collected)
}

/// Gathers an experiment's finished trials, and writes nothing.
///
/// # Errors
/// [`StoreError::NoTrials`], [`StoreError::File`] or [`StoreError::Damaged`].
pub fn gather(run: &RunFolder, wanted: Option<&BTreeSet<String>>) -> Result<Collected> {
    let mut trials = finished(run, wanted)?
        .iter()
        .map(read_metrics)
        .collect::<Result<Vec<_>>>()?;
    trials.sort_by(|a, b| order(&a.manifest).cmp(&order(&b.manifest)));
    let mut rows = Vec::new();
    for trial in &trials {
        rows.extend(tidy(&trial.manifest, &trial.rows));
    }
    let hash = content_hash(&rows);
    let manifests = trials.into_iter().map(|trial| trial.manifest).collect();
    Ok(Collected {
        rows,
        hash,
        manifests,
    })
}

/// Returns a trial's metrics as rows of the gathered table.
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
        // A metric that only another version knows: nothing says that it was timed.
        class: metrics::find(&row.metric).map_or(Exactness::Exact, |metric| {
            metric.class.within(manifest.world)
        }),
    };
    rows.iter().map(tidy).collect()
}

/// The sweep keys of the rows. Keys are dotted, so that their columns meet no other column; a key
/// without a dot is in the column `point` only.
fn sweep_keys(rows: &[TidyRow]) -> BTreeSet<&String> {
    rows.iter()
        .flat_map(|row| row.point.keys())
        .filter(|key| key.contains('.'))
        .collect()
}

fn tidy_parquet(rows: &[TidyRow]) -> std::result::Result<Vec<u8>, ParquetError> {
    let texts = |get: fn(&TidyRow) -> String| Values::texts(rows.iter().map(get));
    let mut columns = vec![
        ("trial", texts(|row| row.trial.clone())),
        ("variant", texts(|row| row.variant.clone())),
        ("point", texts(|row| point::label(&row.point))),
        ("world", texts(|row| row.world.name().to_owned())),
        ("phase", texts(|row| row.phase.clone())),
        ("metric", texts(|row| row.metric.clone())),
        ("unit", texts(|row| row.unit.clone())),
        ("class", texts(|row| row.class.name().to_owned())),
        ("seed", Values::counts(rows.iter().map(|row| row.seed))),
        ("value", Values::numbers(rows.iter().map(|row| row.value))),
    ];
    for key in sweep_keys(rows) {
        let values = rows.iter().map(|row| row.point.get(key).cloned());
        columns.push((key, Values::Texts(values.collect())));
    }
    parquet::write(&columns)
}

/// Hashes gathered metrics: over what the rows say, not over how a file encodes them. The trials'
/// ids are left out: another build that measures the same has the same hash.
pub fn content_hash(rows: &[TidyRow]) -> String {
    let mut text = String::new();
    for row in rows {
        let anonymous = TidyRow {
            trial: String::new(),
            ..row.clone()
        };
        text += &json_lines([&anonymous]);
    }
    format!("{:032x}", xxh3_128(text.as_bytes()))
}

/// What one summary row is about.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SummaryKey<'a> {
    variant: &'a str,
    point: &'a Point,
    phase: &'a str,
    metric: &'a str,
}

/// The rows of one summary row.
struct Group<'a> {
    first: &'a TidyRow,
    values: Vec<f64>,
}

/// Summarises each metric over the seeds, in the order of `rows`.
pub fn summarise(rows: &[TidyRow]) -> Vec<SummaryRow> {
    let mut places: BTreeMap<SummaryKey, usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let key = SummaryKey {
            variant: &row.variant,
            point: &row.point,
            phase: &row.phase,
            metric: &row.metric,
        };
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group {
                first: row,
                values: Vec::new(),
            });
        }
        groups[place].values.push(row.value);
    }
    groups.iter().map(Group::summary).collect()
}

impl Group<'_> {
    fn summary(&self) -> SummaryRow {
        let values = &self.values;
        SummaryRow {
            variant: self.first.variant.clone(),
            point: self.first.point.clone(),
            phase: self.first.phase.clone(),
            metric: self.first.metric.clone(),
            unit: self.first.unit.clone(),
            n: values.len(),
            mean: stats::mean(values),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            half_width: Estimate::of(values).map(|estimate| estimate.half_width(CONFIDENCE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::formats::parquet::Frame;
    use crate::store::trial::tests::write_sample;
    use crate::testing::{rows_of, sample_trial};

    /// An experiment's folder, removed when the test ends.
    fn experiment() -> (TempDir, RunFolder) {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let run = RunFolder::new(temporary.path());
        (temporary, run)
    }

    #[test]
    fn equal_results_give_equal_bytes() {
        let experiments = [experiment(), experiment()];
        let hashes = experiments.each_ref().map(|(_, run)| {
            write_sample(run, "lru", 0);
            write_sample(run, "sieve", 0);
            collect(run, None).expect("two finished trials").hash
        });
        assert_eq!(hashes[0], hashes[1]);
        for file in [
            "metrics.parquet",
            "summary.json",
            "trials/lru-0/series.parquet",
            "trials/lru-0/metrics.jsonl",
            "trials/lru-0/latency/run.read.hlog",
            "trials/lru-0/events.jsonl",
        ] {
            let [one, two] = experiments
                .each_ref()
                .map(|(_, run)| files::read(&run.path().join(file)).expect("it was written"));
            assert!(one == two, "{file}");
        }
    }

    #[test]
    fn gathering_keeps_every_value_of_finished_and_wanted_trials() {
        let (_temporary, run) = experiment();
        for seed in [10, 9] {
            write_sample(&run, "lru", seed);
            write_sample(&run, "arc", seed);
        }
        let unfinished = write_sample(&run, "clock", 1);
        files::remove(&unfinished.done()).expect("it was written");
        let collected = collect(&run, None).expect("four finished trials");
        let trials = [("arc", 9), ("arc", 10), ("lru", 9), ("lru", 10)]
            .map(|(variant, seed)| sample_trial(variant, seed, 1));
        assert_eq!(collected.rows, rows_of(&trials));

        let wanted = BTreeSet::from(["lru-9".to_owned()]);
        let one = collect(&run, Some(&wanted)).expect("one trial");
        assert!(one.rows.iter().all(|row| row.trial == "lru-9"));
        assert_ne!(one.hash, collected.hash);
        let nowhere = RunFolder::new(run.path().join("x"));
        assert!(matches!(
            collect(&nowhere, None),
            Err(StoreError::NoTrials(_))
        ));
    }

    #[test]
    fn the_gathered_table_has_a_column_for_every_sweep_key() {
        let (_temporary, run) = experiment();
        write_sample(&run, "lru", 0);
        let rows = collect(&run, None).expect("a trial").rows;
        let frame = Frame::read(&run.metrics()).expect("it was just written");
        assert_eq!(frame.height(), rows.len());
        let sizes = frame
            .texts("engine.cache.size")
            .expect("the sweep's column");
        assert!(sizes.iter().all(|size| size == "32MiB"));
        let points = frame.texts("point").expect("a column");
        assert_eq!(points[0], "engine.cache.size=32MiB");
        let values = frame.numbers("value").expect("numbers");
        let expected: Vec<Option<f64>> = rows.iter().map(|row| Some(row.value)).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn a_summary_has_an_interval_from_two_seeds_on() {
        let hits = |seeds: &[u64]| {
            let trials: Vec<_> = seeds
                .iter()
                .map(|seed| sample_trial("a", *seed, 1))
                .collect();
            summarise(&rows_of(&trials))
                .into_iter()
                .find(|row| row.metric == "cache.hit_ratio")
                .expect("the sample has reads")
        };
        let one = hits(&[0]);
        assert_eq!(one.n, 1);
        assert_eq!(one.mean, 0.75);
        assert_eq!(one.half_width, None);

        let two = hits(&[0, 250]);
        assert_eq!(two.n, 2);
        assert_eq!(two.min, 0.75);
        assert_eq!(two.max, 0.8);
        assert_eq!(two.mean, 0.775);
        // The half-width for two values is t(0.975, 1) = 12.7062 times half their distance.
        assert!((two.half_width.expect("two seeds") - 12.706_204_7 * 0.025).abs() < 1e-6);
    }
}
