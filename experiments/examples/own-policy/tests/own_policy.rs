//! The policy keeps its family's contract, and its own `aura` runs an experiment with it.
#![expect(
    clippy::disallowed_methods,
    reason = "the test runs the command, and reads what it wrote"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use aura_policies::cache::{self, Access};
use aura_policies::replay::Replay;
use aura_policies::{PolicySpec, RegisterError};
use serde_json::Value;

const CONFIG: &str = r#"
name = "own"
question = "Does the older of two draws beat LRU on a read-only workload?"
baseline = "lru"
seeds = 2
world = { kind = "simulated", device = "nvme" }

[workload]
preset = "ycsb-c"
records = 2_000
operations = 2_000
value = { bytes = 100 }

[engine]
memtable = "64KiB"
cache = { size = "64KiB" }

[[variant]]
name = "lru"
engine.cache.eviction = "lru"

[[variant]]
name = "two-choices"
engine.cache.eviction = "two-choices"

[compare]
primary = ["cache.hit_ratio"]
margin = 0.005
"#;

/// Hits of a loop over `objects` objects, run 50 times through a cache for `capacity` of them.
fn hits_of_a_loop(policy: &str, capacity: u64, objects: u32) -> u32 {
    let seed = 7;
    let policy = cache::build(&PolicySpec::named(policy), capacity, seed).expect("it is known");
    let mut cache = Replay::new(policy, None, capacity, objects as usize);
    let mut hits = 0;
    for object in (0..50).flat_map(|_| 0..objects) {
        let access = Access::unit(u64::from(object));
        hits += u32::from(cache.request(object, &access));
        assert_eq!(cache.audit(), Ok(()), "seed {seed}");
    }
    hits
}

#[test]
fn the_policy_keeps_its_contract_and_is_registered_once() {
    own_policy::register().expect("the first call");
    let again = own_policy::register();
    assert!(
        matches!(again, Err(RegisterError::NameTaken { .. })),
        "{again:?}"
    );
    assert_eq!(
        hits_of_a_loop("lru", 50, 60),
        0,
        "LRU hits nothing in a loop"
    );
    let hits = hits_of_a_loop("two-choices", 50, 60);
    assert!((1500..2940).contains(&hits), "{hits} of 3000 requests hit");
}

fn aura(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_own-policy"));
    let output = command.current_dir(folder).args(arguments).output();
    output.expect("the command starts")
}

#[test]
fn the_command_lists_checks_and_compares_the_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("own.toml"), CONFIG).expect("writable");
    let listed = aura(folder.path(), &["list", "policies", "--format", "json"]);
    let listed = String::from_utf8(listed.stdout).expect("text");
    let mut rows = listed
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let is_ours = |row: &Value| row["family"] == "cache" && row["policy"] == "two-choices";
    assert!(rows.any(|row| is_ours(&row)), "{listed}");

    let ran = aura(folder.path(), &["run", "own.toml", "--format", "json"]);
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{errors}");
    let compared = String::from_utf8(ran.stdout).expect("text");
    assert!(
        compared.contains(r#""variant":"two-choices""#),
        "{compared}"
    );

    let wrong = CONFIG.replace(r#"eviction = "two-choices""#, r#"eviction = "two-choice""#);
    fs::write(folder.path().join("wrong.toml"), wrong).expect("writable");
    let refused = aura(folder.path(), &["run", "wrong.toml"]);
    assert_eq!(refused.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(
        errors.contains("`two-choices`"),
        "the nearest name: {errors}"
    );
}
