//! Laws of compaction agents.

use aura_policies::agent::{Action, Decision, FAMILY, build};
use aura_policies::facts::{TreeShape, WindowStats};
use aura_policies::{AnyFamily, PolicySpec, picker};
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
fn actions(spec: &PolicySpec, seed: u64) -> Vec<Vec<Decision>> {
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
        for Decision { action, .. } in actions(&spec, 1).into_iter().flatten() {
            let possible = match &action {
                Action::SetRuns { level, runs, .. } => *level >= 1 && *runs >= 1,
                Action::SetLevel0Trigger { runs } => *runs >= 1,
                Action::Merge { from, to } => from <= to && *to >= 1,
                Action::SetPicker { picker } => picker::FAMILY.check(picker).is_ok(),
                Action::SetFilterBits { bits, .. } => (0.0..=32.0).contains(bits),
                Action::SetWriteRate { .. } | Action::Hold => true,
            };
            assert!(possible, "{spec}: {action:?}");
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
