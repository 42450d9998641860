//! RadixSpline: a continuous line from knot to knot, and a table from the leading bits of an image
//! to its knots.
//!
//! Source: Kipf et al., "RadixSpline: A Single-Pass Learned Index", aiDM 2020. The spline is the
//! greedy form of Neumann and Michel, "Smooth Interpolating Histograms with Error Guarantees",
//! BNCOD 2008, with exact slopes. For tables it has few radix bits (the paper's 18 take a
//! megabyte), and no more than knots need.
//! State: 12 bytes a knot, 4 bytes an entry of the radix table, and the largest errors measured:
//!
//! ```text
//! keys u32 | above u32 | below u32 | knots u32 | radix bits u8 | knot | knot | ... (little-endian)
//! knot: image u64 | rank u32
//! ```
//!
//! Cost: training O(n), one pass and one to measure; a look-up reads two table entries, scans under
//! 32 knots or searches more by halving, and divides once.
//! Invariants: predictions never fall as images grow, because ranks of knots do not and rounding
//! keeps the order; so the measured errors bound all errors.
//! Weak where: a far outlier stretches the span, so that most keys share one entry of the table;
//! keys are clustered, since a continuous line needs two knots a cluster.

use bytes::{Buf, BufMut, Bytes};

use super::search::{partition_point, touch};
use super::slope::{Point, Slope};
use super::stairs::{Bounds, affordable, each_edge, each_point, trainable};
use super::{Build, IndexPolicy, Model, Ranks, Trained, Window, halvings};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "radix-spline",
    about: "a greedy spline under a small radix table (RadixSpline, aiDM 2020)",
    params: describe::<Params>,
    build: Build {
        policy: |spec: &PolicySpec| {
            let Params {
                epsilon,
                radix_bits,
                over,
            } = params(spec)?;
            Ok(Box::new(RadixSpline {
                epsilon: in_range(spec, "epsilon", epsilon, 1..=4096)?,
                radix_bits: in_range(spec, "radix_bits", radix_bits, 1..=18)?,
                over,
            }))
        },
        decode: |bytes| Spline::decode(bytes).map(|spline| Box::new(spline) as _),
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// How far the spline may be from a key's rank, in ranks (1 to 4096).
    epsilon: u32,
    /// The most leading bits of an image that the radix table uses (1 to 18); fewer if knots are
    /// fewer.
    radix_bits: u32,
    /// What the ranks count: `entries` or `blocks`.
    over: Ranks,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            epsilon: 16,
            radix_bits: 8,
            over: Ranks::Entries,
        }
    }
}

struct RadixSpline {
    epsilon: u32,
    radix_bits: u32,
    over: Ranks,
}

impl RadixSpline {
    fn spline(&self, images: &[u64]) -> Result<Vec<u8>, &'static str> {
        let keys = trainable(images)?;
        let (xs, ys) = knots(images, i64::from(self.epsilon));
        let radix_bits = self.radix_bits.min(xs.len().ilog2());
        let bounds = Bounds::default();
        let mut spline = Spline {
            keys,
            bounds,
            radix: Radix::new(&xs, radix_bits),
            xs,
            ys,
        };
        spline.measure(images);
        affordable(spline.memory_bytes() as usize, images.len(), self.over)?;
        Ok(spline.encode(radix_bits))
    }
}

impl IndexPolicy for RadixSpline {
    fn ranks(&self) -> Ranks {
        self.over
    }

    fn train(&self, images: &[u64]) -> Trained {
        self.spline(images)
            .map_or_else(Trained::Refused, Trained::Model)
    }
}

/// The images and ranks of the knots, at least two. The line from each to the next stays within
/// epsilon of all points between.
fn knots(images: &[u64], epsilon: i64) -> (Vec<u64>, Vec<u32>) {
    let mut xs = Vec::new();
    let mut ys = Vec::new();
    let mut push = |knot: Point| {
        xs.push(knot.x);
        ys.push(knot.y as u32);
    };
    let mut knot = Point::default();
    let mut last = Point::default();
    // The least and the largest slope from the knot; `None` right after the first.
    let mut corridor: Option<(Slope, Slope)> = None;
    let mut first = true;
    each_point(images, |image, rank| {
        let point = Point {
            x: image,
            y: i64::from(rank),
        };
        if std::mem::take(&mut first) {
            push(point);
            knot = point;
            last = point;
            return;
        }
        let gate = |knot: Point| {
            let slope_to = |y| knot.slope_to(Point { x: image, y });
            (slope_to(point.y - epsilon), slope_to(point.y + epsilon))
        };
        let slope = knot.slope_to(point);
        corridor = match corridor {
            None => Some(gate(knot)),
            Some((least, largest)) if least.less_than(slope) && slope.less_than(largest) => {
                let (below, above) = gate(knot);
                Some((
                    if least.less_than(below) { below } else { least },
                    if above.less_than(largest) {
                        above
                    } else {
                        largest
                    },
                ))
            }
            Some(_) => {
                push(last);
                knot = last;
                Some(gate(knot))
            }
        };
        last = point;
    });
    if knot.x < last.x {
        push(last);
    }
    (xs, ys)
}

/// Where the knots of each prefix start: prefix p has the knots `starts[p]..starts[p + 1]`.
#[derive(Debug)]
struct Radix {
    shift: u32,
    starts: Vec<u32>,
}

impl Radix {
    /// The table for `xs`, which are in order and not empty.
    fn new(xs: &[u64], bits: u32) -> Self {
        let span = xs[xs.len() - 1] - xs[0];
        let shift = (u64::BITS - span.leading_zeros()).saturating_sub(bits);
        let prefixes = (span >> shift) as usize + 1;
        let mut starts = Vec::with_capacity(prefixes + 1);
        for (at, x) in xs.iter().enumerate() {
            let prefix = ((x - xs[0]) >> shift) as usize;
            starts.resize(starts.len().max(prefix + 1), at as u32);
        }
        starts.push(xs.len() as u32);
        Self { shift, starts }
    }
}

#[derive(Debug)]
struct Spline {
    keys: u32,
    bounds: Bounds,
    radix: Radix,
    xs: Vec<u64>,
    ys: Vec<u32>,
}

/// Fewer knots than this are charged as if they were scanned.
const SCANNED_MAX: usize = 32;
/// Bytes before the first knot, and of each.
const HEADER_BYTES: usize = 17;
const KNOT_BYTES: usize = 12;

impl Spline {
    /// The knots that remain to be searched for an image between the first and the last knot.
    fn candidates(&self, image: u64) -> (usize, usize) {
        let prefix = ((image - self.xs[0]) >> self.radix.shift) as usize;
        (
            self.radix.starts[prefix] as usize,
            self.radix.starts[prefix + 1] as usize,
        )
    }

    /// How many knots are not above `image`.
    fn knots_up_to(&self, image: u64) -> usize {
        if image < self.xs[0] {
            return 0;
        }
        if image >= self.xs[self.xs.len() - 1] {
            return self.xs.len();
        }
        let (start, end) = self.candidates(image);
        touch(&self.ys, start);
        start + partition_point(&self.xs[start..end], |x| x <= image)
    }

    /// The spline's rank at an image that is not below knot `knot`, and below the next if there is
    /// one.
    fn interpolate(&self, knot: usize, image: u64) -> u32 {
        let x = self.xs[knot];
        let y = self.ys[knot];
        let (Some(next_x), Some(next_y)) = (self.xs.get(knot + 1), self.ys.get(knot + 1)) else {
            return y;
        };
        // Each step keeps the order, and the cast rounds down.
        let rise = (image - x) as f64 * f64::from(next_y - y) / (next_x - x) as f64;
        y.saturating_add(rise as u32).min(*next_y)
    }

    fn measure(&mut self, images: &[u64]) {
        let mut bounds = Bounds::default();
        let mut knot = 0;
        each_edge(images, |image, rank| {
            while self.xs.get(knot + 1).is_some_and(|x| *x <= image) {
                knot += 1;
            }
            bounds.widen(rank, self.interpolate(knot, image));
        });
        self.bounds = bounds;
    }

    fn encode(&self, radix_bits: u32) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(HEADER_BYTES + self.xs.len() * KNOT_BYTES);
        for number in [
            self.keys,
            self.bounds.above,
            self.bounds.below,
            self.xs.len() as u32,
        ] {
            encoded.put_u32_le(number);
        }
        encoded.put_u8(radix_bits as u8);
        for (x, y) in self.xs.iter().zip(&self.ys) {
            encoded.put_u64_le(*x);
            encoded.put_u32_le(*y);
        }
        encoded
    }

    fn decode(mut encoded: Bytes) -> Option<Self> {
        let body = encoded.len().checked_sub(HEADER_BYTES)?;
        let [keys, above, below, knots] = [(); 4].map(|()| encoded.get_u32_le());
        let radix_bits = u32::from(encoded.get_u8());
        let fits = knots >= 2 && body as u64 == u64::from(knots) * KNOT_BYTES as u64;
        (fits && (1..=18).contains(&radix_bits)).then_some(())?;
        let mut xs = Vec::with_capacity(knots as usize);
        let mut ys = Vec::with_capacity(knots as usize);
        for _ in 0..knots {
            xs.push(encoded.get_u64_le());
            ys.push(encoded.get_u32_le());
        }
        let ordered = xs.is_sorted_by(|a, b| a < b) && ys.is_sorted() && *ys.last()? <= keys;
        let bounds = Bounds { above, below };
        ordered.then(|| Self {
            keys,
            bounds,
            radix: Radix::new(&xs, radix_bits),
            xs,
            ys,
        })
    }
}

impl Model for Spline {
    fn locate(&self, image: u64) -> Window {
        let Some(knot) = self.knots_up_to(image).checked_sub(1) else {
            return Window { lo: 0, hi: 0 };
        };
        let rank = self.interpolate(knot, image);
        let hi = rank.saturating_add(self.bounds.above).min(self.keys);
        Window {
            lo: rank.saturating_sub(self.bounds.below),
            hi,
        }
    }

    fn memory_bytes(&self) -> u64 {
        let knots = self.xs.capacity() * size_of::<u64>() + self.ys.capacity() * size_of::<u32>();
        (size_of::<Self>() + knots + self.radix.starts.capacity() * size_of::<u32>()) as u64
    }

    /// Its knots.
    fn segments(&self) -> u64 {
        self.xs.len() as u64
    }

    fn probes(&self, image: u64) -> u32 {
        if image < self.xs[0] || image >= self.xs[self.xs.len() - 1] {
            return 2;
        }
        let (start, end) = self.candidates(image);
        let searched = if end - start < SCANNED_MAX {
            (end - start) as u32
        } else {
            halvings(end - start)
        };
        // Two entries of the table, and one line.
        3 + searched
    }
}
