//! The roots of an RMI: curves that never fall, from images to leaves.

use bytes::{Buf, BufMut, Bytes};
use linfa::Dataset;
use linfa::traits::Fit;
use linfa_linear::{FittedLinearRegression, LinearRegression};
use ndarray::{Array1, Array2};

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub(super) enum RootKind {
    Auto,
    Linear,
    Cubic,
    Radix,
    Logarithmic,
}

impl RootKind {
    /// The roots to choose from, the cheapest to evaluate first.
    pub(super) fn candidates(self) -> Vec<Self> {
        match self {
            Self::Auto => vec![Self::Radix, Self::Linear, Self::Cubic, Self::Logarithmic],
            one => vec![one],
        }
    }
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

/// What a root does with the distance of an image from the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A polynomial of the distance or, if `logarithmic`, of its logarithm, as a share of the
    /// whole. If `mirrored`, it is one minus a polynomial of one minus the share.
    Polynomial { mirrored: bool, logarithmic: bool },
    /// The distance without its lowest bits.
    Shift(u32),
}

/// A curve that never falls, from images to leaves. A polynomial's terms have no negative
/// coefficient, and rounding keeps the order of each sum and product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root {
    pub(super) first: u64,
    scale: f64,
    form: Form,
    constant: f64,
    coefficients: [f64; 3],
    pub(super) leaves: u32,
}

/// The root is fitted to at most this many images, at even ranks.
const SAMPLE_MAX: usize = 1024;

/// About 52 bits of the binary logarithm: the exponent and the mantissa of a double, which lie on
/// the chords of the logarithm between powers of two. It grows with the distance.
fn logarithm(distance: f64) -> f64 {
    ((distance + 1.0).to_bits() - 1.0_f64.to_bits()) as f64
}

impl Root {
    /// The curve of the least squared error of its kind, for one leaf. It is a polynomial curved
    /// one way or the other.
    pub(super) fn fit(images: &[u64], kind: RootKind) -> Self {
        let first = images[0];
        let span = images[images.len() - 1] - first;
        let logarithmic = kind == RootKind::Logarithmic;
        let whole = if logarithmic {
            logarithm(span as f64)
        } else {
            span as f64
        };
        let flat = |mirrored| Self {
            first,
            scale: 1.0 / whole,
            form: Form::Polynomial {
                mirrored,
                logarithmic,
            },
            constant: 0.0,
            coefficients: [0.0; 3],
            leaves: 1,
        };
        let (degree, mirrors): (_, &[bool]) = match kind {
            RootKind::Radix => return flat(false).shifting(span),
            RootKind::Linear => (1, &[false]),
            RootKind::Auto | RootKind::Cubic | RootKind::Logarithmic => (3, &[false, true]),
        };
        let step = images.len().div_ceil(SAMPLE_MAX);
        let sample: Vec<(u64, f64)> = (0..images.len())
            .step_by(step)
            .map(|rank| (images[rank], rank as f64 / images.len() as f64))
            .collect();
        let squares = |root: &Self| {
            sample
                .iter()
                .map(|(image, share)| (root.value(*image) - share).powi(2))
                .sum::<f64>()
        };
        mirrors
            .iter()
            .map(|mirrored| flat(*mirrored).fitted(&sample, degree))
            .min_by(|a, b| squares(a).total_cmp(&squares(b)))
            .unwrap_or(flat(false))
    }

    /// A shift that leaves no bit of the span.
    fn shifting(self, span: u64) -> Self {
        Self {
            coefficients: [1.0, 0.0, 0.0],
            ..self.shifted(u64::BITS - span.leading_zeros())
        }
    }

    fn shifted(self, bits: u32) -> Self {
        Self {
            scale: 0.5_f64.powi(bits as i32),
            form: Form::Shift(bits),
            ..self
        }
    }

    /// A curve for one leaf, stretched to `leaves`; a shift to the power of two below.
    pub(super) fn with_leaves(self, leaves: u32) -> Self {
        let stretched = match self.form {
            Form::Shift(bits) => {
                let one_leaf = bits + self.leaves.ilog2();
                self.shifted(one_leaf.saturating_sub(leaves.ilog2()))
            }
            Form::Polynomial { .. } => {
                let stretch = f64::from(leaves) / f64::from(self.leaves);
                Self {
                    constant: self.constant * stretch,
                    coefficients: self.coefficients.map(|number| number * stretch),
                    ..self
                }
            }
        };
        Self {
            leaves,
            ..stretched
        }
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
            let sign = if self.is_mirrored() { -1.0 } else { 1.0 };
            let Some(fit) = regress(
                features,
                sample.iter().map(|(_, share)| share * sign).collect(),
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

    fn is_mirrored(&self) -> bool {
        matches!(self.form, Form::Polynomial { mirrored: true, .. })
    }

    /// The share of the way between the ends: from the first image on or, if mirrored, back from
    /// the last.
    fn position(&self, image: u64) -> f64 {
        let distance = image.saturating_sub(self.first) as f64;
        let along = match self.form {
            Form::Polynomial {
                logarithmic: true, ..
            } => logarithm(distance) * self.scale,
            Form::Polynomial { .. } | Form::Shift(_) => distance * self.scale,
        };
        if self.is_mirrored() {
            (1.0 - along).max(0.0)
        } else {
            along
        }
    }

    fn value(&self, image: u64) -> f64 {
        let u = self.position(image);
        let [a, b, c] = self.coefficients;
        let value = self.constant + u * (a + u * (b + u * c));
        if self.is_mirrored() { -value } else { value }
    }

    /// The leaf for an image. The cast rounds down and saturates.
    pub(super) fn leaf(&self, image: u64) -> usize {
        let leaf = match self.form {
            Form::Shift(bits) => image
                .saturating_sub(self.first)
                .checked_shr(bits)
                .unwrap_or(0) as usize,
            Form::Polynomial { .. } => self.value(image) as usize,
        };
        leaf.min(self.leaves as usize - 1)
    }

    pub(super) fn encode(&self, encoded: &mut Vec<u8>) {
        encoded.put_u64_le(self.first);
        encoded.put_f64_le(self.scale);
        encoded.put_u8(match self.form {
            Form::Polynomial {
                mirrored,
                logarithmic,
            } => u8::from(mirrored) + 2 * u8::from(logarithmic),
            Form::Shift(_) => SHIFT,
        });
        encoded.put_f64_le(self.constant);
        for coefficient in self.coefficients {
            encoded.put_f64_le(coefficient);
        }
    }

    pub(super) fn decode(encoded: &mut Bytes, leaves: u32) -> Option<Self> {
        let first = encoded.get_u64_le();
        let scale = encoded.get_f64_le();
        let form = match encoded.get_u8() {
            form @ 0..SHIFT => Form::Polynomial {
                mirrored: form & 1 > 0,
                logarithmic: form & 2 > 0,
            },
            SHIFT => Form::Shift((0..=64).find(|bits| 0.5_f64.powi(*bits) == scale)? as u32),
            _ => return None,
        };
        let constant = encoded.get_f64_le();
        let coefficients = [(); 3].map(|()| encoded.get_f64_le());
        let rising = [scale]
            .iter()
            .chain(&coefficients)
            .all(|number| number.is_finite() && *number >= 0.0);
        (leaves > 0 && constant.is_finite() && rising).then_some(Self {
            first,
            scale,
            form,
            constant,
            coefficients,
            leaves,
        })
    }
}

/// The form of a shift, after those of polynomials.
const SHIFT: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(images: &[u64]) -> Vec<Root> {
        [1, 7, 1000]
            .into_iter()
            .flat_map(|leaves| {
                let kinds = RootKind::Auto.candidates().into_iter();
                kinds.map(move |kind| Root::fit(images, kind).with_leaves(leaves))
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
}
