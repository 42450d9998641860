//! Random numbers of the laws that agents draw from, by `libm`: equal on every machine.

use crate::splitmix::SplitMix64;

/// A number of the standard normal law, by Box and Muller. Two draws.
pub(super) fn normal(draws: &mut SplitMix64) -> f64 {
    let radius = (-2.0 * libm::log(1.0 - draws.fraction())).sqrt();
    radius * libm::cos(std::f64::consts::TAU * draws.fraction())
}

/// A number of the gamma law of this shape, at least 1, and scale 1.
///
/// Source: Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", TOMS 26(3), 2000.
/// It takes three draws on most calls, and gives up after 64 trials with the mean.
pub(super) fn gamma(shape: f64, draws: &mut SplitMix64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    for _ in 0..64 {
        let x = normal(draws);
        let v = 1.0 + c * x;
        let v = v * v * v;
        let u = 1.0 - draws.fraction();
        if v > 0.0 && libm::log(u) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return d * v;
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let drawn: Vec<f64> = (0..20_000).map(|_| draw()).collect();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        let square = |x: &f64| (x - mean) * (x - mean);
        (mean, drawn.iter().map(square).sum::<f64>() / 20_000.0)
    }

    #[test]
    fn the_laws_have_their_moments() {
        let mut draws = SplitMix64::new(11);
        let (mean, variance) = moments(|| normal(&mut draws));
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05);
        for shape in [1.0, 2.5, 40.0] {
            let (mean, variance) = moments(|| gamma(shape, &mut draws));
            assert!((mean / shape - 1.0).abs() < 0.05, "{shape}: {mean}");
            assert!((variance / shape - 1.0).abs() < 0.1, "{shape}: {variance}");
        }
    }
}
