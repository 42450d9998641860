//! Laws of index tuners.

use aura_policies::tuner::{FAMILY, IndexFacts, KindFacts, Observed, build, untrained};
use aura_policies::{PolicySpec, index};
use serde_json::json;

use crate::SplitMix64;

fn observed(random: &mut SplitMix64) -> Observed {
    let tables = random.below(600);
    let found = random.below(1 << 40);
    Observed {
        tables,
        models: random.below(tables + 1),
        refused: random.below(tables + 1),
        keys: random.below(1 << 40),
        blocks: random.below(1 << 30),
        table_bytes: random.below(1 << 50),
        index_bytes: random.below(1 << 30),
        training_nanos: random.below(1 << 40),
        life_nanos: random.below(1 << 50),
        found,
        absent: random.below(1 << 40),
        probes: found + random.below(1 << 41),
    }
}

/// Every tuner, some of them set so that nothing favours another index, and whether it may leave
/// the configured one.
fn specs() -> Vec<(PolicySpec, bool)> {
    let registered = FAMILY.names().into_iter().map(PolicySpec::named);
    let prices = [
        "comparison_nanos",
        "model_nanos",
        "block_nanos",
        "training_weight",
        "memory_nanos",
    ];
    let free = PolicySpec::named("adaptive")
        .with("candidates", json!(["greedy-plr", "fence"]))
        .with("explore", 0);
    let free = prices.iter().fold(free, |spec, price| spec.with(price, 0));
    let eager = PolicySpec::named("adaptive").with("candidates", json!(["fence"]));
    let neutral = [
        PolicySpec::named("fixed"),
        PolicySpec::named("adaptive"),
        free,
    ];
    registered
        .chain([eager])
        .map(|spec| (spec, false))
        .chain(neutral.map(|spec| (spec, true)))
        .collect()
}

#[test]
fn a_choice_can_be_built_depends_on_the_facts_alone_and_is_the_configured_one_if_all_is_neutral() {
    let mut random = SplitMix64(23);
    for _ in 0..200 {
        let configured = PolicySpec::named("greedy-plr").with("epsilon", 1 + random.below(100));
        let names = [
            configured.to_string(),
            "greedy-plr".to_owned(),
            "fence".to_owned(),
        ];
        let count = random.below(4) as usize;
        let kinds: Vec<KindFacts> = names
            .iter()
            .take(count)
            .map(|index| KindFacts {
                index: index.clone(),
                dead: observed(&mut random),
                live: observed(&mut random),
            })
            .collect();
        let level = random.below(9) as usize;
        let facts = IndexFacts {
            level,
            deepest: 9,
            configured: &configured,
            kinds: &kinds,
        };
        for (spec, neutral) in specs() {
            let choice = build(&spec).expect("it builds").choose(&facts);
            assert!(index::build(&choice.index).is_ok(), "{spec}: {choice:?}");
            assert_eq!(
                build(&spec).expect("it builds").choose(&facts),
                choice,
                "{spec}"
            );
            assert!(!neutral || choice.index == configured, "{spec}: {choice:?}");
        }
    }
}

#[test]
fn an_idle_tuner_always_chooses_the_configured_index() {
    let configured = PolicySpec::named("greedy-plr");
    let mut random = SplitMix64(29);
    for (spec, _) in specs() {
        let tuner = build(&spec).expect("it builds");
        for _ in 0..100 {
            let kinds = [KindFacts {
                index: "x".to_owned(),
                dead: observed(&mut random),
                live: observed(&mut random),
            }];
            let facts = IndexFacts {
                level: 1,
                deepest: 2,
                configured: &configured,
                kinds: &kinds,
            };
            assert!(
                tuner.is_active() || tuner.choose(&facts).index == configured,
                "{spec}"
            );
        }
    }
}

#[test]
fn what_trains_nothing_wants_no_images() {
    assert!(
        !index::build(&untrained())
            .expect("it builds")
            .wants_images()
    );
}
