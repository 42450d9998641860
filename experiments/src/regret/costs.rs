//! What each trial of a sweep point cost, by window.

use std::collections::{BTreeMap, BTreeSet};

use super::{PriceConfig, RegretError};
use crate::compare::phases;
use crate::point::Point;
use crate::record::{MetricRow, Window};
use crate::stats;
use crate::store::TidyRow;

/// What one trial paid.
#[derive(Clone, Debug, Default)]
struct Paid {
    /// In each phase.
    phases: BTreeMap<String, f64>,
    /// In all phases, in the steps and waits between them, and in the drain.
    total: f64,
}

/// What the trials of one sweep point paid: of the seeds that every variant has.
pub(super) struct Costs {
    /// The phases, in the order of the trial.
    phases: Vec<String>,
    /// By variant, one per seed.
    paid: BTreeMap<String, Vec<Paid>>,
}

/// The seconds of one window.
#[derive(Default)]
struct Seconds {
    duration: f64,
    busy_ratio: Option<f64>,
}

/// A trial by variant and seed, and its windows' seconds by name.
type Trials<'a> = BTreeMap<(&'a str, u64), BTreeMap<&'a str, Seconds>>;

/// Reads what the trials of a sweep point paid.
///
/// # Errors
/// [`RegretError::NoSeed`] if no seed has results of every variant.
pub(super) fn of_point(
    rows: &[TidyRow],
    point: &Point,
    price: PriceConfig,
) -> Result<Costs, RegretError> {
    let mut trials: Trials = BTreeMap::new();
    for row in rows.iter().filter(|row| row.trial.point == *point) {
        let windows = trials
            .entry((&row.trial.variant, row.trial.seed))
            .or_default();
        note(windows, &row.name.phase, &row.name.metric, row.value);
    }
    let variants: BTreeSet<&str> = trials.keys().map(|(variant, _)| *variant).collect();
    let seeds: BTreeSet<u64> = trials.keys().map(|(_, seed)| *seed).collect();
    let has_all = |seed: &u64| variants.iter().all(|it| trials.contains_key(&(it, *seed)));
    let seeds: Vec<u64> = seeds.into_iter().filter(has_all).collect();
    if seeds.is_empty() {
        return Err(RegretError::NoSeed(point.clone()));
    }
    let mut paid: BTreeMap<String, Vec<Paid>> = BTreeMap::new();
    for variant in variants {
        let of_seed = |seed: &u64| paid_by(&trials[&(variant, *seed)], price);
        paid.insert(variant.to_owned(), seeds.iter().map(of_seed).collect());
    }
    // Other points may have other phases.
    let is_here = |phase: &&str| {
        paid.values()
            .flatten()
            .all(|it| it.phases.contains_key(*phase))
    };
    let phases = phases(rows).into_iter().filter(is_here);
    Ok(Costs {
        phases: phases.map(str::to_owned).collect(),
        paid,
    })
}

/// Notes a metric in its window, if costs depend on it.
fn note<'a>(windows: &mut BTreeMap<&'a str, Seconds>, window: &'a str, metric: &str, value: f64) {
    match metric {
        "run.duration_s" => windows.entry(window).or_default().duration = value,
        "device.busy_ratio" => windows.entry(window).or_default().busy_ratio = Some(value),
        _ => {}
    }
}

/// What the trial with these metrics paid, in seconds.
pub fn cost_of_trial(rows: &[MetricRow], price: PriceConfig) -> f64 {
    let mut windows = BTreeMap::new();
    for row in rows {
        note(&mut windows, &row.phase, &row.metric, row.value);
    }
    paid_by(&windows, price).total
}

/// What the trial with these windows paid. Where it is not known how long the device worked, a wait
/// for the background, and the drain above all, counts as work of the device.
fn paid_by(windows: &BTreeMap<&str, Seconds>, price: PriceConfig) -> Paid {
    let mut paid = Paid::default();
    for (name, seconds) in windows {
        let window = Window::named(name);
        let is_phase = window == Window::Phase;
        if !is_phase && !matches!(window, Window::Step | Window::Drain) {
            continue;
        }
        let unknown = if is_phase { 0.0 } else { 1.0 };
        let busy = seconds.busy_ratio.unwrap_or(unknown);
        let mut cost = price.device * busy * seconds.duration;
        if is_phase {
            cost += price.client * seconds.duration;
            paid.phases.insert((*name).to_owned(), cost);
        }
        paid.total += cost;
    }
    paid
}

impl Costs {
    /// The variants, in the order of their names.
    pub(super) fn variants(&self) -> impl Iterator<Item = &str> {
        self.paid.keys().map(String::as_str)
    }

    /// What `variant` paid in all, by seed.
    pub(super) fn totals(&self, variant: &str) -> Vec<f64> {
        self.paid[variant].iter().map(|paid| paid.total).collect()
    }

    /// What `variant` paid in all phases, by seed.
    pub(super) fn phases(&self, variant: &str) -> Vec<f64> {
        let sum = |paid: &Paid| paid.phases.values().sum();
        self.paid[variant].iter().map(sum).collect()
    }

    /// The cheapest of some variants over all seeds; `None` if there is no such variant.
    pub(super) fn cheapest(&self, of: impl Fn(&str) -> bool) -> Option<&str> {
        self.least(of, |paid| paid.total)
    }

    /// The cheapest of some variants in each phase, by phase.
    pub(super) fn cheapest_by_phase(&self, of: impl Fn(&str) -> bool) -> Vec<(&str, &str)> {
        let cheapest = |phase: &'_ String| self.least(&of, |paid| paid.phases[phase]);
        let phases = self.phases.iter();
        phases
            .filter_map(|phase| Some((phase.as_str(), cheapest(phase)?)))
            .collect()
    }

    /// What is paid by seed if each phase is run by its own variant.
    pub(super) fn stitched(&self, by_phase: &[(&str, &str)]) -> Vec<f64> {
        let seeds = self.paid.values().next().map_or(0, Vec::len);
        let of_seed = |seed: usize| {
            let of_phase =
                |(phase, variant): &(&str, &str)| self.paid[*variant][seed].phases[*phase];
            by_phase.iter().map(of_phase).sum()
        };
        (0..seeds).map(of_seed).collect()
    }

    /// The variant with the least geometric mean of a cost.
    fn least(&self, of: impl Fn(&str) -> bool, cost: impl Fn(&Paid) -> f64) -> Option<&str> {
        let mean = |all: &Vec<Paid>| {
            let costs: Vec<f64> = all.iter().map(&cost).collect();
            stats::geometric_mean(&costs)
        };
        let all = self.paid.iter().filter(|(variant, _)| of(variant));
        let means = all.map(|(variant, paid)| (variant.as_str(), mean(paid)));
        means
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(variant, _)| variant)
    }
}
