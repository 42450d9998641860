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

/// Holm's step-down correction of all claims together. Calling the returned p-values below a level
/// significant keeps the chance of one false claim, of either kind, below that level.
///
/// At most one claim of a comparison can be false: with a difference of zero it is the one of a
/// difference, with one of the margin or more the one of equivalence. So each p-value is multiplied
/// by the number of comparisons of which a claim is left, not by the number of claims.
///
/// Source: Shaffer, "Modified Sequentially Rejective Multiple Test Procedures", JASA 1986.
pub fn holm_of_claims(p: &[Claims]) -> Vec<Claims> {
    let flat: Vec<f64> = p
        .iter()
        .flat_map(|claims| [claims.difference, claims.equivalence])
        .collect();
    let mut adjusted = flat.clone();
    let mut claims_left = vec![2_u8; p.len()];
    let mut comparisons_left = p.len();
    let mut least = 0.0_f64;
    for index in ascending(&flat) {
        least = least.max((flat[index] * comparisons_left as f64).min(1.0));
        adjusted[index] = least;
        claims_left[index / 2] -= 1;
        comparisons_left -= usize::from(claims_left[index / 2] == 0);
    }
    let claims = |pair: &[f64]| Claims {
        difference: pair[0],
        equivalence: pair[1],
    };
    adjusted.chunks_exact(2).map(claims).collect()
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
