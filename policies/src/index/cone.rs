//! Shrinking cone: line segments through their first point. A segment grows while the next key lies
//! in the cone of slopes that stay within epsilon of every key before.
//!
//! Source: Galakatos et al., "FITing-Tree: A Data-aware Index Structure", SIGMOD 2019. As in the
//! paper, a key outside the cone closes the segment even if another line within epsilon exists.
//! Unlike there, arithmetic is exact, a sorted array of segments replaces the B+-tree, and each
//! line is then drawn where its measured error is least.
//! State: 16 bytes a segment (see `segments.rs`), and the largest errors measured; two slopes while
//! training.
//! Cost: training O(n), the simplest of its kind; a look-up is a binary search over the segments
//! and one multiplication.
//! Invariants: every segment but the last spans more than epsilon ranks; the measured errors bound
//! all errors.
//! Weak where: an optimal fit needs far fewer segments (1.4 to 3.5 times fewer on smooth sets); no
//! factor bounds the difference.

use super::Build;
use super::segments::{Fit, Params, PiecewiseLinear, one_level};
use super::slope::{Point, Slope, between};
use crate::entry::{Entry, describe};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "cone",
    about: "line segments by the shrinking cone (FITing-tree, SIGMOD 2019)",
    params: describe::<Params>,
    build: Build {
        policy: |spec| one_level(spec, 0, Cone::new),
        decode: |bytes| PiecewiseLinear::decode(bytes).map(|model| Box::new(model) as _),
    },
};

/// The slopes through the first point that stay within epsilon of every rank so far.
struct Cone {
    epsilon: i64,
    first: Point,
    /// The least and the largest slope; `None` while there is one point.
    slopes: Option<(Slope, Slope)>,
}

impl Cone {
    fn new(epsilon: u32) -> Self {
        Self {
            epsilon: i64::from(epsilon),
            first: Point::default(),
            slopes: None,
        }
    }
}

impl Fit for Cone {
    fn start(&mut self, image: u64, rank: u32) {
        self.first = Point {
            x: image,
            y: i64::from(rank),
        };
        self.slopes = None;
    }

    fn extend(&mut self, image: u64, rank: u32) -> bool {
        let slope_to = |y| self.first.slope_to(Point { x: image, y });
        let below = slope_to(i64::from(rank) - self.epsilon);
        let above = slope_to(i64::from(rank) + self.epsilon);
        let Some((low, high)) = &mut self.slopes else {
            self.slopes = Some((below, above));
            return true;
        };
        let slope = slope_to(i64::from(rank));
        if slope.less_than(*low) || high.less_than(slope) {
            return false;
        }
        if low.less_than(below) {
            *low = below;
        }
        if above.less_than(*high) {
            *high = above;
        }
        true
    }

    fn slope(&self) -> f64 {
        self.slopes.map_or(0.0, |(low, high)| between(low, high))
    }
}
