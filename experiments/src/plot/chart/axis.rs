//! Axes: the place of a value between the ends, and the values that are labelled.

use super::scene::{SMALL, text_width};
use crate::formats::{digits, significant};

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spread {
    Linear,
    Logarithmic,
    /// Linear around zero, logarithmic far from it: the inverse hyperbolic sine of the value over
    /// `unit`.
    Compressed {
        unit: f64,
    },
}

/// How far apart the ticks of a compressed axis are at least, as a share of it.
const TICKS_APART: f64 = 0.13;

/// Values whose largest is this many times the smallest are spread logarithmically.
const FAR_APART: f64 = 4.0;

/// The labelled values that an axis has at least.
const TICKS_MIN: usize = 3;

/// A labelled value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) label: String,
}

impl Tick {
    pub(crate) fn new(value: f64, label: impl Into<String>) -> Self {
        Self {
            value,
            label: label.into(),
        }
    }
}

/// One axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// What the axis shows, with the unit.
    pub(crate) label: String,
    /// The labelled values.
    pub(crate) ticks: Vec<Tick>,
    from: f64,
    to: f64,
    spread: Spread,
}

impl Axis {
    /// A linear axis that covers `from..=to` and ends at ticks.
    pub(crate) fn linear(label: impl Into<String>, from: f64, to: f64) -> Self {
        let to = if to > from {
            to
        } else {
            from + from.abs().max(1.0)
        };
        let step = nice_step((to - from) / 5.0);
        let first = (from / step).floor() as i64;
        let last = (to / step - 1e-9).ceil() as i64;
        let largest = (first as f64 * step).abs().max((last as f64 * step).abs());
        let tick = |number: i64| {
            let value = number as f64 * step;
            Tick::new(value, tick_label(value, largest))
        };
        Self {
            label: label.into(),
            ticks: (first..=last).map(tick).collect(),
            from: first as f64 * step,
            to: last as f64 * step,
            spread: Spread::Linear,
        }
    }

    /// An axis that covers `from..=to` and zero: about linear up to `unit` on both sides, and more
    /// and more compressed beyond. Its ticks are zero and, on both sides, 1, 2 and 5 times powers
    /// of ten, as far as labels have room.
    pub(crate) fn compressed(label: impl Into<String>, from: f64, to: f64, unit: f64) -> Self {
        let (from, to) = (from.min(0.0), to.max(0.0));
        let mut axis = Self {
            label: label.into(),
            ticks: vec![Tick::new(0.0, "0")],
            from,
            to,
            spread: Spread::Compressed { unit },
        };
        let first = unit.log10().floor() as i32 - 1;
        let last = from.abs().max(to).log10().ceil() as i32;
        let magnitudes = (first..=last)
            .rev()
            .flat_map(|power| [5.0, 2.0, 1.0].map(|factor| factor * 10_f64.powi(power)));
        // The farthest ticks come first: they say how far the largest effects reach.
        for value in magnitudes.flat_map(|magnitude| [magnitude, -magnitude]) {
            let place = axis.place(value);
            let free = |tick: &Tick| (axis.place(tick.value) - place).abs() >= TICKS_APART;
            if axis.shows(value) && axis.ticks.iter().all(free) {
                axis.ticks
                    .push(Tick::new(value, tick_label(value, value.abs())));
            }
        }
        axis.ticks.sort_by(|a, b| a.value.total_cmp(&b.value));
        axis
    }

    /// A linear axis from 0 to `to`, with ticks as given.
    pub(crate) fn from_zero(label: impl Into<String>, to: f64, ticks: Vec<Tick>) -> Self {
        Self {
            label: label.into(),
            ticks,
            from: 0.0,
            to,
            spread: Spread::Linear,
        }
    }

    /// A logarithmic axis over positive values.
    pub(crate) fn logarithmic(label: impl Into<String>, from: f64, to: f64) -> Self {
        let to = to.max(from * 1.2) * 1.1;
        let from = from * 0.9;
        let decades = (to / from).log10();
        let factors: &[f64] = match decades {
            decades if decades < 2.0 => &[1.0, 2.0, 5.0],
            decades if decades < 3.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let mut ticks = Vec::new();
        for power in from.log10().floor() as i32..=to.log10().ceil() as i32 {
            for factor in factors {
                let value = factor * 10_f64.powi(power);
                if (from..=to).contains(&value) {
                    ticks.push(Tick::new(value, tick_label(value, value)));
                }
            }
        }
        if ticks.len() < TICKS_MIN {
            // Less than a decade: evenly spaced values are as readable.
            ticks = Self::linear("", from, to).ticks;
            ticks.retain(|tick| (from..=to).contains(&tick.value));
        }
        Self {
            label: label.into(),
            ticks,
            from,
            to,
            spread: Spread::Logarithmic,
        }
    }

    /// A logarithmic axis over the values of `ticks`.
    pub(crate) fn sizes(label: impl Into<String>, ticks: Vec<Tick>) -> Self {
        let sizes = || ticks.iter().map(|tick| tick.value);
        let from = sizes().fold(f64::INFINITY, f64::min);
        let to = sizes().fold(0.0, f64::max);
        let mut ticks = ticks;
        if let [first, last] = &ticks[..] {
            let middle = (first.value * last.value).sqrt();
            ticks.insert(1, Tick::new(middle, between(middle, last)));
        }
        // A little room at both ends, so that markers do not sit on the frame.
        let room = (to / from).powf(0.05).max(1.1);
        Self {
            label: label.into(),
            from: from / room,
            to: to * room,
            ticks,
            spread: Spread::Logarithmic,
        }
    }

    /// An axis over the values of `ticks`: logarithmic if they are positive and far apart.
    pub(crate) fn stops(label: &str, ticks: Vec<Tick>) -> Self {
        let values = || ticks.iter().map(|tick| tick.value);
        let from = values().fold(f64::INFINITY, f64::min);
        let to = values().fold(f64::NEG_INFINITY, f64::max);
        if from > 0.0 && to / from >= FAR_APART {
            return Self::sizes(format!("{label} (logarithmic)"), ticks);
        }
        let room = ((to - from) * 0.05).max(f64::MIN_POSITIVE);
        let mut ticks = ticks;
        if let [first, last] = &ticks[..] {
            let middle = f64::midpoint(first.value, last.value);
            ticks.insert(1, Tick::new(middle, between(middle, last)));
        }
        Self {
            label: label.to_owned(),
            ticks,
            from: from - room,
            to: to + room,
            spread: Spread::Linear,
        }
    }

    /// An axis of percentiles, on which each further nine takes as much room as the last: values
    /// are -log10(1 - quantile).
    pub(crate) fn nines(label: impl Into<String>, to: f64) -> Self {
        let tick = |quantile: f64, name: &str| {
            let value = -(1.0 - quantile).log10();
            Tick::new(value, format!("{name} %"))
        };
        let mut ticks = vec![tick(0.5, "50"), tick(0.9, "90"), tick(0.99, "99")];
        let mut name = "99".to_owned();
        for nines in 3..=12 {
            name += if nines == 3 { ".9" } else { "9" };
            ticks.push(tick(1.0 - 10_f64.powi(-nines), &name));
        }
        ticks.retain(|tick| tick.value <= to * 1.001);
        if ticks.len() < TICKS_MIN {
            ticks.insert(1.min(ticks.len()), tick(0.75, "75"));
        }
        Self::from_zero(label, to, ticks)
    }

    /// The width of the widest label, in points.
    pub(crate) fn label_width(&self) -> f64 {
        let widths = self.ticks.iter().map(|tick| text_width(&tick.label, SMALL));
        widths.fold(0.0, f64::max)
    }

    /// Whether `value` lies between the ends.
    pub(crate) fn shows(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    /// The place of `value`: 0 at the start, 1 at the end. Values beyond are at the ends.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let share = match self.spread {
            Spread::Linear => (value - self.from) / (self.to - self.from),
            Spread::Logarithmic => {
                (value.max(f64::MIN_POSITIVE) / self.from).ln() / (self.to / self.from).ln()
            }
            Spread::Compressed { unit } => {
                let bent = |value: f64| (value / unit).asinh();
                (bent(value) - bent(self.from)) / (bent(self.to) - bent(self.from))
            }
        };
        share.clamp(0.0, 1.0)
    }
}

/// Returns the least of 1, 2, 2.5 and 5 times a power of ten that is not less than `least`.
fn nice_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0]
        .into_iter()
        .find(|factor| factor * power >= least * 0.999_999);
    factor.unwrap_or(10.0) * power
}

/// Writes a tick's label: thousands as `k`, millions as `M`, by the axis's largest value.
fn tick_label(value: f64, largest: f64) -> String {
    let (unit, suffix) = match largest {
        largest if largest >= 1e9 => (1e9, "G"),
        largest if largest >= 1e6 => (1e6, "M"),
        largest if largest >= 5e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let suffix = if value == 0.0 { "" } else { suffix };
    format!("{}{suffix}", significant(value / unit))
}

/// The label of a value before `last`, in its unit.
fn between(value: f64, last: &Tick) -> String {
    if last.label.ends_with('B') {
        size_label(value)
    } else {
        digits(value, 3)
    }
}

/// Writes a size in bytes: `8KiB`.
fn size_label(bytes: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.max(1.0).log2() / 10.0).floor().min(4.0);
    let amount = bytes / 1024_f64.powf(power);
    format!("{}{}", digits(amount, 3), units[power as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
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
    fn every_axis_has_three_labels() {
        for (from, to) in [
            (14.0, 17.0),
            (1.0, 1.2),
            (99.0, 104.0),
            (1e-3, 5.0),
            (3.0, 3e9),
        ] {
            for axis in [
                Axis::linear("", from, to),
                Axis::logarithmic("", from, to),
                Axis::compressed("", -to, from, to / 20.0),
                Axis::compressed("", 0.0, to, to / 4.0),
                Axis::compressed("", -to, 0.0, to / 900.0),
            ] {
                assert!(axis.ticks.len() >= 3, "{from} to {to}: {axis:?}");
                let inside = |tick: &Tick| axis.shows(tick.value);
                assert!(axis.ticks.iter().all(inside), "{axis:?}");
            }
        }
        for end in [1.0, 1.5, 2.0, 4.0] {
            assert!(Axis::nines("", end).ticks.len() >= 3, "{end}");
        }
        let two = vec![Tick::new(1024.0, "1KiB"), Tick::new(65536.0, "64KiB")];
        assert_eq!(labels(&Axis::sizes("", two)), ["1KiB", "8KiB", "64KiB"]);
    }

    #[test]
    fn a_compressed_axis_shows_the_near_and_the_far() {
        let axis = Axis::compressed("", -60.0, 900.0, 4.0);
        assert_eq!(axis.place(900.0), 1.0);
        assert_eq!(axis.place(-60.0), 0.0);
        let gap = axis.place(2.0) - axis.place(0.0);
        assert!(gap > 0.03, "small effects are still apart from zero: {gap}");
        assert!(labels(&axis).contains(&"500"), "{:?}", labels(&axis));
    }

    #[test]
    fn places_follow_the_spread() {
        let axis = Axis::nines("", 4.0);
        assert_eq!(axis.place(2.0), 0.5);
        assert_eq!(axis.place(9.0), 1.0, "beyond the end stands at the end");
        let sizes = Axis::sizes("", vec![Tick::new(1.0, "1"), Tick::new(100.0, "100")]);
        assert!((sizes.place(10.0) - 0.5).abs() < 1e-12);
    }
}
