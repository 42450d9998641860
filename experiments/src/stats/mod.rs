//! Paired statistics: how large a difference is, and how sure it is.
//!
//! A sample has one difference per pair (variant less baseline under the same seed): the logarithm
//! of the ratio, or the plain difference if values may be zero. Its mean has a Student interval.
//! Its p-value comes from Student's test in a simulation, where seeds are independent draws. In the
//! real world it comes from sign flips: if the variant equalled the baseline, each difference could
//! as well have had the other sign, whatever the drift. Both hold because the two halves of a pair
//! meet the same disturbance. A comparison that is looked at while it runs has a confidence
//! sequence instead. Bootstrap intervals do not hold at these sample sizes and are not
//! offered.
//!
//! [`verdict`] turns the numbers into a word.
//!
//! Source: Holm 1979; Benjamini and Hochberg 1995; Schuirmann 1987 (two one-sided tests); Berger
//! 1982 (the larger of their p-values is that of the intersection-union test).

mod anytime;
mod correction;
mod ranks;
mod shape;
mod sign_flip;
#[cfg(test)]
mod tests;
pub mod verdict;

use statrs::distribution::{ContinuousCDF, StudentsT};

pub use correction::{Claims, benjamini_hochberg, holm};
pub use ranks::{BLOCKS_GOOD, BLOCKS_MIN, Ranks};
pub use shape::{Shape, ShapeKind, shape};
pub use sign_flip::sign_flip_p;

/// The least number of pairs whose sign-flip p-value can fall below 5 % (1/32 at six): real runs
/// decide nothing with fewer.
pub const PAIRS_MIN: usize = 6;

/// The confidence of every interval that is shown.
pub const CONFIDENCE: f64 = 0.95;

/// The level of significance.
pub const LEVEL: f64 = 0.05;

/// The chance of deciding for which sample sizes are computed.
const POWER: f64 = 0.9;

/// The most pairs that are ever asked for.
const PAIRS_TO_DECIDE_MAX: usize = 10_000;

/// A range of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Whether both ends lie within `margin` of zero.
    pub fn is_within(&self, margin: f64) -> bool {
        self.low >= -margin && self.high <= margin
    }

    /// Whether zero lies outside.
    pub fn excludes_zero(self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// A sample's mean and spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Pairs.
    pub n: usize,
    /// The mean difference.
    pub mean: f64,
    /// The standard deviation of one difference.
    pub sd: f64,
}

impl Estimate {
    /// Estimates a sample. `None` with fewer than two pairs, which have no spread.
    pub fn of(sample: &[f64]) -> Option<Self> {
        let n = sample.len();
        if n < 2 {
            return None;
        }
        let mean = mean(sample);
        let squares: f64 = sample.iter().map(|d| (d - mean).powi(2)).sum();
        let sd = (squares / (n - 1) as f64).sqrt();
        // Differences that are equal up to rounding have no spread: without this, the interval of a
        // constant would be a few units in the last place wide.
        let largest = sample
            .iter()
            .fold(0.0_f64, |largest, d| largest.max(d.abs()));
        let is_constant = sd <= largest * 1e-12;
        Some(Self {
            n,
            mean,
            sd: if is_constant { 0.0 } else { sd },
        })
    }

    /// Half the width of the two-sided Student interval of `confidence`, such as 0.95.
    pub fn half_width(&self, confidence: f64) -> f64 {
        t_quantile(0.5 + confidence / 2.0, self.n - 1) * self.sd / (self.n as f64).sqrt()
    }

    /// The two-sided Student interval of `confidence`.
    pub fn interval(&self, confidence: f64) -> Interval {
        let half = self.half_width(confidence);
        Interval {
            low: self.mean - half,
            high: self.mean + half,
        }
    }

    /// The two-sided p-value of Student's test that the mean is zero.
    pub fn student_p(&self) -> f64 {
        if self.mean == 0.0 {
            1.0
        } else if self.sd == 0.0 {
            0.0
        } else {
            let t = self.mean.abs() / (self.sd / (self.n as f64).sqrt());
            2.0 * student(self.n - 1).sf(t)
        }
    }

    /// The p-value of the mean's being within `margin` of zero: the larger one of two one-sided
    /// Student's tests. A sample without spread is on one side for certain.
    pub fn equivalence_p(&self, margin: f64) -> f64 {
        let inside = margin - self.mean.abs();
        if self.sd == 0.0 {
            return if inside >= 0.0 { 0.0 } else { 1.0 };
        }
        student(self.n - 1).sf(inside / (self.sd / (self.n as f64).sqrt()))
    }

    /// Returns the pairs, at least `least`, that would decide by `test` with a chance of 90 %, if
    /// mean and spread stayed, as one of `comparisons`: either that the difference is not zero, or
    /// that it lies within `margin`. `None` if ten thousand would not be enough.
    pub fn pairs_to_decide(
        &self,
        test: Test,
        margin: f64,
        comparisons: usize,
        least: usize,
    ) -> Option<usize> {
        let level = LEVEL / comparisons.max(1) as f64;
        let mut low = least.max(2);
        let mut high = PAIRS_TO_DECIDE_MAX;
        if low > high || !test.would_decide(self, high, margin, level) {
            return None;
        }
        // More pairs never decide less, so halving finds the least number.
        while low < high {
            let middle = usize::midpoint(low, high);
            if test.would_decide(self, middle, margin, level) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(low)
    }

    /// The least difference that these pairs would call different by `test` with a chance of 90 %,
    /// as one of `comparisons`. `None` if so few can call nothing.
    pub fn least_difference(&self, test: Test, comparisons: usize) -> Option<f64> {
        if self.n < test.pairs_min(comparisons) {
            return None;
        }
        let level = LEVEL / comparisons.max(1) as f64;
        let half = match test {
            Test::Student | Test::SignFlips => self.half_width(1.0 - level),
            Test::Anytime => anytime::half_width(self.n, self.sd, level),
        };
        Some(half + t_quantile(POWER, self.n - 1) * self.sd / (self.n as f64).sqrt())
    }
}

/// The mean of a sample; NaN if it is empty.
pub fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / sample.len() as f64
}

/// The geometric mean of a sample of positive values; NaN if it is empty.
pub fn geometric_mean(sample: &[f64]) -> f64 {
    let logarithms: Vec<f64> = sample.iter().map(|value| value.ln()).collect();
    mean(&logarithms).exp()
}

fn student(freedom: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom as f64)
        .expect("a sample of two or more has at least one degree of freedom")
}

fn t_quantile(probability: f64, freedom: usize) -> f64 {
    student(freedom).inverse_cdf(probability)
}

/// How a p-value is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Student's test: seeds are independent draws, and any number of pairs from two on can decide.
    Student,
    /// Sign flips: holds under drift, and needs six pairs at least.
    SignFlips,
    /// A confidence sequence: holds however often one looks, from ten pairs on.
    Anytime,
}

impl Test {
    /// The test of comparisons that are looked at while they run (`sequential`), or of others in
    /// the real world or a simulation.
    pub fn of(sequential: bool, real: bool) -> Self {
        match (sequential, real) {
            (true, _) => Self::Anytime,
            (false, true) => Self::SignFlips,
            (false, false) => Self::Student,
        }
    }

    /// Returns the p-value before correction, or `None` for fewer than two pairs.
    pub fn p_value(self, sample: &[f64]) -> Option<f64> {
        let estimate = Estimate::of(sample)?;
        Some(match self {
            Self::Student => estimate.student_p(),
            Self::SignFlips => sign_flip_p(sample),
            Self::Anytime => anytime::p_value(&estimate, 0.0),
        })
    }

    /// The p-value of the mean's being within `margin` of zero.
    pub fn equivalence_p(self, estimate: &Estimate, margin: f64) -> f64 {
        match self {
            Self::Student | Self::SignFlips => estimate.equivalence_p(margin),
            Self::Anytime => anytime::equivalence_p(estimate, margin),
        }
    }

    /// The two-sided interval of `confidence`, such as 0.95; `None` before the first look.
    pub fn interval(self, estimate: &Estimate, confidence: f64) -> Option<Interval> {
        let half = match self {
            Self::Student | Self::SignFlips => estimate.half_width(confidence),
            Self::Anytime if estimate.n < anytime::FIRST_LOOK => return None,
            Self::Anytime => anytime::half_width(estimate.n, estimate.sd, 1.0 - confidence),
        };
        Some(Interval {
            low: estimate.mean - half,
            high: estimate.mean + half,
        })
    }

    /// Whether `n` pairs of this mean and spread would decide at `level`, with a chance of 90 %:
    /// that the mean is not zero, or that it lies within `margin`.
    fn would_decide(self, estimate: &Estimate, n: usize, margin: f64, level: f64) -> bool {
        let error = estimate.sd / (n as f64).sqrt();
        let power = t_quantile(POWER, n - 1) * error;
        let [differs, lies_within] = match self {
            Self::Student | Self::SignFlips => {
                [level / 2.0, level].map(|tail| t_quantile(1.0 - tail, n - 1) * error)
            }
            Self::Anytime => [anytime::half_width(n, estimate.sd, level); 2],
        };
        let away = estimate.mean.abs();
        estimate.mean != 0.0 && away >= differs + power || margin - away >= lies_within + power
    }

    /// The least pairs that can decide any of `comparisons` after correction; `usize::MAX` if no
    /// number can.
    pub fn pairs_min(self, comparisons: usize) -> usize {
        match self {
            Self::Student => 2,
            Self::Anytime => anytime::FIRST_LOOK,
            Self::SignFlips => {
                let can_decide =
                    |n: &usize| sign_flip::least_p(*n) * (comparisons.max(1) as f64) < LEVEL;
                let mut enumerated = PAIRS_MIN..=sign_flip::ENUMERATED_PAIRS_MAX + 1;
                enumerated.find(can_decide).unwrap_or(usize::MAX)
            }
        }
    }
}
