//! What it costs not to know the workload: arms that adapt, against those that stand still.
//!
//! A workload that changes asks of each arm the same question: what did the whole cost, with all
//! debt paid? Three kinds of arms answer. One that stands still keeps its settings; the best of
//! them in hindsight is the bar. A schedule knows the phases. All others adapt: agents, tuners, and
//! what else a config may name.
//!
//! - The *gap* of a cell is what the best arm that stands still loses against the best of each
//!   phase put together, or against a schedule that was run, whichever is more. Without a gap
//!   there is nothing to adapt to: the cell is *neutral*, and supports no claim but that of doing
//!   no harm.
//! - The *regret* of an arm is its cost over that of the best that stands still, less one.
//! - The *captured share* is the part of the way from the best that stands still to the best-known
//!   schedule: 1 is as good as the schedule, 0 as good as standing still, and less does harm.
//!
//! - The *transition cost* and the operations to *recover* are what changes of phases cost
//!   (`transition.rs`); the *exploration cost* is what an arm that learns pays over its frozen
//!   twin.
//!
//! The best-known schedule is no bound: it is the cheapest of the schedules that were run and of
//! the phases put together, which pays for no transition. A better one may exist.

mod costs;
mod text;
mod transition;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compare;
use crate::nearest::hint;
use crate::point::{self, Point};
use crate::stats::{self, CONFIDENCE, Estimate, Interval};
use crate::store::TidyRow;

use costs::{Costs, of_point};

pub use costs::cost_of_trial;
pub use text::{cells_in_words, table};
pub use transition::{Recovery, Transitions, add_transitions};

/// Above this gap, with an interval above half of it, a cell is adaptive.
const ADAPTIVE: f64 = 0.10;

/// Up to this gap a cell is neutral.
const NEUTRAL: f64 = 0.02;

/// Which variants stand still, which know the phases, and what a second costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegretConfig {
    /// The variants whose settings stand still: the best of them is the bar.
    #[serde(rename = "static")]
    pub still: Vec<String>,
    /// The variants that know when the phases change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<String>,
    /// Of variants that learn, the frozen twin: what it knows and does not add to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub frozen: BTreeMap<String, String>,
    /// What a second costs.
    #[serde(default)]
    pub price: PriceConfig,
}

/// What a second of each kind costs. The cost of a trial is their weighted sum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceConfig {
    /// A second in which clients are served: the phases' time.
    pub client: f64,
    /// A second in which a unit of the device works, from the first phase to the end of the drain:
    /// without it what an arm puts off beyond its last phase is free. In the real world, where this
    /// is not known, the waits for the background count in full, and the phases not.
    pub device: f64,
}

impl Default for PriceConfig {
    fn default() -> Self {
        Self {
            client: 1.0,
            device: 1.0,
        }
    }
}

/// A key of the table `regret` that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The key within the table.
    pub key: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl RegretConfig {
    /// Checks prices, and that what stands still and what is scheduled are variants.
    ///
    /// # Errors
    /// [`Wrong`] at the first key that cannot be used.
    pub fn check(&self, variants: &[&str]) -> Result<(), Wrong> {
        let wrong = |key, message| Err(Wrong { key, message });
        if self.still.is_empty() {
            return wrong("static", "names no variant that stands still".to_owned());
        }
        for (key, names) in [("static", &self.still), ("schedules", &self.schedules)] {
            for name in names {
                if !variants.contains(&name.as_str()) {
                    let known = variants.iter().copied();
                    let hint = hint(name, known);
                    return wrong(key, format!("no variant is named {name:?}{hint}"));
                }
            }
        }
        for (learning, twin) in &self.frozen {
            for name in [learning, twin] {
                if !variants.contains(&name.as_str()) {
                    let hint = hint(name, variants.iter().copied());
                    return wrong("frozen", format!("no variant is named {name:?}{hint}"));
                }
            }
            if learning == twin {
                return wrong("frozen", format!("{twin:?} cannot be its own twin"));
            }
        }
        if let Some(both) = self.schedules.iter().find(|name| self.still.contains(name)) {
            let message = format!("{both:?} stands still as well: name it once");
            return wrong("schedules", message);
        }
        let PriceConfig { client, device } = self.price;
        let is_price = |price: f64| price.is_finite() && price >= 0.0;
        if !is_price(client) || !is_price(device) || client + device == 0.0 {
            let message = "each is at least 0, and one of them above it".to_owned();
            return wrong("price", message);
        }
        Ok(())
    }

    /// How `variant` stands to the workload.
    fn role(&self, variant: &str) -> Role {
        let is_in = |names: &[String]| names.iter().any(|name| name == variant);
        if is_in(&self.still) {
            Role::Static
        } else if is_in(&self.schedules) {
            Role::Schedule
        } else {
            Role::Adaptive
        }
    }
}

/// How an arm stands to the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It keeps its settings.
    Static,
    /// It knows when the phases change.
    Schedule,
    /// It finds out.
    Adaptive,
}

impl Role {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Schedule => "schedule",
            Self::Adaptive => "adaptive",
        }
    }
}

/// A share with its 95 % interval over seeds; without one if there is one seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The share: 0.1 is ten percent.
    pub mean: f64,
    /// The interval.
    pub interval: Option<[f64; 2]>,
}

impl Share {
    /// The mean of ratios, less one, from their logarithms.
    fn of_logs(logs: &[f64]) -> Self {
        let share = |log: f64| log.exp_m1();
        let interval = Estimate::of(logs).map(|estimate| estimate.interval(CONFIDENCE));
        Self {
            mean: share(stats::mean(logs)),
            interval: interval.map(|Interval { low, high, .. }| [share(low), share(high)]),
        }
    }

    /// The ratio of two sums over seeds; its interval leaves out one seed after the other
    /// (jackknife). `None` if the lower sum is not above zero.
    fn of_sums(pairs: &[(f64, f64)]) -> Option<Self> {
        let ratio = |skipped: Option<usize>| {
            let kept = pairs.iter().enumerate();
            let kept = kept.filter(|(at, _)| Some(*at) != skipped);
            let (over, under) = kept.fold((0.0, 0.0), |(a, b), (_, (x, y))| (a + x, b + y));
            (under > 0.0).then(|| over / under)
        };
        let all = ratio(None)?;
        let count = pairs.len() as f64;
        let without: Option<Vec<f64>> = (0..pairs.len()).map(|at| ratio(Some(at))).collect();
        let pseudo: Option<Vec<f64>> = without.map(|without| {
            let value = |left: &f64| count * all - (count - 1.0) * left;
            without.iter().map(value).collect()
        });
        let estimate = pseudo.and_then(|values| Estimate::of(&values));
        let half = estimate.map(|estimate| estimate.half_width(CONFIDENCE));
        Some(Self {
            mean: all,
            interval: half.map(|half| [all - half, all + half]),
        })
    }
}

/// What a cell can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admission {
    /// There is something to adapt to.
    Adaptive,
    /// Arms can only do harm.
    Neutral,
    /// Neither is shown: the cell supports no claim.
    Unclear,
}

impl Admission {
    fn of(gap: Share) -> Self {
        match gap.interval {
            Some([low, _]) if gap.mean >= ADAPTIVE && low > ADAPTIVE / 2.0 => Self::Adaptive,
            _ if gap.mean <= NEUTRAL => Self::Neutral,
            _ => Self::Unclear,
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Neutral => "neutral",
            Self::Unclear => "unclear",
        }
    }
}

/// One sweep point of a run: what it can show, and what each arm paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The sweep point.
    pub point: Point,
    /// Seeds that every arm has.
    pub seeds: usize,
    /// The best arm that stands still.
    pub best_static: String,
    /// The best arm that stands still of each phase, in the order of the phases.
    pub best_of_phase: Vec<(String, String)>,
    /// What the best that stands still loses against the best of each phase, or against the best
    /// schedule, whichever is more.
    pub gap: Share,
    /// What the cell can show.
    pub admission: Admission,
    /// The best-known schedule; `None` if it is the phases put together.
    pub best_known: Option<String>,
    /// The arms: the cheapest first.
    pub arms: Vec<Arm>,
}

/// What one arm paid in one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The variant.
    pub variant: String,
    /// How it stands to the workload.
    pub role: Role,
    /// Its cost in seconds, at the prices of the config: the geometric mean over seeds.
    pub cost_s: f64,
    /// Its cost over that of the best that stands still, less one.
    pub regret: Share,
    /// The part of the way to the best-known schedule; `None` unless the cell is adaptive.
    pub captured: Option<Share>,
    /// Its cost over that of its frozen twin, less one: what it costs to go on learning. `None`
    /// without a twin.
    #[serde(default)]
    pub explored: Option<Share>,
    /// What changes of phases cost it; `None` unless [`add_transitions`] has looked.
    #[serde(default)]
    pub transitions: Option<Transitions>,
}

/// An arm over all cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worst {
    /// The variant.
    pub variant: String,
    /// How it stands to the workload.
    pub role: Role,
    /// Its largest regret.
    pub regret: f64,
    /// Where.
    pub point: Point,
}

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RegretError {
    /// No seed has results of every arm.
    #[error("{}: no seed has a result of every variant", shown(.0))]
    NoSeed(Point),
}

fn shown(point: &Point) -> String {
    if point.is_empty() {
        "the run".to_owned()
    } else {
        point::label(point)
    }
}

/// Judges every sweep point of a run.
///
/// # Errors
/// [`RegretError`] if a point has no seed with results of every variant.
pub fn cells(rows: &[TidyRow], config: &RegretConfig) -> Result<Vec<Cell>, RegretError> {
    let points = compare::points(rows);
    points
        .into_iter()
        .map(|point| cell(&of_point(rows, point, config.price)?, point, config))
        .collect()
}

/// The largest regret of each arm over the cells, the smallest first; empty with one cell.
pub fn worst(cells: &[Cell]) -> Vec<Worst> {
    if cells.len() < 2 {
        return Vec::new();
    }
    let mut worst: BTreeMap<&str, Worst> = BTreeMap::new();
    for cell in cells {
        for arm in &cell.arms {
            let here = Worst {
                variant: arm.variant.clone(),
                role: arm.role,
                regret: arm.regret.mean,
                point: cell.point.clone(),
            };
            match worst.get_mut(arm.variant.as_str()) {
                Some(known) if known.regret >= here.regret => {}
                Some(known) => *known = here,
                None => drop(worst.insert(&arm.variant, here)),
            }
        }
    }
    let mut worst: Vec<Worst> = worst.into_values().collect();
    worst.sort_by(|a, b| a.regret.total_cmp(&b.regret));
    worst
}

/// Judges one sweep point.
fn cell(costs: &Costs, point: &Point, config: &RegretConfig) -> Result<Cell, RegretError> {
    let no_seed = || RegretError::NoSeed(point.clone());
    let is_still = |variant: &str| config.role(variant) == Role::Static;
    let best_static = costs.cheapest(is_still).ok_or_else(no_seed)?;
    let best_of_phase = costs.cheapest_by_phase(is_still);
    let stitched = costs.stitched(&best_of_phase);
    let logs = |of: &[f64], by: &[f64]| -> Vec<f64> {
        of.iter().zip(by).map(|(a, b)| (a / b).ln()).collect()
    };
    let bar = costs.totals(best_static);
    let put_together = Share::of_logs(&logs(&costs.phases(best_static), &stitched));
    let schedule = costs.cheapest(|variant| config.role(variant) == Role::Schedule);
    // The phases put together pay what the best that stands still pays beside them.
    let beside: Vec<f64> = bar
        .iter()
        .zip(costs.phases(best_static))
        .map(|(a, b)| a - b)
        .collect();
    let stitched: Vec<f64> = stitched.iter().zip(beside).map(|(a, b)| a + b).collect();
    let best_known =
        schedule.filter(|name| stats::mean(&costs.totals(name)) <= stats::mean(&stitched));
    let known = best_known.map_or(stitched, |name| costs.totals(name));
    // What a schedule reached can be reached, whatever the phases apart say: a layout that does not
    // stand still may be cheaper in each phase than all that do.
    let reached = best_known.map(|_| Share::of_logs(&logs(&bar, &known)));
    let gap = reached
        .filter(|reached| reached.mean > put_together.mean)
        .unwrap_or(put_together);
    let admission = Admission::of(gap);
    let arm = |variant: &str| {
        let totals = costs.totals(variant);
        let ways = bar.iter().zip(&totals).zip(&known);
        let ways: Vec<(f64, f64)> = ways
            .map(|((bar, own), known)| (bar - own, bar - known))
            .collect();
        let twin = config.frozen.get(variant);
        Arm {
            variant: variant.to_owned(),
            role: config.role(variant),
            cost_s: stats::geometric_mean(&totals),
            regret: Share::of_logs(&logs(&totals, &bar)),
            captured: match admission {
                Admission::Adaptive => Share::of_sums(&ways),
                Admission::Neutral | Admission::Unclear => None,
            },
            explored: twin.map(|twin| Share::of_logs(&logs(&totals, &costs.totals(twin)))),
            transitions: None,
        }
    };
    let mut arms: Vec<Arm> = costs.variants().map(arm).collect();
    arms.sort_by(|a, b| a.cost_s.total_cmp(&b.cost_s));
    Ok(Cell {
        point: point.clone(),
        seeds: bar.len(),
        best_static: best_static.to_owned(),
        best_of_phase: owned(&best_of_phase),
        gap,
        admission,
        best_known: best_known.map(str::to_owned),
        arms,
    })
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let both = |(phase, variant): &(&str, &str)| ((*phase).to_owned(), (*variant).to_owned());
    pairs.iter().map(both).collect()
}
