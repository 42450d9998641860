//! RMI: a root model sends an image to one of many leaves, whose line predicts the rank.
//!
//! Source: Kraska et al., "The Case for Learned Index Structures", SIGMOD 2018; Marcus et al.,
//! "CDFShop", SIGMOD 2020. Here the root never falls whatever rounding does: it is a polynomial
//! without negative coefficients, of the distance from one end. Leaves have the slope of least
//! squares and are centred in height; they are fitted to their own images only. Errors hold for
//! absent images too. Without `leaves`, their number is raised fourfold until a look-up of a stored
//! image needs, in the mean, the comparisons that the target window needs. The mean of the windows
//! themselves is not the measure: a few wide leaves at the tails of a distribution would dominate
//! it, though hardly any look-up meets them.
//! State: 20 bytes a leaf:
//!
//! ```text
//! keys u32 | leaves u32 | unit u32 | first image u64 | scale f64 | mirrored u8 | constant f64 |
//! coefficient f64 * 3 |
//! error above u16, below u16 (in units) of each leaf | leaf | leaf | ...   (little-endian)
//! leaf: first image u64 | slope f32 | base i32
//! ```
//!
//! Cost: training O(n) for each number of leaves tried; a look-up evaluates two polynomials and
//! searches nothing.
//! Invariants: the root never falls, so the images of a leaf are a range; a leaf without images
//! predicts the rank of the next stored image; each leaf's errors are measured over its images and
//! the gaps it may be asked for.
//! Weak where: a few outliers stretch the root, so that most images share a leaf; the error cannot
//! be set, only sought.

use bytes::{Buf, BufMut, Bytes};
use linfa::Dataset;
use linfa::traits::Fit;
use linfa_linear::{FittedLinearRegression, LinearRegression};
use ndarray::{Array1, Array2, Axis};

use super::lines::{Lines, PIECE_BYTES, Piece};
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
    /// The root that sends images to leaves: `linear` or `cubic`.
    root: RootKind,
    /// What the ranks count: `entries` or `blocks`.
    over: Ranks,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            epsilon: 16,
            leaves: 0,
            root: RootKind::Cubic,
            over: Ranks::Entries,
        }
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
enum RootKind {
    Linear,
    Cubic,
}

struct Rmi {
    epsilon: u32,
    leaves: u32,
    root: RootKind,
    over: Ranks,
}

impl Rmi {
    fn layers(&self, images: &[u64]) -> Result<Vec<u8>, &'static str> {
        let keys = trainable(images)?;
        let room = affordable_bytes(images.len(), self.over).saturating_sub(HEADER_BYTES);
        let most = (room / (ERROR_BYTES + PIECE_BYTES)).max(1) as u32;
        let target = comparisons(2 * self.epsilon);
        // On uniform random images, a leaf of m keys is wrong by about half the root of m.
        let mut leaves = if self.leaves > 0 {
            self.leaves
        } else {
            (keys / (8 * self.epsilon.pow(2))).clamp(1, most)
        };
        loop {
            let root = Root::fit(images, leaves, self.root);
            let (layers, mean) = Layers::fit(images, root);
            if self.leaves > 0 || mean <= target {
                affordable(layers.encoded_bytes(), images.len(), self.over)?;
                return Ok(layers.encode());
            }
            if leaves >= most {
                return Err("no number of leaves that pays reaches the target window");
            }
            leaves = leaves.saturating_mul(4).min(most);
        }
    }
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

/// A fit of least squares; `None` if the points do not determine one.
fn regress(features: Array2<f64>, targets: Array1<f64>) -> Option<FittedLinearRegression<f64>> {
    let fitted = LinearRegression::new()
        .fit(&Dataset::new(features, targets))
        .ok()?;
    let finite =
        fitted.intercept().is_finite() && fitted.params().iter().all(|number| number.is_finite());
    finite.then_some(fitted)
}

/// A polynomial that never falls. Its variable is u = (image - first) * scale; if it is mirrored,
/// it is one minus a polynomial of 1 - u. Its terms have no negative coefficient, and rounding
/// keeps the order of each sum and product.
#[derive(Clone, Copy, Debug)]
struct Root {
    first: u64,
    scale: f64,
    mirrored: bool,
    constant: f64,
    coefficients: [f64; 3],
    leaves: u32,
}

/// The root is fitted to at most this many images, at even ranks.
const SAMPLE_MAX: usize = 1024;

impl Root {
    /// The fitting polynomial of the least squared error, curved one way or the other.
    fn fit(images: &[u64], leaves: u32, kind: RootKind) -> Self {
        let first = images[0];
        let last = images[images.len() - 1];
        let scale = 1.0 / (last - first) as f64;
        let flat = Self {
            first,
            scale,
            mirrored: false,
            constant: 0.0,
            coefficients: [0.0; 3],
            leaves,
        };
        let (degree, mirrors): (_, &[bool]) = match kind {
            RootKind::Linear => (1, &[false]),
            RootKind::Cubic => (3, &[false, true]),
        };
        let step = images.len().div_ceil(SAMPLE_MAX);
        let share = f64::from(leaves) / images.len() as f64;
        let sample: Vec<(u64, f64)> = (0..images.len())
            .step_by(step)
            .map(|rank| (images[rank], rank as f64 * share))
            .collect();
        let fits = mirrors.iter().map(|mirrored| {
            Self {
                mirrored: *mirrored,
                ..flat
            }
            .fitted(&sample, degree)
        });
        let squares = |root: &Self| {
            sample
                .iter()
                .map(|(image, leaf)| (root.value(*image) - leaf).powi(2))
                .sum::<f64>()
        };
        fits.min_by(|a, b| squares(a).total_cmp(&squares(b)))
            .unwrap_or(flat)
    }

    /// The polynomial of least squares without the powers whose coefficients are negative; the
    /// worst is dropped first.
    fn fitted(self, sample: &[(u64, f64)], degree: i32) -> Self {
        let mut powers: Vec<i32> = (1..=degree).collect();
        let mut fitted = self;
        while !powers.is_empty() {
            let features = Array2::from_shape_fn((sample.len(), powers.len()), |(row, column)| {
                self.position(sample[row].0).powi(powers[column])
            });
            let sign = if self.mirrored { -1.0 } else { 1.0 };
            let Some(fit) = regress(
                features,
                sample.iter().map(|(_, leaf)| leaf * sign).collect(),
            ) else {
                powers.pop();
                continue;
            };
            let worst =
                (0..powers.len()).min_by(|a, b| fit.params()[*a].total_cmp(&fit.params()[*b]));
            if let Some(worst) = worst.filter(|worst| fit.params()[*worst] < 0.0) {
                powers.remove(worst);
                continue;
            }
            fitted.constant = fit.intercept();
            for (power, coefficient) in powers.iter().zip(fit.params()) {
                fitted.coefficients[*power as usize - 1] = *coefficient;
            }
            break;
        }
        fitted
    }

    /// The position between the ends: from the first image on or, if mirrored, back from the last.
    fn position(&self, image: u64) -> f64 {
        let along = image.saturating_sub(self.first) as f64 * self.scale;
        if self.mirrored {
            (1.0 - along).max(0.0)
        } else {
            along
        }
    }

    fn value(&self, image: u64) -> f64 {
        let u = self.position(image);
        let [a, b, c] = self.coefficients;
        let value = self.constant + u * (a + u * (b + u * c));
        if self.mirrored { -value } else { value }
    }

    /// The leaf for an image. The cast rounds down and saturates.
    fn leaf(&self, image: u64) -> usize {
        (self.value(image) as usize).min(self.leaves as usize - 1)
    }

    fn encode(&self, encoded: &mut Vec<u8>) {
        encoded.put_u64_le(self.first);
        encoded.put_f64_le(self.scale);
        encoded.put_u8(u8::from(self.mirrored));
        encoded.put_f64_le(self.constant);
        for coefficient in self.coefficients {
            encoded.put_f64_le(coefficient);
        }
    }

    fn decode(encoded: &mut Bytes, leaves: u32) -> Option<Self> {
        let first = encoded.get_u64_le();
        let scale = encoded.get_f64_le();
        let mirrored = encoded.get_u8();
        let constant = encoded.get_f64_le();
        let coefficients = [(); 3].map(|()| encoded.get_f64_le());
        let rising = [scale]
            .iter()
            .chain(&coefficients)
            .all(|number| number.is_finite() && *number >= 0.0);
        let sound = leaves > 0 && mirrored <= 1 && constant.is_finite() && rising;
        sound.then_some(Self {
            first,
            scale,
            mirrored: mirrored == 1,
            constant,
            coefficients,
            leaves,
        })
    }
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
    let offsets = images
        .iter()
        .map(|image| (image - first) as f64 / span)
        .collect::<Array1<f64>>();
    let ranks = (0..images.len()).map(|rank| rank as f64).collect();
    let rise = regress(offsets.insert_axis(Axis(1)), ranks)
        .map_or((images.len() - 1) as f64, |fit| fit.params()[0]);
    rise.max(0.0) / span
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

    fn roots(images: &[u64]) -> Vec<Root> {
        [1, 7, 1000]
            .into_iter()
            .flat_map(|leaves| {
                [RootKind::Linear, RootKind::Cubic].map(|kind| Root::fit(images, leaves, kind))
            })
            .collect()
    }

    #[test]
    fn roots_never_fall() {
        let sets: [Vec<u64>; 4] = [
            (0..5000).map(|i| i * i * i).collect(),
            (0..5000)
                .map(|i| ((i as f64).sqrt() * 1e15) as u64)
                .collect(),
            (0..5000).map(|i| (1 << 63) + (i << (i / 200))).collect(),
            [0].into_iter()
                .chain((0..5000).map(|i| (1 << 63) + i))
                .chain([u64::MAX])
                .collect(),
        ];
        for images in sets {
            for root in roots(&images) {
                let first = images[0];
                let last = images[images.len() - 1];
                let near = |image: &u64| {
                    [
                        image.saturating_sub(1).max(first),
                        *image,
                        image.saturating_add(1),
                    ]
                };
                let mut asked: Vec<u64> = images.iter().flat_map(near).collect();
                asked.sort_unstable();
                let step = (last - first) / 20_000;
                let even = (0..20_000).map(|i| first + step * i);
                for asked in [asked, even.collect()] {
                    let leaves: Vec<usize> = asked.iter().map(|image| root.leaf(*image)).collect();
                    assert!(leaves.is_sorted(), "{root:?}");
                }
            }
        }
    }

    #[test]
    fn a_curved_root_suits_curved_images() {
        let concave: Vec<u64> = (0..10_000).map(|i| i * i * i).collect();
        let convex: Vec<u64> = concave
            .iter()
            .rev()
            .map(|image| concave[9999] - image)
            .collect();
        for images in [concave, convex] {
            let error = |kind| Layers::fit(&images, Root::fit(&images, 100, kind)).1;
            let cubic = error(RootKind::Cubic);
            let linear = error(RootKind::Linear);
            assert!(
                cubic < linear,
                "{cubic} and {linear}: {:?}",
                Root::fit(&images, 100, RootKind::Cubic)
            );
        }
    }

    #[test]
    fn linear_images_are_predicted_without_error() {
        for step in [1, 7] {
            let images: Vec<u64> = (0..100_000).map(|i| 1000 + step * i).collect();
            let (layers, mean) = Layers::fit(&images, Root::fit(&images, 1, RootKind::Cubic));
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

    /// Sorted images whose distribution function is `quantile`, at random.
    fn drawn(seed: u64, quantile: impl Fn(f64) -> f64) -> Vec<u64> {
        let mut draws = SplitMix64::new(seed);
        let mut images: Vec<u64> = (0..50_000)
            .map(|_| quantile(draws.fraction()) as u64)
            .collect();
        images.sort_unstable();
        images
    }

    /// Sets with tails, which a few leaves at the ends have to themselves.
    fn tailed() -> [Vec<u64>; 4] {
        let middle = (1_u64 << 62) as f64;
        let logistic = move |u: f64| (u.max(1e-9) / (1.0 - u)).ln();
        [
            // Close to a normal distribution, but with longer tails.
            drawn(1, move |u| middle + middle / 30.0 * logistic(u)),
            // Two such hills.
            drawn(2, move |u| {
                let hill = if u < 0.5 { 0.5 } else { 1.0 };
                middle * hill + middle / 60.0 * logistic(u * 2.0 % 1.0)
            }),
            // Exponential.
            drawn(3, move |u| -middle / 20.0 * (1.0 - u).ln()),
            // A power law.
            drawn(4, move |u| 1e12 * (1.0 - u).powf(-0.7)),
        ]
    }

    #[test]
    fn leaves_are_added_until_the_mean_key_needs_few_comparisons_whatever_the_tails_need() {
        for (set, images) in tailed().into_iter().enumerate() {
            for epsilon in [16, 64, 256] {
                let rmi = Rmi {
                    epsilon,
                    leaves: 0,
                    root: RootKind::Cubic,
                    over: Ranks::Entries,
                };
                let layers = rmi.layers(&images);
                let layers = layers.unwrap_or_else(|why| panic!("{set}, {epsilon}: {why}"));
                let layers = Layers::decode(Bytes::from(layers)).expect("it reads back");
                let width = |image: &u64| {
                    let window = layers.locate(*image);
                    window.hi - window.lo
                };
                let widths: Vec<u32> = images.iter().map(width).collect();
                let count = images.len() as f64;
                let mean = widths.iter().map(|width| comparisons(*width)).sum::<f64>() / count;
                assert!(mean <= comparisons(2 * epsilon), "{set}, {epsilon}: {mean}");
            }
        }
    }
}
