//! A comparison in words, numbers and tables.

use std::collections::BTreeMap;

use bytesize::ByteSize;
use comfy_table::{CellAlignment, Table, presets};

use super::{CompareRow, Comparison};
use crate::metrics::Scale;
use crate::stats::Verdict;
use crate::store::{csv, point_label};

impl CompareRow {
    /// The unit of the effect as shown: `%`, `pp` (percentage points) or the metric's own.
    pub fn effect_unit(&self) -> &str {
        match (self.scale, self.unit.as_str()) {
            (Scale::Relative, _) => "%",
            (Scale::Absolute, "ratio") => "pp",
            (Scale::Absolute, unit) => unit,
        }
    }

    /// A number on the effect's scale as shown, without the unit.
    pub fn shown(&self, effect: f64) -> String {
        let factor = if matches!(self.effect_unit(), "%" | "pp") {
            100.0
        } else {
            1.0
        };
        format!(
            "{}{}",
            if effect > 0.0 { "+" } else { "" },
            digits(effect * factor, 3)
        )
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

    /// A number on the effect's scale in percent of the baseline (percentage points for shares of one); None where the
    /// baseline is zero.
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

/// A number with four significant digits, or with all of its integer digits.
pub fn significant(value: f64) -> String {
    digits(value, 4)
}

/// A number with `count` significant digits, or with all of its integer digits.
pub fn digits(value: f64, count: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let decimals = count - 1 - value.abs().log10().floor() as i32;
    let text = format!("{value:.*}", usize::try_from(decimals.min(9)).unwrap_or(0));
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A mean as shown with half the width of its interval, where it has a width.
pub fn shown_mean(mean: f64, half_width: Option<f64>, unit: &str) -> String {
    let Some(half) = half_width.filter(|half| *half > 0.0) else {
        return shown(mean, unit);
    };
    match unit {
        "bytes" => format!("{} \u{b1} {}", shown(mean, unit), shown(half, unit)),
        _ => shown(mean, unit).replacen(
            &significant(mean),
            &format!("{} \u{b1} {}", significant(mean), digits(half, 2)),
            1,
        ),
    }
}

/// A value of a metric as shown, with its unit where it has one.
pub fn shown(value: f64, unit: &str) -> String {
    match unit {
        "ratio" | "count" => significant(value),
        "us" => format!("{} \u{b5}s", significant(value)),
        "bytes" if value >= 1024.0 => ByteSize(value as u64).display().iec().to_string(),
        _ => format!("{} {unit}", significant(value)),
    }
}

/// A p-value as shown.
pub fn shown_p(p: f64) -> String {
    if p < 1e-4 {
        "< 0.0001".to_owned()
    } else {
        format!("{p:.4}")
    }
}

const HEADER: [&str; 10] = [
    "metric",
    "where",
    "variant",
    "baseline mean",
    "variant mean",
    "effect",
    "95 % interval",
    "p",
    "verdict",
    "note",
];

/// The table for the terminal. Primary metrics carry a star.
pub fn table(rows: &[CompareRow]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(HEADER);
    for row in rows {
        let interval = row.low.zip(row.high);
        table.add_row([
            format!("{}{}", row.metric, if row.primary { " *" } else { "" }),
            format!("{} {}", row.phase, point_label(&row.point))
                .trim_end()
                .to_owned(),
            row.variant.clone(),
            shown(row.baseline_mean, &row.unit),
            shown(row.variant_mean, &row.unit),
            row.effect_with_unit(),
            interval.map_or_else(String::new, |(low, high)| {
                format!("{} to {}", row.shown(low), row.shown(high))
            }),
            row.p.map_or_else(String::new, shown_p),
            row.verdict.word().to_owned(),
            row.note.clone(),
        ]);
    }
    for column in table.column_iter_mut().skip(3).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// The rows as CSV.
pub fn to_csv(rows: &[CompareRow]) -> String {
    let header = [
        "metric",
        "phase",
        "point",
        "baseline",
        "variant",
        "primary",
        "pairs",
        "baseline_mean",
        "variant_mean",
        "unit",
        "effect",
        "low",
        "high",
        "effect_unit",
        "p",
        "verdict",
        "note",
    ];
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let line = |row: &CompareRow| {
        // Numbers stay unrounded and unscaled: a relative effect is a share, not a percentage.
        let effect_unit = if row.scale == Scale::Relative {
            "share"
        } else {
            &row.unit
        };
        [
            row.metric.clone(),
            row.phase.clone(),
            point_label(&row.point),
            row.baseline.clone(),
            row.variant.clone(),
            row.primary.to_string(),
            row.pairs.to_string(),
            row.baseline_mean.to_string(),
            row.variant_mean.to_string(),
            row.unit.clone(),
            row.effect.to_string(),
            number(row.low),
            number(row.high),
            effect_unit.to_owned(),
            number(row.p),
            row.verdict.word().to_owned(),
            row.note.clone(),
        ]
    };
    csv(header, rows.iter().map(line))
}

/// What the primary metrics say, a line each.
pub fn answer(comparison: &Comparison) -> String {
    let primary: Vec<&CompareRow> = comparison.rows.iter().filter(|row| row.primary).collect();
    let mut metrics: Vec<&str> = Vec::new();
    for row in &primary {
        if !metrics.contains(&row.metric.as_str()) {
            metrics.push(&row.metric);
        }
    }
    let sentences = metrics.into_iter().map(|metric| {
        let mut by_variant: BTreeMap<&str, Vec<&CompareRow>> = BTreeMap::new();
        for row in primary.iter().filter(|row| row.metric == metric) {
            by_variant.entry(&row.variant).or_default().push(row);
        }
        match by_variant.values().all(|rows| rows.len() == 1) && by_variant.len() > 1 {
            true => by_verdict(metric, by_variant.values().map(|rows| rows[0])),
            false => {
                let clauses: Vec<String> = by_variant.values().map(|rows| clause(rows)).collect();
                format!("On {metric}, {}.", clauses.join("; "))
            }
        }
    });
    match primary.is_empty() {
        true => "No primary metric has a value under the baseline and a variant.".to_owned(),
        false => sentences.collect::<Vec<_>>().join("\n"),
    }
}

/// What one metric says of several variants in one place: the verdicts in turn, the largest effects first.
fn by_verdict<'a>(metric: &str, rows: impl Iterator<Item = &'a CompareRow>) -> String {
    let mut rows: Vec<&CompareRow> = rows.collect();
    rows.sort_by(|a, b| b.effect.abs().total_cmp(&a.effect.abs()));
    let mut verdicts: Vec<Verdict> = Vec::new();
    for row in &rows {
        if !verdicts.contains(&row.verdict) {
            verdicts.push(row.verdict);
        }
    }
    let group = |verdict: &Verdict| {
        let of = rows.iter().filter(|row| row.verdict == *verdict);
        let effects: Vec<String> = of
            .map(|row| format!("{} {}", row.variant, row.effect_label()))
            .collect();
        format!("{}: {}", verdict.word(), effects.join(", "))
    };
    let groups: Vec<String> = verdicts.iter().map(group).collect();
    format!(
        "On {metric} against {}: {}.",
        rows[0].baseline,
        groups.join("; ")
    )
}

/// What one metric says of one variant, in all places.
fn clause(rows: &[&CompareRow]) -> String {
    let (variant, baseline) = (&rows[0].variant, &rows[0].baseline);
    if let [row] = rows {
        let samples = match (row.pairs, row.note.as_str()) {
            (1, note) => note.to_owned(),
            (pairs, "") => format!("{pairs} pairs"),
            (pairs, note) => format!("{pairs} pairs; {note}"),
        };
        return format!(
            "{variant} is {} ({samples})",
            relation(row.verdict, baseline, &row.effect_label())
        );
    }
    let mut counts: Vec<(Verdict, usize)> = Vec::new();
    for row in rows {
        match counts
            .iter_mut()
            .find(|(verdict, _)| *verdict == row.verdict)
        {
            Some((_, count)) => *count += 1,
            None => counts.push((row.verdict, 1)),
        }
    }
    let least = rows
        .iter()
        .min_by(|a, b| a.effect.total_cmp(&b.effect))
        .expect("rows are not empty");
    let most = rows
        .iter()
        .max_by(|a, b| a.effect.total_cmp(&b.effect))
        .expect("rows are not empty");
    let places = match counts.as_slice() {
        [(verdict, count)] => format!("{} in all {count} places", verdict.word()),
        counts => {
            let counted: Vec<String> = counts
                .iter()
                .map(|(verdict, count)| format!("{} in {count}", verdict.word()))
                .collect();
            format!("{} of {} places", counted.join(", "), rows.len())
        }
    };
    let (least, most, unit) = (
        least.shown(least.effect),
        most.shown(most.effect),
        most.effect_unit(),
    );
    match least == most {
        true => format!("{variant} against {baseline} is {places}: {most} {unit}"),
        false => format!("{variant} against {baseline} is {places}: {least} to {most} {unit}"),
    }
}

fn relation(verdict: Verdict, baseline: &str, effect: &str) -> String {
    match verdict {
        Verdict::Better | Verdict::Worse => {
            format!("{} than {baseline} by {effect}", verdict.word())
        }
        Verdict::Equivalent => format!("equivalent to {baseline}: {effect}"),
        Verdict::Different => format!("different from {baseline} by {effect}"),
        Verdict::Undecided => format!("undecided against {baseline}: {effect}"),
        Verdict::Exact => format!("at {effect} against {baseline}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (123_456.0, "123456"),
            (1234.56, "1235"),
            (0.012_345, "0.01235"),
            (2.0, "2"),
        ] {
            assert_eq!(significant(value), text);
        }
        assert_eq!(significant(-12.345), "-12.35");
        assert_eq!(digits(-12.345, 3), "-12.3");
        assert_eq!(shown(1536.0 * 1024.0, "bytes"), "1.5 MiB");
        assert_eq!(shown(12.5, "us"), "12.5 \u{b5}s");
        assert_eq!(
            shown_mean(12.5, Some(0.123), "us"),
            "12.5 \u{b1} 0.12 \u{b5}s"
        );
        assert_eq!(
            shown_mean(2048.0, Some(10.0), "bytes"),
            "2.0 KiB \u{b1} 10 bytes"
        );
        assert_eq!(shown_mean(3.0, None, "ratio"), "3");
    }
}
