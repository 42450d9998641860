//! What a search will cost, in words.

use crate::config::Tuning;
use crate::folders::RunFolder;
use crate::formats::{digits, duration};
use crate::optimise::search::Rung;
use crate::plan::PlannedTrial;
use crate::price::Earlier;

/// The mean seconds of the baseline's trials, from their own attempts; `None` if not known.
pub(super) fn seconds(folder: &RunFolder, trials: &[PlannedTrial]) -> Option<f64> {
    let prices = Earlier::read(folder).ok()?.price(folder, trials);
    let seconds: Vec<f64> = prices.iter().filter_map(|price| price.seconds).collect();
    let sum: f64 = seconds.iter().sum();
    (!seconds.is_empty()).then(|| sum / seconds.len() as f64)
}

/// How many trials a search takes with its confirmation, and how long, if a trial of the baseline
/// takes some `seconds` and `done` trials are done.
pub(super) fn in_words(tuning: &Tuning, done: usize, seconds: Option<f64>, jobs: usize) -> String {
    let seeds = tuning.seeds.len();
    let rungs = tuning.request.rungs(&tuning.space);
    let confirm = 2 * tuning.fresh_seeds.len();
    let all = tuning.trials_at_most();
    let baseline = match rungs.len() {
        1 => "the baseline".to_owned(),
        sizes => format!("the baseline at {sizes} sizes"),
    };
    let words = format!(
        "{all} trials: {} and {baseline} under {seeds} seeds, and {confirm} to confirm",
        of_rungs(&rungs)
    );
    let Some(seconds) = seconds else {
        return words;
    };
    let jobs = jobs.max(1);
    let time = |trials: f64| duration(trials * seconds / jobs as f64);
    let most = time(all.saturating_sub(done) as f64);
    let range = if rungs.len() == 1 {
        format!("about {most}")
    } else {
        // A rung does a part of the operations, and all of the load.
        let whole = |rung: &Rung| (rung.points + 1) as f64 * rung.share;
        let shares: f64 = rungs.iter().map(whole).sum();
        let least = shares * seeds as f64 + confirm as f64 - done as f64;
        format!("{} to {most}", time(least))
    };
    format!(
        "{words}; {range} at {} s a whole trial and {jobs} in parallel, if other settings are as \
         fast as the baseline's",
        digits(seconds, 2)
    )
}

/// The sizes of a search in words: `54 points with 0.11 of the operations, ... and 6 points`.
fn of_rungs(rungs: &[Rung]) -> String {
    let words = |Rung { points, share }: &Rung| {
        let noun = if *points == 1 { "point" } else { "points" };
        match *share == 1.0 {
            true => format!("{points} {noun}"),
            false => format!(
                "{points} {noun} with {} of the operations",
                digits(*share, 2)
            ),
        }
    };
    rungs.iter().map(words).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_listed_by_their_size() {
        let rungs = [(54, 1.0 / 9.0), (18, 1.0 / 3.0), (6, 1.0)];
        let rungs = rungs.map(|(points, share)| Rung { points, share });
        let words = "54 points with 0.11 of the operations, 18 points with 0.33 of the operations, \
                     6 points";
        assert_eq!(of_rungs(&rungs), words);
    }
}
