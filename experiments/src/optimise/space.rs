//! The space that a search moves in: one knob per dimension.
//!
//! A search sees a point as one coordinate in [0, 1] per knob. Coordinates are spread linearly or
//! logarithmically over numbers; a listed value owns an equal part of [0, 1]. [`Space::snap`] moves
//! a point to the coordinates of the settings that it stands for, so that equal settings are equal
//! points.

use bytesize::ByteSize;
use serde_json::{Number, Value};

/// The steps in which sizes are rounded, per doubling.
const SIZES_PER_DOUBLING: u64 = 8;

/// Digits of a number with a point.
const DIGITS: i32 = 3;

/// What kind of number a knob takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberKind {
    /// A whole number.
    Whole,
    /// A number with a point.
    Real,
    /// A number of bytes.
    Size,
}

/// A range of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// Whether values are spread logarithmically.
    pub logarithmic: bool,
    /// The distance between values from `min` on; without, each value that can be written briefly.
    pub step: Option<f64>,
    /// How values are written.
    pub kind: NumberKind,
    /// How many values a grid has.
    pub levels: usize,
}

/// Listed values.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices {
    /// The values.
    pub values: Vec<Value>,
    /// Their names in tables.
    pub labels: Vec<String>,
    /// Whether neighbours in the list are alike, as rising numbers are.
    pub ordered: bool,
}

/// The values of a knob.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers.
    Range(Range),
    /// A list.
    Choices(Choices),
}

/// One setting that is searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Knob {
    /// The dotted key.
    pub key: String,
    /// What it may be.
    pub values: Values,
    /// The key that gets what this one leaves of a total, in bytes.
    pub rest: Option<Rest>,
}

/// A key that gets what a knob leaves of a total.
#[derive(Clone, Debug, PartialEq)]
pub struct Rest {
    /// The dotted key.
    pub key: String,
    /// The total in bytes.
    pub of: u64,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The dotted key.
    pub key: String,
    /// The value.
    pub value: Value,
    /// The value as tables show it.
    pub label: String,
}

impl Range {
    fn spread(&self, value: f64) -> f64 {
        if self.logarithmic {
            libm::log(value)
        } else {
            value
        }
    }

    fn value(&self, x: f64) -> f64 {
        let (from, to) = (self.spread(self.min), self.spread(self.max));
        let place = from + x.clamp(0.0, 1.0) * (to - from);
        let exact = if self.logarithmic {
            libm::exp(place)
        } else {
            place
        };
        self.rounded(exact).clamp(self.min, self.max)
    }

    fn rounded(&self, value: f64) -> f64 {
        if let Some(step) = self.step {
            // The last step may end before `max`.
            let last = ((self.max - self.min) / step + 1e-9).floor();
            return self.min + ((value - self.min) / step).round().min(last) * step;
        }
        match self.kind {
            NumberKind::Whole => value.round(),
            NumberKind::Size => {
                let bytes = value.max(1.0) as u64;
                let unit = (bytes.next_power_of_two() / 2 / SIZES_PER_DOUBLING).max(1) as f64;
                (value / unit).round() * unit
            }
            NumberKind::Real if value == 0.0 => 0.0,
            NumberKind::Real => {
                let digits = DIGITS - 1 - libm::floor(libm::log10(value.abs())) as i32;
                // Through text: the shortest number of these digits.
                let text = format!("{value:.*}", digits.clamp(0, 12) as usize);
                text.parse().unwrap_or(value)
            }
        }
    }

    fn coordinate(&self, value: f64) -> f64 {
        let (from, to) = (self.spread(self.min), self.spread(self.max));
        if to > from {
            ((self.spread(value) - from) / (to - from)).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    fn written(&self, value: f64) -> Value {
        match self.kind {
            NumberKind::Whole => Value::from(value.round() as i64),
            NumberKind::Size => size(value.round() as u64),
            NumberKind::Real => Number::from_f64(value).map_or(Value::Null, Value::Number),
        }
    }
}

/// A number of bytes as configs write it.
pub(crate) fn size(bytes: u64) -> Value {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes > 0 && bytes.is_multiple_of(unit) {
            return Value::from(format!("{}{name}", bytes / unit));
        }
    }
    Value::from(bytes)
}

/// Reads a number or a size such as `"64KiB"`.
pub(crate) fn amount(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let size = text.parse::<ByteSize>().ok()?;
            Some(size.as_u64() as f64)
        }
        _ => None,
    }
}

impl Choices {
    fn index(&self, x: f64) -> usize {
        let count = self.values.len();
        ((x.clamp(0.0, 1.0) * count as f64) as usize).min(count - 1)
    }

    fn coordinate(&self, index: usize) -> f64 {
        (index as f64 + 0.5) / self.values.len() as f64
    }
}

impl Knob {
    /// Whether no value is between two others.
    pub(crate) fn is_nominal(&self) -> bool {
        matches!(&self.values, Values::Choices(choices) if !choices.ordered)
    }

    /// How many listed values it has.
    pub(crate) fn choices(&self) -> Option<usize> {
        match &self.values {
            Values::Range(_) => None,
            Values::Choices(choices) => Some(choices.values.len()),
        }
    }

    /// The coordinate of the setting that `x` stands for.
    pub(crate) fn snap(&self, x: f64) -> f64 {
        match &self.values {
            Values::Range(range) => range.coordinate(range.value(x)),
            Values::Choices(choices) => choices.coordinate(choices.index(x)),
        }
    }

    /// The coordinates of a grid.
    pub(crate) fn levels(&self) -> Vec<f64> {
        let mut levels: Vec<f64> = match &self.values {
            Values::Range(range) => {
                let last = (range.levels.max(2) - 1) as f64;
                let levels = 0..range.levels.max(2);
                levels.map(|at| self.snap(at as f64 / last)).collect()
            }
            Values::Choices(choices) => {
                let all = 0..choices.values.len();
                all.map(|at| choices.coordinate(at)).collect()
            }
        };
        levels.dedup();
        levels
    }

    /// What it is at `x`: its key, and the one that gets the rest.
    pub(crate) fn settings(&self, x: f64) -> Vec<Setting> {
        let value = match &self.values {
            Values::Range(range) => range.written(range.value(x)),
            Values::Choices(choices) => choices.values[choices.index(x)].clone(),
        };
        let mut settings = Vec::new();
        if let (Some(Rest { key, of }), Some(taken)) = (&self.rest, amount(&value)) {
            let value = size(of.saturating_sub(taken as u64));
            settings.push(Setting {
                key: key.clone(),
                label: text(&value),
                value,
            });
        }
        let label = self.label(x);
        let key = self.key.clone();
        settings.insert(0, Setting { key, value, label });
        settings
    }

    /// Its value at `x` as tables show it.
    pub(crate) fn label(&self, x: f64) -> String {
        match &self.values {
            Values::Range(range) => text(&range.written(range.value(x))),
            Values::Choices(choices) => choices.labels[choices.index(x)].clone(),
        }
    }

    /// Its value at `x` as a number, for an axis; or the place in the list.
    pub(crate) fn number(&self, x: f64) -> f64 {
        match &self.values {
            Values::Range(range) => range.value(x),
            Values::Choices(choices) => choices.index(x) as f64,
        }
    }

    /// The coordinate of a value; `None` if it is not one of the knob's.
    pub(crate) fn find(&self, value: &Value) -> Option<f64> {
        match &self.values {
            Values::Range(range) => {
                let number = amount(value)?;
                let within = (range.min..=range.max).contains(&number);
                within.then(|| range.coordinate(number))
            }
            Values::Choices(choices) => {
                let index = choices.values.iter().position(|it| is_same(it, value))?;
                Some(choices.coordinate(index))
            }
        }
    }
}

/// Whether two values are one setting: sizes may be written with units or without, and a policy
/// without parameters by its name or as a table.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    let name = |value: &Value| match value.as_object() {
        Some(table) if table.len() == 1 => table.get("policy").cloned(),
        _ => Some(value.clone()),
    };
    match (amount(one), amount(other)) {
        (Some(one), Some(other)) => one == other,
        _ => name(one) == name(other),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Every knob of a search, in the order of the config.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    /// The knobs.
    pub knobs: Vec<Knob>,
}

impl Space {
    /// How many knobs there are.
    pub fn dimensions(&self) -> usize {
        self.knobs.len()
    }

    /// Moves a point to the coordinates of the settings that it stands for.
    pub fn snap(&self, x: &[f64]) -> Vec<f64> {
        let knobs = self.knobs.iter().zip(x);
        knobs.map(|(knob, x)| knob.snap(*x)).collect()
    }

    /// The settings of a point.
    pub fn settings(&self, x: &[f64]) -> Vec<Setting> {
        let knobs = self.knobs.iter().zip(x);
        knobs.flat_map(|(knob, x)| knob.settings(*x)).collect()
    }

    /// How many points a grid has; saturates.
    pub fn grid_points(&self) -> usize {
        let levels = self.knobs.iter().map(|knob| knob.levels().len());
        levels.fold(1, usize::saturating_mul)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::optimise::tests::{choice, number};

    #[test]
    fn sizes_are_round_and_equal_settings_are_equal_points() {
        let knob = Knob {
            rest: Some(Rest {
                key: "rest".to_owned(),
                of: 2 << 20,
            }),
            values: Values::Range(Range {
                min: 65_536.0,
                max: 1_048_576.0,
                logarithmic: true,
                step: None,
                kind: NumberKind::Size,
                levels: 3,
            }),
            ..number("size", 0.0, 1.0)
        };
        let labels: Vec<String> = knob.levels().iter().map(|x| knob.label(*x)).collect();
        assert_eq!(labels, ["64KiB", "256KiB", "1MiB"]);
        for step in 0..=1000 {
            let x = knob.snap(f64::from(step) / 1000.0);
            assert_eq!(knob.snap(x), x, "snapping twice changes nothing");
            let settings = knob.settings(x);
            let sum: f64 = settings.iter().filter_map(|it| amount(&it.value)).sum();
            assert_eq!(sum, f64::from(2 << 20), "{settings:?}");
        }
        assert_eq!(knob.settings(0.5)[0].value, json!("256KiB"));
    }

    #[test]
    fn listed_values_own_equal_parts_and_are_found_again() {
        let knob = choice("layout", &["a", "b", "c"]);
        let labels = [0.0, 0.34, 0.66, 0.67, 1.0].map(|x| knob.label(x));
        assert_eq!(labels, ["a", "b", "b", "c", "c"]);
        let x = knob.find(&json!("b")).expect("it is listed");
        assert_eq!(knob.label(x), "b");
        assert_eq!(knob.find(&json!({ "policy": "b" })), Some(x));
        assert_eq!(knob.find(&json!({ "policy": "b", "ratio": 2 })), None);
        assert_eq!(knob.find(&json!("d")), None);
        assert!(knob.is_nominal());
    }

    #[test]
    fn numbers_keep_three_digits_and_steps() {
        let mut knob = number("share", 0.001, 0.5);
        assert_eq!(knob.label(0.123_456), "0.0626");
        if let Values::Range(range) = &mut knob.values {
            range.step = Some(0.125);
        }
        assert_eq!(knob.label(0.3), "0.126");
        assert_eq!(knob.label(1.0), "0.376", "0.501 is past the range");
    }
}
