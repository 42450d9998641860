//! What an agent decides is in a table of the run, and in a figure.

use std::fs;

use aura_experiments::formats::parquet::Frame;

use crate::resume::contents;
use crate::{Lab, trials};

/// Writes and then reads, with an agent that follows a script. The load is 2,000 operations, so
/// that a window ends at 4,000, where the phases change.
const SCRIPTED: &str = r#"
question = "Does a merge before the reads pay?"
baseline = "still"
seeds = 2
settle = true

[workload]
records = 2_000
clients = 1
value = { bytes = 100 }
distribution = { kind = "uniform" }

[[workload.phases]]
name = "writes"
operations = 2_000
mix = { update = 1 }

[[workload.phases]]
name = "reads"
operations = 2_000
mix = { read = 1 }

[engine]
memtable = "16KiB"
cache = { size = "16KiB" }
table.size = "16KiB"
compaction.base = "32KiB"
compaction.agent_window = 500
compaction.layout = { policy = "flexible", ratio = 4, runs = [4, 1] }

[[variant]]
name = "still"

[[variant]]
name = "scripted"
engine.compaction.agent = { policy = "schedule", steps = [
    { at_operations = 3_000, level0_trigger = 3 },
    { at_operations = 4_500, level = 1, runs = 2 },
    { at_operations = 4_500, level = 9, runs = 99 },
    { at_operations = 5_000, merge = { from = 0, to = 3 } },
] }
"#;

#[test]
fn what_a_script_decides_is_a_row_each_and_drawn() {
    let lab = Lab::new();
    lab.config("exp.toml", SCRIPTED);
    lab.run(&["exp.toml"]);
    let run = lab.path("results/exp");
    let frame = Frame::from_bytes(fs::read(run.join("decisions.parquet")).expect("it is there"));
    let frame = frame.expect("a table");
    assert_eq!(frame.height(), 8, "four decisions under two seeds");
    let texts = |name: &str| frame.texts(name).expect("words")[..4].to_vec();
    let counts = |name: &str| frame.counts(name).expect("counts")[..4].to_vec();
    let numbers = |name: &str| frame.numbers(name).expect("numbers")[..4].to_vec();
    assert_eq!(texts("variant"), ["scripted"; 4]);
    assert_eq!(texts("policy"), ["schedule"; 4]);
    assert_eq!(texts("phase"), ["writes", "reads", "reads", "reads"]);
    assert_eq!(
        texts("action"),
        ["set-level0-trigger", "set-runs", "set-runs", "merge"]
    );
    assert_eq!(texts("outcome"), ["done", "done", "refused", "done"]);
    for (at, planned) in counts("operations")
        .into_iter()
        .zip([3_000, 4_500, 4_500, 5_000])
    {
        let late = at.expect("agents count operations") - planned;
        assert!(late < 50, "{late} operations after the window's end");
    }
    assert_eq!(numbers("value"), [3.0, 2.0, 99.0, 3.0].map(Some));
    // Windows of 500: two of writes are left after the first decision, one of reads lies between
    // the second and the last, and two follow it.
    assert_eq!(counts("effect_windows"), [Some(2), Some(1), None, Some(2)]);
    // A read takes most of a device's 60 us, and writes go to memory.
    let costs = numbers("cost_before").into_iter().flatten();
    let costs: Vec<bool> = costs.map(|nanos| nanos > 40_000.0).collect();
    assert_eq!(costs, [false, true, true, true]);
    let ratios = numbers("cost_ratio");
    let near = |ratio: Option<f64>| ratio.is_some_and(|ratio| (0.7..1.3).contains(&ratio));
    assert!(near(ratios[1]) && near(ratios[3]), "{ratios:?}");
    assert_eq!(ratios[2], None, "what was refused has no effect");

    let drawn = run.join("plots/decisions.scripted.csv");
    let drawn = fs::read_to_string(drawn).expect("a figure");
    assert!(drawn.contains("\nmerges,"), "{drawn}");
    let report = fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(report.contains("Decisions of scripted"));
    assert!(!report.contains("Decisions of still"));

    // An interrupted run ends with the bytes of a whole one.
    let before = contents(&run);
    fs::remove_dir_all(&trials(&run)[0]).expect("it is there");
    fs::remove_file(run.join("decisions.parquet")).expect("it is there");
    lab.run(&["exp.toml", "--jobs", "1"]);
    assert!(before == contents(&run), "the same bytes");
}
