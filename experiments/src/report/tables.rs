//! What pages share: the lines of verdicts, the tables of metrics, what metrics are.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Value, context};

use super::VARIANTS_MAX;
use crate::compare::{self, CompareRow, Comparison};
use crate::formats::{shown, shown_mean, shown_p};
use crate::metrics;
use crate::point::{self, Point};
use crate::store::{self, SummaryRow, TidyRow};

/// The most verdicts of each kind that a page lists.
pub(super) const VERDICTS_MAX: usize = 500;

/// What the metrics on the page are, in the order of the registry.
pub(super) fn meanings(rows: &[TidyRow], comparison: &Comparison) -> Vec<Value> {
    let compared = comparison.rows.iter().map(|row| row.metric.as_str());
    let names: BTreeSet<&str> = rows
        .iter()
        .map(|row| row.name.metric.as_str())
        .chain(compared)
        .collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| (metrics::rank(name), *name));
    let is_compared = |name: &str| comparison.rows.iter().any(|row| row.metric == name);
    names
        .into_iter()
        .filter(|name| !about(name).is_empty())
        .map(|name| context! { name, about => about(name), compared => is_compared(name) })
        .collect()
}

/// What a metric is; empty for one that this version does not know.
pub(super) fn about(metric: &str) -> &'static str {
    metrics::find(metric).map_or("", |metric| metric.about)
}

pub(super) fn verdict_lines(comparison: &Comparison, primary: bool) -> Vec<Value> {
    let rows = comparison.rows.iter();
    rows.filter(|row| row.primary == primary)
        .take(VERDICTS_MAX)
        .map(verdict_line)
        .collect()
}

pub(super) fn verdict_line(row: &CompareRow) -> Value {
    context! {
        metric => row.metric.as_str(),
        about => about(&row.metric),
        place => place(&row.phase, &row.point),
        variant => row.variant.as_str(),
        baseline_mean => shown(row.baseline_mean, &row.unit),
        variant_mean => shown(row.variant_mean, &row.unit),
        effect => row.effect_with_unit(),
        interval => row.interval_label(),
        p => row.p.map(shown_p),
        pairs => row.pairs,
        verdict => row.verdict.name(),
        class => row.verdict.class(),
        note => row.note.as_str(),
    }
}

/// `phase, point`.
pub(super) fn place(phase: &str, point: &Point) -> String {
    if point.is_empty() {
        phase.to_owned()
    } else {
        format!("{phase}, {}", point::label(point))
    }
}

/// One table per phase: a line per metric and sweep point, a cell per variant.
pub(super) fn metric_tables(rows: &[TidyRow], comparison: &Comparison) -> Vec<Value> {
    if compare::variants(rows).len() > VARIANTS_MAX {
        return Vec::new();
    }
    let summary = store::summarise(rows);
    let tables = MetricTables {
        variants: compare::variants(rows)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        points: compare::points(rows),
        summary: &summary,
        comparison,
    };
    let mut phases: Vec<&str> = Vec::new();
    for row in &summary {
        if !phases.contains(&row.phase.as_str()) {
            phases.push(&row.phase);
        }
    }
    phases.into_iter().map(|phase| tables.of(phase)).collect()
}

/// What all tables of metrics share.
struct MetricTables<'a> {
    variants: Vec<String>,
    points: Vec<&'a Point>,
    summary: &'a [SummaryRow],
    comparison: &'a Comparison,
}

/// A metric in the order of a table: compared ones first, by their place in the comparison; the
/// others in the registry's order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct RankedMetric<'a> {
    compared: usize,
    rank: usize,
    name: &'a str,
}

impl MetricTables<'_> {
    fn of(&self, phase: &str) -> Value {
        let rows: Vec<&SummaryRow> = self
            .summary
            .iter()
            .filter(|row| row.phase == phase)
            .collect();
        let metrics: BTreeSet<RankedMetric> =
            rows.iter().map(|row| self.ranked(&row.metric)).collect();
        let mut lines = Vec::new();
        for metric in &metrics {
            for point in &self.points {
                lines.extend(self.line(&rows, metric, point));
            }
        }
        context! { phase => phase, variants => self.variants.clone(), lines }
    }

    fn ranked<'b>(&self, metric: &'b str) -> RankedMetric<'b> {
        let mut compared = self.comparison.rows.iter();
        RankedMetric {
            compared: compared
                .position(|row| row.metric == metric)
                .unwrap_or(usize::MAX),
            rank: metrics::rank(metric),
            name: metric,
        }
    }

    /// `None` if no variant has a value.
    fn line(&self, rows: &[&SummaryRow], metric: &RankedMetric, point: &Point) -> Option<Value> {
        let mut cells: BTreeMap<&str, String> = BTreeMap::new();
        for row in rows {
            if row.metric == metric.name && row.point == *point {
                let cell = shown_mean(row.mean, row.half_width, &row.unit);
                cells.insert(&row.variant, cell);
            }
        }
        if cells.is_empty() {
            return None;
        }
        let cell = |variant: &String| cells.get(variant.as_str()).cloned().unwrap_or_default();
        Some(context! {
            metric => metric.name,
            about => about(metric.name),
            point => point::label(point),
            compared => metric.compared != usize::MAX,
            cells => self.variants.iter().map(cell).collect::<Vec<_>>(),
        })
    }
}
