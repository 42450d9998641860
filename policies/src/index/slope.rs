//! Exact slopes between points whose x is an image and whose y is a rank.
//!
//! A difference of images has 64 bits and one of ranks 34. Their product fits 128 bits, so
//! comparing two fractions by cross-multiplication never rounds. Doubles could not distinguish
//! images beyond 2^53.

/// A point. x grows from each point to those it is compared with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Point {
    pub(super) x: u64,
    pub(super) y: i64,
}

impl Point {
    /// The slope of the line to a point further right.
    pub(super) fn slope_to(self, right: Self) -> Slope {
        Slope {
            dx: right.x - self.x,
            dy: right.y - self.y,
        }
    }
}

/// A slope dy / dx, with dx > 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slope {
    dx: u64,
    dy: i64,
}

impl Slope {
    pub(super) fn less_than(self, other: Self) -> bool {
        i128::from(self.dy) * i128::from(other.dx) < i128::from(other.dy) * i128::from(self.dx)
    }

    /// The nearest double.
    pub(super) fn value(self) -> f64 {
        self.dy as f64 / self.dx as f64
    }
}

/// A slope between two others that is not negative. If their mean is, the flat line lies between
/// them too, because ranks grow.
pub(super) fn between(low: Slope, high: Slope) -> f64 {
    f64::midpoint(low.value(), high.value()).max(0.0)
}
