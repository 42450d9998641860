//! PGM-index: as few line segments as any model with this error can have, found by smaller models
//! of themselves.
//!
//! Source: Ferragina and Vinciguerra, "The PGM-index", PVLDB 13(8), 2020; the fit is O'Rourke, "An
//! on-line algorithm for fitting straight lines between data ranges", CACM 24(9), 1981. With one
//! level it has the optimal number of segments: unlike the library it adds no point after the last
//! key, because the measured errors cover what lies there. Slopes are compared as exact fractions;
//! each line is then drawn where its measured error is least.
//! State: 16 bytes a segment (see `segments.rs`), a few more for the levels above, and the largest
//! errors measured.
//! Cost: training O(n), with a convex hull for the open segment; a look-up searches about 2
//! epsilon_internal first images in each level.
//! Invariants: the number of segments is the least possible; each but the last spans at least 2
//! epsilon ranks; the measured errors bound all errors, those of rounding slopes to 32 bits
//! included.
//! Weak where: segments are few, since levels only add steps; keys are clustered with large jumps,
//! since each cluster needs a segment.

use super::segments::{Fit, PiecewiseLinear, train};
use super::slope::{Point, Slope, between};
use super::{Build, IndexPolicy, Ranks, Trained};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "pgm",
    about: "the fewest line segments possible, in recursive levels (PGM-index, PVLDB 2020)",
    params: describe::<Params>,
    build: Build {
        policy: |spec: &PolicySpec| {
            let Params {
                epsilon,
                epsilon_internal,
                over,
            } = params(spec)?;
            Ok(Box::new(Pgm {
                epsilon: in_range(spec, "epsilon", epsilon, 0..=4096)?,
                epsilon_internal: in_range(spec, "epsilon_internal", epsilon_internal, 0..=4096)?,
                over,
            }))
        },
        decode: |bytes| PiecewiseLinear::decode(bytes).map(|model| Box::new(model) as _),
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// How far a segment's line may be from a key's rank, in ranks (0 to 4096).
    epsilon: u32,
    /// How far a line of the levels above may be from a segment's number, in segments (1 to 4096).
    /// 0 means no levels, and a binary search over all segments.
    epsilon_internal: u32,
    /// What the ranks count: `entries` or `blocks`.
    over: Ranks,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            epsilon: 16,
            epsilon_internal: 4,
            over: Ranks::Entries,
        }
    }
}

struct Pgm {
    epsilon: u32,
    epsilon_internal: u32,
    over: Ranks,
}

impl IndexPolicy for Pgm {
    fn ranks(&self) -> Ranks {
        self.over
    }

    fn train(&self, images: &[u64]) -> Trained {
        let mut internal =
            Some(Hull::new(self.epsilon_internal)).filter(|_| self.epsilon_internal > 0);
        train(
            images,
            self.over,
            &mut Hull::new(self.epsilon),
            internal.as_mut(),
        )
    }
}

/// The lines that pass between every point raised by epsilon and the same point lowered by epsilon.
struct Hull {
    epsilon: i64,
    points: u32,
    /// The line of the least slope goes from a raised point to a lowered one further right; that of
    /// the largest slope from a lowered point to a raised one.
    least: Line,
    largest: Line,
    /// The lower hull of the raised points and the upper hull of the lowered points, as far as
    /// extreme lines can still turn about them.
    raised: Chain,
    lowered: Chain,
}

/// A line through two points.
#[derive(Clone, Copy, Default)]
struct Line {
    from: Point,
    to: Point,
}

impl Line {
    fn slope(self) -> Slope {
        self.from.slope_to(self.to)
    }
}

/// A point raised by epsilon, and lowered by epsilon: lines must pass between.
struct Gate {
    raised: Point,
    lowered: Point,
}

/// A convex chain of points. Its head is dropped as lines turn past it.
#[derive(Default)]
struct Chain {
    points: Vec<Point>,
    head: usize,
}

impl Chain {
    fn restart(&mut self, point: Point) {
        self.points.clear();
        self.points.push(point);
        self.head = 0;
    }

    /// Adds the rightmost point, and drops points that are then no corners of the hull. `turns`
    /// compares the slope before a point with the slope after it: the second is larger in a lower
    /// hull, and smaller in an upper hull.
    fn push(&mut self, point: Point, turns: impl Fn(Slope, Slope) -> bool) {
        while let [.., a, b] = self.points[self.head..]
            && !turns(a.slope_to(b), a.slope_to(point))
        {
            self.points.pop();
        }
        self.points.push(point);
    }

    /// The point from which the slope to `right` is the most extreme. Points before it are dropped.
    /// Along the chain slopes first get better, then worse.
    fn tangent(&mut self, right: Point, better: impl Fn(Slope, Slope) -> bool) -> Point {
        while let [a, b, ..] = self.points[self.head..]
            && !better(a.slope_to(right), b.slope_to(right))
        {
            self.head += 1;
        }
        self.points[self.head]
    }
}

impl Hull {
    fn new(epsilon: u32) -> Self {
        Self {
            epsilon: i64::from(epsilon),
            points: 0,
            least: Line::default(),
            largest: Line::default(),
            raised: Chain::default(),
            lowered: Chain::default(),
        }
    }

    fn gate(&self, image: u64, rank: u32) -> Gate {
        let y = i64::from(rank);
        Gate {
            raised: Point {
                x: image,
                y: y + self.epsilon,
            },
            lowered: Point {
                x: image,
                y: y - self.epsilon,
            },
        }
    }
}

impl Fit for Hull {
    fn start(&mut self, image: u64, rank: u32) {
        let Gate { raised, lowered } = self.gate(image, rank);
        self.points = 1;
        self.least.from = raised;
        self.largest.from = lowered;
        self.raised.restart(raised);
        self.lowered.restart(lowered);
    }

    fn extend(&mut self, image: u64, rank: u32) -> bool {
        let Gate { raised, lowered } = self.gate(image, rank);
        let steeper = |a: Slope, b: Slope| a.less_than(b);
        let flatter = |a: Slope, b: Slope| b.less_than(a);
        if self.points == 1 {
            self.points = 2;
            self.least.to = lowered;
            self.largest.to = raised;
            self.raised.push(raised, steeper);
            self.lowered.push(lowered, flatter);
            return true;
        }
        let least = self.least.slope();
        let largest = self.largest.slope();
        // Both lines are compared at the new point: the least may not pass above the gate, nor the
        // largest below it.
        if self.least.to.slope_to(raised).less_than(least)
            || largest.less_than(self.largest.to.slope_to(lowered))
        {
            return false;
        }
        if self.largest.to.slope_to(raised).less_than(largest) {
            self.largest = Line {
                from: self.lowered.tangent(raised, steeper),
                to: raised,
            };
            self.raised.push(raised, steeper);
        }
        if least.less_than(self.least.to.slope_to(lowered)) {
            self.least = Line {
                from: self.raised.tangent(lowered, flatter),
                to: lowered,
            };
            self.lowered.push(lowered, flatter);
        }
        true
    }

    fn slope(&self) -> f64 {
        if self.points < 2 {
            return 0.0;
        }
        let least = self.least.slope();
        let largest = self.largest.slope();
        between(least, largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::segments::cut;
    use crate::index::{Model, stairs::each_point};

    /// The fewest segments, by comparing each pair of points of a segment. A line within epsilon of
    /// all points exists exactly if all intervals [(dy - 2 epsilon) / dx, (dy + 2 epsilon) / dx] of
    /// slopes meet.
    fn exhaustive(images: &[u64], epsilon: i64) -> Vec<u64> {
        let mut points = Vec::new();
        each_point(images, |x, rank| {
            points.push(Point {
                x,
                y: i64::from(rank),
            })
        });
        let mut firsts = Vec::new();
        let mut start = 0;
        let mut low: Option<Slope> = None;
        let mut high: Option<Slope> = None;
        for (end, point) in points.iter().enumerate() {
            for before in &points[start..end] {
                let slope = |spare: i64| {
                    before.slope_to(Point {
                        x: point.x,
                        y: point.y + spare,
                    })
                };
                let least = slope(-2 * epsilon);
                let largest = slope(2 * epsilon);
                low = Some(low.filter(|low| !low.less_than(least)).unwrap_or(least));
                high = Some(
                    high.filter(|high| !largest.less_than(*high))
                        .unwrap_or(largest),
                );
            }
            if end == 0 || low.zip(high).is_some_and(|(low, high)| high.less_than(low)) {
                firsts.push(point.x);
                start = end;
                low = None;
                high = None;
            }
        }
        firsts
    }

    #[test]
    fn segments_are_those_of_an_exhaustive_search() {
        for seed in 0..300u64 {
            let mut state = seed;
            let mut random = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                state.rotate_left(31)
            };
            let count = 2 + random() % 200;
            // From many ties to all 64 bits, and clusters at the top.
            let shift = random() % 64;
            let mut images: Vec<u64> = (0..count)
                .map(|_| match seed % 3 {
                    0 => random() >> shift,
                    1 => u64::MAX - random() % (count * 3),
                    _ => ((random() % 5) << shift) | (random() % 64),
                })
                .collect();
            images.sort_unstable();
            for epsilon in [0, 1, 2, 5, 16] {
                let found: Vec<u64> = cut(&mut Hull::new(epsilon), &images)
                    .iter()
                    .map(|piece| piece.first)
                    .collect();
                assert_eq!(
                    found,
                    exhaustive(&images, i64::from(epsilon)),
                    "seed {seed}, epsilon {epsilon}"
                );
            }
        }
    }

    #[test]
    fn levels_are_added_until_few_segments_are_left_to_search() {
        let mut images: Vec<u64> = (0..100_000u64)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_pow(3) >> 1)
            .collect();
        images.sort_unstable();
        let probes = |epsilon_internal| {
            let policy = Pgm {
                epsilon: 4,
                epsilon_internal,
                over: Ranks::Blocks,
            };
            let Trained::Model(encoded) = policy.train(&images) else {
                panic!("a model pays");
            };
            let model = PiecewiseLinear::decode(encoded.into()).unwrap();
            (
                model.segments(),
                images.iter().map(|image| model.probes(*image)).max(),
            )
        };
        let flat = probes(0);
        let levels = probes(4);
        assert_eq!(flat.0, levels.0);
        assert!(flat.0 > 1000 && flat != levels, "{flat:?} {levels:?}");
    }
}
