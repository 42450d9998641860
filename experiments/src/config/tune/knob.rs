//! One knob of the table `tune`: a range, or a list of values.

use std::collections::BTreeSet;

use serde_json::Value;

use super::read::Reader;
use super::{KnobConfig, RestConfig, Spread};
use crate::config::error::ConfigError;
use crate::config::layers;
use crate::optimise::space::{self, Choices, Knob, NumberKind, Range, Rest, Values};

/// Whole numbers up to here are exact in coordinates, which are floating-point numbers.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

impl Reader<'_> {
    pub(super) fn knob(&self, at: usize, config: &KnobConfig) -> Result<Knob, ConfigError> {
        let path = |key: &str| format!("knob[{at}].{key}");
        self.check_key(&path("key"), &config.key)?;
        let values = match (&config.min, &config.max, config.values.is_empty()) {
            (Some(min), Some(max), true) => Values::Range(self.range(at, config, min, max)?),
            (None, None, false) => Values::Choices(self.choices(at, config)?),
            _ => {
                let message = format!("`{}` needs either `min` and `max`, or `values`", config.key);
                return Err(self.refused(&path("key"), message));
            }
        };
        let rest = config.rest.as_ref();
        Ok(Knob {
            key: config.key.clone(),
            rest: rest.map(|rest| self.rest(at, rest, &values)).transpose()?,
            values,
        })
    }

    /// Reads the key that gets what a knob leaves.
    fn rest(&self, at: usize, rest: &RestConfig, values: &Values) -> Result<Rest, ConfigError> {
        let RestConfig { key, of } = rest;
        self.check_key(&format!("knob[{at}].rest.key"), key)?;
        let total = space::amount(of).unwrap_or(0.0);
        let most = match values {
            Values::Range(range) if range.kind == NumberKind::Size => range.max,
            _ => f64::INFINITY,
        };
        if total <= most || total > EXACT_MAX {
            let message = format!(
                "`rest.of` = {of}: must be a size larger than `max`, and `min` and `max` sizes"
            );
            return Err(self.refused(&format!("knob[{at}].rest.of"), message));
        }
        Ok(Rest {
            key: key.clone(),
            of: total as u64,
        })
    }

    fn range(
        &self,
        at: usize,
        config: &KnobConfig,
        min: &Value,
        max: &Value,
    ) -> Result<Range, ConfigError> {
        let refused =
            |key: &str, message: String| Err(self.refused(&format!("knob[{at}].{key}"), message));
        let (Some(low), Some(high)) = (space::amount(min), space::amount(max)) else {
            let message = format!("{min} to {max}: both must be numbers or sizes");
            return refused("min", message);
        };
        let kind = kind_of(min, max);
        for (key, value, number) in [("min", min, low), ("max", max, high)] {
            if kind != NumberKind::Real && number.abs() > EXACT_MAX {
                let message = format!("`{key}` = {value}: must be within 2^53, {EXACT_MAX}");
                return refused(key, message);
            }
            if kind == NumberKind::Size && (number < 0.0 || number.fract() != 0.0) {
                return refused(key, format!("`{key}` = {value}: must be whole bytes"));
            }
        }
        if low >= high {
            return refused("max", format!("`max` = {max}: must be above `min` = {min}"));
        }
        let logarithmic = match config.scale {
            Some(spread) => spread == Spread::Log,
            None => kind == NumberKind::Size,
        };
        if logarithmic && low <= 0.0 {
            let message = format!("`min` = {min}: must be above 0 with scale = \"log\"");
            return refused("min", message);
        }
        let levels = config.levels.unwrap_or(4);
        if !(2..=100).contains(&levels) {
            return refused("levels", format!("`levels` = {levels}: must be 2 to 100"));
        }
        if !config.labels.is_empty() {
            return refused("labels", "`labels` are names of `values`".to_owned());
        }
        Ok(Range {
            min: low,
            max: high,
            logarithmic,
            step: self.step(at, config, kind, high - low)?,
            kind,
            levels: levels as usize,
        })
    }

    fn step(
        &self,
        at: usize,
        config: &KnobConfig,
        kind: NumberKind,
        width: f64,
    ) -> Result<Option<f64>, ConfigError> {
        let Some(step) = &config.step else {
            return Ok(None);
        };
        let refused = |why: &str| {
            let message = format!("`step` = {step}: must {why}");
            Err(self.refused(&format!("knob[{at}].step"), message))
        };
        match space::amount(step) {
            None => refused("be a number or a size"),
            Some(number) if number <= 0.0 || number > width => {
                refused("be above 0 and fit into the range")
            }
            Some(number) if kind != NumberKind::Real && number.fract() != 0.0 => {
                refused("be whole, as `min` and `max` are")
            }
            Some(number) => Ok(Some(number)),
        }
    }

    fn choices(&self, at: usize, config: &KnobConfig) -> Result<Choices, ConfigError> {
        let refused =
            |key: &str, message: String| Err(self.refused(&format!("knob[{at}].{key}"), message));
        let KnobConfig { values, labels, .. } = config;
        if !labels.is_empty() && labels.len() != values.len() {
            let message = format!("{} values and {} labels", values.len(), labels.len());
            return refused("labels", message);
        }
        if values.len() < 2 {
            return refused("values", "one value: there is nothing to choose".to_owned());
        }
        let of_ranges = [
            ("scale", config.scale.is_some()),
            ("step", config.step.is_some()),
            ("levels", config.levels.is_some()),
        ];
        if let Some((key, _)) = of_ranges.into_iter().find(|(_, is_there)| *is_there) {
            let message = format!("`{key}` is of a range; the values are listed");
            return refused(key, message);
        }
        let shown = || values.iter().map(layers::show);
        let labels: Vec<String> = if labels.is_empty() {
            shown().collect()
        } else {
            labels.clone()
        };
        let distinct: BTreeSet<&String> = labels.iter().collect();
        if distinct.len() != labels.len() {
            return refused("values", "a value stands twice".to_owned());
        }
        let amounts: Option<Vec<f64>> = values.iter().map(space::amount).collect();
        Ok(Choices {
            ordered: amounts.is_some_and(|amounts| amounts.is_sorted()),
            values: values.clone(),
            labels,
        })
    }
}

/// What numbers a range has: sizes if one end has a unit.
fn kind_of(min: &Value, max: &Value) -> NumberKind {
    let whole = |value: &Value| value.is_u64() || value.is_i64();
    if min.is_string() || max.is_string() {
        NumberKind::Size
    } else if whole(min) && whole(max) {
        NumberKind::Whole
    } else {
        NumberKind::Real
    }
}
