//! A real process on the real disk is killed again and again. Every acknowledged write must be
//! there, and no other except the one in progress.
//!
//! The child prints the number of each acknowledged write. It is killed after a line drawn from the
//! seed, while flushes, compactions and rotations run beside the writes. `AURA_KILLS=<n>` sets the
//! number of kills under each setting.

mod common;
#[path = "../src/bin/aura-torture/workload.rs"]
mod workload;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use aura_engine::env::disk::DiskWorld;
use aura_engine::{Direction, Engine, EngineBuilder, EngineConfig, Range, SyncPolicy};
use common::tour::tour_config;
use common::{Chance, repeatable, seeds, tried};

/// Starts the child and kills it after `lines` lines. Returns the number of the last acknowledged
/// write, if there is one.
fn kill_after(lines: u64, directory: &Path, config: &EngineConfig) -> Option<u64> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aura-torture"))
        .arg(directory)
        .arg(serde_json::to_string(config).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = None;
    let mut line = String::new();
    for read in 1.. {
        line.clear();
        out.read_line(&mut line).unwrap();
        if line.is_empty() {
            assert!(read > lines, "the child ended by itself");
            break;
        }
        // All lines that it printed are acknowledged writes; only the last may be incomplete.
        if let Some(number) = line.strip_suffix('\n') {
            acknowledged = Some(number.parse().unwrap());
        }
        if read == lines {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}

/// Returns what a database holds after the writes up to `number`.
fn state_after(number: u64) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut state = BTreeMap::new();
    for (key, value) in (1..=number).flat_map(workload::changes) {
        match value {
            Some(value) => state.insert(key, value),
            None => state.remove(&key),
        };
    }
    if number > 0 {
        state.insert(workload::COUNT.to_vec(), number.to_le_bytes().to_vec());
    }
    state
}

/// Opens what the child left. Returns the number of the last write in it.
fn check(directory: &Path, config: &EngineConfig, acknowledged: u64) -> u64 {
    let world = DiskWorld::new(2).unwrap();
    let mut found = world.block_on(async {
        let engine = EngineBuilder::new(world.env(), directory)
            .config(config.clone())
            .open()
            .await
            .unwrap();
        let mut found = BTreeMap::new();
        let mut scan = engine.scan(Range::all(), Direction::Forward);
        while let Some((key, value)) = scan.next().await.unwrap() {
            found.insert(key.to_vec(), value.to_vec());
        }
        assert_eq!(engine.verify().await.unwrap().problems, [] as [String; 0]);
        engine.close().await.unwrap();
        found
    });
    // The mark is set after a write that was given up.
    found.remove(workload::MARK);
    let count = found
        .get(workload::COUNT)
        .map_or(0, |count| u64::from_le_bytes(count[..].try_into().unwrap()));
    assert!(
        (acknowledged..=acknowledged + 1).contains(&count),
        "{count} writes, {acknowledged} were acknowledged"
    );
    assert!(
        found == state_after(count),
        "the rows are not those after {count} writes"
    );
    count
}

fn kill_again_and_again(seed: u64, sync: SyncPolicy, lines_max: u64) {
    let kills = std::env::var("AURA_KILLS").map_or(5, |kills| kills.parse().expect("a number"));
    let mut chance = Chance::new(seed);
    let mut config = tour_config(seed);
    config.wal.sync = sync;
    let directory = tempfile::tempdir().unwrap();
    let mut count = 0;
    for _ in 0..kills {
        let acknowledged = kill_after(1 + chance.below(lines_max), directory.path(), &config);
        let found = check(directory.path(), &config, acknowledged.unwrap_or(count));
        tried("operations", found - count);
        tried("kills", 1);
        count = found;
    }
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged_synced_or_not() {
    for seed in seeds(1) {
        repeatable(seed, || kill_again_and_again(seed, SyncPolicy::Always, 100));
        repeatable(seed, || kill_again_and_again(seed, SyncPolicy::Never, 600));
    }
}
