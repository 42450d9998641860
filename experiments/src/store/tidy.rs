//! The tables that gather an experiment's trials: tidy rows, their hash, and a summary over seeds.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::decisions::{DecisionRow, decisions_parquet, rows_of_trial};
use super::trial::{Course, MetricLine, StoredTrial, for_each_metric, read_course, read_trial};
use super::{Result, StoreError, parquet_error, read_json};
use crate::files;
use crate::folders::{RunFolder, TrialFolder};
use crate::formats::parquet::{self, LazyColumn, ParquetError, Values};
use crate::formats::{json_lines, write_list};
use crate::metrics::{self, Exactness};
use crate::point::{self, Point};
use crate::record::{Manifest, MetricRow, World};
use crate::stats::{self, CONFIDENCE, Estimate};

/// One value of one trial: a row of `metrics.parquet`.
///
/// Ten thousand trials have millions of rows: what they have in common is kept once.
#[derive(Clone, Debug, PartialEq)]
pub struct TidyRow {
    /// The trial.
    pub trial: Arc<RowTrial>,
    /// What the value is of.
    pub name: Arc<RowName>,
    /// The value.
    pub value: f64,
}

/// The trial that a row is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowTrial {
    /// The trial's id.
    pub id: String,
    /// The variant's name.
    pub variant: String,
    /// The sweep point.
    pub point: Point,
    /// The seed.
    pub seed: u64,
    /// The world.
    pub world: World,
}

impl RowTrial {
    /// The trial that a manifest describes.
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            id: manifest.id.clone(),
            variant: manifest.variant.clone(),
            point: manifest.point.clone(),
            seed: manifest.seed,
            world: manifest.world,
        }
    }
}

/// What the value of a row is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowName {
    /// The phase.
    pub phase: String,
    /// The metric's dotted name.
    pub metric: String,
    /// The metric's unit.
    pub unit: String,
    /// How exact the value is.
    pub class: Exactness,
}

/// The names of rows, each kept once.
#[derive(Default)]
struct RowNames {
    known: Vec<KnownName>,
    /// Where the next name probably is: trials mostly have the same rows in the same order.
    next: usize,
}

/// A name, with the world from which its class follows.
struct KnownName {
    name: Arc<RowName>,
    world: World,
}

impl RowNames {
    fn of(&mut self, row: MetricLine, world: World) -> Arc<RowName> {
        let is_known = |place: &usize| {
            let KnownName { name, world: of } = &self.known[*place];
            *of == world
                && name.phase == row.phase
                && name.metric == row.metric
                && name.unit == row.unit
        };
        let later = self.next..self.known.len();
        let place = later.chain(0..self.next).find(is_known);
        let place = place.unwrap_or_else(|| {
            // A metric that only another version knows: nothing says that it was timed.
            let class = metrics::find(&row.metric)
                .map_or(Exactness::Exact, |metric| metric.class.within(world));
            let name = RowName {
                phase: row.phase.into_owned(),
                metric: row.metric.into_owned(),
                unit: row.unit.into_owned(),
                class,
            };
            self.known.push(KnownName {
                name: Arc::new(name),
                world,
            });
            self.known.len() - 1
        });
        self.next = (place + 1) % self.known.len();
        self.known[place].name.clone()
    }
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

/// Reads an experiment's finished trials over time, and nothing else of them; only those in
/// `wanted`, if given.
///
/// # Errors
/// [`StoreError::NoTrials`], [`StoreError::File`] or [`StoreError::Damaged`].
pub fn read_courses(run: &RunFolder, wanted: Option<&BTreeSet<String>>) -> Result<Vec<Course>> {
    finished(run, wanted)?.iter().map(read_course).collect()
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

/// Gathers an experiment's finished trials and writes `metrics.parquet` and `summary.json`, and
/// `decisions.parquet` if anything was decided.
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
    files::replace_by(&run.summary(), |writer| write_list(writer, summaries(rows)))?;
    collect_decisions(run, &collected.manifests)?;
    Ok(collected)
}

/// Gathers what was decided in trials. Where nothing was, no file of an older plan is left.
fn collect_decisions(run: &RunFolder, manifests: &[Manifest]) -> Result<()> {
    let mut rows: Vec<DecisionRow> = Vec::new();
    for manifest in manifests {
        rows.extend(rows_of_trial(&run.trial(&manifest.id), manifest)?);
    }
    let path = run.decisions();
    if !rows.is_empty() {
        let table = decisions_parquet(&rows).map_err(|error| parquet_error(&path, error))?;
        files::replace(&path, &table)?;
    } else if path.is_file() {
        files::remove(&path)?;
    }
    Ok(())
}

/// Gathers an experiment's finished trials, and writes nothing.
///
/// # Errors
/// [`StoreError::NoTrials`], [`StoreError::File`] or [`StoreError::Damaged`].
pub fn gather(run: &RunFolder, wanted: Option<&BTreeSet<String>>) -> Result<Collected> {
    let mut trials = Vec::new();
    for folder in finished(run, wanted)? {
        let manifest: Manifest = read_json(&folder.manifest())?;
        trials.push(ManifestOf { manifest, folder });
    }
    trials.sort_by(|a, b| order(&a.manifest).cmp(&order(&b.manifest)));
    let mut rows = Vec::new();
    let mut names = RowNames::default();
    for (number, ManifestOf { manifest, folder }) in trials.iter().enumerate() {
        if number == 1 {
            // Trials have as many rows, mostly. To grow by doubling would take twice the memory.
            rows.reserve_exact(rows.len() * (trials.len() - 1));
        }
        let trial = Arc::new(RowTrial::of(manifest));
        for_each_metric(folder, |row| {
            rows.push(TidyRow {
                trial: trial.clone(),
                value: row.value,
                name: names.of(row, manifest.world),
            });
        })?;
    }
    let hash = content_hash(&rows);
    let manifests = trials.into_iter().map(|trial| trial.manifest).collect();
    Ok(Collected {
        rows,
        hash,
        manifests,
    })
}

/// A finished trial of which only the manifest was read.
struct ManifestOf {
    manifest: Manifest,
    folder: TrialFolder,
}

/// Returns a trial's metrics as rows of the gathered table.
pub fn tidy(manifest: &Manifest, rows: &[MetricRow]) -> Vec<TidyRow> {
    let trial = Arc::new(RowTrial::of(manifest));
    let mut names = RowNames::default();
    let tidy = |row: &MetricRow| TidyRow {
        trial: trial.clone(),
        value: row.value,
        name: names.of(MetricLine::of(row), manifest.world),
    };
    rows.iter().map(tidy).collect()
}

/// The trials of rows, in order. Rows of a trial that follow one another give it once.
pub fn trials_of(rows: &[TidyRow]) -> impl Iterator<Item = &RowTrial> {
    rows.chunk_by(|a, b| Arc::ptr_eq(&a.trial, &b.trial))
        .map(|rows| &*rows[0].trial)
}

/// The sweep keys of the rows. Keys are dotted, so that their columns meet no other column; a key
/// without a dot is in the column `point` only.
fn sweep_keys(rows: &[TidyRow]) -> BTreeSet<&str> {
    trials_of(rows)
        .flat_map(|trial| trial.point.keys())
        .map(String::as_str)
        .filter(|key| key.contains('.'))
        .collect()
}

fn tidy_parquet(rows: &[TidyRow]) -> std::result::Result<Vec<u8>, ParquetError> {
    fn texts<'a>(
        name: &'a str,
        rows: &'a [TidyRow],
        get: impl Fn(&'a TidyRow) -> Cow<'a, str> + 'a,
    ) -> LazyColumn<'a> {
        LazyColumn {
            name,
            values: Box::new(move |range| Values::texts(rows[range].iter().map(&get))),
        }
    }
    let mut columns = vec![
        texts("trial", rows, |row| Cow::Borrowed(&row.trial.id)),
        texts("variant", rows, |row| Cow::Borrowed(&row.trial.variant)),
        texts("point", rows, |row| point::label(&row.trial.point).into()),
        texts("world", rows, |row| row.trial.world.name().into()),
        texts("phase", rows, |row| Cow::Borrowed(&row.name.phase)),
        texts("metric", rows, |row| Cow::Borrowed(&row.name.metric)),
        texts("unit", rows, |row| Cow::Borrowed(&row.name.unit)),
        texts("class", rows, |row| row.name.class.name().into()),
        LazyColumn {
            name: "seed",
            values: Box::new(|range| Values::counts(rows[range].iter().map(|it| it.trial.seed))),
        },
        LazyColumn {
            name: "value",
            values: Box::new(|range| Values::numbers(rows[range].iter().map(|it| it.value))),
        },
    ];
    for key in sweep_keys(rows) {
        let value = move |row: &'_ TidyRow| row.trial.point.get(key).cloned().map(Cow::Owned);
        columns.push(LazyColumn {
            name: key,
            values: Box::new(move |range| Values::Texts(rows[range].iter().map(value).collect())),
        });
    }
    parquet::write_in_groups(rows.len(), &columns)
}

/// A row as it is hashed. The trial's id is empty: another build that measures the same has the
/// same hash.
#[derive(Serialize)]
struct HashedRow<'a> {
    trial: &'static str,
    variant: &'a str,
    point: &'a Point,
    seed: u64,
    world: World,
    phase: &'a str,
    metric: &'a str,
    value: f64,
    unit: &'a str,
    class: Exactness,
}

/// Hashes gathered metrics: over what the rows say, not over how a file encodes them, and without
/// the trials' ids.
pub fn content_hash(rows: &[TidyRow]) -> String {
    let mut hash = Xxh3::new();
    for TidyRow { trial, name, value } in rows {
        let row = HashedRow {
            trial: "",
            variant: &trial.variant,
            point: &trial.point,
            seed: trial.seed,
            world: trial.world,
            phase: &name.phase,
            metric: &name.metric,
            value: *value,
            unit: &name.unit,
            class: name.class,
        };
        hash.update(json_lines([&row]).as_bytes());
    }
    format!("{:032x}", hash.digest128())
}

/// The rows of one summary row.
struct Group<'a> {
    first: &'a TidyRow,
    values: Vec<f64>,
}

/// Summarises each metric over the seeds, in the order of `rows`. The trials of a variant at a
/// sweep point follow one another there.
pub fn summarise(rows: &[TidyRow]) -> Vec<SummaryRow> {
    summaries(rows).collect()
}

/// The rows of [`summarise`], one variant at one sweep point after the other.
fn summaries(rows: &[TidyRow]) -> impl Iterator<Item = SummaryRow> {
    let is_same_side = |a: &TidyRow, b: &TidyRow| {
        Arc::ptr_eq(&a.trial, &b.trial)
            || a.trial.variant == b.trial.variant && a.trial.point == b.trial.point
    };
    rows.chunk_by(is_same_side).flat_map(|rows| {
        let groups = groups(rows);
        let rows: Vec<SummaryRow> = groups.iter().map(Group::summary).collect();
        rows
    })
}

/// The values of each metric of one variant at one sweep point.
fn groups(rows: &[TidyRow]) -> Vec<Group<'_>> {
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let key = (row.name.phase.as_str(), row.name.metric.as_str());
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group {
                first: row,
                values: Vec::new(),
            });
        }
        groups[place].values.push(row.value);
    }
    groups
}

impl Group<'_> {
    fn summary(&self) -> SummaryRow {
        let values = &self.values;
        let TidyRow { trial, name, .. } = self.first;
        SummaryRow {
            variant: trial.variant.clone(),
            point: trial.point.clone(),
            phase: name.phase.clone(),
            metric: name.metric.clone(),
            unit: name.unit.clone(),
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
        assert!(one.rows.iter().all(|row| row.trial.id == "lru-9"));
        assert_ne!(one.hash, collected.hash);
        let nowhere = RunFolder::new(run.path().join("x"));
        assert!(matches!(
            collect(&nowhere, None),
            Err(StoreError::NoTrials(_))
        ));
    }

    #[test]
    fn what_rows_have_in_common_is_kept_once() {
        let (_temporary, run) = experiment();
        for seed in 0..3 {
            write_sample(&run, "lru", seed);
        }
        let rows = gather(&run, None).expect("three trials").rows;
        assert_eq!(size_of::<TidyRow>(), 24, "a run has millions of them");
        let names: BTreeSet<_> = rows.iter().map(|row| Arc::as_ptr(&row.name)).collect();
        assert_eq!(names.len(), rows.len() / 3);
        let trials: BTreeSet<_> = rows.iter().map(|row| Arc::as_ptr(&row.trial)).collect();
        assert_eq!(trials.len(), 3);
        assert!(rows.capacity() < rows.len() * 3 / 2);
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
