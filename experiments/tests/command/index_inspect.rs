//! `aura index-inspect`, on databases that a run left behind.

use std::fs;
use std::path::{Path, PathBuf};

use aura_engine::env::disk::DiskWorld;
use aura_engine::{Direction, Engine, EngineBuilder, Range};
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

/// Reads every key of a database once: what a run read may be in tables that its drain replaced.
fn read_every_key(directory: &Path) {
    let world = DiskWorld::new(1).expect("a runtime");
    world.block_on(async {
        let engine = EngineBuilder::new(world.env(), directory)
            .open()
            .await
            .expect("the database of a run");
        let mut rows = engine.scan(Range::all(), Direction::Forward);
        while let Some((key, value)) = rows.next().await.expect("a sound database") {
            let found = engine.get(&key).await.expect("a sound database");
            assert_eq!(found, Some(value));
        }
        drop(rows);
        engine.close().await.expect("it can be closed");
    });
}

/// The rows of a command that must succeed.
fn inspect(lab: &Lab, arguments: &[&str]) -> Vec<Value> {
    lab.json(0, &[&["index-inspect"], arguments].concat())
}

/// The sum of a column.
fn sum(rows: &[Value], column: &str) -> u64 {
    rows.iter().filter_map(|row| row[column].as_u64()).sum()
}

#[test]
fn every_table_and_level_is_a_row_with_what_was_observed() {
    let lab = Lab::new();
    let path = database(&lab, "{ policy = \"greedy-plr\", epsilon = 8 }");
    read_every_key(&path);
    let path = path.to_str().expect("a plain path");
    let tables = inspect(&lab, &[path]);
    assert!(!tables.is_empty());
    for table in &tables {
        assert!(
            table["index"]
                .as_str()
                .is_some_and(|index| index.starts_with("greedy-plr(epsilon=8")),
            "{table}"
        );
        let refused = table["refused"].is_string();
        assert_eq!(table["used"] == "model", !refused, "{table}");
        if refused {
            assert!(table["error_max"].is_null(), "{table}");
        } else {
            assert!(table["error_max"].as_u64() <= Some(10), "{table}");
        }
        assert!(table["percent_of_fence"].as_f64() > Some(0.0), "{table}");
    }
    assert!(sum(&tables, "lookups_found") > 0, "every key was read");
    let levels = inspect(&lab, &[path, "--by", "level"]);
    assert_eq!(sum(&levels, "tables"), tables.len() as u64);
    for column in ["index_bytes", "lookups_found", "lookups_absent"] {
        assert_eq!(sum(&levels, column), sum(&tables, column), "{column}");
    }
    assert!(
        sum(&levels, "gone_tables") > 0,
        "compactions have replaced some"
    );

    let ended = lab.aura(&["index-inspect", path, "--out", "there"]);
    for column in ["gone_mean_life_s", "error_p99"] {
        assert!(ended.output.contains(column), "{}", ended.output);
    }
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
fn what_is_no_database_or_newer_is_refused() {
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
        let beside = lab.aura(&["index-inspect", path, "--format", "csv"]);
        assert_eq!(beside.code, 0, "{}", beside.errors);
        engine.close().await.expect("it can be closed");
    });
    let empty = lab.aura(&["index-inspect", path, "--format", "csv"]);
    assert_eq!(empty.code, 0, "{}", empty.errors);
    assert_eq!(empty.output.lines().count(), 1, "a header and no table");
    let current = fs::read_to_string(directory.join("CURRENT")).expect("it names the manifest");
    let manifest = directory.join(current.lines().next().expect("a name"));
    let mut bytes = fs::read(&manifest).expect("it is there");
    // The format's number follows the eight bytes of the file's kind.
    bytes[8..12].copy_from_slice(&1_000_u32.to_le_bytes());
    fs::write(&manifest, bytes).expect("writable");
    lab.aura(&["index-inspect", path])
        .refuses(2, &["has format 1000", "a newer `aura` reads it"]);
    fs::write(directory.join("CURRENT"), "nonsense").expect("writable");
    lab.aura(&["index-inspect", path])
        .refuses(1, &["CURRENT", "damaged"]);
}
