//! Policies that draw lots, run with several seeds: their mean, and how far chance moves it.

use super::{Outcome, Ratio, RatioError, Window};
use crate::specs::split;
use crate::stats::{CONFIDENCE, Estimate, mean};

/// The most seeds that are run.
const SEEDS_MAX: usize = 1000;

/// A list of seeds that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// A part is neither a number nor a range of numbers.
    #[error("`{0}` is neither a number nor a range such as 1..5")]
    Form(String),
    /// The list is empty.
    #[error("the list is empty")]
    Empty,
    /// The list is very long.
    #[error("more than {SEEDS_MAX} seeds")]
    TooMany,
}

/// Reads a list of seeds: numbers, and ranges with both ends, such as `1..5`. Each is returned
/// once.
///
/// # Errors
/// [`SeedError`].
pub fn seeds(list: &str) -> Result<Vec<u64>, SeedError> {
    let mut seeds: Vec<u64> = Vec::new();
    for part in split(list).into_iter().filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once("..").unwrap_or((part, part));
        let number = |text: &str| text.trim_start_matches('=').trim().parse::<u64>().ok();
        let range = number(first).zip(number(last));
        let Some((first, last)) = range.filter(|(first, last)| first <= last) else {
            return Err(SeedError::Form(part.to_owned()));
        };
        if last - first >= SEEDS_MAX as u64 {
            return Err(SeedError::TooMany);
        }
        for seed in first..=last {
            if !seeds.contains(&seed) {
                seeds.push(seed);
            }
        }
    }
    match seeds.len() {
        0 => Err(SeedError::Empty),
        1..=SEEDS_MAX => Ok(seeds),
        _ => Err(SeedError::TooMany),
    }
}

/// One outcome for those of all seeds: means, with the errors of seeds and samples together. An
/// error of one seed is that of all.
pub(super) fn together(
    outcomes: impl Iterator<Item = Result<Outcome, String>>,
) -> Result<Outcome, String> {
    let outcomes: Vec<Outcome> = outcomes.collect::<Result<_, _>>()?;
    let mean_of = |part: &dyn Fn(&Outcome) -> Option<f64>| {
        let values: Option<Vec<f64>> = outcomes.iter().map(part).collect();
        values.map(|values| mean(&values))
    };
    let ratio_of = |part: &dyn Fn(&Outcome) -> Option<Ratio>| {
        let ratios: Option<Vec<Ratio>> = outcomes.iter().map(part).collect();
        ratios.map(|ratios| mean_ratio(&ratios))
    };
    let ratios: Vec<f64> = outcomes.iter().map(|it| it.miss_ratio.value).collect();
    let mut whole = outcomes.first().cloned().ok_or("no seed was run")?;
    whole.seeds = outcomes.len() as u64;
    if outcomes.len() < 2 {
        return Ok(whole);
    }
    let rounded = |mean: Option<f64>| mean.map(|mean| mean.round() as u64);
    Ok(Outcome {
        misses: rounded(mean_of(&|it| Some(it.misses as f64))).unwrap_or_default(),
        seed_deviation: Estimate::of(&ratios).map(|spread| spread.sd),
        miss_ratio: ratio_of(&|it| Some(it.miss_ratio)).unwrap_or_default(),
        byte_miss_ratio: ratio_of(&|it| it.byte_miss_ratio),
        cost_miss_ratio: ratio_of(&|it| it.cost_miss_ratio),
        accesses_per_s: mean_of(&|it| it.accesses_per_s),
        metadata_bytes: rounded(mean_of(&|it| it.metadata_bytes.map(|bytes| bytes as f64))),
        metadata_bytes_per_object: mean_of(&|it| it.metadata_bytes_per_object),
        windows: mean_windows(&outcomes),
        ..whole
    })
}

/// The mean of ratios of several seeds. A sample's error is the same draw of keys for all, so it
/// is added to that of the seeds.
fn mean_ratio(ratios: &[Ratio]) -> Ratio {
    let values: Vec<f64> = ratios.iter().map(|ratio| ratio.value).collect();
    let sampled: Vec<RatioError> = ratios.iter().filter_map(|ratio| ratio.error).collect();
    let sampled = |part: fn(&RatioError) -> f64| {
        let parts: Vec<f64> = sampled.iter().map(part).collect();
        if parts.is_empty() { 0.0 } else { mean(&parts) }
    };
    let of_seeds = |spread: Estimate| RatioError {
        standard: (spread.sd / (spread.n as f64).sqrt()).hypot(sampled(|it| it.standard)),
        half_width: spread
            .half_width(CONFIDENCE)
            .hypot(sampled(|it| it.half_width)),
    };
    Ratio {
        value: mean(&values),
        error: Estimate::of(&values).map(of_seeds),
    }
}

/// The windows with the mean of their ratios; all have equal windows.
fn mean_windows(outcomes: &[Outcome]) -> Vec<Window> {
    let first = outcomes.first().map(|outcome| &outcome.windows[..]);
    let window = |(at, window): (usize, &Window)| {
        let mean_of = |part: &dyn Fn(&Window) -> Option<f64>| {
            let windows = outcomes.iter().map(|outcome| part(&outcome.windows[at]));
            windows.collect::<Option<Vec<f64>>>().map(|all| mean(&all))
        };
        Window {
            misses: mean_of(&|it| Some(it.misses as f64))
                .unwrap_or_default()
                .round() as u64,
            miss_ratio: mean_of(&|it| Some(it.miss_ratio)).unwrap_or_default(),
            byte_miss_ratio: mean_of(&|it| it.byte_miss_ratio),
            cost_miss_ratio: mean_of(&|it| it.cost_miss_ratio),
            ..window.clone()
        }
    };
    first
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(window)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_hold_numbers_and_ranges_with_both_ends() {
        assert_eq!(seeds("1..3,7, 2"), Ok(vec![1, 2, 3, 7]));
        assert_eq!(seeds("4..=5"), Ok(vec![4, 5]));
        for bad in ["5..1", "a", "1..", "-1", "1...3"] {
            assert_eq!(seeds(bad), Err(SeedError::Form(bad.to_owned())), "{bad}");
        }
        assert_eq!(seeds(","), Err(SeedError::Empty));
        assert_eq!(seeds("0..18446744073709551615"), Err(SeedError::TooMany));
        assert_eq!(seeds("1..1000,2000"), Err(SeedError::TooMany));
    }

    #[test]
    fn several_seeds_are_their_mean_with_students_interval() {
        let outcome = |misses: u64, error: Option<RatioError>| {
            Ok(Outcome {
                requests: 100,
                misses,
                miss_ratio: Ratio {
                    value: misses as f64 / 100.0,
                    error,
                },
                ..Outcome::default()
            })
        };
        let whole = together([40, 50, 60].map(|misses| outcome(misses, None)).into_iter());
        let whole = whole.expect("all ran");
        assert_eq!((whole.misses, whole.seeds), (50, 3));
        assert!((whole.seed_deviation.expect("several") - 0.1).abs() < 1e-12);
        let error = whole.miss_ratio.error.expect("several");
        // 4.303 is Student's factor for two degrees.
        assert!((error.half_width - 4.303 * 0.1 / 3.0_f64.sqrt()).abs() < 1e-4);
        let sampled = Some(RatioError {
            standard: 0.3,
            half_width: 0.6,
        });
        let both = together(
            [40, 50, 60]
                .map(|misses| outcome(misses, sampled))
                .into_iter(),
        );
        let both = both.expect("all ran").miss_ratio.error.expect("several");
        assert!((both.half_width - error.half_width.hypot(0.6)).abs() < 1e-12);
        let alone = together([outcome(40, None)].into_iter()).expect("it ran");
        assert_eq!(
            (alone.seeds, alone.seed_deviation, alone.miss_ratio.error),
            (1, None, None)
        );
        let failed = together([outcome(40, None), Err("no".to_owned())].into_iter());
        assert_eq!(failed, Err("no".to_owned()));
    }
}
