//! What agents make of the [referee](crate::referee)'s costs.
//!
//! Agents compare logarithms of costs, so a scale drops out. What changes under an unchanged layout
//! is the workload's doing ([`Level`]), and a mix is compared with itself ([`Baselines`]).

use crate::facts::WindowStats;
use crate::referee::client_nanos;

/// A difference of logarithms that no noise explains: a factor of 1.65.
const JUMP: f64 = 0.5;

/// Bytes that reads of users took from the device.
fn user_read_bytes(window: &WindowStats) -> f64 {
    window
        .device_read_bytes
        .saturating_sub(window.compaction_read_bytes) as f64
}

/// What reads of `window` cost for each sorted run that they met, in the referee's currency.
///
/// A scan looks into every run, and its last part is the rows themselves. A point read looks into a
/// run that does not hold the key only if the filter errs.
pub(super) fn cost_of_a_run(window: &WindowStats, runs: usize) -> f64 {
    let runs = runs.max(1) as f64;
    let needless = window.filter_false_positives as f64;
    let reads = needless + window.gets_found as f64;
    let needless_share = if reads > 0.0 { needless / reads } else { 0.0 };
    if client_nanos(window) > 0.0 {
        let scans = window.scan_latency.nanos as f64 / (runs + 1.0);
        return scans + window.get_latency.nanos as f64 * needless_share / runs;
    }
    let asked = window.gets as f64 + window.scans as f64;
    if asked == 0.0 {
        return 0.0;
    }
    let scan_share = window.scans as f64 / asked;
    let bytes = user_read_bytes(window);
    bytes * (scan_share / (runs + 1.0) + (1.0 - scan_share) * needless_share / runs)
}

/// The level that the logarithms of all layouts' costs share, as the workload moves it.
///
/// A layout's standing is its cost above this level. While a layout stays, a surprise moves the
/// level, the more so the better its standing is known, and at once if it is a jump. After a change
/// of layout, a surprise is the layout's own.
#[derive(Debug, Default)]
pub(super) struct Level(Option<f64>);

impl Level {
    /// The standing of a layout that cost `log`: the logarithm above the level. `known` is the
    /// standing expected of it and on how many windows that rests, if it has stayed.
    pub(super) fn standing(&mut self, log: f64, known: Option<(f64, f64)>) -> f64 {
        let level = self.0.get_or_insert(log);
        if let Some((expected, windows)) = known {
            let surprise = log - *level - expected;
            let jump = surprise.abs() > JUMP && windows >= 3.0;
            let gain = if jump {
                1.0
            } else {
                0.5 * windows / (windows + 4.0)
            };
            *level += gain * surprise;
        }
        log - *level
    }
}

/// The usual cost of each mix, for learners that know the mix: its mean over all windows, in which
/// the last fifty weigh most.
#[derive(Debug)]
pub(super) struct Baselines(Vec<(f64, f64)>);

impl Baselines {
    pub(super) fn new(mixes: usize) -> Self {
        Self(vec![(0.0, 0.0); mixes])
    }

    /// How far `log` is above the usual cost of `mix`, which then takes it in. The first windows of
    /// a mix are as usual.
    pub(super) fn excess(&mut self, mix: usize, log: f64) -> f64 {
        let (mean, windows) = &mut self.0[mix];
        *windows = (*windows + 1.0).min(50.0);
        let above = if *windows > 1.0 { log - *mean } else { 0.0 };
        *mean += (log - *mean) / *windows;
        above
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Latency;

    #[test]
    fn a_layout_that_stays_moves_the_level_and_another_does_not() {
        let mut level = Level::default();
        assert_eq!(level.standing(1.0, None), 0.0);
        assert_eq!(level.standing(4.0, Some((0.0, 9.0))), 0.0, "values grew");
        assert_eq!(level.standing(3.5, None), -0.5, "another layout is better");
        let noise = level.standing(4.05, Some((0.0, 9.0)));
        assert!((0.0..0.05).contains(&noise), "{noise}");
    }

    #[test]
    fn a_mix_is_compared_with_itself() {
        let mut baselines = Baselines::new(2);
        assert_eq!(baselines.excess(0, 1.0), 0.0);
        assert_eq!(baselines.excess(1, 5.0), 0.0);
        assert_eq!(baselines.excess(0, 1.5), 0.5);
        assert_eq!(baselines.excess(0, 1.25), 0.0);
    }

    #[test]
    fn a_run_costs_scans_more_than_gets_behind_filters() {
        let latency = Latency {
            count: 100,
            nanos: 1_000_000,
            p99_nanos: 0,
        };
        let scans = WindowStats {
            scans: 100,
            scan_latency: latency,
            ..WindowStats::default()
        };
        let gets = WindowStats {
            gets: 100,
            gets_found: 100,
            filter_false_positives: 1,
            get_latency: latency,
            ..WindowStats::default()
        };
        assert_eq!(cost_of_a_run(&scans, 3), 250_000.0);
        assert!(cost_of_a_run(&gets, 3) < 4_000.0);
        assert_eq!(cost_of_a_run(&WindowStats::default(), 3), 0.0);
    }
}
