//! A comparison in words, tables and CSV.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

use super::CompareRow;
use crate::formats::{csv, digits, shown, shown_p};
use crate::metrics::Scale;
use crate::point;

impl CompareRow {
    /// The unit of the effect: `%`, `pp` (percentage points) or the metric's own.
    pub fn effect_unit(&self) -> &str {
        effect_unit(self.scale, &self.unit)
    }

    /// Writes a number on the effect's scale with its sign, without the unit.
    pub fn shown(&self, effect: f64) -> String {
        signed(self.effect_unit(), effect)
    }

    /// The effect with its unit: `+2.1 %`.
    pub fn effect_with_unit(&self) -> String {
        shown_effect(self.scale, &self.unit, self.effect)
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

/// The unit of an effect: `%`, `pp` (percentage points) or the metric's own.
fn effect_unit(scale: Scale, unit: &str) -> &str {
    match (scale, unit) {
        (Scale::Relative, _) => "%",
        (Scale::Absolute, "ratio") => "pp",
        (Scale::Absolute, unit) => unit,
    }
}

/// Writes an effect with its sign, without its unit.
fn signed(unit: &str, effect: f64) -> String {
    let in_percent = matches!(unit, "%" | "pp");
    let factor = if in_percent { 100.0 } else { 1.0 };
    let sign = if effect > 0.0 { "+" } else { "" };
    format!("{sign}{}", digits(effect * factor, 3))
}

/// Writes an effect with its sign and unit: `+2.1 %`.
pub(crate) fn shown_effect(scale: Scale, unit: &str, effect: f64) -> String {
    let unit = effect_unit(scale, unit);
    match unit {
        "count" => signed(unit, effect),
        _ => format!("{} {unit}", signed(unit, effect)),
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

/// What a table narrower than [`WIDE`] leaves out: the answer and the report have it.
const LEFT_OUT: [&str; 4] = ["baseline mean", "variant mean", "p", "note"];

/// What a table narrower than [`NARROW`] leaves out, too.
const LEFT_OUT_FIRST: &str = "95 % interval";

/// The narrowest table with all columns.
const WIDE: u16 = 120;

/// The narrowest table with intervals.
const NARROW: u16 = 112;

/// The narrowest table in which names of metrics and verdicts are not broken.
const BREAKING: u16 = 72;

/// Draws the rows as a table for a terminal. Primary metrics carry a star. With a width the table
/// keeps to it: a narrow one has fewer columns, and its notes below it, each once.
pub fn table(rows: &[CompareRow], width: Option<u16>) -> String {
    let narrow = width.is_some_and(|width| width < WIDE);
    let narrowest = width.is_some_and(|width| width < NARROW);
    let is_shown = |column: &&Shown| {
        !(narrow && LEFT_OUT.contains(&column.heading)
            || narrowest && column.heading == LEFT_OUT_FIRST)
    };
    let columns: Vec<&Shown> = SHOWN.iter().filter(is_shown).collect();
    let mut notes: Vec<&str> = Vec::new();
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_header(columns.iter().map(|column| column.heading));
    if let Some(width) = width {
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
    }
    for row in rows {
        let mut cell = |column: &&Shown| {
            let text = (column.text)(row);
            if narrow && column.heading == "verdict" && !row.note.is_empty() {
                return format!("{text} [{}]", number_of(&mut notes, &row.note));
            }
            text
        };
        table.add_row(columns.iter().map(&mut cell).collect::<Vec<_>>());
    }
    for (column, shown) in table.column_iter_mut().zip(&columns) {
        if shown.alignment == CellAlignment::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let is_whole = ["metric", "verdict"].contains(&shown.heading);
        if is_whole && width.is_some_and(|width| width >= BREAKING) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let mut text = table.to_string();
    for (number, note) in notes.iter().enumerate() {
        text += &format!("\n[{}] {note}", number + 1);
    }
    text
}

/// The number of a note, which is added if it is new.
fn number_of<'a>(notes: &mut Vec<&'a str>, note: &'a str) -> usize {
    let known = notes.iter().position(|known| *known == note);
    let place = known.unwrap_or_else(|| {
        notes.push(note);
        notes.len() - 1
    });
    place + 1
}

/// The columns of the terminal on standard output; `None` if there is no terminal, as in a pipe.
pub fn terminal_width() -> Option<u16> {
    Table::new().width()
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
const FIELDS: [Field; 18] = [
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
    field("p_equivalent", |row| optional(row.p_equivalent)),
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
