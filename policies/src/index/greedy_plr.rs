//! Greedy PLR: line segments, each stretched from key to key until no line through its pivot stays within epsilon.
//!
//! Source: Dai et al., "From WiscKey to Bourbon: A Learned Index for Log-Structured Merge Trees", OSDI 2020; the fit is
//! Xie et al., "Maximum error-bounded Piecewise Linear Representation", VLDB Journal 23, 2014, in its greedy form.
//! State: 24 bytes a segment, and the largest errors measured:
//!
//! ```text
//! keys u32 | above u32 | below u32 | segments u32 | segment | segment | ...                      (little-endian)
//! segment: first image u64 | slope f64 | first rank u32 | intercept f32
//! ```
//!
//! Cost: training O(n) in two passes; a look-up a binary search over the segments and one multiplication.
//! Invariants: predictions never fall as images grow, neither in a segment (slope >= 0) nor across (each is cut to the
//! ranks its segment spans). So the errors measured at every image and just above it bound the error at every image that
//! could be asked for, whatever rounding did: images beyond 2^53 cost accuracy at worst.
//! Weak where: keys are uniform random numbers, where an optimal fit needs a third of the segments; runs of equal images.

use bytes::{Buf, BufMut, Bytes};

use super::{Build, IndexPolicy, Model, Trained, Window};
use crate::entry::{Entry, PolicySpec, bad, describe, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "greedy-plr",
    about: "greedy piecewise linear regression with bounded error (Bourbon, OSDI 2020)",
    params: describe::<Params>,
    build: Build {
        policy: |spec: &PolicySpec| {
            let Params { epsilon } = params(spec)?;
            if !(1..=4096).contains(&epsilon) {
                return Err(bad(spec, &format!("epsilon must be 1 to 4096, not {epsilon}")));
            }
            Ok(Box::new(GreedyPlr { epsilon: f64::from(epsilon) }))
        },
        decode: |bytes| Segments::decode(bytes).map(|segments| Box::new(segments) as _),
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// How far a segment's line may be from a key's rank, in ranks (1 to 4096).
    epsilon: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self { epsilon: 16 }
    }
}

struct GreedyPlr {
    epsilon: f64,
}

impl IndexPolicy for GreedyPlr {
    /// Refuses tables of more than 2^32 - 1 keys, of fewer than two distinct images, and models above 2 bytes a key.
    fn train(&self, images: &[u64]) -> Trained {
        let Ok(keys) = u32::try_from(images.len()) else {
            return Trained::Refused("more than 2^32 - 1 keys");
        };
        if images.first() == images.last() {
            return Trained::Refused("fewer than two distinct images");
        }
        let mut segments = Segments { keys, above: 0, below: 0, firsts: Vec::new(), lines: Vec::new() };
        let mut open: Option<Cone> = None;
        for (image, rank) in points(images) {
            if open.as_mut().is_some_and(|cone| cone.extend(image, rank)) {
                continue;
            }
            if let Some(cone) = open.replace(Cone::new(image, rank, self.epsilon)) {
                segments.push(&cone);
            }
        }
        if let Some(cone) = open {
            segments.push(&cone);
        }
        segments.measure(images);
        if segments.encoded_bytes() > 2 * images.len() {
            return Trained::Refused("the model is larger than 2 bytes a key");
        }
        Trained::Model(segments.encode())
    }
}

/// The distinct images with their first ranks; and, above a run of equal images, the next image with the rank after the
/// run, for that is where a search for an absent key lands.
fn points(images: &[u64]) -> impl Iterator<Item = (u64, u32)> {
    runs(images).flat_map(|(image, rank, next_rank, next_image)| {
        let gap =
            image.checked_add(1).filter(|above| next_rank - rank > 1 && next_image.is_none_or(|next| *above < next));
        [Some((image, rank)), gap.map(|above| (above, next_rank))].into_iter().flatten()
    })
}

/// Each run of equal images: the image, its first rank, the first rank after the run, and the image there.
fn runs(images: &[u64]) -> impl Iterator<Item = (u64, u32, u32, Option<u64>)> {
    let mut rank = 0;
    images.chunk_by(|a, b| a == b).map(move |run| {
        let first = rank;
        rank += run.len();
        (run[0], first as u32, rank as u32, images.get(rank).copied())
    })
}

/// The segment being stretched: the lines through its pivot that stay within epsilon of every rank so far. All
/// coordinates are relative to the segment's first point, where a double has its precision.
struct Cone {
    first_image: u64,
    first_rank: u32,
    epsilon: f64,
    /// The crossing of the extreme lines through the first two points; None while there is one point.
    pivot: Option<(f64, f64)>,
    low: f64,
    high: f64,
}

impl Cone {
    fn new(first_image: u64, first_rank: u32, epsilon: f64) -> Self {
        Self { first_image, first_rank, epsilon, pivot: None, low: 0.0, high: 0.0 }
    }

    /// Takes in a further point; false, and no change, when no line would do.
    fn extend(&mut self, image: u64, rank: u32) -> bool {
        let (x, y) = ((image - self.first_image) as f64, f64::from(rank - self.first_rank));
        let Some((pivot_x, pivot_y)) = self.pivot else {
            self.pivot = Some((x / 2.0, y / 2.0));
            (self.low, self.high) = ((y - 2.0 * self.epsilon) / x, (y + 2.0 * self.epsilon) / x);
            return true;
        };
        let (x, y) = (x - pivot_x, y - pivot_y);
        if y <= self.low * x || y >= self.high * x {
            return false;
        }
        self.low = self.low.max((y - self.epsilon) / x);
        self.high = self.high.min((y + self.epsilon) / x);
        true
    }

    /// The mean line. Ranks grow, so `high` is positive; where the mean falls, the flat line is within the cone too.
    fn line(&self) -> Line {
        let slope = f64::midpoint(self.low, self.high).max(0.0);
        let intercept = self.pivot.map_or(0.0, |(x, y)| y - slope * x) as f32;
        Line { slope, intercept, first_rank: self.first_rank }
    }
}

#[derive(Clone, Copy, Debug)]
struct Line {
    slope: f64,
    intercept: f32,
    first_rank: u32,
}

/// Bytes before the first segment, and of each.
const HEADER_BYTES: usize = 16;
const SEGMENT_BYTES: usize = 24;

#[derive(Debug)]
struct Segments {
    keys: u32,
    /// How far the true rank can be above the prediction, and below it.
    above: u32,
    below: u32,
    /// The first image of each segment, apart from the lines: a search touches nothing else.
    firsts: Vec<u64>,
    lines: Vec<Line>,
}

impl Segments {
    fn push(&mut self, cone: &Cone) {
        self.firsts.push(cone.first_image);
        self.lines.push(cone.line());
    }

    /// The predicted rank, with the first and last rank that the segment spans; None below the first image.
    fn predict(&self, image: u64) -> Option<(u32, u32, u32)> {
        let index = self.firsts.partition_point(|first| *first <= image).checked_sub(1)?;
        let line = self.lines[index];
        let end = self.lines.get(index + 1).map_or(self.keys, |next| next.first_rank);
        let offset = (image - self.firsts[index]) as f64;
        // The cast rounds down and saturates, so that it keeps the order.
        let rank = (f64::from(line.first_rank) + f64::from(line.intercept) + line.slope * offset) as u32;
        Some((rank.clamp(line.first_rank, end), line.first_rank, end))
    }

    /// Sets the error bounds from every image, and from the one just above it: in the gap that follows, predictions are
    /// at least as high as there and at most as high as at the next image.
    fn measure(&mut self, images: &[u64]) {
        let (mut above, mut below) = (0, 0);
        let mut compare = |image: u64, rank: u32| {
            if let Some((predicted, ..)) = self.predict(image) {
                above = above.max(rank.saturating_sub(predicted));
                below = below.max(predicted.saturating_sub(rank));
            }
        };
        for (image, rank, next_rank, _) in runs(images) {
            compare(image, rank);
            if let Some(just_above) = image.checked_add(1) {
                compare(just_above, next_rank);
            }
        }
        (self.above, self.below) = (above, below);
    }

    fn encoded_bytes(&self) -> usize {
        HEADER_BYTES + self.lines.len() * SEGMENT_BYTES
    }

    fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(self.encoded_bytes());
        for number in [self.keys, self.above, self.below, self.lines.len() as u32] {
            encoded.put_u32_le(number);
        }
        for (first, line) in self.firsts.iter().zip(&self.lines) {
            encoded.put_u64_le(*first);
            encoded.put_f64_le(line.slope);
            encoded.put_u32_le(line.first_rank);
            encoded.put_f32_le(line.intercept);
        }
        encoded
    }

    fn decode(mut encoded: Bytes) -> Option<Self> {
        let body = encoded.len().checked_sub(HEADER_BYTES)?;
        let [keys, above, below, segments] = [(); 4].map(|()| encoded.get_u32_le());
        if body as u64 != u64::from(segments) * SEGMENT_BYTES as u64 {
            return None;
        }
        let mut firsts = Vec::with_capacity(segments as usize);
        let mut lines = Vec::with_capacity(segments as usize);
        for _ in 0..segments {
            firsts.push(encoded.get_u64_le());
            let slope = encoded.get_f64_le();
            let first_rank = encoded.get_u32_le();
            lines.push(Line { slope, first_rank, intercept: encoded.get_f32_le() });
        }
        let ordered = firsts.is_sorted_by(|a, b| a < b)
            && lines.is_sorted_by(|a, b| a.first_rank <= b.first_rank)
            && lines.first()?.first_rank == 0
            && lines.last()?.first_rank <= keys;
        let finite = lines.iter().all(|line| line.slope.is_finite() && line.slope >= 0.0 && line.intercept.is_finite());
        (ordered && finite).then_some(Self { keys, above, below, firsts, lines })
    }
}

impl Model for Segments {
    fn locate(&self, image: u64) -> Window {
        match self.predict(image) {
            None => Window { lo: 0, hi: 0 },
            Some((rank, first, end)) => {
                Window { lo: rank.saturating_sub(self.below).max(first), hi: rank.saturating_add(self.above).min(end) }
            }
        }
    }

    fn memory_bytes(&self) -> u64 {
        let bytes = self.firsts.capacity() * size_of::<u64>() + self.lines.capacity() * size_of::<Line>();
        (size_of::<Self>() + bytes) as u64
    }

    fn segments(&self) -> u64 {
        self.lines.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splitmix(i: u64) -> u64 {
        let z = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn train(images: &[u64], epsilon: u32) -> Segments {
        match (GreedyPlr { epsilon: f64::from(epsilon) }).train(images) {
            Trained::Model(encoded) => Segments::decode(Bytes::from(encoded)).expect("an encoded model decodes"),
            other => panic!("{other:?} for {} images", images.len()),
        }
    }

    /// 100,000 keys each, defined by arithmetic.
    fn set(name: &str) -> Vec<u64> {
        let mut images: Vec<u64> = match name {
            "square" => (1..=100_000).map(|i| i * i).collect(),
            "uniform44" => (0..100_000).map(|i| splitmix(i) >> 20).collect(),
            "gaps" => (0..100_000)
                .scan(0, |sum, i| {
                    let (a, b) = (splitmix(i) >> 32, splitmix(i) & 0xffff_ffff);
                    *sum += 1 + ((((a * b) >> 32) * 1000) >> 32);
                    Some(*sum)
                })
                .collect(),
            "clusters" => (0..100_000).map(|i| ((splitmix(i / 1000) >> 24) << 10) + i % 1000).collect(),
            _ => (0..100_000).map(|i| 1000 + 7 * i).collect(),
        };
        images.sort_unstable();
        images
    }

    #[test]
    fn the_sets_are_the_ones_the_golden_counts_were_taken_from() {
        let ends = |name| set(name).first().copied().zip(set(name).last().copied());
        assert_eq!(ends("square"), Some((1, 10_000_000_000)));
        assert_eq!(ends("uniform44"), Some((18_313_327, 17_591_822_471_410)));
        assert_eq!(ends("gaps"), Some((425, 25_018_686)));
        assert_eq!(ends("clusters"), Some((16_879_511_702_528, 1_093_115_928_759_271)));
    }

    #[test]
    fn segment_counts_are_bourbons_within_one_percent() {
        let golden: [(&str, u32, u64); 17] = [
            ("square", 8, 79),
            ("square", 32, 39),
            ("square", 128, 20),
            ("uniform44", 8, 1104),
            ("uniform44", 16, 323),
            ("uniform44", 32, 85),
            ("uniform44", 64, 23),
            ("uniform44", 128, 5),
            ("gaps", 8, 913),
            ("gaps", 16, 236),
            ("gaps", 32, 59),
            ("gaps", 64, 16),
            ("gaps", 128, 3),
            ("clusters", 8, 100),
            ("clusters", 128, 100),
            ("linear", 8, 1),
            ("linear", 1, 1),
        ];
        for (name, epsilon, segments) in golden {
            let found = train(&set(name), epsilon).segments();
            assert!(found.abs_diff(segments) * 100 <= segments, "{name} e={epsilon}: {found}, not {segments}");
        }
    }

    #[test]
    fn windows_are_about_two_epsilon_wide() {
        for (name, epsilon) in [("square", 8), ("uniform44", 16), ("gaps", 64), ("clusters", 32)] {
            let model = train(&set(name), epsilon);
            assert!(model.above + model.below <= 2 * epsilon + 2, "{name}: {} {}", model.above, model.below);
        }
    }

    #[test]
    fn long_runs_of_equal_images_widen_no_other_window() {
        let mut images: Vec<u64> = (0..10_000).map(|i| i * 10).collect();
        images.extend(std::iter::repeat_n(50_000, 500));
        images.sort_unstable();
        let model = train(&images, 8);
        assert!(model.above + model.below <= 2 * 8 + 2, "{} {}", model.above, model.below);
        let above_the_run = model.locate(50_001);
        let rank = images.partition_point(|image| *image < 50_001);
        assert!(
            (above_the_run.lo as usize..=above_the_run.hi as usize).contains(&rank),
            "{above_the_run:?}, not {rank}"
        );
    }

    #[test]
    fn images_beyond_the_precision_of_a_double_stay_in_their_windows() {
        // Seen from 0, a double cannot tell the neighbours beyond 2^63 apart.
        let images: Vec<u64> = std::iter::once(0).chain((0..5000).map(|i| (1 << 63) + i)).collect();
        let model = train(&images, 4);
        for (rank, image) in images.iter().enumerate() {
            let window = model.locate(*image);
            assert!((window.lo as usize..=window.hi as usize).contains(&rank), "{image}: {window:?}, not {rank}");
        }
    }

    #[test]
    fn what_would_not_pay_is_refused() {
        let policy = GreedyPlr { epsilon: 1.0 };
        for images in [&[][..], &[7], &[7, 7, 7], &[1, 2, 3]] {
            assert!(matches!(policy.train(images), Trained::Refused(_)), "{images:?}");
        }
        let mut random: Vec<u64> = (0..1000).map(splitmix).collect();
        random.sort_unstable();
        assert!(matches!(policy.train(&random), Trained::Refused(_)));
        for epsilon in [0, 4097] {
            assert!((ENTRY.build.policy)(&PolicySpec::named("greedy-plr").with("epsilon", epsilon)).is_err());
        }
    }
}
