//! Laws of compaction agents.

use aura_policies::PolicySpec;
use aura_policies::agent::{Action, FAMILY, build};
use aura_policies::facts::{TreeShape, WindowStats};
use serde_json::json;

use crate::SplitMix64;

fn specs() -> Vec<PolicySpec> {
    let steps = json!([
        { "at_operations": 500, "level": 1, "runs": 3 },
        { "at_operations": 900, "level": 2, "runs": 1 },
    ]);
    let schedule = PolicySpec::named("schedule").with("steps", steps);
    FAMILY
        .names()
        .into_iter()
        .map(PolicySpec::named)
        .chain([schedule])
        .collect()
}

/// What an agent does in fifty random windows.
fn actions(spec: &PolicySpec, seed: u64) -> Vec<Vec<Action>> {
    let mut agent = build(spec, seed).expect("the agent builds");
    let mut random = SplitMix64(seed);
    let mut window = WindowStats::default();
    let mut step = || {
        (window.gets, window.writes, window.scans) =
            (random.below(100), random.below(100), random.below(10));
        window.operations_total += window.gets + window.writes + window.scans;
        window.device_write_bytes = random.below(1 << 20);
        window.nanos = 1 + random.below(1 << 30);
        agent.step(&window, &TreeShape::default())
    };
    (0..50).map(|_| step()).collect()
}

#[test]
fn the_same_seed_acts_the_same() {
    for spec in specs() {
        for seed in 0..5 {
            assert_eq!(
                actions(&spec, seed),
                actions(&spec, seed),
                "{spec}, seed {seed}"
            );
        }
    }
}

#[test]
fn actions_name_possible_levels_and_run_limits() {
    for spec in specs() {
        for action in actions(&spec, 1).into_iter().flatten() {
            let Action::SetRuns { level, runs } = action;
            assert!(level >= 1 && runs >= 1, "{spec}: {action:?}");
        }
    }
}

#[test]
fn an_agent_that_says_it_is_idle_never_acts() {
    for spec in specs() {
        if !build(&spec, 0).expect("the agent builds").is_active() {
            assert!(actions(&spec, 0).iter().all(Vec::is_empty), "{spec}");
        }
    }
}
