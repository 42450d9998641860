//! What agents see and what they may do: windows hold what happened, each action acts in any tree,
//! also in one that is not written to, and neutral actions cost nothing.

mod common;

use std::sync::{Arc, LazyLock, Mutex};

use aura_engine::env::sim::{SimStats, SimWorld};
use aura_engine::env::{Clock, Env};
use aura_engine::{
    AuraEngine, Counts, Direction, Engine, EngineBuilder, EngineConfig, EventKind, Metrics, Range,
};
use aura_policies::PolicySpec;
use aura_policies::agent::{self, Action, Agent, Decision, Transition};
use aura_policies::entry::{Entry, describe, params};
use aura_policies::facts::{Outcome, TableFacts, TreeShape, WindowStats};
use aura_policies::picker::{self, Candidates, Picker};
use bytesize::ByteSize;
use common::{Chance, repeatable, run, seeds, sim};

/// What a scripted agent does after each window.
type Script = Arc<dyn Fn(&WindowStats, &TreeShape) -> Vec<Action> + Send + Sync>;

/// The scripts of all tests. An agent's parameter is the number of its script.
static SCRIPTS: Mutex<Vec<Script>> = Mutex::new(Vec::new());

struct Scripted(Script);

impl Agent for Scripted {
    fn step(&mut self, window: &WindowStats, tree: &TreeShape) -> Vec<Decision> {
        let actions = (self.0)(window, tree).into_iter();
        actions
            .map(|action| Decision::new(action, "scripted"))
            .collect()
    }
}

#[derive(Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(default)]
struct Params {
    script: usize,
}

static SCRIPTED: Entry<agent::Build> = Entry {
    name: "scripted",
    about: "what a test says",
    params: describe::<Params>,
    build: |_seed, spec| {
        let Params { script } = params(spec)?;
        let scripts = SCRIPTS.lock().expect("no test panics with the lock");
        let idle: Script = Arc::new(|_, _| Vec::new());
        Ok(Box::new(Scripted(
            scripts.get(script).cloned().unwrap_or(idle),
        )))
    },
};

/// Times that the picker `counting` was asked.
static PICKS: Mutex<u64> = Mutex::new(0);

struct Counting;

impl Picker for Counting {
    fn pick(&self, _candidates: &Candidates<'_>) -> usize {
        *PICKS.lock().expect("no test panics with the lock") += 1;
        0
    }

    fn on_moved(&mut self, _level: usize, _table: &TableFacts) {}
}

static COUNTING: Entry<picker::Build> = Entry {
    name: "counting",
    about: "the first table, counted",
    params: describe::<Params>,
    build: |_spec| Ok(Box::new(Counting)),
};

/// Registers what tests use beside the policies that are there.
static REGISTERED: LazyLock<()> = LazyLock::new(|| {
    let agents = agent::FAMILY.register(&SCRIPTED);
    agents.expect("the name is free");
    let pickers = picker::FAMILY.register(&COUNTING);
    pickers.expect("the name is free");
});

/// The agent that follows `script`.
fn scripted(
    script: impl Fn(&WindowStats, &TreeShape) -> Vec<Action> + Send + Sync + 'static,
) -> PolicySpec {
    LazyLock::force(&REGISTERED);
    let mut scripts = SCRIPTS.lock().expect("no test panics with the lock");
    scripts.push(Arc::new(script));
    PolicySpec::named("scripted").with("script", scripts.len() - 1)
}

/// Operations of a window.
const WINDOW: u64 = 20;

/// Windows within which an action must have acted, of a second each.
const WINDOWS_MAX: usize = 20;

/// A database whose agent does what the test says next.
struct Laboratory {
    engine: AuraEngine,
    clock: Arc<dyn Clock>,
    /// What the agent does after the next window.
    next: Arc<Mutex<Vec<Action>>>,
    /// The tree as the agent saw it last.
    shape: Arc<Mutex<TreeShape>>,
}

impl Laboratory {
    async fn open(env: &Env, mut config: EngineConfig) -> Self {
        let next: Arc<Mutex<Vec<Action>>> = Arc::default();
        let shape: Arc<Mutex<TreeShape>> = Arc::default();
        let (asked, seen) = (next.clone(), shape.clone());
        config.compaction.agent_window = WINDOW;
        config.compaction.agent = scripted(move |_, tree| {
            *seen.lock().expect("no panic") = tree.clone();
            std::mem::take(&mut *asked.lock().expect("no panic"))
        });
        Self {
            engine: open(env, config).await,
            clock: env.clock.clone(),
            next,
            shape,
        }
    }

    fn counts(&self) -> Counts {
        self.engine.metrics().counts
    }

    fn runs(&self, level: usize) -> u64 {
        let levels = self.engine.metrics().levels;
        levels.get(level).map_or(0, |level| level.runs)
    }

    /// Ends a window with reads alone, and lets a second pass. Returns the tree at its end.
    async fn quiet_window(&self) -> TreeShape {
        for number in 0..WINDOW {
            let absent = format!("absent-{number}");
            assert_eq!(self.engine.get(absent.as_bytes()).await.unwrap(), None);
        }
        self.clock.sleep(1_000_000_000).await;
        self.shape.lock().expect("no panic").clone()
    }

    /// Has the agent do `actions` after a window of reads. Returns what became of them.
    async fn decide(&self, actions: &[Action]) -> Vec<Outcome> {
        self.engine.take_events();
        *self.next.lock().expect("no panic") = actions.to_vec();
        self.quiet_window().await;
        let mut outcomes = Vec::new();
        for event in self.engine.take_events() {
            if let EventKind::Agent { made, .. } = event.kind {
                assert_eq!(made.decision.reason, "scripted");
                outcomes.push(made.outcome);
            }
        }
        assert_eq!(outcomes.len(), actions.len());
        outcomes
    }

    /// Ends quiet windows until the tree is as expected.
    async fn until(&self, what: &str, expected: impl Fn(&TreeShape) -> bool) {
        for _ in 0..WINDOWS_MAX {
            if expected(&self.quiet_window().await) {
                return;
            }
        }
        let shape = self.quiet_window().await;
        panic!("{what}: not within {WINDOWS_MAX} windows:\n{shape}");
    }
}

async fn open(env: &Env, config: EngineConfig) -> AuraEngine {
    let builder = EngineBuilder::new(env.clone(), "/db").config(config);
    builder.open().await.expect("the settings are in range")
}

/// One of ten kinds of tree: layouts, sizes, and how much lies in level 0.
fn tree_config(state: u64) -> EngineConfig {
    let layout = [
        PolicySpec::named("tiered").with("ratio", 4),
        PolicySpec::named("leveled").with("ratio", 4),
        PolicySpec::named("flexible")
            .with("ratio", 4)
            .with("runs", [4, 4, 1]),
    ];
    let mut config = EngineConfig::default();
    config.memtable = ByteSize::kib(8);
    config.table.size = ByteSize::kib(8);
    config.table.block = ByteSize::b(512);
    // With the larger one, level 1 holds several runs.
    config.compaction.base = ByteSize::kib([32, 128][state as usize / 3 % 2]);
    config.compaction.level0_trigger = 4;
    config.compaction.layout = layout[state as usize % 3].clone();
    config.compaction.jobs = 1 + state as u32 % 2;
    config
}

/// Writes `bytes` bytes under random keys.
async fn write(engine: &AuraEngine, chance: &mut Chance, bytes: u64) {
    for _ in 0..bytes / 100 {
        let key = format!("key-{:05}", chance.below(3_000));
        engine.put(key.as_bytes(), &[7; 90]).await.unwrap();
    }
}

/// Runs `test` in ten trees that are not written to any more.
fn in_ten_trees<F>(test: impl Fn(Arc<Laboratory>) -> F)
where
    F: Future<Output = ()>,
{
    for state in seeds(10) {
        repeatable(state, || {
            let world = sim(state);
            let env = world.env();
            run(&world, async {
                let laboratory = Arc::new(Laboratory::open(&env, tree_config(state)).await);
                let engine = &laboratory.engine;
                let mut chance = Chance::new(state);
                // Ends with one to three runs in level 0.
                write(engine, &mut chance, 40_000 + 23_000 * state).await;
                engine.flush().await.unwrap();
                engine.wait_idle().await.unwrap();
                for _ in 0..1 + state % 3 {
                    write(engine, &mut chance, 2_000).await;
                    engine.flush().await.unwrap();
                }
                engine.wait_idle().await.unwrap();
                let deepest = laboratory.quiet_window().await.deepest();
                assert!(deepest >= 1, "the tree has levels");
                test(laboratory.clone()).await;
                assert_eq!(laboratory.counts().plans_refused, 0);
                assert!(engine.verify().await.unwrap().problems.is_empty());
                engine.close().await.unwrap();
            });
        });
    }
}

fn set_runs(level: usize, runs: u32, transition: Transition) -> Action {
    Action::SetRuns {
        level,
        runs,
        transition,
    }
}

/// The level that holds the most runs, and how many.
fn fullest(shape: &TreeShape) -> (usize, usize) {
    let levels = shape.levels.iter().enumerate().skip(1);
    let runs = levels.map(|(level, facts)| (level, facts.runs.len()));
    runs.max_by_key(|(_, runs)| *runs).expect("a level")
}

#[test]
fn a_greedy_limit_merges_at_once_and_its_bytes_are_counted() {
    let merged = Mutex::new(0);
    in_ten_trees(|lab| {
        let merged = &merged;
        async move {
            // So that there is more than one run in a level whatever the layout.
            let shape = lab.quiet_window().await;
            let (level, held) = fullest(&shape);
            let before = lab.counts();
            let action = set_runs(level, 1, Transition::Greedy);
            let outcome = lab.decide(std::slice::from_ref(&action)).await[0];
            lab.until("one run", |shape| {
                let facts = &shape.levels[level];
                facts.runs.len() <= 1 && (held == 1 || facts.runs_max == Some(1))
            })
            .await;
            let rose = lab.counts().since(&before);
            if held > 1 {
                assert_eq!(outcome, Outcome::Done);
                assert!(rose.agent_bytes > 0);
                *merged.lock().unwrap() += 1;
            }
            assert_eq!(rose.agent_bytes, rose.compaction_write_bytes);
            assert_eq!(lab.decide(&[action]).await, [Outcome::Unchanged]);
        }
    });
    assert!(*merged.lock().unwrap() >= 2, "some trees had runs to merge");
}

#[test]
fn a_flexible_limit_rewrites_nothing_until_the_level_is_merged() {
    in_ten_trees(|lab| async move {
        let (level, held) = fullest(&lab.quiet_window().await);
        let before = lab.counts();
        let outcome = lab
            .decide(&[set_runs(level, 1, Transition::Flexible)])
            .await[0];
        let shape = lab.quiet_window().await;
        let facts = &shape.levels[level];
        if outcome == Outcome::Done {
            assert_eq!(facts.runs_max, Some(1));
        }
        assert_eq!(facts.runs.len(), held, "they stay");
        assert_eq!(facts.runs_inherited as usize, held - 1);
        let rose = lab.counts().since(&before);
        assert_eq!((rose.compactions, rose.compaction_moves), (0, 0));
        lab.engine.wait_idle().await.unwrap();
        // What is written from now on adds no run to the level.
        let mut chance = Chance::new(9);
        write(&lab.engine, &mut chance, 30_000).await;
        lab.engine.flush().await.unwrap();
        lab.engine.wait_idle().await.unwrap();
        assert!(lab.runs(level) <= held as u64);
    });
}

#[test]
fn a_lazy_limit_waits_for_an_empty_level() {
    in_ten_trees(|lab| async move {
        let shape = lab.quiet_window().await;
        let (level, _) = fullest(&shape);
        // The limit that holds, so that the new one is another.
        let limit = |shape: &TreeShape| shape.levels[level].runs_max;
        assert_eq!(limit(&shape), None);
        let lazy = set_runs(level, 3, Transition::Lazy);
        assert_eq!(
            lab.decide(std::slice::from_ref(&lazy)).await,
            [Outcome::Done]
        );
        assert_eq!(lab.decide(&[lazy]).await, [Outcome::Unchanged]);
        assert_eq!(limit(&lab.quiet_window().await), None, "it waits");
        let down = Action::Merge {
            from: level,
            to: level + 1,
        };
        assert_eq!(lab.decide(&[down]).await, [Outcome::Done]);
        lab.until("the limit", |shape| limit(shape) == Some(3))
            .await;
    });
}

#[test]
fn a_lower_trigger_empties_level_0_also_without_writes() {
    in_ten_trees(|lab| async move {
        assert!((1..4).contains(&lab.runs(0)));
        let action = Action::SetLevel0Trigger { runs: 1 };
        assert_eq!(
            lab.decide(std::slice::from_ref(&action)).await,
            [Outcome::Done]
        );
        lab.until("an empty level 0", |shape| {
            shape.level0_runs_trigger == 1 && shape.levels[0].runs.is_empty()
        })
        .await;
        assert_eq!(lab.decide(&[action]).await, [Outcome::Unchanged]);
        assert_eq!(lab.counts().agent_bytes, 0, "the layout merged it");
    });
}

#[test]
fn a_merge_makes_one_run_and_its_bytes_are_counted() {
    in_ten_trees(|lab| async move {
        let to = lab.quiet_window().await.deepest();
        let before = lab.counts();
        let merge = Action::Merge { from: 0, to };
        let outcomes = lab.decide(&[merge.clone(), merge.clone()]).await;
        assert_eq!(outcomes, [Outcome::Done, Outcome::Unchanged]);
        let is_one_run = |shape: &TreeShape| {
            let mut levels = shape.levels.iter().take(to);
            levels.all(|level| level.runs.is_empty()) && shape.levels[to].runs.len() == 1
        };
        lab.until("one run", is_one_run).await;
        let rose = lab.counts().since(&before);
        assert!(rose.agent_bytes > 0);
        assert!(rose.level_compaction_bytes[0] >= rose.agent_bytes);
        assert_eq!(lab.decide(&[merge]).await, [Outcome::Unchanged]);
    });
}

#[test]
fn filter_bits_reach_the_tables_that_are_written_next() {
    in_ten_trees(|lab| async move {
        let level = lab.quiet_window().await.deepest();
        let merge = Action::Merge { from: 0, to: level };
        // The merge may fill the level, so that it moves on to the next.
        let set = |bits| {
            let levels = [level, level + 1];
            levels.map(|level| Action::SetFilterBits { level, bits })
        };
        assert!(lab.engine.metrics().filter_bytes > 0);
        assert_eq!(lab.decide(&set(0.0)).await, [Outcome::Done; 2]);
        assert_eq!(lab.decide(&set(0.0)).await, [Outcome::Unchanged; 2]);
        assert_eq!(
            lab.decide(std::slice::from_ref(&merge)).await,
            [Outcome::Done]
        );
        lab.engine.wait_idle().await.unwrap();
        assert_eq!(lab.runs(0), 0);
        assert_eq!(lab.engine.metrics().filter_bytes, 0);
        assert_eq!(lab.decide(&set(20.0)).await, [Outcome::Done; 2]);
        write(&lab.engine, &mut Chance::new(2), 5_000).await;
        lab.engine.flush().await.unwrap();
        lab.decide(&[merge]).await;
        lab.engine.wait_idle().await.unwrap();
        assert_eq!(lab.runs(0), 0);
        assert!(lab.engine.metrics().filter_bytes > 0);
    });
}

#[test]
fn another_picker_is_asked_for_the_next_plan() {
    in_ten_trees(|lab| async move {
        let counting = Action::SetPicker {
            picker: PolicySpec::named("counting"),
        };
        let outcomes = lab.decide(&[counting.clone(), counting]).await;
        assert_eq!(outcomes, [Outcome::Done, Outcome::Unchanged]);
        let picks = || *PICKS.lock().expect("no test panics with the lock");
        let before = picks();
        let mut chance = Chance::new(5);
        let picked = lab.counts().compaction_picks;
        write(&lab.engine, &mut chance, 60_000).await;
        lab.engine.flush().await.unwrap();
        lab.engine.wait_idle().await.unwrap();
        let by_picker = lab.counts().compaction_picks - picked;
        assert!(picks() - before >= by_picker, "the new one chose them all");
        let back = Action::SetPicker {
            picker: lab.engine.config().compaction.picker.clone(),
        };
        assert_eq!(lab.decide(&[back]).await, [Outcome::Done]);
    });
}

#[test]
fn a_rate_paces_writers_until_it_is_lifted() {
    in_ten_trees(|lab| async move {
        let rate = Action::SetWriteRate { bytes: 100_000 };
        assert_eq!(lab.decide(&[rate]).await, [Outcome::Done]);
        let start = lab.clock.now();
        let mut chance = Chance::new(5);
        write(&lab.engine, &mut chance, 50_000).await;
        let took = lab.clock.now() - start;
        let stalled = lab.counts().stall_agent_nanos;
        assert!((400_000_000..1_200_000_000).contains(&took), "{took}");
        assert!(stalled > 400_000_000 && stalled <= took, "{stalled}");
        let lift = Action::SetWriteRate { bytes: 0 };
        assert_eq!(lab.decide(&[lift]).await, [Outcome::Done]);
        write(&lab.engine, &mut chance, 50_000).await;
        assert_eq!(lab.counts().stall_agent_nanos, stalled);
    });
}

#[test]
fn a_hold_lasts_until_the_next_window_ends() {
    in_ten_trees(|lab| async move {
        let trigger = Action::SetLevel0Trigger { runs: 1 };
        let outcomes = lab.decide(&[Action::Hold, trigger]).await;
        assert_eq!(outcomes, [Outcome::Done, Outcome::Done]);
        let before = lab.counts();
        lab.clock.sleep(10_000_000_000).await;
        assert!(lab.runs(0) > 0, "a merge is due, and held back");
        assert_eq!(lab.counts().since(&before).compactions, 0);
        assert_eq!(lab.decide(&[Action::Hold]).await, [Outcome::Done]);
        assert!(lab.runs(0) > 0, "and again");
        lab.until("an empty level 0", |shape| shape.levels[0].runs.is_empty())
            .await;
    });
}

#[test]
fn a_hold_ends_when_somebody_waits_or_writers_would_be_slowed_down() {
    in_ten_trees(|lab| async move {
        let trigger = Action::SetLevel0Trigger { runs: 1 };
        lab.decide(&[Action::Hold, trigger]).await;
        assert!(lab.runs(0) > 0);
        lab.engine.wait_idle().await.unwrap();
        assert_eq!(lab.runs(0), 0);
        let slowdown = lab.engine.config().compaction.level0_slowdown;
        let holds = Action::Hold;
        assert_eq!(lab.decide(&[holds]).await, [Outcome::Done]);
        for _ in 0..slowdown {
            // Without the end of a window.
            lab.engine.put(b"key", b"value").await.unwrap();
            lab.engine.flush().await.unwrap();
            if lab.runs(0) == 0 {
                break;
            }
        }
        lab.clock.sleep(1_000_000_000).await;
        assert!(lab.runs(0) < u64::from(slowdown));
    });
}

#[test]
fn what_is_out_of_range_is_refused_and_changes_nothing() {
    let world = sim(1);
    let env = world.env();
    run(&world, async {
        let lab = Laboratory::open(&env, tree_config(1)).await;
        let mut chance = Chance::new(1);
        write(&lab.engine, &mut chance, 60_000).await;
        lab.engine.flush().await.unwrap();
        lab.engine.wait_idle().await.unwrap();
        let before = lab.quiet_window().await;
        let slowdown = lab.engine.config().compaction.level0_slowdown;
        let bad = PolicySpec::named("min-overlap").with("no_such", 1);
        let picker = |picker| Action::SetPicker { picker };
        let bits = |level, bits| Action::SetFilterBits { level, bits };
        let refused = [
            set_runs(0, 1, Transition::Flexible),
            set_runs(1, 0, Transition::Lazy),
            set_runs(1, 5, Transition::Greedy),
            set_runs(64, 1, Transition::Flexible),
            Action::SetLevel0Trigger { runs: 0 },
            Action::SetLevel0Trigger { runs: slowdown },
            Action::Merge { from: 0, to: 0 },
            Action::Merge { from: 2, to: 1 },
            Action::Merge { from: 0, to: 60 },
            picker(PolicySpec::named("no-such-picker")),
            picker(bad),
            bits(1, -1.0),
            bits(1, 0.5),
            bits(1, 33.0),
            bits(1, f64::NAN),
            bits(64, 10.0),
            Action::SetWriteRate { bytes: 1 },
        ];
        let outcomes = lab.decide(&refused).await;
        assert!(
            outcomes.iter().all(|it| *it == Outcome::Refused),
            "{outcomes:?}"
        );
        let counts = lab.counts();
        assert_eq!(counts.agent_refused, refused.len() as u64);
        assert_eq!((counts.agent_actions, counts.plans_refused), (0, 0));
        assert_eq!(lab.quiet_window().await, before);
        lab.engine.close().await.unwrap();
    });
}

/// A mixed workload; returns what it leaves in the counters, the tree and the machine.
fn workload(agent: PolicySpec) -> (Metrics, SimStats, u64) {
    let world = SimWorld::new(&Default::default());
    let env = world.env();
    run(&world, async {
        let mut config = tree_config(1);
        config.compaction.agent_window = WINDOW;
        config.compaction.agent = agent;
        let engine = open(&env, config).await;
        let start = env.clock.now();
        let mut chance = Chance::new(3);
        for _ in 0..60 {
            write(&engine, &mut chance, 4_000).await;
            for _ in 0..30 {
                let key = format!("key-{:05}", chance.below(4_000));
                engine.get(key.as_bytes()).await.unwrap();
            }
            let mut scan = engine.scan(Range::all(), Direction::Forward).limit(5);
            while scan.next().await.unwrap().is_some() {}
        }
        engine.flush().await.unwrap();
        engine.wait_idle().await.unwrap();
        let metrics = engine.metrics();
        engine.close().await.unwrap();
        // Asking the agent is an event of the simulation, and takes no time. The directory holds
        // the settings, with the agent's name.
        let machine = SimStats {
            events: 0,
            device_write_bytes: 0,
            ..world.stats()
        };
        (metrics, machine, env.clock.now() - start)
    })
}

#[test]
fn neutral_actions_leave_every_number_as_without_an_agent() {
    let neutral = scripted(|_, tree| {
        vec![
            set_runs(1, 1, Transition::Flexible),
            set_runs(2, 1, Transition::Greedy),
            set_runs(3, 1, Transition::Lazy),
            Action::SetLevel0Trigger {
                runs: tree.level0_runs_trigger,
            },
            Action::SetPicker {
                picker: picker::FAMILY.default_spec(),
            },
            Action::SetFilterBits {
                level: 1,
                bits: 10.0,
            },
            Action::SetWriteRate { bytes: 0 },
        ]
    });
    let (metrics, machine, nanos) = workload(neutral);
    let (expected, expected_machine, expected_nanos) = workload(agent::FAMILY.default_spec());
    assert!(expected.counts.compaction_picks > 0, "the tree is at work");
    assert_eq!(metrics, expected);
    assert_eq!(machine, expected_machine);
    assert_eq!(nanos, expected_nanos);
}

/// A hundred windows of a mixed workload, and the counters after them.
fn watched() -> (Vec<WindowStats>, Counts) {
    let windows: Arc<Mutex<Vec<WindowStats>>> = Arc::default();
    let seen = windows.clone();
    let world = sim(1);
    let env = world.env();
    let counts = run(&world, async {
        let mut config = tree_config(1);
        config.cache.size = ByteSize(0);
        config.compaction.agent_window = WINDOW;
        config.compaction.agent = scripted(move |window, _| {
            seen.lock().expect("no panic").push(window.clone());
            match window.index {
                3 => vec![Action::SetLevel0Trigger { runs: 2 }],
                _ => Vec::new(),
            }
        });
        let engine = open(&env, config).await;
        let mut chance = Chance::new(3);
        for round in 0..100 {
            let mut scan = engine.scan(Range::all(), Direction::Forward).limit(5);
            while scan.next().await.unwrap().is_some() {}
            drop(scan);
            write(&engine, &mut chance, 1_000).await;
            let key = format!("key-{round:05}");
            engine.delete(key.as_bytes()).await.unwrap();
            for _ in 0..8 {
                let key = format!("key-{:05}", chance.below(4_000));
                engine.get(key.as_bytes()).await.unwrap();
            }
            // The agent sees each window by itself.
            env.clock.sleep(1_000_000).await;
        }
        engine.wait_idle().await.unwrap();
        let counts = engine.metrics().counts;
        engine.close().await.unwrap();
        counts
    });
    let windows = windows.lock().expect("no panic").clone();
    (windows, counts)
}

#[test]
fn windows_hold_what_happened() {
    let (windows, counts) = watched();
    assert_eq!(windows.len(), 100, "20 operations a round");
    let sum = |field: fn(&WindowStats) -> u64| windows.iter().map(field).sum::<u64>();
    assert_eq!(sum(|it| it.gets), counts.gets);
    assert_eq!(sum(|it| it.gets_found), counts.gets_found);
    assert_eq!(sum(|it| it.writes), counts.puts + counts.deletes);
    assert_eq!(sum(|it| it.deletes), 100);
    assert_eq!(sum(|it| it.scans), 100);
    assert_eq!(sum(|it| it.scan_rows), counts.scan_rows);
    assert_eq!(sum(|it| it.user_write_bytes), counts.user_write_bytes);
    assert_eq!(sum(|it| it.memtable_hits), counts.memtable_hits);
    assert_eq!(sum(|it| it.filter_negatives), counts.filter_negatives);
    assert_eq!(sum(|it| it.block_misses), counts.block_misses);
    assert!(counts.gets_found < counts.gets && counts.filter_negatives > 0);
    let by_level = sum(|it| it.level_compaction_bytes.iter().sum());
    assert_eq!(by_level, sum(|it| it.compaction_write_bytes));
    assert!(sum(|it| it.level_compaction_bytes[0]) > 0);
    assert_eq!(sum(|it| it.get_latency.count), counts.gets);
    assert_eq!(sum(|it| it.write_latency.count), counts.batches);
    assert_eq!(sum(|it| it.scan_latency.count), 100);
    assert!(windows.iter().all(|it| it.nanos >= it.get_latency.nanos));
    let slow = windows.iter().filter(|it| it.get_device_reads > 0);
    for window in slow {
        assert!(window.get_latency.p99_nanos > 10_000, "{window:?}");
        assert!(window.get_latency.nanos >= window.get_latency.p99_nanos / 2);
    }
    assert!(
        windows
            .iter()
            .enumerate()
            .all(|(at, it)| it.index == at as u64)
    );
    assert_eq!(windows[4].outcomes, [Outcome::Done]);
    assert!(windows[5].outcomes.is_empty());
}

#[test]
fn the_same_seed_decides_the_same() {
    let events = |_| {
        let world = sim(4);
        let env = world.env();
        run(&world, async {
            let mut config = tree_config(2);
            config.seed = 7;
            config.compaction.agent_window = WINDOW;
            config.compaction.agent = PolicySpec::named("random")
                .with("rate", 1.0)
                .with("runs_max", 4);
            let engine = open(&env, config).await;
            let mut chance = Chance::new(3);
            write(&engine, &mut chance, 200_000).await;
            engine.wait_idle().await.unwrap();
            let events = engine.take_events();
            let counts = engine.metrics().counts;
            assert!(counts.agent_actions > 30, "{counts:?}");
            engine.close().await.unwrap();
            events
        })
    };
    assert_eq!(events(1), events(2));
}
