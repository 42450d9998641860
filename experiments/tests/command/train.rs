//! `aura train`: a file that others can take, made of its config alone, also after an interruption.

use std::fs;
use std::path::Path;

use aura_experiments::agent_files::{self, TrainedOn};
use aura_experiments::config;
use aura_policies::{PolicySpec, agent};
use serde_json::{Value, json};

use crate::{Ended, Lab};

/// Two cells of some thousand operations, an agent that learns, and one that does not.
const TRAINING: &str = r#"
seeds = [11, 12]

[workload]
records = 4_000
clients = 2
value = { bytes = 200 }
scan = { min_length = 8, max_length = 8 }

[engine]
memtable = "32KiB"
cache = { size = "32KiB" }
table = { size = "32KiB" }
compaction.base = "64KiB"
compaction.agent_window = 200
compaction.level0_trigger = 2
compaction.layout = { policy = "flexible", ratio = 6, runs = [6, 6, 1] }

[[sweep]]
key = "workload"
labels = ["writes", "scans"]
values = [
    { phases = [{ name = "run", operations = 4_000, mix = { update = 1.0 } }] },
    { phases = [{ name = "run", operations = 3_000, mix = { scan = 0.9, update = 0.1 } }] },
]

[[variant]]
name = "still"

[[variant]]
name = "learner"
engine.compaction.agent = { policy = "q-step", ratio = 6 }
"#;

/// A config with two arms beside what stands still: the agent as it was saved, and as it is.
fn test_config(cells_as_trained: bool, agent: &str) -> String {
    let text = TRAINING.replace(
        "engine.compaction.agent = { policy = \"q-step\", ratio = 6 }",
        &format!("engine.compaction.agent = {agent}"),
    );
    match cells_as_trained {
        true => text,
        false => text
            .replace("operations = 4_000", "operations = 2_000")
            .replace("3_000", "2_500"),
    }
}

const FROZEN: &str = r#"{ policy = "q-step", ratio = 6, model = "agents/a.json", learn = false }"#;

/// Where the agent stands in a config.
fn place(config: &str) -> String {
    let is_it = |line: &str| line.starts_with("engine.compaction.agent =");
    let line = TRAINING.lines().position(is_it).expect("it has an agent");
    format!("{config}:{}:", line + 1)
}

fn lab() -> Lab {
    let lab = Lab::new();
    lab.config("training.toml", TRAINING);
    fs::create_dir(lab.path("agents")).expect("a folder");
    lab
}

fn train(lab: &Lab, out: &str, more: &[&str]) -> Ended {
    lab.aura(
        &[
            &["train", "training.toml", "-o", out, "--epochs", "2"],
            more,
        ]
        .concat(),
    )
}

/// An agent and its curve, as text.
fn texts(lab: &Lab, out: &str) -> [String; 3] {
    [".json", ".curve.csv", ".curve.svg"]
        .map(|end| lab.path(&out.replace(".json", end)))
        .map(|path| fs::read_to_string(path).expect("it was written"))
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("it was written");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn equal_configs_give_equal_files_and_an_interrupted_training_ends_with_the_same_bytes() {
    let lab = lab();
    let rows = lab.json(
        0,
        &[
            "train",
            "training.toml",
            "-o",
            "agents/a.json",
            "--epochs",
            "2",
            "--jobs",
            "1",
        ],
    );
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(rows[0]["training_cost_s"], Value::Null, "it is untrained");
    assert!(
        rows[1]["training_cost_s"]
            .as_f64()
            .is_some_and(|cost| cost > 0.0)
    );
    assert_ne!(
        rows[1]["digest"], rows[2]["digest"],
        "the second pass goes on learning"
    );
    let whole = texts(&lab, "agents/a.json");
    assert!(!lab.path("agents/a.json.partial").exists(), "it is done");

    let file = read(&lab.path("agents/a.json"));
    let trained_on = &file["trained_on"];
    assert_eq!(file["kind"], "q-step");
    assert_eq!(
        file["parameters"]["discount"], 0.8,
        "every parameter is there"
    );
    assert_eq!(trained_on["seeds"], json!([11, 12]));
    assert_eq!(trained_on["validation_seeds"], json!([13, 14]));
    assert_eq!(trained_on["cells"][1]["name"], "workload=scans");
    assert_eq!(trained_on["passes"], 2);
    let kept = rows
        .iter()
        .rfind(|row| row["kept"] == true)
        .expect("one is the best");
    assert_eq!(kept["digest"], file["digest"]);

    // A training that ends after one pass, as if it had been interrupted there.
    let out = "agents/b.json";
    let ended = lab.aura(&["train", "training.toml", "-o", out, "--epochs", "1"]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    let partial = lab.path("agents/b.json.partial");
    train(&lab, out, &["--resume"]).refuses(2, &["b.json.partial is not there"]);
    let stopped = interrupted_after_a_pass(&lab, out);
    assert!(stopped && partial.exists());
    train(&lab, out, &[]).refuses(
        2,
        &[
            "b.json.partial is of a training that was interrupted",
            "--resume",
        ],
    );
    let other = ["--resume", "-s", "engine.compaction.agent_window=100"];
    train(&lab, out, &other).refuses(2, &["is of another training"]);
    let ended = train(&lab, out, &["--resume", "--jobs", "2"]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    for (resumed, whole) in texts(&lab, out).iter().zip(&whole) {
        assert!(resumed == whole, "{resumed}\nis not\n{whole}");
    }
    assert!(!partial.exists());
}

/// Starts a training without end, and stops it once a pass is over. Returns whether it said how to
/// go on.
fn interrupted_after_a_pass(lab: &Lab, out: &str) -> bool {
    let mut command = lab.command(&[
        "train",
        "training.toml",
        "-o",
        out,
        "--epochs",
        "1000",
        "--patience",
        "1000",
    ]);
    let mut child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the command starts");
    let errors = child.stderr.take().expect("it is piped");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(errors));
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("pass 1:")));
    assert!(line.is_some(), "a pass ends");
    let sent = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.expect("kill starts").success());
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let ended = child.wait().expect("it ends");
    assert_eq!(ended.code(), Some(75), "{rest:?}");
    rest.iter()
        .any(|line| line.contains("with --resume goes on"))
}

#[test]
fn a_file_is_part_of_the_trials_that_take_it_and_warns_of_what_it_was_trained_on() {
    let lab = lab();
    let ended = train(&lab, "agents/a.json", &[]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    lab.config("test.toml", &test_config(false, FROZEN));
    let ended = lab.aura(&["run", "test.toml"]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    assert!(!ended.errors.contains("was trained on"), "{}", ended.errors);
    // The trials run with the file's agent, and their ids cover its digest, not its place.
    let digest = read(&lab.path("agents/a.json"))["digest"].clone();
    let ids = |lab: &Lab, config: &str| -> Vec<Value> {
        let plan = lab.aura(&["plan", config, "-o", "plan.jsonl"]);
        assert_eq!(plan.code, 0, "{}", plan.errors);
        let plan = fs::read_to_string(lab.path("plan.jsonl")).expect("a plan");
        let trials = plan
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let learners = trials.filter(|trial| trial["variant"] == "learner");
        learners
            .map(|trial| {
                json!([
                    trial["id"],
                    trial["config"]["engine"]["compaction"]["agent"]["model"]["digest"]
                ])
            })
            .collect()
    };
    let first = ids(&lab, "test.toml");
    assert_eq!(first.len(), 4);
    assert!(first.iter().all(|trial| trial[1] == digest), "{first:?}");
    let said = lab.aura(&["verify", "results/test"]);
    assert_eq!(said.code, 0, "{}", said.errors);
    fs::create_dir(lab.path("elsewhere")).expect("a folder");
    fs::copy(lab.path("agents/a.json"), lab.path("elsewhere/b.json")).expect("a copy");
    lab.config(
        "moved.toml",
        &test_config(false, &FROZEN.replace("agents/a", "elsewhere/b")),
    );
    assert_eq!(ids(&lab, "moved.toml"), first);

    // The real engine takes the same file.
    let real = lab.aura(&[
        "run",
        "test.toml",
        "-s",
        "world.kind=real",
        "--seeds",
        "1",
        "--results",
        "real",
    ]);
    assert_eq!(real.code, 0, "{}", real.errors);

    // Cells and seeds that it learned from.
    lab.config("again.toml", &test_config(true, FROZEN));
    let warning = "warning: the agent of learner was trained on what it meets here: \
                   workload=scans; workload=writes, under the seeds 11, 12, too.";
    lab.aura(&["run", "again.toml"]).refuses(0, &[warning]);
    lab.aura(&["run", "again.toml", "--seeds", "90..91"])
        .refuses(0, &["under other seeds"]);
    let regret = lab.aura(&["regret", "again", "--static", "still"]);
    regret.refuses(0, &["warning: the agent of learner was trained on"]);
}

#[test]
fn a_file_that_does_not_fit_is_refused_at_its_line() {
    let lab = lab();
    let ended = lab.aura(&[
        "train",
        "training.toml",
        "-o",
        "agents/a.json",
        "--epochs",
        "1",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    let path = lab.path("agents/a.json");
    let good = read(&path);
    let refused = |agent: &str, file: &Value, words: &[&str]| {
        fs::write(&path, file.to_string()).expect("it can be written");
        lab.config("test.toml", &test_config(false, agent));
        let ended = lab.aura(&["run", "test.toml"]);
        ended.refuses(2, &[&[place("test.toml").as_str()], words].concat());
    };
    let with = |key: &str, value: Value| {
        let mut file = good.clone();
        file[key] = value;
        file
    };
    refused(
        &FROZEN.replace("q-step", "fit"),
        &good,
        &["is of `q-step`, not of `fit`"],
    );
    refused(
        FROZEN,
        &with("features", json!(["K"])),
        &["has the features K, not"],
    );
    refused(
        FROZEN,
        &with("weights", json!([0.5])),
        &["weights that do not fit its digest"],
    );
    refused(
        FROZEN,
        &json!({ "kind": "q-step" }),
        &["this is no saved agent"],
    );
    refused(
        &FROZEN.replace("a.json", "none.json"),
        &good,
        &["none.json", "aura train"],
    );
    refused(
        &FROZEN.replace("ratio = 6", "ratio = 8"),
        &good,
        &["has the scales"],
    );

    // Between the plan and the trial the file becomes another one.
    fs::write(&path, good.to_string()).expect("it can be written");
    lab.config("test.toml", &test_config(false, FROZEN));
    let planned = lab.aura(&["plan", "test.toml", "-o", "plan.jsonl"]);
    assert_eq!(planned.code, 0, "{}", planned.errors);
    let ended = lab.aura(&[
        "train",
        "training.toml",
        "-o",
        "agents/a.json",
        "--seeds",
        "1",
        "--epochs",
        "1",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.errors);
    lab.aura(&["run", "--plan", "plan.jsonl"])
        .refuses(1, &["its agent is not the one that was planned"]);
}

#[test]
fn only_an_agent_that_can_be_saved_is_trained() {
    let lab = lab();
    let train = |text: &str, more: &[&str]| {
        lab.config("bad.toml", text);
        lab.aura(&[&["train", "bad.toml", "-o", "bad.json"], more].concat())
    };
    let other = TRAINING.replace("policy = \"q-step\"", "policy = \"model\"");
    let saved = "agents that can be: ddpg, fit, linucb, q-step";
    train(&other, &[]).refuses(2, &["no variant has an agent that can be trained", saved]);
    train(&other, &["--agent", "learner"]).refuses(
        2,
        &[
            "the agent `model` of variant learner learns nothing that can be saved",
            saved,
            &place("bad.toml"),
        ],
    );
    train(TRAINING, &["--agent", "lerner"])
        .refuses(2, &["no variant is named \"lerner\"", "nearest: `learner`"]);
    let two =
        format!("{TRAINING}\n[[variant]]\nname = \"second\"\nengine.compaction.agent = \"fit\"\n");
    train(&two, &[]).refuses(
        2,
        &["several variants have an agent: learner, second", "--agent"],
    );
    let real = format!("world = {{ kind = \"real\" }}\n{TRAINING}");
    train(&real, &[]).refuses(
        2,
        &["agents are trained in the simulated world", "bad.toml:1:"],
    );
    let blind = TRAINING
        .replace("agent_window = 200", "agent_window = 1_000_000")
        .replace("q-step", "linucb");
    train(&blind, &[]).refuses(1, &["the agent has seen nothing to learn from"]);
    fs::remove_file(lab.path("bad.json.partial")).expect("it could be resumed");
    let nowhere = lab.aura(&["train", "training.toml", "-o", "nowhere/a.json"]);
    nowhere.refuses(3, &["nowhere/a.json.partial"]);
    assert!(!lab.path("bad.json").exists() && !lab.path("bad.json.partial").exists());
}

/// The shipped agents are intact, and were trained on what their config says now.
#[test]
fn shipped_agents_are_of_their_config() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let config = folder.join("compaction-agents-training.toml");
    let files: Vec<_> = fs::read_dir(folder.join("agents"))
        .expect("agents are shipped")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|it| it == "json"))
        .collect();
    assert!(!files.is_empty());
    for path in files {
        let file = agent_files::read(&path).expect("an agent");
        let mut spec = PolicySpec::named(&file.kind);
        spec.params = file.parameters.as_object().cloned().expect("parameters");
        let trained_on = TrainedOn::of(&file).expect("it says what it was trained on");
        let spec = spec.with("model", file.into_value());
        let built = agent::build(&spec.with("learn", false), 1);
        assert!(built.is_ok(), "{}: {:?}", path.display(), built.err());
        let size = config::Size::default();
        let known = config::KnownTargets::default();
        let named = Some(trained_on.variant.as_str());
        let training = config::load_training(&config, &[], size, &known, named).expect("a config");
        let cases = training.experiment.cases.iter();
        let cells: Vec<String> = cases.map(|case| case.cell()).collect();
        let trained: Vec<_> = trained_on.cells.into_iter().map(|it| it.digest).collect();
        assert_eq!(trained, cells, "{}", path.display());
        assert_eq!(trained_on.seeds, training.experiment.seeds);
    }
}
