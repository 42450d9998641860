//! A comparison in words, tables and CSV.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use super::{CompareRow, Comparison};
use crate::formats::{csv, digits, shown, shown_p};
use crate::metrics::Scale;
use crate::point;
use crate::stats::verdict::Verdict;

impl CompareRow {
    /// The unit of the effect: `%`, `pp` (percentage points) or the metric's own.
    pub fn effect_unit(&self) -> &str {
        match (self.scale, self.unit.as_str()) {
            (Scale::Relative, _) => "%",
            (Scale::Absolute, "ratio") => "pp",
            (Scale::Absolute, unit) => unit,
        }
    }

    /// Writes a number on the effect's scale with its sign, without the unit.
    pub fn shown(&self, effect: f64) -> String {
        let in_percent = matches!(self.effect_unit(), "%" | "pp");
        let factor = if in_percent { 100.0 } else { 1.0 };
        let sign = if effect > 0.0 { "+" } else { "" };
        format!("{sign}{}", digits(effect * factor, 3))
    }

    /// The effect with its unit: `+2.1 %`.
    pub fn effect_with_unit(&self) -> String {
        match self.effect_unit() {
            "count" => self.shown(self.effect),
            unit => format!("{} {unit}", self.shown(self.effect)),
        }
    }

    /// The effect with its unit and interval: `+2.1 % [+1.8, +2.4]`.
    pub fn effect_label(&self) -> String {
        let effect = self.effect_with_unit();
        match (self.low, self.high) {
            (Some(low), Some(high)) => {
                format!("{effect} [{}, {}]", self.shown(low), self.shown(high))
            }
            _ => effect,
        }
    }

    /// The interval: `+1.8 to +2.4`; `None` with one pair.
    pub fn interval_label(&self) -> Option<String> {
        let low = self.shown(self.low?);
        let high = self.shown(self.high?);
        Some(format!("{low} to {high}"))
    }

    /// Converts a number on the effect's scale to percent of the baseline (percentage points for
    /// shares of one). `None` if the baseline is zero.
    pub fn percent(&self, effect: f64) -> Option<f64> {
        match (self.scale, self.unit.as_str()) {
            (Scale::Relative, _) | (Scale::Absolute, "ratio") => Some(effect * 100.0),
            (Scale::Absolute, _) if self.baseline_mean != 0.0 => {
                Some(effect / self.baseline_mean.abs() * 100.0)
            }
            (Scale::Absolute, _) => None,
        }
    }
}

/// A column of the table on a terminal.
struct Shown {
    heading: &'static str,
    alignment: CellAlignment,
    text: fn(&CompareRow) -> String,
}

const fn words(heading: &'static str, text: fn(&CompareRow) -> String) -> Shown {
    Shown {
        heading,
        alignment: CellAlignment::Left,
        text,
    }
}

const fn number(heading: &'static str, text: fn(&CompareRow) -> String) -> Shown {
    Shown {
        heading,
        alignment: CellAlignment::Right,
        text,
    }
}

const SHOWN: [Shown; 10] = [
    words("metric", |row| {
        let star = if row.primary { " *" } else { "" };
        format!("{}{star}", row.metric)
    }),
    words("where", |row| {
        let place = format!("{} {}", row.phase, point::label(&row.point));
        place.trim_end().to_owned()
    }),
    words("variant", |row| row.variant.clone()),
    number("baseline mean", |row| shown(row.baseline_mean, &row.unit)),
    number("variant mean", |row| shown(row.variant_mean, &row.unit)),
    number("effect", CompareRow::effect_with_unit),
    number("95 % interval", |row| {
        row.interval_label().unwrap_or_default()
    }),
    number("p", |row| row.p.map_or_else(String::new, shown_p)),
    words("verdict", |row| row.verdict.name().to_owned()),
    words("note", |row| row.note.clone()),
];

/// Draws the rows as a table for a terminal. Primary metrics carry a star.
pub fn table(rows: &[CompareRow]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(SHOWN.each_ref().map(|column| column.heading));
    for row in rows {
        table.add_row(SHOWN.each_ref().map(|column| (column.text)(row)));
    }
    for (column, shown) in table.column_iter_mut().zip(&SHOWN) {
        if shown.alignment == CellAlignment::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// A column of the CSV.
struct Field {
    name: &'static str,
    text: fn(&CompareRow) -> String,
}

const fn field(name: &'static str, text: fn(&CompareRow) -> String) -> Field {
    Field { name, text }
}

/// Numbers stay unrounded and unscaled: a relative effect is a share, not a percentage.
const FIELDS: [Field; 17] = [
    field("metric", |row| row.metric.clone()),
    field("phase", |row| row.phase.clone()),
    field("point", |row| point::label(&row.point)),
    field("baseline", |row| row.baseline.clone()),
    field("variant", |row| row.variant.clone()),
    field("primary", |row| row.primary.to_string()),
    field("pairs", |row| row.pairs.to_string()),
    field("baseline_mean", |row| row.baseline_mean.to_string()),
    field("variant_mean", |row| row.variant_mean.to_string()),
    field("unit", |row| row.unit.clone()),
    field("effect", |row| row.effect.to_string()),
    field("low", |row| optional(row.low)),
    field("high", |row| optional(row.high)),
    field("effect_unit", |row| match row.scale {
        Scale::Relative => "share".to_owned(),
        Scale::Absolute => row.unit.clone(),
    }),
    field("p", |row| optional(row.p)),
    field("verdict", |row| row.verdict.name().to_owned()),
    field("note", |row| row.note.clone()),
];

fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// Writes the rows as CSV.
pub fn to_csv(rows: &[CompareRow]) -> String {
    let line = |row: &CompareRow| FIELDS.each_ref().map(|field| (field.text)(row));
    csv(
        FIELDS.each_ref().map(|field| field.name),
        rows.iter().map(line),
    )
}

/// Says in words what the primary metrics show, one metric a line.
pub fn answer(comparison: &Comparison) -> String {
    let primary: Vec<&CompareRow> = comparison.rows.iter().filter(|row| row.primary).collect();
    let mut metrics: Vec<&str> = Vec::new();
    for row in &primary {
        if !metrics.contains(&row.metric.as_str()) {
            metrics.push(&row.metric);
        }
    }
    if metrics.is_empty() {
        return "No primary metric has a value under the baseline and a variant.".to_owned();
    }
    let lines: Vec<String> = metrics
        .into_iter()
        .map(|metric| answer_of(metric, &primary))
        .collect();
    lines.join("\n")
}

fn answer_of(metric: &str, primary: &[&CompareRow]) -> String {
    let mut by_variant: BTreeMap<&str, Vec<&CompareRow>> = BTreeMap::new();
    for row in primary.iter().filter(|row| row.metric == metric) {
        by_variant.entry(&row.variant).or_default().push(row);
    }
    let one_place = by_variant.values().all(|rows| rows.len() == 1);
    if one_place && by_variant.len() > 1 {
        return by_verdict(metric, by_variant.values().map(|rows| rows[0]));
    }
    let clauses: Vec<String> = by_variant.values().map(|rows| clause(rows)).collect();
    format!("On {metric}, {}.", clauses.join("; "))
}

/// Several variants in one place: the verdicts in turn, the largest effects first.
fn by_verdict<'a>(metric: &str, rows: impl Iterator<Item = &'a CompareRow>) -> String {
    let mut rows: Vec<&CompareRow> = rows.collect();
    rows.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
    let group = |counted: &Counted| {
        let effects: Vec<String> = rows
            .iter()
            .filter(|row| row.verdict == counted.verdict)
            .map(|row| format!("{} {}", row.variant, row.effect_label()))
            .collect();
        format!("{}: {}", counted.verdict.name(), effects.join(", "))
    };
    let groups: Vec<String> = count_verdicts(&rows).iter().map(group).collect();
    format!(
        "On {metric} against {}: {}.",
        rows[0].baseline,
        groups.join("; ")
    )
}

/// A verdict, and how many rows have it.
struct Counted {
    verdict: Verdict,
    count: usize,
}

/// Counts verdicts, in the order in which they first appear.
fn count_verdicts(rows: &[&CompareRow]) -> Vec<Counted> {
    let mut counts: Vec<Counted> = Vec::new();
    for row in rows {
        match counts
            .iter_mut()
            .find(|counted| counted.verdict == row.verdict)
        {
            Some(counted) => counted.count += 1,
            None => counts.push(Counted {
                verdict: row.verdict,
                count: 1,
            }),
        }
    }
    counts
}

/// One variant in all places.
fn clause(rows: &[&CompareRow]) -> String {
    match rows {
        [row] => clause_of_one(row),
        rows => clause_of_many(rows),
    }
}

fn clause_of_one(row: &CompareRow) -> String {
    let samples = match (row.pairs, row.note.as_str()) {
        (1, note) => note.to_owned(),
        (pairs, "") => format!("{pairs} pairs"),
        (pairs, note) => format!("{pairs} pairs; {note}"),
    };
    let relation = relation(row.verdict, &row.baseline, &row.effect_label());
    format!("{} is {relation} ({samples})", row.variant)
}

fn clause_of_many(rows: &[&CompareRow]) -> String {
    let places = match count_verdicts(rows).as_slice() {
        [only] => format!("{} in all {} places", only.verdict.name(), only.count),
        counts => {
            let counted: Vec<String> = counts
                .iter()
                .map(|counted| format!("{} in {}", counted.verdict.name(), counted.count))
                .collect();
            format!("{} of {} places", counted.join(", "), rows.len())
        }
    };
    let by_effect = |a: &&&CompareRow, b: &&&CompareRow| a.effect.total_cmp(&b.effect);
    let least = rows.iter().min_by(by_effect).expect("there are rows");
    let most = rows.iter().max_by(by_effect).expect("there are rows");
    let unit = most.effect_unit();
    let least = least.shown(least.effect);
    let most = most.shown(most.effect);
    let range = if least == most {
        most
    } else {
        format!("{least} to {most}")
    };
    let CompareRow {
        variant, baseline, ..
    } = rows[0];
    format!("{variant} against {baseline} is {places}: {range} {unit}")
}

fn relation(verdict: Verdict, baseline: &str, effect: &str) -> String {
    match verdict {
        Verdict::Better | Verdict::Worse => {
            format!("{} than {baseline} by {effect}", verdict.name())
        }
        Verdict::Equivalent => format!("equivalent to {baseline}: {effect}"),
        Verdict::Different => format!("different from {baseline} by {effect}"),
        Verdict::Undecided => format!("undecided against {baseline}: {effect}"),
        Verdict::Exact => format!("at {effect} against {baseline}"),
        Verdict::Inactive => format!("inactive, as {baseline} is: {effect}"),
        Verdict::NotMeasured => format!("not measured against {baseline}"),
    }
}
