//! A Gaussian process over a space of knobs: what outcomes are likely where none was measured.
//!
//! Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and
//! 5. The kernel is Matern 5/2 with one length per knob; two values of a nominal knob are one unit
//! apart. Lengths and noise maximise the marginal likelihood times a weak prior, by a seeded search
//! of fixed length: equal points give an equal surface.
//! Cost: a fit is some hundred factorings of O(n^3) for n points, a prediction O(n^2).

use super::chance::Chance;
use super::cholesky::{Cholesky, dot};
use super::space::Space;

/// Surfaces that are drawn before the best of them is improved.
const DRAWS: usize = 60;

/// Steps of improvement.
const STEPS: usize = 120;

/// The middle of the prior of lengths and noise shares, and how far they spread, as logarithms.
const LENGTH: (f64, f64) = (-0.7, 0.9);
const NOISE: (f64, f64) = (-7.0, 2.0);

/// The least share of noise, which keeps matrices positive.
const NOISE_MIN: f64 = 1e-6;

/// A value and its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prediction {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

/// What a surface is made of, beside its points.
#[derive(Clone, Debug)]
struct Shape {
    /// The logarithm of each knob's length.
    lengths: Vec<f64>,
    /// The logarithm of the noise's variance over the surface's.
    noise: f64,
}

/// A fitted surface.
#[derive(Clone, Debug)]
pub(crate) struct Surface {
    nominal: Vec<bool>,
    shape: Shape,
    points: Vec<Vec<f64>>,
    values: Vec<f64>,
    mean: f64,
    scale: f64,
    fit: Fit,
}

/// The algebra of a surface at its points.
#[derive(Clone, Debug)]
struct Fit {
    root: Cholesky,
    /// The inverse of the correlations times the values.
    weights: Vec<f64>,
    /// The surface's variance, in units of `scale`.
    variance: f64,
    log_posterior: f64,
}

impl Surface {
    /// Fits a surface through values at points; `None` with fewer than two points.
    pub(crate) fn fit(space: &Space, points: &[Vec<f64>], values: &[f64]) -> Option<Self> {
        if points.len() < 2 {
            return None;
        }
        let nominal: Vec<bool> = space.knobs.iter().map(|knob| knob.is_nominal()).collect();
        let (mean, scale) = standard(values);
        let scaled: Vec<f64> = values.iter().map(|value| (value - mean) / scale).collect();
        let mut chance = Chance::new(points.len() as u64);
        let mut draw = |around: &Shape, width: f64| Shape {
            lengths: around
                .lengths
                .iter()
                .map(|length| length + width * LENGTH.1 * chance.normal())
                .collect(),
            noise: around.noise + width * NOISE.1 * chance.normal(),
        };
        let middle = Shape {
            lengths: vec![LENGTH.0; space.dimensions()],
            noise: NOISE.0,
        };
        let kernel = |shape: &Shape| fitted(&nominal, shape, points, &scaled);
        let mut best = middle.clone();
        let mut fit = kernel(&best)?;
        for step in 0..DRAWS + STEPS {
            let shape = if step < DRAWS {
                draw(&middle, 1.0)
            } else {
                let width = 0.4 * (1.0 - (step - DRAWS) as f64 / STEPS as f64) + 0.05;
                draw(&best, width)
            };
            let better = kernel(&shape).filter(|it| it.log_posterior > fit.log_posterior);
            if let Some(better) = better {
                (best, fit) = (shape, better);
            }
        }
        Some(Self {
            shape: best,
            points: points.to_vec(),
            values: scaled,
            nominal,
            mean,
            scale,
            fit,
        })
    }

    /// Adds a point with the value that the surface has there, for the next point of a batch
    /// (Ginsbourger's kriging believer): it is no longer uncertain there.
    pub(crate) fn believe(&mut self, x: &[f64]) {
        let believed = self.predict(x).mean;
        self.points.push(x.to_vec());
        self.values.push((believed - self.mean) / self.scale);
        match fitted(&self.nominal, &self.shape, &self.points, &self.values) {
            Some(fit) => {
                let variance = self.fit.variance;
                self.fit = Fit { variance, ..fit };
            }
            None => {
                self.points.pop();
                self.values.pop();
            }
        }
    }

    /// The value at a point, with its uncertainty.
    pub(crate) fn predict(&self, x: &[f64]) -> Prediction {
        let near = self.correlations(x);
        let solved = self.fit.root.forward(&near);
        let left = (1.0 - dot(&solved, &solved)).max(0.0);
        Prediction {
            mean: self.mean + self.scale * dot(&near, &self.fit.weights),
            deviation: self.scale * (self.fit.variance * left).sqrt(),
        }
    }

    /// The value at a point.
    pub(crate) fn value(&self, x: &[f64]) -> f64 {
        self.mean + self.scale * dot(&self.correlations(x), &self.fit.weights)
    }

    fn correlations(&self, x: &[f64]) -> Vec<f64> {
        let inverse = self.shape.inverse_lengths();
        let points = self.points.iter();
        let near = |point: &Vec<f64>| correlation(&self.nominal, &inverse, point, x);
        points.map(near).collect()
    }

    /// The share of the values' variance that the surface foretells at each point without it
    /// (leave-one-out, Rasmussen and Williams 5.4.2), in O(n^3); 1 is perfect, 0 no better than the
    /// mean.
    pub(crate) fn foretold(&self) -> f64 {
        let count = self.values.len();
        let mut missed = 0.0;
        for left_out in 0..count {
            let mut unit = vec![0.0; count];
            unit[left_out] = 1.0;
            let miss = self.fit.weights[left_out] / self.fit.root.solve(&unit)[left_out];
            missed += miss * miss;
        }
        let (_, deviation) = standard(&self.values);
        (1.0 - missed / (count as f64 * deviation * deviation)).max(0.0)
    }
}

impl Shape {
    fn inverse_lengths(&self) -> Vec<f64> {
        let inverse = |length: &f64| libm::exp(-length);
        self.lengths.iter().map(inverse).collect()
    }

    /// The logarithm of the prior, up to a constant.
    fn log_prior(&self) -> f64 {
        let term = |value: f64, (middle, width): (f64, f64)| {
            let z = (value - middle) / width;
            -0.5 * z * z
        };
        let lengths = self.lengths.iter().map(|length| term(*length, LENGTH));
        lengths.sum::<f64>() + term(self.noise, NOISE)
    }
}

fn fitted(nominal: &[bool], shape: &Shape, points: &[Vec<f64>], values: &[f64]) -> Option<Fit> {
    let inverse = shape.inverse_lengths();
    let noise = libm::exp(shape.noise).clamp(NOISE_MIN, 1.0);
    let mut rows = Vec::with_capacity(points.len());
    for (at, point) in points.iter().enumerate() {
        let near = |other: &Vec<f64>| correlation(nominal, &inverse, point, other);
        let mut row: Vec<f64> = points[..at].iter().map(near).collect();
        row.push(1.0 + noise);
        rows.push(row);
    }
    let root = Cholesky::of(rows)?;
    let weights = root.solve(values);
    let count = points.len() as f64;
    let variance = (dot(values, &weights) / count).max(1e-12);
    let log_likelihood = -0.5 * (count * libm::log(variance) + root.log_determinant());
    Some(Fit {
        log_posterior: log_likelihood + shape.log_prior(),
        root,
        weights,
        variance,
    })
}

/// Matern 5/2.
fn correlation(nominal: &[bool], inverse: &[f64], one: &[f64], other: &[f64]) -> f64 {
    let mut squares = 0.0;
    for (at, inverse) in inverse.iter().enumerate() {
        let apart = if nominal[at] {
            f64::from(u8::from(one[at] != other[at]))
        } else {
            one[at] - other[at]
        };
        squares += (apart * inverse) * (apart * inverse);
    }
    let distance = (5.0 * squares).sqrt();
    (1.0 + distance + distance * distance / 3.0) * libm::exp(-distance)
}

/// Mean and standard deviation; 1 instead of a deviation of zero.
fn standard(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean) * (value - mean));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    (mean, if deviation > 0.0 { deviation } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimise::tests::{choice, number};

    #[test]
    fn a_smooth_function_is_foretold_between_its_points() {
        let space = Space {
            knobs: vec![
                number("x", 0.0, 1.0),
                number("none", 0.0, 1.0),
                choice("c", &["a", "b"]),
            ],
        };
        let truth = |x: &[f64]| (5.0 * x[0]).sin() + if x[2] > 0.5 { 3.0 } else { 0.0 };
        let mut chance = Chance::new(3);
        let mut draw = || space.snap(&[chance.uniform(), chance.uniform(), chance.uniform()]);
        let points: Vec<Vec<f64>> = (0..24).map(|_| draw()).collect();
        let values: Vec<f64> = points.iter().map(|x| truth(x)).collect();
        let surface = Surface::fit(&space, &points, &values).expect("there are points");
        for _ in 0..50 {
            let x = draw();
            let Prediction { mean, deviation } = surface.predict(&x);
            let miss = (mean - truth(&x)).abs();
            assert!(miss < 0.35, "{x:?}: {mean}, not {}", truth(&x));
            assert!(
                miss < 5.0 * deviation + 0.05,
                "{miss} is not within {deviation}"
            );
        }
        assert!(surface.foretold() > 0.95, "{}", surface.foretold());
        let mut believed = surface.clone();
        believed.believe(&[1.0, 1.0, 0.25]);
        let at = |surface: &Surface| surface.predict(&[1.0, 1.0, 0.25]);
        assert!(at(&believed).deviation < at(&surface).deviation);
        assert!((at(&believed).mean - at(&surface).mean).abs() < 1e-3);
    }
}
