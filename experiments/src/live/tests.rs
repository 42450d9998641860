//! The state machine against made-up windows: chance, drift, effects and harm.

use super::*;
use crate::record::{SeriesPoint, World};
use crate::stats::verdict::Verdict;
use crate::testing::tidy_row;

/// Draws that are close to normal, with a standard deviation of one.
struct Draws(Seed, u64);

impl Draws {
    fn next(&mut self) -> f64 {
        let mut sum = 0.0;
        for _ in 0..12 {
            self.1 += 1;
            sum += (self.0.numbered(self.1).0 >> 11) as f64 / (1_u64 << 53) as f64;
        }
        sum - 6.0
    }
}

/// What made-up windows are like.
struct Made {
    /// The logarithm of B's rate over A's.
    effect: f64,
    /// The spread of one window.
    noise: f64,
    /// What the rate grows by from window to window: a drift.
    drift: f64,
}

fn settings() -> CompareSettings {
    CompareSettings {
        primary: vec!["run.throughput_ops".to_owned()],
        also: Vec::new(),
        ..CompareSettings::default()
    }
}

/// Plays a comparison, and returns it with its end.
fn play(world: &Made, seed: u64) -> (Switchback, Stop) {
    let mut live = Switchback::new(Design::of(1000), settings(), seed);
    let mut draws = Draws(Seed(seed).child("windows"), 0);
    let mut windows = 0.0;
    loop {
        let block = live.blocks();
        let mut rows = Vec::new();
        for side in live.order(block) {
            windows += 1.0;
            let effect = if side == Side::B { world.effect } else { 0.0 };
            let log = effect + world.noise * draws.next() + world.drift * windows;
            let (name, rate) = (side.name(), 1e4 * log.exp());
            let block = block as u64 + 1;
            rows.push(tidy_row(
                name,
                block,
                World::Real,
                "run.throughput_ops",
                rate,
            ));
        }
        if let Some(stop) = live.close(rows).expect("the metric is known") {
            return (live, stop);
        }
    }
}

fn verdict(live: &Switchback) -> Verdict {
    live.comparison().expect("two sides").rows[0].verdict
}

/// A thousand comparisons of A with itself on a machine that grows 1 % slower with each window: no
/// more false claims than 5 % explain (71 of a thousand are three standard deviations above), and
/// no more guards that stop.
#[test]
fn equal_sides_under_drift_are_hardly_ever_claimed_to_differ() {
    let world = Made {
        effect: 0.0,
        noise: 0.05,
        drift: -0.01,
    };
    let (mut claimed, mut stopped) = (0, 0);
    for seed in 0..1000 {
        let (live, stop) = play(&world, seed);
        claimed += u32::from(verdict(&live).is_difference());
        stopped += u32::from(matches!(stop, Stop::Harm(_)));
    }
    assert!(claimed <= 71, "{claimed} of 1000 were claimed to differ");
    assert!(stopped <= 71, "{stopped} of 1000 were stopped for harm");
}

#[test]
fn planted_effects_are_found_the_larger_the_sooner() {
    let mut blocks = Vec::new();
    for (effect, verdict_of) in [(0.10, Verdict::Better), (-0.05, Verdict::Worse)] {
        let world = Made {
            effect,
            noise: 0.03,
            drift: 0.002,
        };
        let mut all = 0;
        for seed in 0..50 {
            let (live, stop) = play(&world, seed);
            assert_eq!(stop, Stop::Decided, "effect {effect}, seed {seed}");
            assert_eq!(verdict(&live), verdict_of, "effect {effect}, seed {seed}");
            all += live.blocks();
        }
        blocks.push(all);
    }
    assert!(blocks[0] <= blocks[1], "{blocks:?}");
}

/// As the guard promises: six blocks for one metric, whatever the noise around an effect far beyond
/// the limit; and one block if B collapses.
#[test]
fn a_harmful_side_is_stopped_within_the_promise() {
    let harmful = |effect| Made {
        effect,
        noise: 0.02,
        drift: 0.0,
    };
    for seed in 0..50 {
        let (live, stop) = play(&harmful(-0.3), seed);
        let Stop::Harm(harm) = stop else {
            panic!("seed {seed}: {stop:?}")
        };
        assert_eq!((live.blocks(), harm.at_once), (6, false), "seed {seed}");
        let (live, stop) = play(&harmful(-1.5), seed);
        let Stop::Harm(harm) = stop else {
            panic!("seed {seed}: {stop:?}")
        };
        assert_eq!((live.blocks(), harm.at_once), (1, true), "seed {seed}");
    }
}

#[test]
fn harm_that_comes_late_is_stopped_too() {
    let design = Design {
        blocks_min: 60,
        ..Design::of(1000)
    };
    let mut live = Switchback::new(design, settings(), 1);
    let mut stopped = None;
    for block in 1..=60_u64 {
        let of_b = if block > 20 { 5e3 } else { 1e4 };
        let row = |side, value| tidy_row(side, block, World::Real, "run.throughput_ops", value);
        let rows = vec![row("A", 1e4), row("B", of_b)];
        if let Some(Stop::Harm(harm)) = live.close(rows).expect("known") {
            stopped = Some(harm.block);
            break;
        }
    }
    assert!(stopped.is_some_and(|block| block <= 20 + 16), "{stopped:?}");
}

#[test]
fn the_order_is_drawn_and_both_orders_come() {
    let live = Switchback::new(Design::of(1000), settings(), 7);
    let first_is_a = (0..200)
        .filter(|number| live.order(*number)[0] == Side::A)
        .count();
    assert!((70..=130).contains(&first_is_a), "{first_is_a} of 200");
    let again = Switchback::new(Design::of(1000), settings(), 7);
    assert!((0..200).all(|number| live.order(number) == again.order(number)));
}

#[test]
fn the_longest_comparison_ends() {
    let design = Design {
        blocks_max: 12,
        ..Design::of(1000)
    };
    let mut live = Switchback::new(design, settings(), 1);
    for block in 1..=12_u64 {
        // Far apart, to either side: nothing is decided.
        let of_b = if block % 2 == 0 { 9.5e3 } else { 1.05e4 };
        let row = |side, value| tidy_row(side, block, World::Real, "run.throughput_ops", value);
        let stop = live
            .close(vec![row("A", 1e4), row("B", of_b)])
            .expect("known");
        assert_eq!(stop.is_some(), block == 12, "block {block}: {stop:?}");
    }
}

fn series(rates: &[u64]) -> Vec<SeriesPoint> {
    let point = |operations: &u64| SeriesPoint {
        operations: *operations,
        nanos: 1000,
        ..SeriesPoint::default()
    };
    rates.iter().map(point).collect()
}

#[test]
fn recovery_ends_where_the_rate_is_that_of_the_end() {
    let mut rates = vec![100; 40];
    assert_eq!(recovery(&series(&rates)), Some(0));
    rates[..10].fill(40);
    assert_eq!(recovery(&series(&rates)), Some(400));
    // A single good group among bad ones is no recovery.
    rates[4..6].fill(100);
    assert_eq!(recovery(&series(&rates)), Some(40 * 8 + 200));
    let growing: Vec<u64> = (1..=40).map(|at| at * at * 10).collect();
    assert!(recovery(&series(&growing)).is_none_or(|it| it > 10_000));
    assert_eq!(recovery(&series(&[100; 19])), None, "too few slices");
}
