//! The tables over an experiment's trials.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use polars::prelude::{DataFrame, PolarsError};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::trial::{StoredTrial, read_metrics_of, read_trial};
use super::{
    Point, Result, StoreError, column, damaged, json, json_lines, parquet, point_label, replace,
    world_name,
};
use crate::files;
use crate::metrics::{self, Measured};
use crate::record::{Manifest, MetricRow, World};
use crate::stats::{self, Estimate};

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

/// The folders of an experiment's finished trials, sorted; of those in `wanted` only, where it is given.
fn finished(experiment: &Path, wanted: Option<&BTreeSet<String>>) -> Result<Vec<PathBuf>> {
    let trials = experiment.join("trials");
    let is_wanted = |id: &String| wanted.is_none_or(|wanted| wanted.contains(id));
    let folders = files::names(&trials)?
        .into_iter()
        .filter(is_wanted)
        .map(|id| trials.join(id));
    let folders: Vec<_> = folders
        .filter(|folder| folder.join("DONE").exists())
        .collect();
    match folders.is_empty() {
        true => Err(StoreError::NoTrials(experiment.to_owned())),
        false => Ok(folders),
    }
}

/// Reads an experiment's finished trials, sorted by variant, point and seed; those in `wanted` only, where it is given.
///
/// # Errors
/// [`StoreError::NoTrials`], and those of [`read_trial`].
pub fn read_trials(
    experiment: &Path,
    wanted: Option<&BTreeSet<String>>,
) -> Result<Vec<StoredTrial>> {
    let folders = finished(experiment, wanted)?;
    let mut trials = folders
        .iter()
        .map(|folder| read_trial(folder))
        .collect::<Result<Vec<_>>>()?;
    trials.sort_by(|a, b| order(&a.manifest).cmp(&order(&b.manifest)));
    Ok(trials)
}

fn order(manifest: &Manifest) -> (&str, &Point, u64, &str) {
    (
        &manifest.variant,
        &manifest.point,
        manifest.seed,
        &manifest.id,
    )
}

/// Gathers an experiment's finished trials (those in `wanted` only, where it is given: an experiment's folder may hold
/// trials of an older config) and writes `metrics.parquet` and `summary.json`.
///
/// # Errors
/// [`StoreError::NoTrials`], [`StoreError::Io`] or [`StoreError::Damaged`].
pub fn collect(experiment: &Path, wanted: Option<&BTreeSet<String>>) -> Result<Collected> {
    let folders = finished(experiment, wanted)?;
    let mut trials = folders
        .iter()
        .map(|folder| read_metrics_of(folder))
        .collect::<Result<Vec<_>>>()?;
    trials.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
    let rows: Vec<TidyRow> = trials
        .iter()
        .flat_map(|(manifest, rows)| tidy(manifest, rows))
        .collect();
    let path = experiment.join("metrics.parquet");
    replace(
        &path,
        &parquet(tidy_frame(&rows)).map_err(|error| damaged(&path, error))?,
    )?;
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
        class: metrics::find(&row.metric).map_or(Measured::Exact, |metric| {
            metric.class.within(manifest.world)
        }),
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

/// Sweep keys are dotted, so that their columns never meet a column of [`TEXT`]; one without a dot is in `point` only.
fn sweep_keys(rows: &[TidyRow]) -> BTreeSet<&String> {
    rows.iter()
        .flat_map(|row| row.point.keys())
        .filter(|key| key.contains('.'))
        .collect()
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
        let values: Vec<Option<&str>> = rows
            .iter()
            .map(|row| row.point.get(key).map(String::as_str))
            .collect();
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
        let key = (
            row.variant.as_str(),
            &row.point,
            row.phase.as_str(),
            row.metric.as_str(),
        );
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
    use crate::store::trial::tests::write_sample;
    use crate::store::{frame, read, strings};

    #[test]
    fn the_same_results_give_the_same_bytes() {
        let (one, two) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        for temporary in [&one, &two] {
            write_sample(temporary.path(), "lru", 0);
            write_sample(temporary.path(), "sieve", 0);
        }
        let hashes = [&one, &two].map(|folder| {
            collect(folder.path(), None)
                .expect("two finished trials")
                .hash
        });
        assert_eq!(hashes[0], hashes[1]);
        let files = [
            "metrics.parquet",
            "summary.json",
            "trials/lru-0/series.parquet",
            "trials/lru-0/metrics.jsonl",
        ];
        for file in files.into_iter().chain([
            "trials/lru-0/latency/run.read.hlog",
            "trials/lru-0/events.jsonl",
        ]) {
            assert_eq!(
                read(&one.path().join(file)).ok(),
                read(&two.path().join(file)).ok(),
                "{file}"
            );
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
        files::rename(&unfinished.join("DONE"), &unfinished.join("UNDONE"))
            .expect("it was written");
        let collected = collect(temporary.path(), None).expect("four finished trials");
        let expected = [("arc", 9), ("arc", 10), ("lru", 9), ("lru", 10)];
        let expected: Vec<TidyRow> = expected
            .into_iter()
            .flat_map(|(variant, seed)| {
                tidy(
                    &sample(variant, seed, 1).manifest,
                    &derive(&sample(variant, seed, 1)),
                )
            })
            .collect();
        assert_eq!(collected.rows, expected);
        let wanted = BTreeSet::from(["lru-9".to_owned()]);
        let one = collect(temporary.path(), Some(&wanted)).expect("one trial");
        assert!(one.rows.iter().all(|row| row.trial == "lru-9") && one.hash != collected.hash);
        assert!(matches!(
            collect(&temporary.path().join("x"), None),
            Err(StoreError::NoTrials(_))
        ));
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
        assert_eq!(
            strings(&path, &frame, "point").expect("a column")[0],
            "engine.cache.size=32MiB"
        );
        let values = frame
            .column("value")
            .and_then(|column| column.f64().cloned())
            .expect("numbers");
        let values: Vec<f64> = values.iter().flatten().collect();
        assert_eq!(values, rows.iter().map(|row| row.value).collect::<Vec<_>>());
    }

    #[test]
    fn a_summary_has_an_interval_from_two_seeds_on() {
        let rows = |seeds: &[u64]| -> Vec<TidyRow> {
            seeds
                .iter()
                .flat_map(|seed| {
                    tidy(
                        &sample("a", *seed, 1).manifest,
                        &derive(&sample("a", *seed, 1)),
                    )
                })
                .collect()
        };
        let hits = |seeds: &[u64]| {
            let summary = summarise(&rows(seeds));
            summary
                .into_iter()
                .find(|row| row.metric == "cache.hit_ratio")
                .expect("the sample has reads")
        };
        assert_eq!(
            (hits(&[0]).n, hits(&[0]).mean, hits(&[0]).half_width),
            (1, 0.75, None)
        );
        let two = hits(&[0, 250]);
        assert_eq!((two.n, two.min, two.max, two.mean), (2, 0.75, 0.8, 0.775));
        // Half-width for two values is t(0.975, 1) = 12.7062 times half their distance.
        assert!((two.half_width.expect("two seeds") - 12.706_204_7 * 0.025).abs() < 1e-6);
    }
}
