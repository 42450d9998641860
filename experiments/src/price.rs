//! What a plan will cost, from earlier trials in the results folder: time, memory, disk.
//!
//! Trials of equal settings show it best. Without them, those of the variant under other settings
//! stand in, and the answer says so. Where there is neither, the cost is unknown.

use std::collections::{BTreeMap, BTreeSet};

use crate::attempts::{Attempt, Outcome};
use crate::files::{self, FileError};
use crate::folders::RunFolder;
use crate::plan::PlannedTrial;
use crate::store;

/// This many trials of equal settings are looked at for their bytes on disk.
const LOOKED_AT: usize = 3;

/// What one trial will cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// The mean of the earlier trials' seconds.
    pub seconds: Option<f64>,
    /// The most bytes of memory that one needed: its share of the process that ran it.
    pub memory_bytes: Option<u64>,
    /// The most bytes that the results of one had.
    pub results_bytes: Option<u64>,
    /// The most bytes that its database had on disk while it ran; 0 in a simulation.
    pub database_bytes: u64,
    /// What it was taken from.
    pub basis: Basis,
}

/// What a price was taken from, with the number of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Earlier trials of equal settings.
    Settings(usize),
    /// Earlier trials of the variant, under other settings.
    Variant(usize),
    /// There is no earlier trial.
    Nothing,
}

impl Basis {
    /// The basis in words.
    pub fn words(self) -> String {
        match self {
            Self::Settings(trials) => format!("{trials} of these settings"),
            Self::Variant(trials) => format!("{trials} of this variant, other settings"),
            Self::Nothing => "no earlier trial".to_owned(),
        }
    }
}

/// The earlier trials of a run's folder, by settings and by variant.
#[derive(Default)]
pub struct Earlier {
    by_settings: BTreeMap<String, Cost>,
    by_variant: BTreeMap<String, Cost>,
}

/// What trials cost.
#[derive(Clone, Debug, Default)]
struct Cost {
    trials: usize,
    seconds: f64,
    memory_bytes: Option<u64>,
    /// Some of the trials.
    ids: Vec<String>,
}

impl Cost {
    fn add(&mut self, id: &str, attempt: &Attempt, seconds: f64) {
        self.trials += 1;
        self.seconds += seconds;
        let share = |bytes: u64| bytes.div_ceil(attempt.in_parallel.max(1) as u64);
        let memory_bytes = attempt.memory_peak_bytes.map(share);
        self.memory_bytes = self.memory_bytes.max(memory_bytes);
        if self.ids.len() < LOOKED_AT {
            self.ids.push(id.to_owned());
        }
    }
}

impl Earlier {
    /// Reads what the finished trials of a run's folder cost: one small file a trial.
    ///
    /// # Errors
    /// [`FileError`] if the folder cannot be listed.
    pub fn read(run: &RunFolder) -> Result<Self, FileError> {
        let mut earlier = Self::default();
        for name in files::names(&run.attempts())? {
            let Some(id) = name.strip_suffix(".json") else {
                continue;
            };
            let Some(attempt) = Attempt::read(run, id) else {
                continue;
            };
            let seconds = attempt.seconds();
            let Some(seconds) = seconds.filter(|_| attempt.outcome == Outcome::Done) else {
                continue;
            };
            let settings = earlier.by_settings.entry(attempt.settings.clone());
            settings.or_default().add(id, &attempt, seconds);
            let variant = earlier.by_variant.entry(attempt.variant.clone());
            variant.or_default().add(id, &attempt, seconds);
        }
        Ok(earlier)
    }

    /// Prices trials, in order. `run` is the folder that was read.
    pub fn price(&self, run: &RunFolder, trials: &[PlannedTrial]) -> Vec<Price> {
        let mut known: BTreeMap<(String, &str), Price> = BTreeMap::new();
        let mut prices = Vec::with_capacity(trials.len());
        for trial in trials {
            let key = (trial.settings_hash(), trial.variant.as_str());
            let price = known.entry(key);
            let price = price.or_insert_with_key(|(settings, variant)| {
                let same = self.by_settings.get(settings);
                let same = same.map(|cost| (cost, Basis::Settings(cost.trials)));
                let like = || {
                    let cost = self.by_variant.get(*variant)?;
                    Some((cost, Basis::Variant(cost.trials)))
                };
                priced(run, same.or_else(like))
            });
            prices.push(price.clone());
        }
        prices
    }
}

fn priced(run: &RunFolder, cost: Option<(&Cost, Basis)>) -> Price {
    let Some((cost, basis)) = cost else {
        return Price {
            seconds: None,
            memory_bytes: None,
            results_bytes: None,
            database_bytes: 0,
            basis: Basis::Nothing,
        };
    };
    let [database, process] = most(run, cost, ["space.disk_bytes", "process.memory_peak_bytes"]);
    let results = cost
        .ids
        .iter()
        .map(|id| files::bytes_below(run.trial(id).path()));
    let results = results.max().filter(|bytes| *bytes > 0);
    Price {
        seconds: Some(cost.seconds / cost.trials.max(1) as f64),
        memory_bytes: cost.memory_bytes.or(process),
        // A simulated database lies in memory: only real trials have metrics of their process.
        database_bytes: process.and(database).unwrap_or(0),
        results_bytes: results,
        basis,
    }
}

/// The largest value of each metric in the trials that are looked at.
fn most<const N: usize>(run: &RunFolder, cost: &Cost, metrics: [&str; N]) -> [Option<u64>; N] {
    let ids: BTreeSet<String> = cost.ids.iter().cloned().collect();
    let gathered = store::gather(run, Some(&ids));
    let rows = gathered.map(|gathered| gathered.rows).unwrap_or_default();
    metrics.map(|metric| {
        let rows = rows.iter().filter(|row| row.name.metric == metric);
        rows.map(|row| row.value as u64).max()
    })
}

/// What all trials of a plan cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    /// Seconds, one trial after the other.
    pub seconds: f64,
    /// The most memory of one trial.
    pub memory_bytes: u64,
    /// Bytes on disk: the results of all trials, and the largest database, which is removed after
    /// its trial.
    pub disk_bytes: u64,
    /// Trials whose cost is unknown, and not in the sums.
    pub unknown: usize,
}

impl Total {
    /// Adds prices up.
    pub fn of(prices: &[Price]) -> Self {
        let mut total = Self {
            disk_bytes: prices
                .iter()
                .map(|price| price.database_bytes)
                .max()
                .unwrap_or(0),
            ..Self::default()
        };
        for price in prices {
            total.seconds += price.seconds.unwrap_or(0.0);
            total.memory_bytes = total.memory_bytes.max(price.memory_bytes.unwrap_or(0));
            total.disk_bytes += price.results_bytes.unwrap_or(0);
            total.unknown += usize::from(price.basis == Basis::Nothing);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempts::Claim;
    use crate::attempts::tests::attempt;
    use crate::formats::JsonText;
    use crate::point::Point;

    fn trial(variant: &str, setting: u64) -> PlannedTrial {
        PlannedTrial {
            id: format!("{variant}-{setting}"),
            case: String::new(),
            variant: variant.to_owned(),
            point: Point::new(),
            seed: 1,
            config: JsonText::of(&serde_json::json!({ "records": setting })),
            resolved: String::new(),
        }
    }

    #[test]
    fn equal_settings_price_a_trial_then_its_variant_then_nothing() {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let run = RunFolder::new(temporary.path());
        files::create_folder(&run.attempts()).expect("writable");
        for (known, outcome) in [
            (trial("lru", 1), Outcome::Done),
            (trial("lru", 2), Outcome::Failed("no space".to_owned())),
        ] {
            let mut claim = Claim::wait(&run, &known.id).expect("free");
            let begun = claim.begin(crate::attempts::Attempt {
                settings: known.settings_hash(),
                variant: known.variant.clone(),
                ..attempt()
            });
            begun.expect("writable");
            claim.end(outcome, Some(1_000)).expect("writable");
        }
        let earlier = Earlier::read(&run).expect("readable");
        let trials = [
            trial("lru", 1),
            trial("lru", 2),
            trial("sieve", 1),
            trial("arc", 3),
        ];
        let prices = earlier.price(&run, &trials);
        let bases: Vec<Basis> = prices.iter().map(|price| price.basis).collect();
        // Settings that another variant has are the settings all the same.
        let expected = [
            Basis::Settings(1),
            Basis::Variant(1),
            Basis::Settings(1),
            Basis::Nothing,
        ];
        assert_eq!(bases, expected);
        assert_eq!(prices[0].memory_bytes, Some(500), "two ran in the process");
        assert_eq!(prices[3].seconds, None);
        let total = Total::of(&prices);
        assert_eq!((total.memory_bytes, total.unknown), (500, 1));
    }
}
