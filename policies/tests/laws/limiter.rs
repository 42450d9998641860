//! Laws of I/O limiters.

use aura_policies::PolicySpec;
use aura_policies::limiter::{FAMILY, LimiterFacts, RateControl, build};

use crate::SplitMix64;

fn specs() -> Vec<PolicySpec> {
    FAMILY.names().into_iter().map(PolicySpec::named).collect()
}

fn made(spec: &PolicySpec) -> Box<dyn RateControl> {
    build(spec).expect("it builds")
}

/// A hundred decisions on facts of which each number is an extreme one, or any. The rate follows
/// what the limiter says, as it does in the engine.
fn decisions(spec: &PolicySpec, seed: u64) -> Vec<(LimiterFacts, u64)> {
    let mut control = made(spec);
    let mut draws = SplitMix64(seed);
    let limit = (64 << 10) + [0, draws.below(1 << 40), u64::MAX / 2][draws.below(3) as usize];
    let mut rate = control.start(limit);
    let mut decide = || {
        let mut draw = |least| [least, 1000, draws.next(), u64::MAX][draws.below(4) as usize];
        let periods = draw(1);
        let facts = LimiterFacts {
            limit,
            rate,
            nanos: draw(1),
            periods,
            drained: draw(0).min(periods),
            user_bytes: draw(0),
            background_bytes: draw(0),
        };
        rate = control.rate(&facts);
        (facts, rate)
    };
    (0..100).map(|_| decide()).collect()
}

#[test]
fn the_rate_stays_within_the_limit_and_above_zero() {
    for spec in specs() {
        for seed in 0..50 {
            for (facts, rate) in decisions(&spec, seed) {
                let is_in_range = rate > 0 && rate <= facts.limit;
                assert!(is_in_range, "{spec}, seed {seed}: {rate} of {facts:?}");
            }
        }
    }
}

#[test]
fn it_begins_within_the_limit_and_every_priority_gets_its_turn() {
    for spec in specs() {
        let control = made(&spec);
        for limit in [64 << 10, 1 << 30, u64::MAX / 4] {
            let start = control.start(limit);
            assert!(start > 0 && start <= limit, "{spec}: {start}");
        }
        assert!(control.turn() >= 2, "{spec}");
        if let Some(watch) = control.watch() {
            assert!(watch.period_nanos > 0 && watch.periods > 0, "{spec}");
        }
    }
}

/// From equal histories: the more users moved, and the less the background had to wait, the lower
/// the rate.
#[test]
fn users_never_raise_the_rate_and_waits_never_lower_it() {
    for spec in specs() {
        for seed in 0..100 {
            let mut draws = SplitMix64(seed);
            let limit = (1 << 20) + draws.below(1 << 32);
            let rate = limit / 20 + draws.below(limit - limit / 20);
            let at = |user_bytes, drained| {
                let facts = LimiterFacts {
                    limit,
                    rate,
                    nanos: 1_000_000_000,
                    periods: 100,
                    drained,
                    user_bytes,
                    background_bytes: rate,
                };
                made(&spec).rate(&facts)
            };
            let [more, less] = [draws.below(1 << 32), draws.below(1 << 20)];
            let users = [at(less, 70), at(less + more, 70)];
            assert!(users[1] <= users[0], "{spec}, seed {seed}: {users:?}");
            let [few, many] = [draws.below(50), 50 + draws.below(51)];
            let waits = [at(less, few), at(less, many)];
            assert!(waits[1] >= waits[0], "{spec}, seed {seed}: {waits:?}");
        }
    }
}

/// Work that waits all the time, beside users that do nothing, is given all of the limit in the
/// end.
#[test]
fn a_background_alone_gets_all_of_the_limit() {
    let limit = 1 << 24;
    for spec in specs() {
        let mut control = made(&spec);
        let mut rate = control.start(limit);
        for _ in 0..100 {
            rate = control.rate(&LimiterFacts {
                limit,
                rate,
                nanos: 1_000_000_000,
                periods: 100,
                drained: 100,
                user_bytes: 0,
                background_bytes: rate,
            });
        }
        assert!(rate >= limit / 20 * 19, "{spec}: {rate} of {limit}");
    }
}

#[test]
fn equal_histories_give_equal_decisions() {
    for spec in specs() {
        for seed in 0..5 {
            let twice = [decisions(&spec, seed), decisions(&spec, seed)];
            assert_eq!(twice[0], twice[1], "{spec}, seed {seed}");
        }
    }
}
