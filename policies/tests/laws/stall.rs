//! Laws of stall controls.

use aura_policies::PolicySpec;
use aura_policies::stall::{Cause, Decision, FAMILY, StallControl, StallFacts, Zone, build};

use crate::SplitMix64;

fn specs() -> Vec<PolicySpec> {
    FAMILY.names().into_iter().map(PolicySpec::named).collect()
}

fn made(spec: &PolicySpec) -> Box<dyn StallControl> {
    build(spec).expect("it builds")
}

/// Where a measure stands: anywhere, extremes included.
fn zone(draws: &mut SplitMix64) -> Zone {
    let span = [1, 2, 16, 1 << 30, u64::MAX][draws.below(5) as usize];
    match draws.below(4) {
        0 => Zone::Free,
        1 => Zone::Stop,
        _ => Zone::Slow {
            over: draws.below(span),
            span,
        },
    }
}

/// A history of facts, in which about every second step is a change.
fn history(draws: &mut SplitMix64, steps: u64) -> Vec<StallFacts> {
    let mut changes = draws.below(10);
    let mut step = || {
        changes += draws.below(2);
        StallFacts {
            level0: zone(draws),
            debt: zone(draws),
            garbage: zone(draws),
            debt_bytes: [0, 1000, draws.below(1 << 40), u64::MAX][draws.below(4) as usize],
            memtables_sealed: draws.below(5),
            memtables_sealed_max: 1 + draws.below(4),
            changes,
        }
    };
    (0..steps).map(|_| step()).collect()
}

/// How fast writers go: 0 while they wait.
fn speed(decision: Decision) -> u64 {
    match decision {
        Decision::Go => u64::MAX,
        Decision::Slow { rate, .. } => rate,
        Decision::Stop { .. } => 0,
    }
}

fn zone_of(facts: &StallFacts, wanted: Cause) -> Zone {
    let mut zones = facts.zones().into_iter();
    let zone = zones.find_map(|(cause, zone)| (cause == wanted).then_some(zone));
    zone.unwrap_or(Zone::Free)
}

/// A stop has a cause that is at its own stop, so that the work that is due ends it; a rate lets
/// writers go on, and names a measure that is beyond its point.
#[test]
fn decisions_are_in_bounds_and_have_a_cause() {
    for spec in specs() {
        for seed in 0..50 {
            let control = made(&spec);
            for facts in history(&mut SplitMix64(seed), 100) {
                match control.decide(&facts) {
                    Decision::Go => {}
                    Decision::Slow { cause, rate } => {
                        assert!(rate > 0 && rate < u64::MAX, "{spec}, seed {seed}: {rate}");
                        let is_last = facts.memtables_sealed >= facts.memtables_sealed_max;
                        let is_met = match cause {
                            Cause::Memtables => is_last,
                            _ => matches!(zone_of(&facts, cause), Zone::Slow { .. }),
                        };
                        assert!(is_met, "{spec}, seed {seed}: {cause:?} in {facts:?}");
                    }
                    Decision::Stop { cause } => {
                        let zone = zone_of(&facts, cause);
                        assert_eq!(zone, Zone::Stop, "{spec}, seed {seed}: {cause:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_background_that_keeps_up_slows_nobody_down() {
    for spec in specs() {
        for seed in 0..20 {
            let control = made(&spec);
            let mut last = 0;
            for facts in history(&mut SplitMix64(seed), 50) {
                control.decide(&facts);
                last = facts.changes;
            }
            for changes in [last, last + 1] {
                let idle = StallFacts {
                    memtables_sealed_max: 2,
                    changes,
                    ..StallFacts::default()
                };
                assert_eq!(control.decide(&idle), Decision::Go, "{spec}, seed {seed}");
            }
        }
    }
}

/// Whatever came before: with one measure further on, and all else equal, writers go no faster. The
/// other measures are free, because a policy may follow the first one.
#[test]
fn more_pressure_never_gives_a_higher_rate() {
    let at = |zone: u64| match zone {
        0 => Zone::Free,
        1..=16 => Zone::Slow {
            over: zone - 1,
            span: 16,
        },
        _ => Zone::Stop,
    };
    for spec in specs() {
        for seed in 0..100 {
            let mut draws = SplitMix64(seed);
            let before = history(&mut draws, 20);
            let [less, more] = {
                let pair = [draws.below(18), draws.below(18)];
                [pair[0].min(pair[1]), pair[0].max(pair[1])]
            };
            let measure = draws.below(3);
            let base = draws.below(1 << 20);
            let changes = 1000 + draws.below(2);
            let speeds = [less, more].map(|step| {
                let control = made(&spec);
                for facts in &before {
                    control.decide(facts);
                }
                let mut facts = StallFacts {
                    debt_bytes: base,
                    memtables_sealed_max: 2,
                    changes,
                    ..StallFacts::default()
                };
                match measure {
                    0 => facts.level0 = at(step),
                    1 => {
                        facts.debt = at(step);
                        facts.debt_bytes = base + (step << 10);
                    }
                    _ => facts.garbage = at(step),
                }
                speed(control.decide(&facts))
            });
            assert!(
                speeds[1] <= speeds[0],
                "{spec}, seed {seed}: {speeds:?} at {less} and {more} of measure {measure}"
            );
        }
    }
}

#[test]
fn equal_histories_give_equal_decisions_and_asking_again_changes_none() {
    for spec in specs() {
        for seed in 0..20 {
            let once = made(&spec);
            let twice = made(&spec);
            for facts in history(&mut SplitMix64(seed), 100) {
                let expected = once.decide(&facts);
                for _ in 0..2 {
                    assert_eq!(twice.decide(&facts), expected, "{spec}, seed {seed}");
                }
            }
        }
    }
}
