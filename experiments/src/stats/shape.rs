//! The shape of a sample: whether its mean says what a reader takes it to say.

use super::{Estimate, mean};

/// The least sample whose shape can be seen.
const PAIRS_MIN: usize = 6;

/// A sample that is not like a normal one. One in a hundred normal samples is taken for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// In which way.
    pub kind: ShapeKind,
    /// The middle of the sample, which a few large differences do not move.
    pub median: f64,
}

/// In which way a sample is not like a normal one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeKind {
    /// Large differences on one side.
    Skewed,
    /// Single differences far from all others.
    HeavyTailed,
}

/// Returns the shape of a sample if it is not like a normal one; `None` for fewer than six values.
pub fn shape(sample: &[f64]) -> Option<Shape> {
    let estimate = Estimate::of(sample).filter(|it| it.n >= PAIRS_MIN && it.sd > 0.0)?;
    let median = median(sample);
    let n = estimate.n as f64;
    if skewness(sample).abs() > 2.8 * skewness_error(n) {
        let kind = ShapeKind::Skewed;
        return Some(Shape { kind, median });
    }
    let distances: Vec<f64> = sample.iter().map(|d| (d - median).abs()).collect();
    let farthest = distances.iter().fold(0.0_f64, |far, d| far.max(*d));
    // The median distance, on the scale of a normal sample's standard deviation.
    let typical = 1.4826 * self::median(&distances);
    // The quantile of 99 % for normal samples, fitted to simulated ones.
    let kind = ShapeKind::HeavyTailed;
    (farthest > typical * (4.7 + 200.0 / (n * n))).then_some(Shape { kind, median })
}

/// The median of a sample; NaN if it is empty.
fn median(sample: &[f64]) -> f64 {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (_, None) => f64::NAN,
        (0, Some(upper)) => f64::midpoint(sorted[middle - 1], *upper),
        (_, Some(middle)) => *middle,
    }
}

/// The adjusted coefficient of Fisher and Pearson.
fn skewness(sample: &[f64]) -> f64 {
    let n = sample.len() as f64;
    let mean = mean(sample);
    let moment = |power| sample.iter().map(|d| (d - mean).powi(power)).sum::<f64>() / n;
    moment(3) / moment(2).powf(1.5) * (n * (n - 1.0)).sqrt() / (n - 2.0)
}

/// The standard error of the skewness of a normal sample.
fn skewness_error(n: f64) -> f64 {
    (6.0 * n * (n - 1.0) / ((n - 2.0) * (n + 1.0) * (n + 3.0))).sqrt()
}
