//! Statistics against hand-computed values and simulated samples.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::verdict::{Judgement, Question, Verdict};
use super::*;
use crate::metrics::Direction;

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
    let Interval { low, high } = estimate.interval(0.95);
    assert!(close(low, 3.0 - 1.963_243_1), "{low}");
    assert!(close(high, 3.0 + 1.963_243_1), "{high}");
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
fn the_larger_of_two_one_sided_tests_is_the_p_value_of_equivalence() {
    // Mean 3, standard error 0.7071068, 4 degrees of freedom: t = (4.5 - 3) / 0.7071068 = 2.1213.
    let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("five pairs");
    let p = estimate.equivalence_p(4.5);
    assert!((p - 0.050_595_8).abs() < 1e-6, "{p}");
    // The half-width of the 90 % interval is 1.5074433: it ends at the margin where p is 5 %.
    let p = estimate.equivalence_p(3.0 + 1.507_443_3);
    assert!((p - 0.05).abs() < 1e-6, "{p}");
    assert!(estimate.equivalence_p(2.0) > 0.5, "the mean is outside");
    let constant = Estimate::of(&[0.5; 3]).expect("three pairs");
    assert_eq!(constant.equivalence_p(0.5), 0.0);
    assert_eq!(constant.equivalence_p(0.4), 1.0);
}

/// How often a family of comparisons has a false claim.
#[derive(Debug)]
struct FalseClaims {
    /// Of a difference where there is no difference.
    difference: f64,
    /// Of equivalence where the difference is the margin or more.
    equivalence: f64,
}

/// The false claims in families of `differences`, in units of the spread.
fn false_claims(
    seed: u64,
    differences: &[f64],
    margin: f64,
    correct: fn(&[f64]) -> Vec<f64>,
) -> FalseClaims {
    const PAIRS: usize = 8;
    const FAMILIES: usize = 4000;
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut counts = [0_usize; 2];
    for _ in 0..FAMILIES {
        let mut p_values = Vec::new();
        for difference in differences {
            let pairs = 0..PAIRS;
            let sample: Vec<f64> = pairs.map(|_| difference + normal(&mut generator)).collect();
            let estimate = Estimate::of(&sample).expect("eight pairs");
            p_values.push(Claims {
                difference: estimate.student_p(),
                equivalence: estimate.equivalence_p(margin),
            });
        }
        let corrected = Claims::corrected(&p_values, correct);
        let any = |is_false: fn(&Claims, f64, f64) -> bool| {
            let mut claims = corrected.iter().zip(differences);
            claims.any(|(claims, difference)| is_false(claims, difference.abs(), margin))
        };
        counts[0] += usize::from(any(|claims, difference, _| {
            difference == 0.0 && claims.difference < LEVEL
        }));
        counts[1] += usize::from(any(|claims, difference, margin| {
            difference >= margin && claims.equivalence < LEVEL
        }));
    }
    let share = |count: usize| count as f64 / FAMILIES as f64;
    FalseClaims {
        difference: share(counts[0]),
        equivalence: share(counts[1]),
    }
}

#[test]
fn claims_of_a_family_are_false_no_more_often_than_promised() {
    let margin = 3.0;
    let at_the_margin = [margin; 12];
    let on_both_sides = [-margin, margin, -margin, margin, -margin, margin];
    let equal = [0.0; 12];
    let mixed = [
        0.0, margin, 0.0, -margin, 0.0, margin, 0.0, margin, 1.0, 9.0,
    ];
    // Three standard errors of 4000 families at 5 %.
    let most = LEVEL + 3.0 * (LEVEL * (1.0 - LEVEL) / 4000.0_f64).sqrt();
    for (seed, differences) in [
        (1, &at_the_margin[..]),
        (2, &on_both_sides),
        (3, &equal),
        (4, &mixed),
    ] {
        let found = false_claims(seed, differences, margin, holm);
        assert!(found.difference <= most, "seed {seed}: {found:?}");
        assert!(found.equivalence <= most, "seed {seed}: {found:?}");
    }
    // The correction is needed, and no stricter than that.
    let uncorrected = false_claims(1, &at_the_margin, margin, <[f64]>::to_vec);
    assert!(uncorrected.equivalence > 0.4, "{uncorrected:?}");
    let found = false_claims(1, &at_the_margin, margin, holm);
    assert!(found.equivalence > 0.03, "{found:?}");
}

#[test]
fn pairs_to_decide_follow_the_power_of_the_t_test() {
    // Spread, difference, pairs for 90 % power at 5 %; six is the floor. The quantile formula is
    // within one pair.
    for (sd, mean, pairs) in [
        (0.01, 0.01, 13),
        (0.01, 0.02, 6),
        (0.02, 0.01, 44),
        (0.04, 0.01, 171),
    ] {
        let estimate = Estimate { n: 6, mean, sd };
        let found = estimate
            .pairs_to_decide(Test::SignFlips, 0.0, 1, PAIRS_MIN)
            .expect("a difference can be found");
        assert!(
            found.abs_diff(pairs) <= 1,
            "sd {sd}, difference {mean}: {found}"
        );
    }
    let no_difference = Estimate {
        n: 6,
        mean: 0.0,
        sd: 0.01,
    };
    let decide = |margin| no_difference.pairs_to_decide(Test::SignFlips, margin, 1, PAIRS_MIN);
    assert_eq!(decide(0.0), None);
    assert_eq!(decide(0.02), Some(6));
}

#[test]
fn the_least_difference_is_what_as_many_pairs_would_decide() {
    for test in [Test::SignFlips, Test::Anytime] {
        let pilot = Estimate {
            n: 30,
            mean: 0.0,
            sd: 0.02,
        };
        let mean = pilot.least_difference(test, 2).expect("30 are enough");
        let found = Estimate { mean, ..pilot };
        assert_eq!(found.pairs_to_decide(test, 0.0, 2, 2), Some(30), "{test:?}");
        let few = Estimate { n: 5, ..pilot };
        assert_eq!(few.least_difference(test, 1), None);
    }
}

/// The share of runs without a difference in which one is claimed at some look from `first` pairs
/// on to sixty.
fn claims_at_some_look(first: usize, claims: fn(&Estimate, &[f64]) -> bool) -> f64 {
    const RUNS: usize = 2000;
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(44);
    let claimed = (0..RUNS).filter(|_| {
        let sample: Vec<f64> = (0..60).map(|_| normal(&mut generator)).collect();
        (first..=60).any(|n| {
            let seen = &sample[..n];
            claims(&Estimate::of(seen).expect("two or more"), seen)
        })
    });
    claimed.count() as f64 / RUNS as f64
}

#[test]
fn a_confidence_sequence_may_be_looked_at_and_an_interval_may_not() {
    let by_sequence = claims_at_some_look(2, |_, seen| {
        Test::Anytime.p_value(seen).is_some_and(|p| p < LEVEL)
    });
    assert!(by_sequence <= 0.055, "seed 44: {by_sequence}");
    assert!(
        by_sequence > 0.02,
        "it is not needlessly wide: {by_sequence}"
    );
    let by_interval = claims_at_some_look(5, |estimate, _| {
        estimate.interval(CONFIDENCE).excludes_zero()
    });
    assert!(by_interval > 0.25, "seed 44: {by_interval}");
}

#[test]
fn a_sequences_p_value_and_interval_say_one_thing() {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(45);
    for n in 2..60 {
        let sample: Vec<f64> = (0..n).map(|_| 0.5 + normal(&mut generator)).collect();
        let estimate = Estimate::of(&sample).expect("two or more");
        let interval = Test::Anytime.interval(&estimate, CONFIDENCE);
        assert_eq!(interval.is_some(), n >= 10);
        let Some(interval) = interval else {
            assert_eq!(Test::Anytime.p_value(&sample), Some(1.0));
            continue;
        };
        let p = Test::Anytime.p_value(&sample).expect("a sample");
        assert_eq!(
            p < LEVEL,
            interval.excludes_zero(),
            "n {n}: {p} {interval:?}"
        );
        let width = (interval.high - interval.low) / (2.0 * estimate.half_width(CONFIDENCE));
        assert!((1.2..1.65).contains(&width), "n {n}: {width}");
        for margin in [0.2, 0.8, 1.4] {
            let p = Test::Anytime.equivalence_p(&estimate, margin);
            assert_eq!(
                p < LEVEL,
                interval.is_within(margin),
                "n {n}, {margin}: {p}"
            );
        }
    }
}

/// A normal draw, one in twenty of which is five times as large.
fn with_outliers(generator: &mut Xoshiro256PlusPlus) -> f64 {
    let draw = normal(generator);
    let factor = if uniform(generator) < 0.05 { 5.0 } else { 1.0 };
    draw * factor
}

#[test]
fn intervals_cover_the_truth_with_outliers() {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(2026);
    for n in [5, 10, 20, 30] {
        let mut covered = 0;
        for _ in 0..4000 {
            let sample: Vec<f64> = (0..n).map(|_| with_outliers(&mut generator)).collect();
            let estimate = Estimate::of(&sample).expect("a sample");
            covered += usize::from(!estimate.interval(CONFIDENCE).excludes_zero());
        }
        let coverage = f64::from(covered as u32) / 4000.0;
        assert!(coverage >= 0.94, "seed 2026, n {n}: {coverage}");
    }
}

/// The share of significant results between equal sides, in interleaved pairs of random order under
/// `drift`.
fn false_positives(seed: u64, mut drift: impl FnMut(usize, f64) -> f64) -> f64 {
    const PAIRS: usize = 10;
    const REPETITIONS: usize = 4000;
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut significant = 0;
    for _ in 0..REPETITIONS {
        let mut runs = Vec::with_capacity(2 * PAIRS);
        for step in 0..2 * PAIRS {
            let drifted = drift(step, normal(&mut generator));
            runs.push(drifted + 0.01 * normal(&mut generator));
        }
        let mut sample = Vec::with_capacity(PAIRS);
        for pair in runs.chunks(2) {
            let difference = pair[1] - pair[0];
            let in_order = generator.next_u64() & 1 == 0;
            sample.push(if in_order { difference } else { -difference });
        }
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

fn judge(sample: &[f64], direction: Direction, test: Test, margin: f64) -> Judgement {
    Question {
        sample,
        p: Claims {
            difference: test.p_value(sample).unwrap_or(1.0),
            equivalence: Estimate::of(sample).map_or(1.0, |it| it.equivalence_p(margin)),
        },
        margin,
        direction,
        test,
        comparisons: 1,
    }
    .judge()
}

#[test]
fn one_pair_decides_nothing() {
    assert_eq!(
        judge(&[0.5], Direction::Higher, Test::SignFlips, 0.02),
        Judgement::new(Verdict::Undecided, "one sample")
    );
    assert_eq!(
        judge(&[0.5], Direction::Higher, Test::Student, 0.02),
        Judgement::new(Verdict::Exact, "exact for this seed")
    );
    assert_eq!(Test::Student.p_value(&[0.5]), None);
}

#[test]
fn noise_needs_six_pairs_and_seeds_two() {
    let five = [0.1, 0.11, 0.1, 0.105, 0.1];
    let noisy = judge(&five, Direction::Higher, Test::SignFlips, 0.02);
    assert_eq!(noisy.verdict, Verdict::Undecided);
    assert!(noisy.note.contains("at least 6"), "{}", noisy.note);
    let exact = judge(&five, Direction::Higher, Test::Student, 0.02);
    assert_eq!(exact.verdict, Verdict::Better);

    let six = [0.1, 0.11, 0.1, 0.105, 0.1, 0.1];
    for (direction, verdict) in [
        (Direction::Higher, Verdict::Better),
        (Direction::Lower, Verdict::Worse),
        (Direction::Neutral, Verdict::Different),
    ] {
        assert_eq!(
            judge(&six, direction, Test::SignFlips, 0.02).verdict,
            verdict
        );
    }
}

#[test]
fn a_difference_inside_the_margin_is_equivalent() {
    let small = [0.001, 0.0012, 0.0011, 0.0009, 0.001, 0.001];
    let within = judge(&small, Direction::Higher, Test::SignFlips, 0.02);
    assert_eq!(within.verdict, Verdict::Equivalent);
    let without_margin = judge(&small, Direction::Higher, Test::SignFlips, 0.0);
    assert_eq!(without_margin.verdict, Verdict::Better);
    let identical = judge(&[0.0; 3], Direction::Higher, Test::Student, 0.0);
    assert_eq!(identical.note, "identical in every pair");
}

#[test]
fn an_undecided_difference_says_how_many_pairs_would_decide() {
    let wide = [0.1, -0.1, 0.2, -0.15, 0.05, 0.0];
    let Judgement { verdict, note } = judge(&wide, Direction::Higher, Test::SignFlips, 0.02);
    assert_eq!(verdict, Verdict::Undecided);
    assert!(
        note.starts_with("about ") && note.ends_with(" pairs would decide"),
        "{note}"
    );
}

#[test]
fn a_real_run_needs_more_pairs_for_more_comparisons() {
    for (comparisons, pairs) in [
        (0, 6),
        (1, 6),
        (2, 7),
        (8, 9),
        (60, 12),
        (5000, 18),
        (1_000_000, usize::MAX),
    ] {
        assert_eq!(
            Test::SignFlips.pairs_min(comparisons),
            pairs,
            "{comparisons}"
        );
        assert_eq!(Test::Student.pairs_min(comparisons), 2, "{comparisons}");
    }
    let wide = Estimate {
        n: 6,
        mean: 0.1,
        sd: 0.001,
    };
    let decide = |least| wide.pairs_to_decide(Test::SignFlips, 0.0, 60, least);
    assert_eq!(decide(12), Some(12));
    assert_eq!(decide(usize::MAX), None);
}

#[test]
fn a_shape_that_misleads_is_recognised() {
    let even = [0.9, 1.0, 1.1, 1.05, 0.95, 1.02, 0.98];
    assert_eq!(shape(&even), None);
    assert_eq!(shape(&even[..5]), None, "five show no shape");
    let mut one_far = even.to_vec();
    one_far.push(9.0);
    let found = shape(&one_far).expect("one is far from the others");
    assert_eq!(found.kind, ShapeKind::Skewed);
    assert!((found.median - 1.01).abs() < 1e-9, "{found:?}");
    one_far.push(-7.0);
    let found = shape(&one_far).expect("two are far from the others, on both sides");
    assert_eq!(found.kind, ShapeKind::HeavyTailed);
    assert_eq!(shape(&[1.0; 8]), None, "equal differences have no shape");
}

#[test]
fn normal_samples_are_seldom_called_misshapen() {
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(11);
    for n in [6, 8, 10, 20, 30] {
        let mut called = 0;
        for _ in 0..4000 {
            let sample: Vec<f64> = (0..n).map(|_| normal(&mut generator)).collect();
            called += usize::from(shape(&sample).is_some());
        }
        assert!(called < 4000 * 3 / 100, "n {n}: {called} of 4000");
    }
}
