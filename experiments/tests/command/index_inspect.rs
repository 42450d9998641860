//! `aura index-inspect`, on databases that a run left behind.

use std::fs;
use std::path::PathBuf;

use aura_engine::env::disk::DiskWorld;
use aura_engine::{Engine, EngineBuilder};
use serde_json::Value;

use crate::{Lab, SMALL};

/// The database that a small real run under a model leaves.
fn database(lab: &Lab, index: &str) -> PathBuf {
    lab.config(
        "exp.toml",
        &format!("{SMALL}\n[world]\nkind = \"real\"\ncores = 1\n"),
    );
    let set = format!("engine.table.index={index}");
    let kept = lab.aura(&["run", "exp.toml", "--seeds", "1", "--keep", "-s", &set]);
    assert_eq!(kept.code, 0, "{}", kept.errors);
    let mut databases: Vec<PathBuf> = fs::read_dir(lab.path("results/exp/databases"))
        .expect("they were kept")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    databases.sort();
    databases.remove(0)
}

fn json(lab: &Lab, arguments: &[&str]) -> Vec<Value> {
    let answer = lab.aura(&[&["index-inspect", "--format", "json"], arguments].concat());
    assert_eq!(answer.code, 0, "{}", answer.errors);
    answer
        .output
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn every_table_and_level_is_told_with_what_was_observed() {
    let lab = Lab::new();
    let path = database(&lab, "{ policy = \"greedy-plr\", epsilon = 8 }");
    let path = path.to_str().expect("a plain path");
    let tables = json(&lab, &[path]);
    assert!(!tables.is_empty());
    for table in &tables {
        assert!(
            table["index"]
                .as_str()
                .is_some_and(|index| index.starts_with("greedy-plr(epsilon=8")),
            "{table}"
        );
        let (model, refused) = (table["used"] == "model", table["refused"].is_string());
        assert!(
            model != refused && model == (table["error_max"].as_u64() <= Some(10) && !refused),
            "{table}"
        );
        assert!(table["percent_of_fence"].as_f64() > Some(0.0), "{table}");
    }
    let lookups = |row: &Value| {
        row["lookups_found"].as_u64().unwrap_or(0) + row["lookups_absent"].as_u64().unwrap_or(0)
    };
    assert!(tables.iter().map(lookups).sum::<u64>() > 0, "a run reads");
    let levels = json(&lab, &[path, "--by", "level"]);
    let sum = |rows: &[Value], column: &str| {
        rows.iter()
            .filter_map(|row| row[column].as_u64())
            .sum::<u64>()
    };
    assert_eq!(sum(&levels, "tables"), tables.len() as u64);
    assert_eq!(sum(&levels, "index_bytes"), sum(&tables, "index_bytes"));
    assert_eq!(
        levels.iter().map(lookups).sum::<u64>(),
        tables.iter().map(lookups).sum::<u64>()
    );
    assert!(
        sum(&levels, "gone_tables") > 0,
        "compactions have replaced some"
    );

    let answer = lab.aura(&["index-inspect", path, "--out", "there"]);
    assert!(
        answer.output.contains("gone_mean_life_s") && answer.output.contains("error_p99"),
        "{}",
        answer.output
    );
    for file in [
        "tables.csv",
        "levels.csv",
        "index-inspect.svg",
        "index-inspect.png",
        "index-inspect.csv",
    ] {
        assert!(
            fs::metadata(lab.path("there").join(file)).is_ok_and(|file| file.len() > 0),
            "{file}"
        );
    }
    assert_eq!(lab.aura(&["verify", path]).code, 0, "nothing was changed");
    assert!(
        lab.path("results/index-inspect").is_dir(),
        "the default place"
    );
}

#[test]
fn what_is_no_database_or_in_use_or_newer_is_refused() {
    let lab = Lab::new();
    lab.aura(&["index-inspect", "nowhere"])
        .refuses(2, &["nowhere is no database", "--keep"]);
    let directory = lab.path("db");
    let world = DiskWorld::new(1).expect("a runtime");
    let path = directory.to_str().expect("a plain path");
    world.block_on(async {
        let engine = EngineBuilder::new(world.env(), &directory)
            .open()
            .await
            .expect("a new database");
        lab.aura(&["index-inspect", path])
            .refuses(75, &["is in use"]);
        engine.close().await.expect("it can be closed");
    });
    let empty = lab.aura(&["index-inspect", path, "--format", "csv"]);
    assert_eq!(
        (empty.code, empty.output.lines().count()),
        (0, 1),
        "a header and no table: {}",
        empty.errors
    );
    let current = fs::read_to_string(directory.join("CURRENT")).expect("it names the manifest");
    let manifest = directory.join(current.lines().next().expect("a name"));
    let mut bytes = fs::read(&manifest).expect("it is there");
    // The format follows the eight bytes that say what the file is.
    bytes[8..12].copy_from_slice(&1_000_u32.to_le_bytes());
    fs::write(&manifest, bytes).expect("writable");
    lab.aura(&["index-inspect", path])
        .refuses(2, &["has format 1000", "a newer `aura` reads it"]);
    fs::write(directory.join("CURRENT"), "nonsense").expect("writable");
    lab.aura(&["index-inspect", path])
        .refuses(1, &["CURRENT", "damaged"]);
}
