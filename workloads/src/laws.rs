//! Continuous laws that sizes and gaps between arrivals are drawn from, by the crate rand_distr.
//!
//! Their streams are pinned by golden draws (`tests/laws.rs`), because a new version of rand_distr
//! may change them. Where num-traits is built with `std`, as in `aura`, rand_distr uses the
//! platform's logarithms and powers, which may differ in their last bit. Draws are rounded to whole
//! bytes and nanoseconds, so for draws around a million a difference between platforms shows about
//! once in 10^10. The laws of `distributions/` and Poisson arrivals use libm, and never differ.

use rand_distr::{Distribution, Gamma, LogNormal, Pareto, Weibull};

use crate::seed::Generator;

/// A law over the positive numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Law {
    Lognormal(LogNormal<f64>),
    Pareto(Pareto<f64>),
    Gamma(Gamma<f64>),
    Weibull(Weibull<f64>),
    GeneralizedPareto { k: f64, sigma: f64, theta: f64 },
}

impl Law {
    /// The logarithm is normal with standard deviation `sigma`; half of the draws are below
    /// `median`.
    pub(crate) fn lognormal(median: f64, sigma: f64) -> Option<Self> {
        LogNormal::new(libm::log(median), sigma)
            .ok()
            .map(Self::Lognormal)
    }

    /// A draw exceeds x >= `scale` with probability (`scale` / x)^`shape`.
    pub(crate) fn pareto(scale: f64, shape: f64) -> Option<Self> {
        Pareto::new(scale, shape).ok().map(Self::Pareto)
    }

    /// Mean `shape` * `scale`, coefficient of variation 1 / sqrt(`shape`).
    pub(crate) fn gamma(shape: f64, scale: f64) -> Option<Self> {
        Gamma::new(shape, scale).ok().map(Self::Gamma)
    }

    /// A draw exceeds x with probability exp(-(x / `scale`)^`shape`).
    pub(crate) fn weibull(shape: f64, scale: f64) -> Option<Self> {
        Weibull::new(scale, shape).ok().map(Self::Weibull)
    }

    /// A draw exceeds x >= `theta` with probability (1 + `k` (x - `theta`) / `sigma`)^(-1 / `k`).
    /// By inversion, at the cost of a power. Source: Cao et al., FAST 2020; RocksDB's db_bench.
    pub(crate) fn generalized_pareto(k: f64, sigma: f64, theta: f64) -> Option<Self> {
        let is_law = k >= 0.0 && sigma > 0.0 && [k, sigma, theta].iter().all(|it| it.is_finite());
        is_law.then_some(Self::GeneralizedPareto { k, sigma, theta })
    }

    /// One draw.
    pub(crate) fn draw(&self, generator: &mut Generator) -> f64 {
        match *self {
            Self::Lognormal(law) => law.sample(generator.bit_source()),
            Self::Pareto(law) => law.sample(generator.bit_source()),
            Self::Gamma(law) => law.sample(generator.bit_source()),
            Self::Weibull(law) => law.sample(generator.bit_source()),
            Self::GeneralizedPareto { k, sigma, theta } => {
                // In (0, 1]: no draw is infinite.
                let u = 1.0 - generator.unit();
                theta
                    + if k == 0.0 {
                        -sigma * libm::log(u)
                    } else {
                        sigma * (libm::pow(u, -k) - 1.0) / k
                    }
            }
        }
    }
}
