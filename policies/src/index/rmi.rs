//! RMI: a root model sends an image to one of many leaves, whose line predicts the rank.
//!
//! Source: Kraska et al., "The Case for Learned Index Structures", SIGMOD 2018; Marcus, Zhang and
//! Kraska, "CDFShop: Exploring and Optimizing Learned Index Structures", SIGMOD 2020. Here the root
//! never falls whatever rounding does: it shifts, or is a polynomial without negative coefficients
//! of the distance from one end, or of the logarithm of that. Leaves have the slope of least
//! squares and are centred in height; they are fitted to their own images only. Errors hold for
//! absent images too.
//!
//! Without `leaves`, each root allowed gets the fewest leaves, a power of two, with which a look-up
//! of a stored image needs, in the mean, the comparisons that the target window needs; the smallest
//! model is taken. The mean of the windows themselves is not the measure: a few wide leaves at the
//! tails of a distribution would dominate it, though hardly any look-up meets them. As in CDFShop,
//! candidates are tried, and not computed; unlike there, a candidate is judged by the leaves of 256
//! images at even ranks, so that a trial with many leaves reads few images. The one chosen is then
//! fitted to all of them.
//! State: 20 bytes a leaf:
//!
//! ```text
//! keys u32 | leaves u32 | unit u32 | first image u64 | scale f64 | form u8 | constant f64 |
//! coefficient f64 * 3 |
//! error above u16, below u16 (in units) of each leaf | leaf | leaf | ...   (little-endian)
//! leaf: first image u64 | slope f32 | base i32
//! ```
//!
//! The form is 0 for a polynomial of the distance from the first image, 1 from the last, 2 and 3
//! for those of its logarithm, and 4 for a shift, whose scale is a power of two. Older models have
//! form 0 or 1, and are read as they were.
//!
//! Cost: training O(n) for each root, at most, and for the chosen model; a look-up evaluates two
//! polynomials and searches nothing.
//! Invariants: the root never falls, so the images of a leaf are a range; a leaf without images
//! predicts the rank of the next stored image; each leaf's errors are measured over its images and
//! the gaps it may be asked for.
//! Weak where: outliers on both sides stretch every root, so that most images share a leaf; the
//! error cannot be set, only sought.

use bytes::{Buf, BufMut, Bytes};

use super::lines::{Lines, PIECE_BYTES, Piece};
use super::rmi_root::{Root, RootKind};
use super::stairs::{affordable, affordable_bytes, trainable};
use super::{Build, IndexPolicy, Model, Ranks, Trained, Window};
use crate::PolicySpec;
use crate::entry::{Entry, describe, in_range, params};

pub(super) const ENTRY: Entry<Build> = Entry {
    name: "rmi",
    about: "a root and linear leaves by least squares (Recursive Model Index, SIGMOD 2018)",
    params: describe::<Params>,
    build: Build {
        policy: |spec: &PolicySpec| {
            let Params {
                epsilon,
                leaves,
                root,
                over,
            } = params(spec)?;
            let epsilon = in_range(spec, "epsilon", epsilon, 1..=4096)?;
            Ok(Box::new(Rmi {
                epsilon,
                leaves: in_range(spec, "leaves", leaves, 0..=1 << 24)?,
                root,
                over,
            }))
        },
        decode: |bytes| Layers::decode(bytes).map(|layers| Box::new(layers) as _),
    },
};

#[derive(Debug, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Params {
    /// Half the window, in ranks, in which a search takes as many comparisons as the mean key does;
    /// leaves are added until it is reached (1 to 4096).
    epsilon: u32,
    /// The number of leaves (1 to 2^24); 0 means as many as `epsilon` needs.
    leaves: u32,
    /// The root that sends images to leaves: `linear`, `cubic`, `radix`, `logarithmic`, or `auto`
    /// for the one that needs the fewest leaves.
    root: RootKind,
    /// What the ranks count: `entries` or `blocks`.
    over: Ranks,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            epsilon: 16,
            leaves: 0,
            root: RootKind::Auto,
            over: Ranks::Entries,
        }
    }
}

struct Rmi {
    epsilon: u32,
    leaves: u32,
    root: RootKind,
    over: Ranks,
}

impl Rmi {
    fn layers(&self, images: &[u64]) -> Result<Vec<u8>, &'static str> {
        trainable(images)?;
        let curves = self.root.candidates().into_iter();
        let curves: Vec<Root> = curves.map(|kind| Root::fit(images, kind)).collect();
        let layers = if self.leaves > 0 {
            let roots = curves.iter().map(|curve| curve.with_leaves(self.leaves));
            let root = roots.min_by(|a, b| {
                expected_comparisons(images, a).total_cmp(&expected_comparisons(images, b))
            });
            Layers::fit(images, root.ok_or("no root")?).0
        } else {
            self.smallest(images, &curves)?
        };
        affordable(layers.encoded_bytes(), images.len(), self.over)?;
        Ok(layers.encode())
    }

    /// The model with the fewest leaves that reaches the target, within the memory that pays.
    fn smallest(&self, images: &[u64], curves: &[Root]) -> Result<Layers, &'static str> {
        let room = affordable_bytes(images.len(), self.over).saturating_sub(HEADER_BYTES);
        let most = (room / (ERROR_BYTES + PIECE_BYTES)).max(1) as u32;
        let target = comparisons(2 * self.epsilon);
        let mut best: Option<Trial> = None;
        for curve in curves {
            let enough = best.as_ref().map_or(most, |best| best.root.leaves);
            let trial = fewest_leaves(images, curve, target, enough);
            if trial.better_than(best.as_ref(), target) {
                best = Some(trial);
            }
        }
        // What was estimated may be missed by a little.
        let mut root = best.ok_or("no root")?.root;
        loop {
            let (layers, mean) = Layers::fit(images, root);
            if mean <= target {
                return Ok(layers);
            }
            if root.leaves >= most {
                return Err("no number of leaves that pays reaches the target window");
            }
            root = root.with_leaves(root.leaves.saturating_mul(2).min(most));
        }
    }
}

/// A root with a number of leaves, and the comparisons that the mean key is expected to need.
struct Trial {
    root: Root,
    mean: f64,
}

impl Trial {
    /// Whether it reaches the target with fewer leaves, or comes closer to it.
    fn better_than(&self, other: Option<&Self>, target: f64) -> bool {
        other.is_none_or(|other| {
            let missed = |trial: &Self| (trial.mean - target).max(0.0);
            missed(self)
                .total_cmp(&missed(other))
                .then(self.root.leaves.cmp(&other.root.leaves))
                .then(self.mean.total_cmp(&other.mean))
                .is_lt()
        })
    }
}

/// The fewest leaves, a power of two or `most`, with which a root is expected to reach the target;
/// `most` if it does with none. More leaves do not cost comparisons, but for exceptions that a step
/// does not meet; so the search goes up or down from a guess.
fn fewest_leaves(images: &[u64], curve: &Root, target: f64, most: u32) -> Trial {
    let trial = |leaves: u32| {
        let root = curve.with_leaves(leaves);
        let mean = expected_comparisons(images, &root);
        Trial { root, mean }
    };
    // On uniform random images, a leaf of m keys is wrong by about half the root of m.
    let leaf_keys = 2.0 * (2.0_f64.powf(target)).powi(2);
    let guess = (images.len() as f64 / leaf_keys).max(1.0) as u32;
    let mut found = trial((1 << guess.ilog2()).min(most));
    while found.mean > target && found.root.leaves < most {
        found = trial(found.root.leaves.saturating_mul(2).min(most));
    }
    while found.mean <= target && found.root.leaves > 1 {
        let fewer = trial(found.root.leaves.next_power_of_two() / 2);
        if fewer.mean > target {
            break;
        }
        found = fewer;
    }
    found
}

/// Images whose leaves are looked at to judge a root.
const JUDGED: usize = 256;

/// The comparisons in the window of the mean key, estimated from the leaves of images at even
/// ranks: a leaf counts as often as its keys are many.
fn expected_comparisons(images: &[u64], root: &Root) -> f64 {
    let judged = JUDGED.min(images.len());
    let mut sum = 0.0;
    let mut end = 0;
    let mut needed = 0.0;
    for rank in (0..judged).map(|number| number * images.len() / judged) {
        if rank >= end {
            let leaf = root.leaf(images[rank]);
            let start = images.partition_point(|image| root.leaf(*image) < leaf);
            end = images.partition_point(|image| root.leaf(*image) <= leaf);
            let own = &images[start..end];
            let piece = Piece {
                first: own[0],
                slope: slope(own),
            };
            let bounds = Lines::draw(own, &[piece]).bounds(own)[0];
            needed = comparisons(bounds.above + bounds.below);
        }
        sum += needed;
    }
    sum / judged as f64
}

impl IndexPolicy for Rmi {
    fn ranks(&self) -> Ranks {
        self.over
    }

    fn train(&self, images: &[u64]) -> Trained {
        self.layers(images)
            .map_or_else(Trained::Refused, Trained::Model)
    }
}

/// Comparisons of a binary search in a window of `width` ranks, which leaves one more answer than
/// that; not rounded, so that a mean of them is smooth.
fn comparisons(width: u32) -> f64 {
    (f64::from(width) + 1.0).log2()
}

/// Bytes before the leaves, and of each leaf's errors.
const HEADER_BYTES: usize = 61;
const ERROR_BYTES: usize = 4;

#[derive(Debug)]
struct Layers {
    root: Root,
    lines: Lines,
    /// The errors of each leaf, above and below, in units of `unit` ranks.
    errors: Vec<(u16, u16)>,
    unit: u32,
}

impl Layers {
    /// Fits the leaves that the root uses. Returns also the comparisons in the window of the mean
    /// key.
    fn fit(images: &[u64], mut root: Root) -> (Self, f64) {
        // There is no leaf after that of the last image, which also answers for all larger images.
        root.leaves = root.leaf(images[images.len() - 1]) as u32 + 1;
        let mut starts = Vec::with_capacity(root.leaves as usize + 1);
        for (rank, image) in images.iter().enumerate() {
            starts.resize(starts.len().max(root.leaf(*image) + 1), rank);
        }
        starts.push(images.len());
        let leaf = |ends: &[usize]| Piece {
            first: images[ends[0]],
            slope: slope(&images[ends[0]..ends[1]]),
        };
        let pieces: Vec<Piece> = starts.windows(2).map(leaf).collect();
        let lines = Lines::draw(images, &pieces);
        let bounds = lines.bounds(images);
        let unit = bounds
            .iter()
            .map(|leaf| leaf.above.max(leaf.below))
            .max()
            .unwrap_or(0)
            .div_ceil(65_535)
            .max(1);
        let in_units = |error: u32| error.div_ceil(unit) as u16;
        let errors = bounds
            .iter()
            .map(|leaf| (in_units(leaf.above), in_units(leaf.below)))
            .collect();
        let sum: f64 = bounds
            .iter()
            .zip(starts.windows(2))
            .map(|(leaf, ends)| comparisons(leaf.above + leaf.below) * (ends[1] - ends[0]) as f64)
            .sum();
        let mean = sum / images.len() as f64;
        (
            Self {
                root,
                lines,
                errors,
                unit,
            },
            mean,
        )
    }

    fn encoded_bytes(&self) -> usize {
        HEADER_BYTES + self.lines.len() * (ERROR_BYTES + PIECE_BYTES)
    }

    fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::with_capacity(self.encoded_bytes());
        for number in [self.lines.ranks(), self.root.leaves, self.unit] {
            encoded.put_u32_le(number);
        }
        self.root.encode(&mut encoded);
        for (above, below) in &self.errors {
            encoded.put_u16_le(*above);
            encoded.put_u16_le(*below);
        }
        self.lines.encode(&mut encoded);
        encoded
    }

    fn decode(mut encoded: Bytes) -> Option<Self> {
        let body = encoded.len().checked_sub(HEADER_BYTES)?;
        let [ranks, leaves, unit] = [(); 3].map(|()| encoded.get_u32_le());
        let root = Root::decode(&mut encoded, leaves)?;
        (body as u64 == u64::from(leaves) * (ERROR_BYTES + PIECE_BYTES) as u64).then_some(())?;
        let mut errors = Vec::with_capacity(leaves as usize);
        for _ in 0..leaves {
            errors.push((encoded.get_u16_le(), encoded.get_u16_le()));
        }
        let lines = Lines::decode(&mut encoded, leaves as usize, ranks)?;
        Some(Self {
            root,
            lines,
            errors,
            unit,
        })
    }
}

/// Ranks for each image, by least squares over a leaf's images; 0 if these do not differ.
fn slope(images: &[u64]) -> f64 {
    let (Some(first), Some(last)) = (images.first(), images.last()) else {
        return 0.0;
    };
    if first == last {
        return 0.0;
    }
    let span = (last - first) as f64;
    let share = |image: &u64| (image - first) as f64 / span;
    let count = images.len() as f64;
    let mean = images.iter().map(share).sum::<f64>() / count;
    let middle = (count - 1.0) / 2.0;
    let mut covariance = 0.0;
    let mut variance = 0.0;
    for (rank, image) in images.iter().enumerate() {
        let distance = share(image) - mean;
        covariance += distance * (rank as f64 - middle);
        variance += distance * distance;
    }
    (covariance / variance).max(0.0) / span
}

impl Model for Layers {
    fn locate(&self, image: u64) -> Window {
        if image < self.root.first {
            return Window { lo: 0, hi: 0 };
        }
        let leaf = self.root.leaf(image);
        let rank = self.lines.predict(leaf, image);
        let (above, below) = self.errors[leaf];
        let [above, below] = [above, below].map(|units| u32::from(units).saturating_mul(self.unit));
        Window {
            lo: rank.saturating_sub(below),
            hi: rank.saturating_add(above).min(self.lines.ranks()),
        }
    }

    fn memory_bytes(&self) -> u64 {
        let errors = self.errors.capacity() * size_of::<(u16, u16)>();
        (size_of::<Self>() + errors) as u64 + self.lines.memory_bytes()
    }

    /// Its leaves.
    fn segments(&self) -> u64 {
        self.errors.len() as u64
    }

    /// The root and the leaf.
    fn probes(&self, _image: u64) -> u32 {
        2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splitmix::SplitMix64;

    #[test]
    fn a_curved_root_suits_curved_images() {
        let concave: Vec<u64> = (0..10_000).map(|i| i * i * i).collect();
        let convex: Vec<u64> = concave
            .iter()
            .rev()
            .map(|image| concave[9999] - image)
            .collect();
        for images in [concave, convex] {
            let error = |kind| {
                let root = Root::fit(&images, kind).with_leaves(100);
                Layers::fit(&images, root).1
            };
            let cubic = error(RootKind::Cubic);
            let linear = error(RootKind::Linear);
            assert!(
                cubic < linear,
                "{cubic} and {linear}: {:?}",
                Root::fit(&images, RootKind::Cubic)
            );
        }
    }

    #[test]
    fn linear_images_are_predicted_without_error() {
        for step in [1, 7] {
            let images: Vec<u64> = (0..100_000).map(|i| 1000 + step * i).collect();
            let (layers, mean) = Layers::fit(&images, Root::fit(&images, RootKind::Cubic));
            // Between two stored images the rank is that of the next one. A prediction is that of
            // one of them.
            assert!(mean <= if step == 1 { 0.0 } else { 1.0 }, "{mean}");
            for (rank, image) in images.iter().enumerate() {
                let window = layers.locate(*image);
                assert!(
                    (window.lo..=window.hi).contains(&(rank as u32)) && window.hi - window.lo <= 1,
                    "{window:?}"
                );
            }
        }
    }

    /// Sorted images, at random.
    fn drawn(seed: u64, draw: impl Fn(&mut SplitMix64) -> f64) -> Vec<u64> {
        let mut draws = SplitMix64::new(seed);
        let mut images: Vec<u64> = (0..50_000).map(|_| draw(&mut draws) as u64).collect();
        images.sort_unstable();
        images
    }

    /// By Box and Muller.
    fn normal(draws: &mut SplitMix64) -> f64 {
        let radius = (-2.0 * (1.0 - draws.fraction()).ln()).sqrt();
        radius * (std::f64::consts::TAU * draws.fraction()).cos()
    }

    /// Sets with tails, which a few leaves at the ends have to themselves.
    fn tailed() -> [(&'static str, Vec<u64>); 7] {
        let middle = (1_u64 << 62) as f64;
        let logistic = move |u: f64| (u.max(1e-9) / (1.0 - u)).ln();
        let left = |draws: &mut SplitMix64| 1.0 - draws.fraction();
        [
            (
                "logistic",
                drawn(1, |draws| {
                    middle * (1.0 + logistic(draws.fraction()) / 30.0)
                }),
            ),
            (
                "two hills",
                drawn(2, |draws| {
                    let hill = if draws.fraction() < 0.5 { 0.5 } else { 1.0 };
                    middle * (hill + logistic(draws.fraction()) / 60.0)
                }),
            ),
            (
                "exponential",
                drawn(3, |draws| -middle / 20.0 * left(draws).ln()),
            ),
            ("power law", drawn(4, |draws| 1e12 * left(draws).powf(-0.7))),
            (
                "heavy power law",
                drawn(5, |draws| 1e6 * left(draws).powf(-1.5)),
            ),
            (
                "normal",
                drawn(6, |draws| middle * (1.0 + normal(draws) / 20.0)),
            ),
            (
                "lognormal",
                drawn(7, |draws| 1e12 * (2.0 * normal(draws)).exp()),
            ),
        ]
    }

    fn automatic(epsilon: u32, root: RootKind) -> Rmi {
        Rmi {
            epsilon,
            leaves: 0,
            root,
            over: Ranks::Entries,
        }
    }

    fn built(rmi: &Rmi, images: &[u64]) -> Result<Layers, &'static str> {
        let encoded = rmi.layers(images)?;
        Ok(Layers::decode(Bytes::from(encoded)).expect("it reads back"))
    }

    #[test]
    fn leaves_are_added_until_the_mean_key_needs_few_comparisons_whatever_the_tails_need() {
        for (set, images) in tailed() {
            for epsilon in [16, 64, 256] {
                let layers = built(&automatic(epsilon, RootKind::Auto), &images);
                let layers = layers.unwrap_or_else(|why| panic!("{set}, {epsilon}: {why}"));
                let width = |image: &u64| {
                    let window = layers.locate(*image);
                    window.hi - window.lo
                };
                let widths: Vec<u32> = images.iter().map(width).collect();
                let count = images.len() as f64;
                let mean = widths.iter().map(|width| comparisons(*width)).sum::<f64>() / count;
                assert!(mean <= comparisons(2 * epsilon), "{set}, {epsilon}: {mean}");
                assert!(
                    layers.encoded_bytes() <= 2 * images.len(),
                    "{set}, {epsilon}"
                );
            }
        }
    }

    #[test]
    fn leaves_are_about_the_fewest_that_any_root_needs() {
        for (set, images) in tailed() {
            for epsilon in [16, 256] {
                let found = built(&automatic(epsilon, RootKind::Auto), &images)
                    .unwrap_or_else(|why| panic!("{set}, {epsilon}: {why}"));
                let target = comparisons(2 * epsilon);
                let fewest = RootKind::Auto.candidates().into_iter().filter_map(|kind| {
                    let curve = Root::fit(&images, kind);
                    (0..13)
                        .map(|power| Layers::fit(&images, curve.with_leaves(1 << power)))
                        .find(|(_, mean)| *mean <= target)
                        .map(|(layers, _)| layers.segments())
                });
                let fewest = fewest.min().expect("some root does");
                assert!(
                    found.segments() <= 2 * fewest,
                    "{set}, {epsilon}: {} and {fewest}",
                    found.segments()
                );
            }
        }
    }

    #[test]
    fn a_line_gets_one_leaf_at_any_epsilon() {
        let images: Vec<u64> = (0..100_000).map(|i| 1000 + 7 * i).collect();
        for epsilon in [1, 16, 4096] {
            let layers = built(&automatic(epsilon, RootKind::Auto), &images).expect("it pays");
            assert_eq!(layers.segments(), 1, "{epsilon}");
        }
    }

    #[test]
    fn the_logarithm_suits_a_power_law_that_other_roots_cannot_divide() {
        let tailed = tailed();
        let (_, images) = tailed
            .iter()
            .find(|(set, _)| *set == "heavy power law")
            .expect("it is there");
        for root in [RootKind::Linear, RootKind::Cubic, RootKind::Radix] {
            assert!(built(&automatic(16, root), images).is_err(), "{root:?}");
        }
        let layers = built(&automatic(16, RootKind::Logarithmic), images).expect("it pays");
        assert!(layers.segments() < 1000, "{}", layers.segments());
    }

    #[test]
    fn models_without_a_form_but_mirrored_or_not_are_read_as_they_were() {
        for (mirrored, constant) in [(0, 0.0), (1, -1.9)] {
            let mut encoded = Vec::new();
            for number in [4, 2, 1] {
                encoded.put_u32_le(number);
            }
            encoded.put_u64_le(100);
            encoded.put_f64_le(0.025);
            encoded.put_u8(mirrored);
            encoded.put_f64_le(constant);
            for coefficient in [1.9, 0.0, 0.0] {
                encoded.put_f64_le(coefficient);
            }
            encoded.put_slice(&[0; 2 * ERROR_BYTES]);
            for (first, base) in [(100, 0), (120, 2)] {
                encoded.put_u64_le(first);
                encoded.put_f32_le(0.1);
                encoded.put_i32_le(base);
            }
            assert_eq!(encoded.len(), HEADER_BYTES + 2 * 20);
            let layers = Layers::decode(Bytes::from(encoded)).expect("an old model");
            let exact = |rank| Window { lo: rank, hi: rank };
            let found = [99, 100, 110, 122, 130].map(|image| layers.locate(image));
            assert_eq!(found, [0, 0, 1, 2, 3].map(exact), "{mirrored}");
        }
    }
}
