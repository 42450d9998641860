//! Corrections of p-values for being several.

/// Holm's step-down correction. Calling the returned p-values below a level significant keeps the
/// chance of one false call below that level.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 0.0_f64;
    for (rank, &index) in ascending(p).iter().enumerate() {
        least = least.max((p[index] * (p.len() - rank) as f64).min(1.0));
        adjusted[index] = least;
    }
    adjusted
}

/// The p-values of what may be claimed of one comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claims {
    /// Of there being a difference.
    pub difference: f64,
    /// Of the difference being smaller than the margin.
    pub equivalence: f64,
}

impl Claims {
    /// Corrects the claims of several comparisons: the two kinds apart, each by `correct`.
    pub fn corrected(claims: &[Self], correct: fn(&[f64]) -> Vec<f64>) -> Vec<Self> {
        let of_kind = |kind: fn(&Self) -> f64| {
            let p_values: Vec<f64> = claims.iter().map(kind).collect();
            correct(&p_values)
        };
        let differences = of_kind(|claims| claims.difference).into_iter();
        let equivalences = of_kind(|claims| claims.equivalence);
        differences
            .zip(equivalences)
            .map(|(difference, equivalence)| Self {
                difference,
                equivalence,
            })
            .collect()
    }
}

/// Benjamini and Hochberg's step-up correction. Of the returned p-values below a level, at most
/// that share is expected to be a false call.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    let mut most = 1.0_f64;
    for (rank, &index) in ascending(p).iter().enumerate().rev() {
        most = most.min(p[index] * p.len() as f64 / (rank + 1) as f64);
        adjusted[index] = most;
    }
    adjusted
}

/// The indices of `p`, smallest value first.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    order
}
