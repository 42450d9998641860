//! Axes: where a value stands between the ends, and which values are labelled.

use crate::compare::significant;

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    Linear,
    Logarithmic,
}

/// One axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// What it shows, with the unit.
    pub(super) label: String,
    /// The labelled values.
    pub(super) ticks: Vec<(f64, String)>,
    from: f64,
    to: f64,
    spread: Spread,
}

impl Axis {
    /// A linear axis that covers `from..=to` and ends at a tick if the data reach it.
    pub(super) fn linear(label: impl Into<String>, from: f64, to: f64) -> Self {
        let to = if to > from {
            to
        } else {
            from + from.abs().max(1.0)
        };
        let step = nice_step((to - from) / 5.0);
        let (first, last) = (
            (from / step).floor() as i64,
            (to / step - 1e-9).ceil() as i64,
        );
        let largest = (first as f64 * step).abs().max((last as f64 * step).abs());
        let ticks = (first..=last)
            .map(|i| (i as f64 * step, tick_label(i as f64 * step, largest)))
            .collect();
        Self {
            label: label.into(),
            ticks,
            from: first as f64 * step,
            to: last as f64 * step,
            spread: Spread::Linear,
        }
    }

    /// A linear axis with ends and ticks as given.
    pub(super) fn fixed(
        label: impl Into<String>,
        (from, to): (f64, f64),
        ticks: Vec<(f64, String)>,
    ) -> Self {
        Self {
            label: label.into(),
            ticks,
            from,
            to,
            spread: Spread::Linear,
        }
    }

    /// A logarithmic axis over positive values.
    pub(super) fn logarithmic(label: impl Into<String>, from: f64, to: f64) -> Self {
        let (from, to) = (from * 0.9, to.max(from * 1.2) * 1.1);
        let decades = (to / from).log10();
        let factors: &[f64] = match decades {
            decades if decades < 2.0 => &[1.0, 2.0, 5.0],
            decades if decades < 3.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let powers = from.log10().floor() as i32..=to.log10().ceil() as i32;
        let ticks = powers.flat_map(|power| {
            factors
                .iter()
                .map(move |factor| factor * 10_f64.powi(power))
        });
        let ticks = ticks
            .filter(|tick| (from..=to).contains(tick))
            .map(|tick| (tick, tick_label(tick, tick)))
            .collect();
        Self {
            label: label.into(),
            ticks,
            from,
            to,
            spread: Spread::Logarithmic,
        }
    }

    /// An axis of sizes, evenly spread by their logarithm, each labelled as it was written.
    pub(super) fn sizes(label: impl Into<String>, ticks: Vec<(f64, String)>) -> Self {
        let from = ticks
            .iter()
            .map(|(size, _)| *size)
            .fold(f64::INFINITY, f64::min);
        let to = ticks.iter().map(|(size, _)| *size).fold(0.0, f64::max);
        // A little room at both ends, so that markers do not sit on the frame.
        let room = (to / from).powf(0.05).max(1.1);
        Self {
            label: label.into(),
            ticks,
            from: from / room,
            to: to * room,
            spread: Spread::Logarithmic,
        }
    }

    /// An axis of percentiles, where each further nine takes as much room as the last: values are -log10(1 - quantile).
    pub(super) fn nines(label: impl Into<String>, to: f64) -> Self {
        let mut ticks = vec![
            (0.5_f64, "50 %".to_owned()),
            (0.9, "90 %".to_owned()),
            (0.99, "99 %".to_owned()),
        ];
        let mut name = "99".to_owned();
        for nines in 3..=12 {
            name += if nines == 3 { ".9" } else { "9" };
            ticks.push((1.0 - 10_f64.powi(-nines), format!("{name} %")));
        }
        let place = |(quantile, name): (f64, String)| (-(1.0 - quantile).log10(), name);
        let ticks = ticks
            .into_iter()
            .map(place)
            .filter(|(at, _)| *at <= to * 1.001)
            .collect();
        Self::fixed(label, (0.0, to), ticks)
    }

    /// Whether `value` lies between the ends.
    pub(super) fn shows(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    /// Where `value` stands, 0 at the start and 1 at the end; values beyond stand at the ends.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.spread {
            Spread::Linear => (value - self.from) / (self.to - self.from),
            Spread::Logarithmic => {
                (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln()
            }
        };
        share.clamp(0.0, 1.0)
    }
}

/// The least of 1, 2, 2.5 and 5 times a power of ten that is no less than `least`.
fn nice_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|factor| factor * power >= least * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// A tick's label: thousands as `k`, millions as `M`, by the axis's largest value.
fn tick_label(value: f64, largest: f64) -> String {
    match largest {
        largest if largest >= 1e9 => significant(value / 1e9) + if value == 0.0 { "" } else { "G" },
        largest if largest >= 1e6 => significant(value / 1e6) + if value == 0.0 { "" } else { "M" },
        largest if largest >= 5e3 => significant(value / 1e3) + if value == 0.0 { "" } else { "k" },
        _ => significant(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_cover_the_data() {
        assert_eq!(
            labels(&Axis::linear("", 0.0, 0.93)),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            labels(&Axis::linear("", 0.0, 23_000.0)),
            ["0", "5k", "10k", "15k", "20k", "25k"]
        );
        assert_eq!(
            labels(&Axis::linear("", 0.0, 0.0)).first(),
            Some(&"0"),
            "nothing but zero still has an axis"
        );
        assert_eq!(
            labels(&Axis::logarithmic("", 3.0, 20_000.0)),
            ["10", "100", "1000", "10k"]
        );
        assert_eq!(
            labels(&Axis::logarithmic("", 10.0, 90.0)),
            ["10", "20", "50"]
        );
        assert_eq!(
            labels(&Axis::nines("", 3.2)),
            ["50 %", "90 %", "99 %", "99.9 %"]
        );
    }

    #[test]
    fn places_follow_the_spread() {
        let axis = Axis::nines("", 4.0);
        assert_eq!(axis.place(2.0), 0.5);
        assert_eq!(axis.place(9.0), 1.0, "beyond the end stands at the end");
        let sizes = Axis::sizes("", vec![(1.0, "1".to_owned()), (100.0, "100".to_owned())]);
        assert!((sizes.place(10.0) - 0.5).abs() < 1e-12);
    }
}
