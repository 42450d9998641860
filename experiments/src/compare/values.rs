//! The values of a run, found by variant, site and metric.

use std::collections::BTreeMap;
use std::fmt;

use crate::point::{self, Point};
use crate::record::Window;
use crate::stats::{self, Test};
use crate::store::TidyRow;

/// Where a comparison is made: one phase at one sweep point.
pub(super) struct Site<'a> {
    pub(super) phase: &'a str,
    pub(super) point: &'a Point,
    /// Whether the world adds noise of its own.
    pub(super) noisy: bool,
}

impl Site<'_> {
    /// How differences are tested there.
    pub(super) fn test(&self) -> Test {
        if self.noisy {
            Test::SignFlips
        } else {
            Test::Student
        }
    }
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

/// What an entry of the index is found by.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    variant: &'a str,
    phase: &'a str,
    point: &'a Point,
    metric: &'a str,
}

/// Every value of a run.
pub(super) struct ValueIndex<'a> {
    values: BTreeMap<Key<'a>, Values>,
    has_whole: bool,
}

impl<'a> ValueIndex<'a> {
    pub(super) fn of(rows: &'a [TidyRow]) -> Self {
        let mut index: BTreeMap<Key, Values> = BTreeMap::new();
        for row in rows {
            let key = Key {
                variant: &row.variant,
                phase: &row.phase,
                point: &row.point,
                metric: &row.metric,
            };
            index.entry(key).or_default().insert(row.seed, row.value);
        }
        let mut phases = rows.iter().map(|row| row.phase.as_str());
        Self {
            values: index,
            has_whole: phases.any(|phase| Window::named(phase) == Window::Whole),
        }
    }

    /// The values of a metric, by seed.
    pub(super) fn values<'b>(
        &'b self,
        variant: &'b str,
        site: &'b Site,
        metric: &'b str,
    ) -> Option<&'b Values> {
        self.values.get(&Key {
            variant,
            phase: site.phase,
            point: site.point,
            metric,
        })
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

    /// The mean share of the bytes written at the site that were put off; negative if it paid for
    /// earlier windows.
    pub(super) fn deferred_share(&self, variant: &str, site: &Site) -> Option<f64> {
        self.mean(variant, site, "debt.deferred_ratio")
    }

    /// The mean of a metric over the seeds.
    pub(super) fn mean(&self, variant: &str, site: &Site, metric: &str) -> Option<f64> {
        let values = self.values(variant, site, metric)?;
        let values: Vec<f64> = values.values().copied().collect();
        Some(stats::mean(&values))
    }
}
