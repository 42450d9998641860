//! Recursive least squares: a linear model of `N` features that learns from one example at a time.
//!
//! The inverse of the matrix of examples is kept by the formula of Sherman and Morrison, in
//! O(N^2) an example. With forgetting it follows what changes; without, it is ridge regression,
//! and `spread` is the variance that LinUCB explores by.

/// A linear model, and what is not known of it.
#[derive(Clone, Debug)]
pub(crate) struct Recursive<const N: usize> {
    weights: [f64; N],
    /// The inverse of the regularised matrix of examples.
    inverse: [[f64; N]; N],
}

/// The variance of a weight above which nothing more is forgotten: without examples in a
/// direction, forgetting would make it unbounded.
const VARIANCE_MAX: f64 = 1e4;

impl<const N: usize> Recursive<N> {
    /// A model that begins with `weights`, each of this variance.
    pub(crate) fn new(weights: [f64; N], variance: f64) -> Self {
        let mut inverse = [[0.0; N]; N];
        for (at, row) in inverse.iter_mut().enumerate() {
            row[at] = variance;
        }
        Self { weights, inverse }
    }

    /// A model with these weights and this inverse, as saved.
    pub(crate) fn of(weights: [f64; N], inverse: [[f64; N]; N]) -> Self {
        Self { weights, inverse }
    }

    pub(crate) fn weights(&self) -> &[f64; N] {
        &self.weights
    }

    pub(crate) fn inverse(&self) -> &[[f64; N]; N] {
        &self.inverse
    }

    pub(crate) fn predict(&self, features: &[f64; N]) -> f64 {
        dot(&self.weights, features)
    }

    /// x^T A^-1 x: how little is known in the direction of `features`.
    pub(crate) fn spread(&self, features: &[f64; N]) -> f64 {
        dot(&self.times(features), features).max(0.0)
    }

    /// Learns that `features` have the value `label`. What was learned before weighs `memory`
    /// times as much as it did, in (0, 1].
    pub(crate) fn learn(&mut self, features: &[f64; N], label: f64, memory: f64) {
        let along = self.times(features);
        let known = memory + dot(&along, features);
        if !(known.is_finite() && label.is_finite() && known > 0.0) {
            return;
        }
        let surprise = label - self.predict(features);
        let largest = (0..N).map(|at| self.inverse[at][at]).fold(0.0, f64::max);
        let memory = if largest > VARIANCE_MAX { 1.0 } else { memory };
        let rows = self.inverse.iter_mut().zip(&mut self.weights);
        for ((row, weight), along_row) in rows.zip(&along) {
            let gain = along_row / known;
            *weight += gain * surprise;
            for (value, along_column) in row.iter_mut().zip(&along) {
                *value = (*value - gain * along_column) / memory;
            }
        }
        self.symmetrise();
    }

    /// Makes the inverse symmetric, as it is but for rounding. Forgetting would enlarge each
    /// difference, and end after a thousand examples with a negative variance.
    fn symmetrise(&mut self) {
        for row in 1..N {
            for column in 0..row {
                let mean = f64::midpoint(self.inverse[row][column], self.inverse[column][row]);
                self.inverse[row][column] = mean;
                self.inverse[column][row] = mean;
            }
        }
    }

    /// Learns a little that weight `at` is `value`: as much as a prior of this variance loses by
    /// forgetting, if each weight has its turn. Without it, what examples do not show is noise.
    pub(crate) fn recall(&mut self, at: usize, value: f64, variance: f64, memory: f64) {
        let mut features = [0.0; N];
        let lost = (N as f64 * (1.0 - memory) / variance).sqrt();
        features[at % N] = lost;
        self.learn(&features, lost * value, 1.0);
    }

    fn times(&self, features: &[f64; N]) -> [f64; N] {
        std::array::from_fn(|row| dot(&self.inverse[row], features))
    }
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splitmix::SplitMix64;

    #[test]
    fn it_finds_a_plane_and_follows_when_it_moves() {
        let mut draws = SplitMix64::new(3);
        let mut model = Recursive::new([0.0; 3], 100.0);
        for turn in 0..400 {
            let x = [1.0, draws.fraction(), draws.fraction()];
            let slope = if turn < 200 { 2.0 } else { -1.0 };
            model.learn(&x, 3.0 + slope * x[1] + 5.0 * x[2], 0.95);
        }
        for (weight, expected) in model.weights().iter().zip([3.0, -1.0, 5.0]) {
            assert!((weight - expected).abs() < 1e-3, "{:?}", model.weights());
        }
    }

    #[test]
    fn without_forgetting_it_is_ridge_regression() {
        // One feature, variance 1: the weight is sum(xy) / (1 + sum(x^2)).
        let mut model = Recursive::new([0.0], 1.0);
        for (x, y) in [(1.0, 2.0), (2.0, 3.0), (-1.0, 0.5)] {
            model.learn(&[x], y, 1.0);
        }
        assert!((model.weights()[0] - 7.5 / 7.0).abs() < 1e-12);
        assert!((model.spread(&[2.0]) - 4.0 / 7.0).abs() < 1e-12);
    }

    #[test]
    fn what_examples_no_longer_show_returns_to_what_was_believed() {
        let mut model = Recursive::new([1.0, 2.0], 4.0);
        for _ in 0..100 {
            model.learn(&[1.0, 1.0], 9.0, 0.9);
        }
        // Many examples: forgetting must not let rounding grow.
        for turn in 0..20_000 {
            model.learn(&[1.0, 0.0], 3.0, 0.9);
            let at = turn % 2;
            model.recall(at, [1.0, 2.0][at], 4.0, 0.9);
        }
        let [shown, hidden] = *model.weights();
        assert!((shown - 3.0).abs() < 0.2, "{shown}");
        assert!((hidden - 2.0).abs() < 1e-3, "{hidden}");
    }

    #[test]
    fn what_is_never_seen_stays_bounded() {
        let mut model = Recursive::new([0.0; 2], 1.0);
        for _ in 0..10_000 {
            model.learn(&[1.0, 0.0], 1.0, 0.9);
        }
        assert!(model.spread(&[0.0, 1.0]) < 2.0 * VARIANCE_MAX);
        model.learn(&[f64::INFINITY, f64::NAN], f64::NAN, 0.9);
        assert!((model.predict(&[1.0, 0.0]) - 1.0).abs() < 1e-6);
    }
}
