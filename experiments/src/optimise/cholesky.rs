//! Square roots of small symmetric matrices.

/// The lower triangle L, row by row: L times its transpose is a symmetric positive matrix.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cholesky {
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Factors a matrix of which the lower triangle is given, in O(n^3); `None` if it is not
    /// positive.
    pub(crate) fn of(mut rows: Vec<Vec<f64>>) -> Option<Self> {
        for at in 0..rows.len() {
            let (above, below) = rows.split_at_mut(at);
            let row = &mut below[0];
            for (column, other) in above.iter().enumerate() {
                let sum = dot(&row[..column], &other[..column]);
                row[column] = (row[column] - sum) / other[column];
            }
            let left = row[at] - dot(&row[..at], &row[..at]);
            if left.is_nan() || left <= 0.0 {
                return None;
            }
            row[at] = left.sqrt();
        }
        Some(Self { rows })
    }

    /// Solves L y = b.
    pub(crate) fn forward(&self, b: &[f64]) -> Vec<f64> {
        let mut y: Vec<f64> = Vec::with_capacity(b.len());
        for (row, b) in self.rows.iter().zip(b) {
            let at = y.len();
            y.push((b - dot(&row[..at], &y)) / row[at]);
        }
        y
    }

    /// Solves (L times its transpose) x = b.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.forward(b);
        for at in (0..x.len()).rev() {
            let later = at + 1..x.len();
            let sum: f64 = later.map(|other| self.rows[other][at] * x[other]).sum();
            x[at] = (x[at] - sum) / self.rows[at][at];
        }
        x
    }

    /// L times a vector.
    pub(crate) fn times(&self, z: &[f64]) -> Vec<f64> {
        let rows = self.rows.iter().enumerate();
        rows.map(|(at, row)| dot(&row[..=at], &z[..=at])).collect()
    }

    /// The logarithm of the matrix's determinant.
    pub(crate) fn log_determinant(&self) -> f64 {
        let diagonal = self.rows.iter().enumerate();
        2.0 * diagonal.map(|(at, row)| libm::log(row[at])).sum::<f64>()
    }
}

/// The sum of products, in order.
pub(crate) fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_solved_and_a_matrix_that_is_not_positive_refused() {
        let matrix = vec![vec![4.0], vec![2.0, 5.0], vec![1.0, 3.0, 6.0]];
        let root = Cholesky::of(matrix).expect("it is positive");
        let x = root.solve(&[11.0, 21.0, 25.0]);
        for (found, expected) in x.iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-12, "{x:?}");
        }
        // 4 (30 - 9) - 2 (12 - 3) + 1 (6 - 5) = 67.
        assert!((root.log_determinant() - 67_f64.ln()).abs() < 1e-12);
        assert_eq!(Cholesky::of(vec![vec![1.0], vec![2.0, 1.0]]), None);
    }
}
