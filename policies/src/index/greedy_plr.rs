//! Greedy PLR: line segments, each grown from key to key until no line through its pivot stays
//! within epsilon.
//!
//! Source: Dai et al., "From WiscKey to Bourbon: A Learned Index for Log-Structured Merge Trees",
//! OSDI 2020. The fit is the greedy form of Xie et al., "Maximum error-bounded Piecewise Linear
//! Representation", VLDB Journal 23, 2014. Slopes are doubles, like Bourbon's; each line is then
//! drawn where its measured error is least.
//! State: 16 bytes a segment (see `segments.rs`), and the largest errors measured.
//! Cost: training O(n) in three passes; a look-up is a binary search over the segments and one
//! multiplication.
//! Invariants: the measured errors bound the error at every possible image. Images beyond 2^53 cost
//! accuracy at worst.
//! Weak where: keys are uniform random numbers, for which an optimal fit needs a third of the
//! segments.

use super::Build;
use super::segments::{Fit, Params, PiecewiseLinear, one_level};
use crate::entry::{Entry, describe};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "greedy-plr",
    about: "greedy piecewise linear regression with bounded error (Bourbon, OSDI 2020)",
    params: describe::<Params>,
    build: Build {
        policy: |spec| one_level(spec, 1, Cone::new),
        decode: |bytes| PiecewiseLinear::decode(bytes).map(|model| Box::new(model) as _),
    },
};

/// The segment being grown: the lines through its pivot that stay within epsilon of every rank so
/// far. Coordinates are relative to the segment's first point, where doubles are most precise.
struct Cone {
    epsilon: f64,
    first_image: u64,
    first_rank: u32,
    /// The crossing of the extreme lines through the first two points; `None` while there is one
    /// point.
    pivot: Option<(f64, f64)>,
    low: f64,
    high: f64,
}

impl Cone {
    fn new(epsilon: u32) -> Self {
        Self {
            epsilon: f64::from(epsilon),
            first_image: 0,
            first_rank: 0,
            pivot: None,
            low: 0.0,
            high: 0.0,
        }
    }
}

impl Fit for Cone {
    fn start(&mut self, image: u64, rank: u32) {
        self.first_image = image;
        self.first_rank = rank;
        self.pivot = None;
        self.low = 0.0;
        self.high = 0.0;
    }

    fn extend(&mut self, image: u64, rank: u32) -> bool {
        let x = (image - self.first_image) as f64;
        let y = f64::from(rank - self.first_rank);
        let Some((pivot_x, pivot_y)) = self.pivot else {
            self.pivot = Some((x / 2.0, y / 2.0));
            self.low = (y - 2.0 * self.epsilon) / x;
            self.high = (y + 2.0 * self.epsilon) / x;
            return true;
        };
        let x = x - pivot_x;
        let y = y - pivot_y;
        if y <= self.low * x || y >= self.high * x {
            return false;
        }
        self.low = self.low.max((y - self.epsilon) / x);
        self.high = self.high.min((y + self.epsilon) / x);
        true
    }

    /// The slope of the mean line. Ranks grow, so `high` is positive. If the mean is negative, the
    /// flat line lies in the cone too.
    fn slope(&self) -> f64 {
        f64::midpoint(self.low, self.high).max(0.0)
    }
}
