//! LRU's miss ratios at every size, from one pass over a trace.
//!
//! If objects are charged one each, the curve is exactly what replays at each size would count. If
//! their bytes are charged, it is exact from the size of the largest object on, as long as no
//! object changes its size. Below, an object that does not fit is counted as if it pushed others
//! down.

use aura_workloads::trace::Trace;

use super::replay::Simulation;
use super::stack::Stack;
use super::stretches::{Step, WindowError};
use super::{Mode, Settings};
use crate::formats::csv;
use crate::plot::{Course, CoursePoint};

/// The points at which a curve is written, evenly spread by the logarithm of the size.
const POINTS: u32 = 400;

/// Why there is no curve.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CurveError {
    /// The warm-up does not fit the trace.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// Room that is left by objects which end has no place in a stack of bytes.
    #[error("objects of the trace end, and a curve in bytes has no place for that")]
    Ends,
}

/// Requests that hit from one size on.
#[derive(Clone, Copy, Debug, Default)]
struct Reach {
    depth: u64,
    hits: u64,
    bytes: u64,
}

/// The curve.
pub struct LruCurve {
    /// Ascending by depth; the counts are sums from the first on.
    reaches: Vec<Reach>,
    requests: u64,
    bytes: u64,
    /// Requests and bytes of the whole trace, of which the counts are a share.
    whole_requests: u64,
    whole_bytes: u64,
    rate: f64,
    mode: Mode,
    footprint: u64,
    largest: u64,
    changing: bool,
}

/// The curve at one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LruPoint {
    /// The size in objects or bytes, for the whole trace.
    pub capacity: u64,
    /// Requests that missed, of those replayed.
    pub misses: u64,
    /// Misses over requests; of a sampled trace, an estimate for the whole.
    pub miss_ratio: f64,
    /// Bytes missed over bytes requested; `None` if objects are charged one each.
    pub byte_miss_ratio: Option<f64>,
}

/// Goes through a trace once. O(requests log objects); in bytes also 24 bytes a request.
///
/// # Errors
/// [`CurveError`].
pub fn lru_curve(trace: &Trace, settings: &Settings) -> Result<LruCurve, CurveError> {
    let simulation = Simulation::new(
        trace,
        &Settings {
            bounds: Vec::new(),
            windows: None,
            ..settings.clone()
        },
    )?;
    if settings.mode == Mode::Bytes && !trace.ends().is_empty() {
        return Err(CurveError::Ends);
    }
    let mut curve = LruCurve::of_nothing(&simulation, trace, settings.mode);
    let mut stack = Stack::new(trace.keys().len());
    let mut sizes = vec![0; trace.keys().len()];
    let mut is_counted = false;
    simulation.walk(|step| match step {
        Step::Requests(range) => {
            for request in range {
                let object = trace.objects()[request];
                let weight = simulation.charged(request);
                let known = std::mem::replace(&mut sizes[object as usize], weight);
                curve.changing |= known != 0 && known != weight;
                curve.largest = curve.largest.max(weight);
                let depth = stack.request(object, weight);
                if is_counted {
                    curve.count(depth, weight);
                }
            }
        }
        Step::End(object) => stack.end(object),
        Step::Mark => is_counted = true,
    });
    curve.sum_up();
    Ok(curve)
}

impl LruCurve {
    fn of_nothing(simulation: &Simulation, trace: &Trace, mode: Mode) -> Self {
        let whole = simulation.whole();
        let depths = match mode {
            // One for each depth, as there are no more depths than objects.
            Mode::Unit => trace.keys().len() + 1,
            Mode::Bytes => 0,
        };
        let reach = |depth| Reach {
            depth: depth as u64,
            ..Reach::default()
        };
        Self {
            reaches: (0..depths).map(reach).collect(),
            requests: 0,
            bytes: 0,
            whole_requests: whole.requests,
            whole_bytes: whole.bytes,
            rate: trace.sample_rate(),
            mode,
            footprint: simulation.footprint(),
            largest: 0,
            changing: false,
        }
    }

    fn count(&mut self, depth: Option<u64>, bytes: u64) {
        self.requests += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let Some(depth) = depth else { return };
        match self.mode {
            Mode::Unit => self.reaches[depth as usize].hits += 1,
            Mode::Bytes => self.reaches.push(Reach {
                depth,
                hits: 1,
                bytes,
            }),
        }
    }

    /// Sorts what was counted by depth, and adds it up.
    fn sum_up(&mut self) {
        self.reaches.sort_unstable_by_key(|reach| reach.depth);
        self.reaches.dedup_by(|later, kept| {
            let is_same = later.depth == kept.depth;
            if is_same {
                kept.hits += later.hits;
                kept.bytes = kept.bytes.saturating_add(later.bytes);
            }
            is_same
        });
        let mut sum = Reach::default();
        for reach in &mut self.reaches {
            sum.hits += reach.hits;
            sum.bytes = sum.bytes.saturating_add(reach.bytes);
            reach.hits = sum.hits;
            reach.bytes = sum.bytes;
        }
    }

    /// Returns the curve at a size, in objects or bytes of the whole trace.
    pub fn at(&self, capacity: u64) -> LruPoint {
        let sampled = (capacity as f64 * self.rate) as u64;
        self.at_sampled(if self.rate < 1.0 { sampled } else { capacity }, capacity)
    }

    fn at_sampled(&self, sampled: u64, capacity: u64) -> LruPoint {
        let reached = self.reaches.partition_point(|reach| reach.depth <= sampled);
        let hit = match reached {
            0 => Reach::default(),
            reached => self.reaches[reached - 1],
        };
        let ratio = |missed: u64, whole: u64| {
            let ratio = missed as f64 / (self.rate * whole.max(1) as f64);
            ratio.min(1.0)
        };
        let misses = self.requests - hit.hits;
        let missed_bytes = self.bytes.saturating_sub(hit.bytes);
        let has_bytes = self.mode == Mode::Bytes;
        LruPoint {
            capacity,
            misses,
            miss_ratio: ratio(misses, self.whole_requests),
            byte_miss_ratio: has_bytes.then(|| ratio(missed_bytes, self.whole_bytes)),
        }
    }

    /// Returns the least size from which on the curve is what replays count; `None` if objects
    /// change their sizes.
    pub fn exact_from(&self) -> Option<u64> {
        match self.mode {
            Mode::Unit => Some(1),
            Mode::Bytes => (!self.changing).then_some((self.largest as f64 / self.rate) as u64),
        }
    }

    /// Returns the points at which the curve is written: from a ten-thousandth of the trace's
    /// footprint to all of it.
    pub fn points(&self) -> Vec<LruPoint> {
        let mut points: Vec<LruPoint> = Vec::new();
        for step in 0..=POINTS {
            let of_one = 10_f64.powf(4.0 * (f64::from(step) / f64::from(POINTS) - 1.0));
            let sampled = (self.footprint as f64 * of_one) as u64;
            let capacity = (sampled as f64 / self.rate) as u64;
            let is_new = points.last().is_none_or(|last| last.capacity < capacity);
            if sampled > 0 && is_new {
                points.push(self.at_sampled(sampled, capacity));
            }
        }
        points
    }

    /// Writes the points as CSV.
    pub fn to_csv(&self) -> String {
        let whole = self.footprint as f64 / self.rate;
        let line = |point: &LruPoint| {
            let byte_miss_ratio = point.byte_miss_ratio;
            [
                point.capacity.to_string(),
                (point.capacity as f64 / whole).to_string(),
                point.misses.to_string(),
                point.miss_ratio.to_string(),
                byte_miss_ratio.map_or_else(String::new, |ratio| ratio.to_string()),
            ]
        };
        let header = [
            "capacity",
            "of_one",
            "misses",
            "miss_ratio",
            "byte_miss_ratio",
        ];
        csv(header, self.points().iter().map(line))
    }

    /// Returns the curve as a line over the size in percent of the footprint.
    pub fn course(&self) -> Course {
        let whole = self.footprint as f64 / self.rate;
        let point = |point: &LruPoint| CoursePoint {
            x: point.capacity as f64 / whole * 100.0,
            ratio: point.miss_ratio,
        };
        Course {
            name: "lru".to_owned(),
            size: "all".to_owned(),
            points: self.points().iter().map(point).collect(),
        }
    }
}
