//! Laws of compaction agents.

use aura_policies::agent::{Action, Decision, FAMILY, build};
use aura_policies::facts::{Latency, Outcome, TreeShape, WindowStats};
use aura_policies::{AnyFamily, PolicySpec, picker};
use serde_json::json;

use crate::SplitMix64;
use crate::agent_world::{RATIO, World};

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

/// Every agent, bare and guarded.
fn all_agents() -> Vec<PolicySpec> {
    let bare = FAMILY.names().into_iter().map(PolicySpec::named);
    let guarded = FAMILY.names().into_iter().map(|name| {
        PolicySpec::named("guard")
            .with("agent", json!(name))
            .with("windows", 1)
            .with("loss", 10.0)
    });
    bare.chain(guarded).collect()
}

#[test]
fn extreme_windows_never_panic_and_never_bring_impossible_actions() {
    let large = u64::MAX / 2;
    for spec in all_agents() {
        for seed in 0..4 {
            let mut draws = SplitMix64(seed);
            let mut agent = build(&spec, seed).expect("it builds");
            let mut world = World::new(seed);
            for _ in 0..60 {
                let mut draw = || [0, 1, 1000, large, draws.next() / 2][draws.below(5) as usize];
                let window = WindowStats {
                    index: draw(),
                    operations_total: draw(),
                    nanos: draw(),
                    gets: draw(),
                    gets_found: draw(),
                    writes: draw(),
                    scans: draw(),
                    scan_rows: draw(),
                    user_write_bytes: draw(),
                    filter_false_positives: draw(),
                    block_hits: draw(),
                    block_misses: draw(),
                    scan_hits: draw(),
                    scan_misses: draw(),
                    device_write_bytes: draw(),
                    device_read_bytes: draw(),
                    compaction_read_bytes: draw(),
                    debt_bytes: draw(),
                    get_latency: Latency {
                        count: draw(),
                        nanos: draw(),
                        p99_nanos: draw(),
                    },
                    scan_latency: Latency {
                        count: draw(),
                        nanos: draw(),
                        p99_nanos: draw(),
                    },
                    outcomes: vec![Outcome::Refused; draws.below(4) as usize],
                    ..WindowStats::default()
                };
                world.runs = 1.0 + draws.below(12) as f64;
                for decision in agent.step(&window, &world.tree()) {
                    let possible = match &decision.action {
                        Action::SetRuns { level, runs, .. } => {
                            (1..=64).contains(level) && (1..=RATIO).contains(runs)
                        }
                        Action::SetLevel0Trigger { runs } => (1..=16).contains(runs),
                        // The tree's deepest level is 1, and a merge may begin the next.
                        Action::Merge { from, to } => from <= to && (1..=2).contains(to),
                        _ => true,
                    };
                    assert!(possible, "{spec}, seed {seed}: {decision:?}");
                }
            }
        }
    }
}
