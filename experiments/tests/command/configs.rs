//! Every config in the folder runs, at a scale that takes a moment.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Lab;

#[test]
fn every_config_runs_small() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let folders = [folder.join("fidelity"), folder];
    let mut names: Vec<_> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("there are configs"))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    for path in names {
        let text = fs::read_to_string(&path).expect("a readable config");
        assert!(
            text.contains("question = ") && text.contains("hypothesis = "),
            "{} asks nothing",
            path.display()
        );
        let lab = Lab::new();
        copy_agents(&folder_of(&path), &lab);
        // Phases with a number of operations of their own do a hundredth of it.
        let small = text
            .replace("0_000\nmix", "00\nmix")
            .replace("0_000, mix", "00, mix");
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a plain name");
        lab.config(name, &small);
        let sets = [
            "workload.records=1500",
            "workload.operations=1500",
            "workload.warm_up_operations=100",
        ];
        let sets: Vec<&str> = sets.iter().flat_map(|set| ["-s", *set]).collect();
        let ended = lab.aura(&[&["run", name, "--seeds", "2"], sets.as_slice()].concat());
        assert_eq!(ended.code, 0, "{name}: {}", ended.errors);
        assert!(
            ended.output.lines().count() > 3,
            "{name} compares nothing:\n{}",
            ended.output
        );
        let run = lab.path("results").join(name.trim_end_matches(".toml"));
        for file in [
            "plan.jsonl",
            "experiment.json",
            "metrics.parquet",
            "summary.json",
            "report.html",
            "plots",
        ] {
            assert!(run.join(file).exists(), "{name} leaves no {file}");
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().expect("a folder").to_owned()
}

/// Copies the agents that configs of a folder name.
fn copy_agents(folder: &Path, lab: &Lab) {
    let agents = folder.join("agents");
    if !agents.exists() {
        return;
    }
    fs::create_dir(lab.path("agents")).expect("a folder");
    for entry in fs::read_dir(agents).expect("a readable folder") {
        let path = entry.expect("a file").path();
        let name = path.file_name().expect("a name");
        fs::copy(&path, lab.path("agents").join(name)).expect("a copy");
    }
}
