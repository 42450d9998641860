//! Paired statistics: how large is a difference, how sure, and what may be said of it.
//!
//! A sample is one difference a pair (B against A under the same seed): the logarithm of the ratio, or the plain
//! difference where values may be zero. Its mean has a Student interval, and its p-value comes from sign flips: if A and
//! B were the same, each difference could as well have had the other sign. Both hold under drift, because the two halves
//! of a pair meet the same disturbance; bootstrap intervals do not hold at these sample sizes and are not offered.
//! Source: Holm 1979; Benjamini and Hochberg 1995; Schuirmann 1987 (two one-sided tests).

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::metrics::Direction;

/// The least number of pairs whose sign-flip p-value can fall below 5 % (1/32 at six).
pub const PAIRS_MIN: usize = 6;

const ENUMERATED_PAIRS_MAX: usize = 20;
const DRAWS: u64 = 100_000;
const DRAWS_SEED: u64 = 0x5167_6e66_6c69_7073;
const LEVEL: f64 = 0.05;
const POWER: f64 = 0.9;
const PAIRS_TO_DECIDE_MAX: usize = 10_000;

/// What may be said of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The variant is better.
    Better,
    /// The variant is worse.
    Worse,
    /// The difference is smaller than the margin.
    Equivalent,
    /// There is a difference, in a metric of which neither way is better.
    Different,
    /// Nothing can be said yet.
    Undecided,
    /// One seed of a deterministic world: the difference is exact, and says nothing about other seeds.
    Exact,
}

impl Verdict {
    /// The word in tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Equivalent => "equivalent",
            Self::Different => "different",
            Self::Undecided => "undecided",
            Self::Exact => "exact",
        }
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
    /// The estimate of a sample; None with fewer than two pairs, which have no spread.
    pub fn of(sample: &[f64]) -> Option<Self> {
        let n = sample.len();
        if n < 2 {
            return None;
        }
        let mean = mean(sample);
        let squares: f64 = sample.iter().map(|d| (d - mean).powi(2)).sum();
        // Differences that are equal up to rounding have no spread: without this, the interval of a constant would
        // be a few units in the last place wide.
        let largest = sample
            .iter()
            .fold(0.0_f64, |largest, d| largest.max(d.abs()));
        let sd = (squares / (n - 1) as f64).sqrt();
        Some(Self {
            n,
            mean,
            sd: if sd <= largest * 1e-12 { 0.0 } else { sd },
        })
    }

    /// Half the width of the two-sided Student interval of `confidence`, such as 0.95.
    pub fn half_width(&self, confidence: f64) -> f64 {
        t_quantile(0.5 + confidence / 2.0, self.n - 1) * self.sd / (self.n as f64).sqrt()
    }

    /// The two-sided Student interval of `confidence`.
    pub fn interval(&self, confidence: f64) -> (f64, f64) {
        let half = self.half_width(confidence);
        (self.mean - half, self.mean + half)
    }

    /// The two-sided p-value of Student's test.
    pub fn student_p(&self) -> f64 {
        match (self.mean == 0.0, self.sd == 0.0) {
            (true, _) => 1.0,
            (false, true) => 0.0,
            (false, false) => {
                let t = self.mean.abs() / (self.sd / (self.n as f64).sqrt());
                2.0 * student(self.n - 1).sf(t)
            }
        }
    }

    /// Pairs that would decide with a chance of 90 % if mean and spread stayed as they are: either that the difference
    /// is not zero, or that it lies within `margin`. None where ten thousand would not.
    pub fn pairs_to_decide(&self, margin: f64) -> Option<usize> {
        let decides = |n: usize| {
            let error = self.sd / (n as f64).sqrt();
            let (t_test, t_margin, t_power) = (
                t_quantile(1.0 - LEVEL / 2.0, n - 1),
                t_quantile(1.0 - LEVEL, n - 1),
                t_quantile(POWER, n - 1),
            );
            let differs = self.mean != 0.0 && self.mean.abs() >= (t_test + t_power) * error;
            differs || margin - self.mean.abs() >= (t_margin + t_power) * error
        };
        // More pairs never decide less, so the least number is found by halving.
        let (mut low, mut high) = (PAIRS_MIN, PAIRS_TO_DECIDE_MAX);
        if !decides(high) {
            return None;
        }
        while low < high {
            let middle = usize::midpoint(low, high);
            if decides(middle) {
                high = middle
            } else {
                low = middle + 1
            }
        }
        Some(low)
    }
}

/// The mean; NaN of nothing.
pub fn mean(sample: &[f64]) -> f64 {
    sample.iter().sum::<f64>() / sample.len() as f64
}

fn student(freedom: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom as f64)
        .expect("a sample of two or more has at least one degree of freedom")
}

fn t_quantile(probability: f64, freedom: usize) -> f64 {
    student(freedom).inverse_cdf(probability)
}

/// The two-sided sign-flip p-value of a mean of zero: exact up to 20 pairs, from 100,000 seeded draws beyond.
pub fn sign_flip_p(sample: &[f64]) -> f64 {
    let observed = sample.iter().sum::<f64>().abs();
    // Sums that are equal on paper may differ in their last bits by the order of adding.
    let tolerance = sample.iter().map(|d| d.abs()).sum::<f64>() * 1e-12;
    let reached = |sum: f64| sum.abs() >= observed - tolerance;
    if sample.len() <= ENUMERATED_PAIRS_MAX {
        let count = enumerate_flips(sample, reached);
        return count as f64 / (1_u64 << sample.len()) as f64;
    }
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(DRAWS_SEED);
    let count = (0..DRAWS)
        .filter(|_| reached(flipped_sum(sample, &mut generator)))
        .count();
    (count + 1) as f64 / (DRAWS + 1) as f64
}

/// How many of the 2^n sums with signs satisfy `reached`. Gray code: each sum differs from the last in one sign.
fn enumerate_flips(sample: &[f64], reached: impl Fn(f64) -> bool) -> u64 {
    let mut signed = sample.to_vec();
    let mut sum: f64 = signed.iter().sum();
    let mut count = u64::from(reached(sum));
    for step in 1..1_u64 << sample.len() {
        let flip = step.trailing_zeros() as usize;
        signed[flip] = -signed[flip];
        sum += 2.0 * signed[flip];
        count += u64::from(reached(sum));
    }
    count
}

fn flipped_sum(sample: &[f64], generator: &mut impl Rng) -> f64 {
    let mut sum = 0.0;
    for chunk in sample.chunks(64) {
        let mut signs = generator.next_u64();
        for difference in chunk {
            sum += if signs & 1 == 0 {
                *difference
            } else {
                -difference
            };
            signs >>= 1;
        }
    }
    sum
}

/// Holm's step-down: p-values such that calling those below a level keeps the chance of one false call below it.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 0.0_f64;
    for (rank, &index) in ascending(p).iter().enumerate() {
        least = least.max((p[index] * (p.len() - rank) as f64).min(1.0));
        adjusted[index] = least;
    }
    adjusted
}

/// Benjamini and Hochberg's step-up: p-values such that of those called below a level at most that share is false.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![0.0; p.len()];
    let mut most = 1.0_f64;
    for (rank, &index) in ascending(p).iter().enumerate().rev() {
        most = most.min(p[index] * p.len() as f64 / (rank + 1) as f64);
        adjusted[index] = most;
    }
    adjusted
}

fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    order
}

/// The p-value before correction: by sign flips, or by Student's test between few seeds of a deterministic world, where
/// there is no drift to be robust against and flips cannot reach 5 %. None for fewer than two pairs.
pub fn p_value(sample: &[f64], noisy: bool) -> Option<f64> {
    let estimate = Estimate::of(sample)?;
    let flips = noisy || estimate.n >= PAIRS_MIN;
    Some(if flips {
        sign_flip_p(sample)
    } else {
        estimate.student_p()
    })
}

/// What a verdict rests on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// One difference a pair.
    pub sample: &'a [f64],
    /// The p-value after correction; not read with fewer than two pairs.
    pub p: f64,
    /// The difference that does not matter, on the sample's scale.
    pub margin: f64,
    /// Which way is better.
    pub direction: Direction,
    /// Whether the world adds noise of its own, so that fewer than six pairs decide nothing.
    pub noisy: bool,
}

impl Question<'_> {
    /// The verdict, and a remark where one is needed.
    pub fn verdict(&self) -> (Verdict, String) {
        let Some(estimate) = Estimate::of(self.sample) else {
            return match self.noisy {
                true => (Verdict::Undecided, "one sample".to_owned()),
                false => (Verdict::Exact, "exact for this seed".to_owned()),
            };
        };
        if self.noisy && estimate.n < PAIRS_MIN {
            return (
                Verdict::Undecided,
                format!("{} pairs; at least {PAIRS_MIN} are needed", estimate.n),
            );
        }
        if estimate.mean == 0.0 && estimate.sd == 0.0 {
            return (Verdict::Equivalent, "identical in every pair".to_owned());
        }
        let (low, high) = estimate.interval(1.0 - 2.0 * LEVEL);
        if low >= -self.margin && high <= self.margin {
            return (Verdict::Equivalent, String::new());
        }
        let (low, high) = estimate.interval(1.0 - LEVEL);
        if self.p < LEVEL && (low > 0.0 || high < 0.0) {
            return (self.decided(estimate.mean > 0.0), String::new());
        }
        let remark = match estimate.pairs_to_decide(self.margin) {
            Some(pairs) => format!("about {} pairs would decide", pairs.max(estimate.n + 1)),
            None => format!("more than {PAIRS_TO_DECIDE_MAX} pairs would be needed"),
        };
        (Verdict::Undecided, remark)
    }

    fn decided(&self, more: bool) -> Verdict {
        match (self.direction, more) {
            (Direction::Neutral, _) => Verdict::Different,
            (Direction::Higher, true) | (Direction::Lower, false) => Verdict::Better,
            (Direction::Higher, false) | (Direction::Lower, true) => Verdict::Worse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-6 * b.abs().max(1e-9)
    }

    /// Uniform in (0, 1).
    fn uniform(generator: &mut Xoshiro256PlusPlus) -> f64 {
        ((generator.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// A normal draw, by Box and Muller.
    fn normal(generator: &mut Xoshiro256PlusPlus) -> f64 {
        let radius = (-2.0 * uniform(generator).ln()).sqrt();
        radius * (std::f64::consts::TAU * uniform(generator)).cos()
    }

    #[test]
    fn intervals_agree_with_hand_computed_ones() {
        // 1..=5: mean 3, sd sqrt(2.5), standard error 0.7071068, t(0.975, 4) = 2.7764451.
        let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("five pairs");
        let (low, high) = estimate.interval(0.95);
        assert!(
            close(low, 3.0 - 1.963_243_1) && close(high, 3.0 + 1.963_243_1),
            "{low} {high}"
        );
        // t(0.95, 4) = 2.1318468.
        assert!(
            close(estimate.half_width(0.9), 1.507_443_3),
            "{}",
            estimate.half_width(0.9)
        );
        // Two pairs: t(0.975, 1) = 12.7062047; 1 and 3 have standard error 1.
        let two = Estimate::of(&[1.0, 3.0]).expect("two pairs");
        assert!(
            close(two.half_width(0.95), 12.706_204_7),
            "{}",
            two.half_width(0.95)
        );
        // t = 3 / 0.7071068 = 4.2426407 with 4 degrees of freedom: p = 0.0132356.
        assert!(
            (estimate.student_p() - 0.013_235_6).abs() < 1e-6,
            "{}",
            estimate.student_p()
        );
    }

    #[test]
    fn the_smallest_sign_flip_p_is_two_over_two_to_the_n() {
        for (pairs, p) in [(4, 0.125), (5, 0.0625), (6, 0.03125), (8, 0.0078125)] {
            let sample: Vec<f64> = (1..=pairs).map(|i| 0.1 * f64::from(i)).collect();
            assert_eq!(sign_flip_p(&sample), p, "{pairs} pairs");
        }
        // Of the 8 sums of +-1 +-2 +-4, all but +-1 reach 3 in size; 5 and 7 and 3 make six.
        assert_eq!(sign_flip_p(&[1.0, -2.0, 4.0]), 0.75);
        assert_eq!(sign_flip_p(&[0.0, 0.0]), 1.0);
    }

    #[test]
    fn drawn_flips_agree_with_enumerated_ones() {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(7);
        let sample: Vec<f64> = (0..20).map(|_| 0.4 + normal(&mut generator)).collect();
        let exact = sign_flip_p(&sample);
        let mut longer = sample.clone();
        longer.push(0.0);
        let drawn = sign_flip_p(&longer);
        assert!(
            (exact - drawn).abs() < 0.005,
            "a zero changes no sum: {exact} {drawn}"
        );
    }

    #[test]
    fn holm_and_benjamini_hochberg_agree_with_worked_examples() {
        let p = [0.01, 0.04, 0.03, 0.005];
        let expected = [0.03, 0.06, 0.06, 0.02];
        assert!(
            holm(&p).iter().zip(expected).all(|(a, b)| close(*a, b)),
            "{:?}",
            holm(&p)
        );
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "BH").
        let expected = [0.02, 0.04, 0.04, 0.02];
        let adjusted = benjamini_hochberg(&p);
        assert!(
            adjusted.iter().zip(expected).all(|(a, b)| close(*a, b)),
            "{adjusted:?}"
        );
        assert_eq!(holm(&[0.5, 0.9]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty() && benjamini_hochberg(&[]).is_empty());
    }

    #[test]
    fn pairs_to_decide_follow_the_power_of_the_t_test() {
        // Spread, difference, pairs for 90 % power at 5 %; six is the floor. The quantile formula is within one pair.
        for (sd, mean, pairs) in [
            (0.01, 0.01, 13),
            (0.01, 0.02, 6),
            (0.02, 0.01, 44),
            (0.04, 0.01, 171),
        ] {
            let estimate = Estimate { n: 6, mean, sd };
            let found = estimate
                .pairs_to_decide(0.0)
                .expect("a difference can be found");
            assert!(
                found.abs_diff(pairs) <= 1,
                "sd {sd}, difference {mean}: {found}"
            );
        }
        assert_eq!(
            Estimate {
                n: 6,
                mean: 0.0,
                sd: 0.01
            }
            .pairs_to_decide(0.0),
            None
        );
        let equivalent = Estimate {
            n: 6,
            mean: 0.0,
            sd: 0.01,
        }
        .pairs_to_decide(0.02);
        assert_eq!(equivalent, Some(6), "no difference is shown by the margin");
    }

    #[test]
    fn intervals_cover_the_truth_with_outliers() {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(2026);
        for n in [5, 10, 20, 30] {
            let quantile = t_quantile(0.975, n - 1);
            let covered = (0..4000)
                .filter(|_| {
                    let mut draw = || {
                        normal(&mut generator)
                            * if uniform(&mut generator) < 0.05 {
                                5.0
                            } else {
                                1.0
                            }
                    };
                    let sample: Vec<f64> = (0..n).map(|_| draw()).collect();
                    let estimate = Estimate::of(&sample).expect("a sample");
                    estimate.mean.abs() <= quantile * estimate.sd / (n as f64).sqrt()
                })
                .count();
            let coverage = covered as f64 / 4000.0;
            assert!(coverage >= 0.94, "seed 2026, n {n}: {coverage}");
        }
    }

    /// The share of significant results between equal sides, in interleaved pairs of random order under `drift`.
    fn false_positives(seed: u64, mut drift: impl FnMut(usize, f64) -> f64) -> f64 {
        const PAIRS: usize = 10;
        const REPETITIONS: usize = 4000;
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut significant = 0;
        for _ in 0..REPETITIONS {
            let mut run =
                |step: usize| drift(step, normal(&mut generator)) + 0.01 * normal(&mut generator);
            let runs: Vec<(f64, f64)> = (0..PAIRS)
                .map(|pair| (run(2 * pair), run(2 * pair + 1)))
                .collect();
            let mut in_order = |(first, second): &(f64, f64)| match generator.next_u64() & 1 {
                0 => second - first,
                _ => first - second,
            };
            let sample: Vec<f64> = runs.iter().map(&mut in_order).collect();
            significant += usize::from(sign_flip_p(&sample) < LEVEL);
        }
        significant as f64 / REPETITIONS as f64
    }

    #[test]
    fn drift_causes_no_more_false_positives_than_promised() {
        let linear = false_positives(1, |step, _| 0.04 * step as f64 / 20.0);
        let mut level = 0.0;
        let autoregressive = false_positives(2, |_, shock| {
            level = 0.9 * level + 0.01 * shock;
            level
        });
        let step = false_positives(3, |step, _| if step >= 9 { 0.05 } else { 0.0 });
        for (name, rate) in [
            ("linear", linear),
            ("AR(1)", autoregressive),
            ("step", step),
        ] {
            assert!(rate <= 0.06, "{name}: {rate}");
        }
    }

    fn verdict(
        sample: &[f64],
        direction: Direction,
        noisy: bool,
        margin: f64,
    ) -> (Verdict, String) {
        let p = p_value(sample, noisy).unwrap_or(1.0);
        Question {
            sample,
            p,
            margin,
            direction,
            noisy,
        }
        .verdict()
    }

    #[test]
    fn one_pair_decides_nothing() {
        assert_eq!(
            verdict(&[0.5], Direction::Higher, true, 0.02),
            (Verdict::Undecided, "one sample".to_owned())
        );
        assert_eq!(
            verdict(&[0.5], Direction::Higher, false, 0.02),
            (Verdict::Exact, "exact for this seed".to_owned())
        );
        assert_eq!(p_value(&[0.5], false), None);
    }

    #[test]
    fn noise_needs_six_pairs_and_seeds_two() {
        let few = [0.1, 0.11, 0.1, 0.105, 0.1];
        assert_eq!(
            verdict(&few, Direction::Higher, true, 0.02).0,
            Verdict::Undecided
        );
        assert!(
            verdict(&few, Direction::Higher, true, 0.02)
                .1
                .contains("at least 6")
        );
        assert_eq!(
            verdict(&few, Direction::Higher, false, 0.02).0,
            Verdict::Better
        );
        let six = [0.1, 0.11, 0.1, 0.105, 0.1, 0.1];
        assert_eq!(
            verdict(&six, Direction::Higher, true, 0.02).0,
            Verdict::Better
        );
        assert_eq!(
            verdict(&six, Direction::Lower, true, 0.02).0,
            Verdict::Worse
        );
        assert_eq!(
            verdict(&six, Direction::Neutral, true, 0.02).0,
            Verdict::Different
        );
    }

    #[test]
    fn a_difference_inside_the_margin_is_none() {
        let small = [0.001, 0.0012, 0.0011, 0.0009, 0.001, 0.001];
        assert_eq!(
            verdict(&small, Direction::Higher, true, 0.02).0,
            Verdict::Equivalent
        );
        assert_eq!(
            verdict(&small, Direction::Higher, true, 0.0).0,
            Verdict::Better
        );
        assert_eq!(
            verdict(&[0.0; 3], Direction::Higher, false, 0.0).1,
            "identical in every pair"
        );
        let wide = [0.1, -0.1, 0.2, -0.15, 0.05, 0.0];
        let (word, remark) = verdict(&wide, Direction::Higher, true, 0.02);
        assert_eq!(word, Verdict::Undecided);
        assert!(
            remark.starts_with("about ") && remark.ends_with(" pairs would decide"),
            "{remark}"
        );
    }
}
