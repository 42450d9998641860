//! The values of a run, found by variant, site and metric.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::point::{self, Point};
use crate::record::Window;
use crate::stats::{self, Test};
use crate::store::TidyRow;

/// Where a comparison is made: one phase at one sweep point.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) phase: &'a str,
    pub(super) point: &'a Point,
    /// Whether the world adds noise of its own.
    pub(super) noisy: bool,
    /// How differences are tested there.
    pub(super) test: Test,
}

impl fmt::Display for Site<'_> {
    /// `in phase run at engine.cache.size=32MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in phase {}", self.phase)?;
        if self.point.is_empty() {
            return Ok(());
        }
        write!(f, " at {}", point::label(self.point))
    }
}

/// Values by seed.
pub(super) type Values = BTreeMap<u64, f64>;

/// A variant at a sweep point.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct SideOf<'a> {
    variant: &'a str,
    point: &'a Point,
}

/// Every value of a run: the rows of the trials of each variant at each sweep point. A trial's rows
/// are few, and are searched; an index of millions would take more memory than they do.
pub(super) struct ValueIndex<'a> {
    trials: BTreeMap<SideOf<'a>, Vec<&'a [TidyRow]>>,
    has_whole: bool,
}

impl<'a> ValueIndex<'a> {
    pub(super) fn of(rows: &'a [TidyRow]) -> Self {
        let mut trials: BTreeMap<SideOf, Vec<&[TidyRow]>> = BTreeMap::new();
        for rows in rows.chunk_by(|a, b| Arc::ptr_eq(&a.trial, &b.trial)) {
            let side = SideOf {
                variant: &rows[0].trial.variant,
                point: &rows[0].trial.point,
            };
            trials.entry(side).or_default().push(rows);
        }
        let mut phases = rows.iter().map(|row| row.name.phase.as_str());
        Self {
            trials,
            has_whole: phases.any(|phase| Window::named(phase) == Window::Whole),
        }
    }

    /// The values of a metric, by seed; `None` if no seed has one.
    pub(super) fn values(&self, variant: &str, site: &Site, metric: &str) -> Option<Values> {
        let side = SideOf {
            variant,
            point: site.point,
        };
        let value = |rows: &&'a [TidyRow]| {
            let mut rows = rows.iter();
            let row = rows.find(|row| row.name.metric == metric && row.name.phase == site.phase)?;
            Some((row.trial.seed, row.value))
        };
        let values: Values = self.trials.get(&side)?.iter().filter_map(value).collect();
        (!values.is_empty()).then_some(values)
    }

    /// Whether trials have a window that spans all of them.
    pub(super) fn has_whole(&self) -> bool {
        self.has_whole
    }

    /// Whether any seed of the variant was overloaded at the site.
    pub(super) fn overloaded(&self, variant: &str, site: &Site) -> bool {
        self.values(variant, site, "run.overloaded")
            .is_some_and(|values| values.values().any(|value| *value > 0.0))
    }

    /// The share of the bytes written at the site, by all seeds together, that was put off;
    /// negative if they paid for earlier windows. The mean of each seed's own share would be
    /// another: what is put off is a large share of few bytes, and what is paid a small one of
    /// many.
    pub(super) fn deferred_share(&self, variant: &str, site: &Site) -> Option<f64> {
        let shares = self.values(variant, site, "debt.deferred_ratio")?;
        let Some(written) = self.values(variant, site, "device.write_bytes") else {
            return self.mean(variant, site, "debt.deferred_ratio");
        };
        let of_seed =
            |(seed, share): (&u64, &f64)| Some((share * written.get(seed)?, written[seed]));
        let sums = shares.iter().filter_map(of_seed);
        let (put_off, all) = sums.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        (all > 0.0).then(|| put_off / all)
    }

    /// The mean of a metric over the seeds.
    pub(super) fn mean(&self, variant: &str, site: &Site, metric: &str) -> Option<f64> {
        let values = self.values(variant, site, metric)?;
        let values: Vec<f64> = values.values().copied().collect();
        Some(stats::mean(&values))
    }
}
