//! A linear model of `N` features, trained in batches.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2};

/// The ridge: each weight is pulled towards zero as by this fraction of an example. It makes every
/// batch solvable, also one in which features are constant or agree.
const RIDGE: f64 = 0.1;

/// Examples with their labels, up to a batch.
pub(super) struct Examples<const N: usize> {
    features: Vec<[f32; N]>,
    labels: Vec<f32>,
    batch: usize,
}

impl<const N: usize> Examples<N> {
    pub(super) fn new(batch: usize) -> Self {
        Self {
            features: Vec::with_capacity(batch),
            labels: Vec::with_capacity(batch),
            batch,
        }
    }

    /// Adds an example. Returns whether the batch is full.
    pub(super) fn push(&mut self, features: &[f32; N], label: f32) -> bool {
        self.features.push(*features);
        self.labels.push(label);
        self.labels.len() >= self.batch
    }

    /// Returns the model that fits the batch best and empties the batch; `None` if no finite model
    /// was found.
    pub(super) fn train(&mut self) -> Option<Model<N>> {
        let rows = self.labels.len();
        let ridge = RIDGE.sqrt();
        let value = |(row, column): (usize, usize)| match self.features.get(row) {
            Some(features) => f64::from(features[column]),
            None if row - rows == column => ridge,
            None => 0.0,
        };
        let features = Array2::from_shape_fn((rows + N, N), value);
        let labels = Array1::from_shape_fn(rows + N, |row| {
            self.labels.get(row).copied().map_or(0.0, f64::from)
        });
        self.features.clear();
        self.labels.clear();
        let fitted = LinearRegression::new()
            .with_intercept(false)
            .fit(&Dataset::new(features, labels))
            .ok()?;
        let weights: [f32; N] = std::array::from_fn(|feature| fitted.params()[feature] as f32);
        weights
            .iter()
            .all(|weight| weight.is_finite())
            .then_some(Model { weights })
    }

    pub(super) fn memory_bytes(&self) -> u64 {
        (self.features.capacity() * size_of::<[f32; N]>()
            + self.labels.capacity() * size_of::<f32>()) as u64
    }
}

/// One weight for each feature.
pub(super) struct Model<const N: usize> {
    weights: [f32; N],
}

impl<const N: usize> Model<N> {
    #[inline]
    pub(super) fn predict(&self, features: &[f32; N]) -> f32 {
        self.weights
            .iter()
            .zip(features)
            .map(|(weight, feature)| weight * feature)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_and_a_constant_feature_does_no_harm() {
        let mut examples: Examples<4> = Examples::new(1000);
        for i in 0..1000u16 {
            let x = f32::from(i % 37);
            let y = f32::from(i % 11);
            // The last feature is always zero, the first always one.
            let full = examples.push(&[1.0, x, y, 0.0], 3.0 + 2.0 * x - y);
            assert_eq!(full, i == 999);
        }
        let model = examples.train().expect("a model");
        let predicted = model.predict(&[1.0, 10.0, 4.0, 0.0]);
        assert!((predicted - 19.0).abs() < 0.01, "{predicted}");
        assert!(
            examples
                .train()
                .is_some_and(|empty| empty.predict(&[1.0; 4]) == 0.0),
            "the batch was not emptied"
        );
    }
}
