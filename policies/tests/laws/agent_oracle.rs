//! Laws of agents that learn, in a world with a closed form.

use aura_policies::PolicySpec;
use aura_policies::agent::{AgentFile, build};
use aura_policies::splitmix::SplitMix64;
use serde_json::json;

use crate::agent_world::{OPERATIONS, Shown, TRUE, UNIT, World, best, cost, near, run};

/// What is expected of a learner.
struct Learner {
    spec: PolicySpec,
    /// Windows within which it gets near the best limit.
    windows: usize,
    /// The share of a third as many windows after that in which it is near.
    stays: f64,
    /// Whether the limit moves by at most one a window.
    steps: bool,
    seeds: u64,
}

const SHARES: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];

fn learner(name: &str, windows: usize, stays: f64, steps: bool) -> Learner {
    Learner {
        spec: PolicySpec::named(name).with("level0_max", 1),
        windows,
        stays,
        steps,
        seeds: 5,
    }
}

/// A hundred windows are enough but for tables and networks, which have an entry for each step from
/// each limit, or thousands of weights. Bandits explore for ever.
fn learners() -> Vec<Learner> {
    let mut ddpg = learner("ddpg", 400, 0.4, true);
    ddpg.spec = ddpg.spec.with("updates", 4);
    ddpg.seeds = 1;
    vec![
        learner("hill-climb", 100, 0.75, true),
        learner("model", 100, 1.0, false),
        learner("fit", 100, 0.95, false),
        learner("ucb1", 100, 0.6, false),
        learner("sliding-window-ucb", 100, 0.6, false),
        learner("thompson", 100, 0.7, false),
        learner("linucb", 100, 0.9, false),
        learner("q-step", 300, 0.4, true),
        ddpg,
    ]
}

/// Whether a learner bears this out: how often it is near, over its seeds, in the last windows.
fn near_at_end(learner: &Learner, phases: &[(f64, usize)]) -> f64 {
    let (reads, _) = phases[phases.len() - 1];
    let mut sum = 0.0;
    for seed in 0..learner.seeds {
        let (limits, _) = run(&learner.spec, seed, phases, |_, _| TRUE);
        sum += near(&limits[limits.len() - learner.windows / 3..], reads);
    }
    sum / learner.seeds as f64
}

#[test]
fn learners_reach_the_best_limit_and_stay_near_it() {
    for learner in learners() {
        for reads in SHARES {
            let windows = learner.windows + learner.windows / 3;
            let near = near_at_end(&learner, &[(reads, windows)]);
            let Learner { spec, stays, .. } = &learner;
            assert!(near >= *stays, "{spec}, {reads} reads: {near}");
        }
    }
}

/// After a flip of the mix the cost falls to less than the mean of the best limit's and that of the
/// limit that was best before.
#[test]
fn learners_follow_a_flip() {
    for learner in learners() {
        for (before, after) in [(0.9, 0.1), (0.1, 0.9)] {
            let windows = learner.windows;
            let phases = [(before, windows), (after, windows + windows / 3)];
            let stale = cost(after, best(before));
            let most = f64::midpoint(stale, cost(after, best(after)));
            let mut mean = 0.0;
            for seed in 0..learner.seeds {
                let (limits, _) = run(&learner.spec, seed, &phases, |_, _| TRUE);
                let last = &limits[2 * windows..];
                let costs = last.iter().map(|runs| cost(after, *runs));
                mean += costs.sum::<f64>() / (last.len() as u64 * learner.seeds) as f64;
            }
            let spec = &learner.spec;
            assert!(mean < most, "{spec}: {mean} of {stale}");
        }
    }
}

#[test]
fn agents_that_take_steps_move_by_at_most_one() {
    for learner in learners().into_iter().filter(|it| it.steps) {
        for seed in 0..learner.seeds {
            let phases = [(0.9, 100), (0.1, 100)];
            let (limits, _) = run(&learner.spec, seed, &phases, |_, _| TRUE);
            let steps = limits.windows(2).all(|it| it[0].abs_diff(it[1]) <= 1);
            assert!(steps, "{}, seed {seed}: {limits:?}", learner.spec);
        }
    }
}

/// A fit that begins with the belief that no limit matters: what it knows, it has learned.
fn misled(spec: &PolicySpec) -> PolicySpec {
    let saved = build(spec, 0).expect("it builds").save().expect("a file");
    let file: AgentFile = serde_json::from_value(saved).expect("its form");
    let features: Vec<&str> = file.features.iter().map(String::as_str).collect();
    let weights = vec![1.0, 0.0, 0.0, 0.0];
    let file = AgentFile::new(&file.kind, &features, &file.scales, json!({}), weights);
    spec.clone().with("model", file.into_value())
}

/// A learner that is shown the costs in another order learns nothing from them.
#[test]
fn a_permuted_reward_destroys_learning() {
    for mut learner in learners() {
        match &*learner.spec.policy {
            // It does not look at costs.
            "model" => continue,
            "fit" => learner.spec = misled(&learner.spec),
            _ => {}
        }
        // Unlearned, this fit sets one run.
        let shares = match &*learner.spec.policy {
            "fit" => vec![0.1],
            _ => vec![0.1, 0.9],
        };
        let runs = (learner.seeds * shares.len() as u64) as f64;
        let (mut honest, mut permuted) = (0.0, 0.0);
        for (seed, reads) in (0..learner.seeds).flat_map(|seed| {
            let shares = shares.clone();
            shares.into_iter().map(move |reads| (seed, reads))
        }) {
            let phases = [(reads, learner.windows + learner.windows / 3)];
            let (limits, mut costs) = run(&learner.spec, seed, &phases, |_, _| TRUE);
            honest += near(&limits[learner.windows..], reads) / runs;
            let mut draws = SplitMix64::new(seed);
            for at in (1..costs.len()).rev() {
                costs.swap(at, draws.below(at + 1));
            }
            let (limits, _) = run(&learner.spec, seed, &phases, |at, _| Shown {
                instead: Some(costs[at]),
                ..TRUE
            });
            permuted += near(&limits[learner.windows..], reads) / runs;
        }
        let spec = &learner.spec.policy;
        assert!(permuted < honest - 0.25, "{spec}: {honest}, {permuted}");
    }
}

#[test]
fn a_jump_of_all_costs_does_not_change_the_choice() {
    for learner in learners() {
        let mut mean = 0.0;
        for seed in 0..learner.seeds {
            let windows = learner.windows;
            let phases = [(0.5, windows + windows / 2)];
            let (limits, _) = run(&learner.spec, seed, &phases, |at, _| Shown {
                scale: if at < windows { 1.0 } else { 20.0 },
                ..TRUE
            });
            mean += near(&limits[windows..], 0.5) / learner.seeds as f64;
        }
        let stays = learner.stays - 0.2;
        assert!(mean >= stays, "{}: {mean}", learner.spec);
    }
}

/// A run more saves time by putting work off, far more cheaply than it could be done. Who sees
/// the time alone takes that; the referee charges the debt.
#[test]
fn putting_work_off_does_not_pay() {
    const SAVED: f64 = 0.3;
    for learner in learners() {
        if matches!(&*learner.spec.policy, "model" | "ddpg") {
            continue;
        }
        let mut mean = [0.0; 2];
        for seed in 0..learner.seeds {
            for (is_shown, mean) in [0.0, 1.0].iter().zip(&mut mean) {
                let phases = [(0.5, learner.windows + learner.windows / 3)];
                let mut debt = 0.0;
                let (limits, _) = run(&learner.spec, seed, &phases, |_, runs| {
                    let saved = SAVED * f64::from(runs - 1);
                    // A byte of debt for each 5 nanoseconds that are saved.
                    debt += is_shown * saved * UNIT * OPERATIONS as f64 / 5.0;
                    Shown {
                        instead: Some(cost(0.5, runs) - saved),
                        debt_bytes: debt as u64,
                        ..TRUE
                    }
                });
                let last = &limits[learner.windows..];
                let sum: u32 = last.iter().sum();
                *mean += f64::from(sum) / last.len() as f64 / learner.seeds as f64;
            }
        }
        let spec = &learner.spec;
        assert!(mean[0] > mean[1] + 1.0, "{spec}: {mean:?} runs");
        assert!(mean[1] < 4.0, "{spec}: {mean:?} runs");
    }
}

/// A tree that is read and not written to is merged once that pays, and one that is written to is
/// left to its limits.
#[test]
fn reads_of_a_quiet_tree_bring_a_merge() {
    let specs = learners().into_iter().map(|it| it.spec);
    let rules = [
        PolicySpec::named("arce").with("level0_max", 1),
        PolicySpec::named("read-triggered"),
    ];
    for spec in specs.chain(rules) {
        let mut agent = build(&spec, 0).expect("it builds");
        let mut world = World::new(0);
        for _ in 0..20 {
            let (window, _) = world.window(0.1, &TRUE);
            world.step(&mut *agent, &window);
        }
        let early = world.merges;
        world.runs = 10.0;
        for _ in 0..60 {
            let (window, _) = world.window(1.0, &TRUE);
            world.step(&mut *agent, &window);
        }
        assert!(world.merges > early, "{spec}");
        if spec.policy != "read-triggered" && spec.policy != "arce" {
            assert_eq!(early, 0, "{spec}");
        }
    }
}
