//! Decisions of logs written by hand, with costs computed by hand.

use serde_json::{Value, json};

use super::table::COLUMNS;
use super::*;
use crate::files;
use crate::folders::{RunFolder, TrialFolder};
use crate::formats::parquet::Frame;
use crate::store::collect;
use crate::store::trial::tests::write_sample;

/// A window of ten writes. Latency is not measured, so that each costs the bytes moved over ten.
fn window(phase: &str, index: u64, bytes: u64, decisions: &[Value]) -> String {
    let line = json!({
        "phase": phase,
        "start_nanos": index * 7,
        "end_nanos": index * 7,
        "event": "window",
        "index": index,
        "operations_total": (index + 1) * 10,
        "nanos": 7,
        "writes": 10,
        "device_write_bytes": bytes,
        "level_hits": [0, 0, 0, 0, 0, 0, 0, 0],
        "stalls": { "debt": 3 },
        "outcomes": ["done"],
        "decisions": decisions,
    });
    format!("{line}\n")
}

/// A step of self-tuning after window 6.
fn step(step: &str, proposal: &Value, before: f64, after: f64) -> String {
    let line = json!({
        "phase": "run",
        "start_nanos": 99,
        "end_nanos": 99,
        "event": "self-tuning",
        "step": step,
        "why": "because",
        "proposal": proposal,
        "window": 6,
        "before": before,
        "after": after,
        "knobs": {},
        "memory": {},
    });
    format!("{line}\n")
}

/// The run limit of level 1.
fn limit(runs: u32, transition: &str) -> Value {
    let action = json!({ "action": "set-runs", "level": 1, "runs": runs, "reason": "mix" });
    with(
        action,
        json!({ "transition": transition, "outcome": "done" }),
    )
}

/// An object with the fields of another, too.
fn with(mut one: Value, other: Value) -> Value {
    if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}

/// Seven windows and a phase's end, with decisions of an agent and a self-tuner.
fn log() -> String {
    let merge = json!({ "action": "merge", "from": 0, "to": 2, "reason": "mix" });
    let merge = with(merge, json!({ "outcome": "done" }));
    let trigger = json!({ "action": "set-level0-trigger", "runs": 90, "reason": "mix" });
    let trigger = with(trigger, json!({ "outcome": "refused" }));
    let picker = json!({ "action": "set-picker", "picker": { "policy": "random" } });
    let picker = with(picker, json!({ "reason": "mix", "outcome": "unchanged" }));
    let knob = json!({ "change": "set", "knob": "level0-trigger", "value": 3.0, "reason": "up" });
    let shift = json!({ "change": "shift", "from": "cache.size", "to": "memtable" });
    let shift = with(shift, json!({ "bytes": 4096, "reason": "up" }));
    let (up, down) = (limit(4, "lazy"), limit(2, "greedy"));
    [
        window("run", 0, 500, &[up.clone(), trigger]),
        window("run", 1, 300, &[]),
        window("run", 2, 100, &[down, merge]),
        window("run", 3, 400, &[picker]),
        window("run", 4, 600, &[]),
        window("run", 5, 800, &[]),
        window("run", 6, 900, &[up]),
        step("applied", &knob, 0.0, 0.0),
        step("undone", &knob, 50.0, 60.0),
        step("applied", &shift, 0.0, 0.0),
        step("restored", &Value::Null, 0.0, 0.0),
        window("later", 7, 9000, &[]),
    ]
    .concat()
}

fn decided(log: &str) -> Vec<Decided> {
    let folder = tempfile::tempdir().expect("a folder");
    let trial = TrialFolder::new(folder.path());
    files::write(&trial.decisions(), log.as_bytes()).expect("it is written");
    read_decisions(&trial).expect("a log")
}

#[test]
fn a_decision_has_what_was_set_and_what_windows_cost_around_it() {
    let decided = decided(&log());
    let agents: Vec<&Decided> = decided
        .iter()
        .filter(|it| it.maker == Maker::Agent)
        .collect();
    let costs: Vec<_> = agents
        .iter()
        .map(|it| (it.cost_before, it.cost_after, it.effect_windows))
        .collect();
    let expected = [
        // Windows 1 and 2 are its own: 400 bytes over 20 writes.
        (Some(50.0), Some(20.0), Some(2)),
        // It was refused.
        (Some(50.0), None, None),
        // Windows 3 to 6, until the next change: 2,700 bytes over 40 writes. Both share them.
        (Some(10.0), Some(67.5), Some(4)),
        (Some(10.0), Some(67.5), Some(4)),
        // It held already.
        (Some(40.0), None, None),
        // Its phase ends with it.
        (Some(90.0), None, Some(0)),
    ];
    assert_eq!(costs, expected);
    assert_eq!(agents[0].cost_ratio(), Some(0.4));
    let values: Vec<_> = agents
        .iter()
        .map(|it| (it.level, it.value, it.previous, it.detail.as_deref()))
        .collect();
    let expected = [
        (Some(1), Some(4.0), None, Some("lazy")),
        (Some(0), Some(90.0), None, None),
        (Some(1), Some(2.0), Some(4.0), Some("greedy")),
        (Some(0), Some(2.0), None, None),
        (None, None, None, Some("random")),
        (Some(1), Some(4.0), Some(2.0), Some("lazy")),
    ];
    assert_eq!(values, expected);
    assert!(agents[1].is_refused() && !agents[0].is_refused());
    assert_eq!(
        (agents[2].window, agents[2].operations, agents[2].at_nanos),
        (2, Some(30), 14)
    );
}

#[test]
fn an_effect_takes_five_windows_at_most() {
    let mut log = window("run", 0, 100, &[limit(4, "lazy")]);
    for (index, bytes) in [10, 20, 30, 40, 50, 6000].into_iter().enumerate() {
        log += &window("run", index as u64 + 1, bytes, &[]);
    }
    let decided = decided(&log);
    assert_eq!(decided[0].cost_after, Some(3.0), "150 bytes over 50 writes");
    assert_eq!(decided[0].effect_windows, Some(5));
}

#[test]
fn windows_of_another_mix_are_no_effect() {
    let reads = |index| window("run", index, 100, &[]).replace(r#""writes":10"#, r#""gets":10"#);
    let log = [
        window("run", 0, 100, &[limit(4, "lazy")]),
        window("run", 1, 50, &[]),
        reads(2),
        reads(3),
    ];
    let decided = decided(&log.concat());
    assert_eq!(decided[0].cost_ratio(), Some(0.5));
    assert_eq!(decided[0].effect_windows, Some(1));
}

#[test]
fn steps_of_a_self_tuner_are_decisions_with_the_costs_that_judged_them() {
    let all = decided(&log());
    let steps: Vec<&Decided> = all
        .iter()
        .filter(|it| it.maker == Maker::SelfTuner)
        .collect();
    let said: Vec<_> = steps
        .iter()
        .map(|it| (it.outcome.as_str(), it.action.as_deref(), it.value))
        .collect();
    let expected = [
        ("applied", Some("set"), Some(3.0)),
        ("undone", Some("set"), Some(3.0)),
        ("applied", Some("shift"), Some(4096.0)),
        ("restored", None, None),
    ];
    assert_eq!(said, expected);
    assert_eq!(steps[1].cost_ratio(), Some(1.2));
    assert_eq!(steps[0].cost_ratio(), None, "a cost of 0 was not measured");
    assert_eq!(steps[2].detail.as_deref(), Some("cache.size to memtable"));
}

/// A run of one trial with a decision log and settings.
fn run_with(folder: &RunFolder, log: &str, config: &str) -> TrialFolder {
    let trial = write_sample(folder, "ddpg", 3);
    files::write(&trial.decisions(), log.as_bytes()).expect("it is written");
    files::write(&trial.config(), config.as_bytes()).expect("it is written");
    trial
}

const CONFIG: &str = r#"
engine.compaction.agent.policy = "guard"
engine.compaction.agent.agent.policy = "ddpg"
engine.compaction.agent.agent.model.file = "agents/ddpg.json"
engine.compaction.agent.agent.model.digest = "0123abcd"
engine.self_tuning.policy.policy = "memory"
"#;

#[test]
fn the_table_of_a_run_has_a_row_for_each_decision() {
    let temporary = tempfile::tempdir().expect("a folder");
    let run = RunFolder::new(temporary.path());
    let trial = run_with(&run, &log(), CONFIG);
    collect(&run, None).expect("a trial");
    let frame = Frame::read(&run.decisions()).expect("it was just written");
    assert_eq!(frame.height(), 10);
    assert_eq!(frame.width(), COLUMNS.len() + 1);
    let texts = |name: &str| frame.texts(name).expect("a column of words");
    assert_eq!(texts("trial")[0], "ddpg-3");
    assert_eq!(texts("engine.cache.size")[9], "32MiB", "the swept key");
    assert_eq!(texts("policy")[0], "guard(ddpg)");
    assert_eq!(texts("weights")[0], "0123abcd");
    let tuner = texts("maker").iter().position(|it| it == "self-tuner");
    let tuner = tuner.expect("its steps are there");
    assert_eq!(texts("policy")[tuner], "memory");
    assert_eq!(texts("weights")[tuner], "");
    let ratios = frame.numbers("cost_ratio").expect("numbers");
    assert_eq!(ratios[0], Some(0.4));

    // What another plan has left here is not this run's.
    files::remove(&trial.decisions()).expect("it is there");
    collect(&run, None).expect("a trial");
    assert!(!run.decisions().exists(), "no decision, no file");
}

#[test]
fn the_columns_are_those_of_the_readme() {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    assert_eq!(
        names.join(" "),
        "trial variant point seed world phase window operations at_nanos maker policy weights \
         action level value previous detail reason outcome refused cost_before cost_after \
         cost_ratio effect_windows"
    );
    let readme = include_str!("../../../../results/README.md");
    for name in names {
        let cell = format!("| `{name}` |");
        assert!(readme.contains(&cell), "results/README.md has no {cell}");
    }
}

#[test]
fn a_log_that_is_cut_is_damage_and_never_a_panic() {
    let temporary = tempfile::tempdir().expect("a folder");
    let run = RunFolder::new(temporary.path());
    let whole = log();
    let trial = run_with(&run, &whole[..whole.len() / 2], CONFIG);
    let error = read_decisions(&trial).expect_err("half a line").to_string();
    assert!(error.contains("decisions.jsonl is damaged"), "{error}");
    run_with(&run, &whole, "engine = ");
    let error = collect(&run, None).map(|_| ()).expect_err("half a config");
    let error = error.to_string();
    assert!(error.contains("config.resolved.toml is damaged"), "{error}");
}
