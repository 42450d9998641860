//! `aura verify DIR`, `aura checkpoint` and `aura repair`, on databases made here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use aura_engine::env::disk::DiskWorld;
use aura_engine::{Engine, EngineBuilder, EngineConfig};
use serde_json::Value;

use crate::{Lab, SMALL};

/// A database with 200 keys in one table, and 10 in its log only.
fn database(lab: &Lab) -> PathBuf {
    let directory = lab.path("db");
    let world = DiskWorld::new(1).expect("a runtime");
    world.block_on(async {
        let mut config = EngineConfig::default();
        config.seed = 77;
        let builder = EngineBuilder::new(world.env(), &directory).config(config);
        let engine = builder.open().await.expect("a new database");
        for number in 0..210 {
            if number == 200 {
                engine.flush().await.expect("it can be flushed");
            }
            engine
                .put(format!("key{number:03}").as_bytes(), &[7; 100])
                .await
                .expect("it can be written");
        }
        engine.close().await.expect("it can be closed");
    });
    // A process that another test starts at this moment holds the lock's file open until it becomes
    // the command.
    while world.env().fs.lock(&directory.join("LOCK")).is_err() {
        std::thread::yield_now();
    }
    directory
}

/// The only row of a command that must end with 0.
fn row(lab: &Lab, arguments: &[&str]) -> Value {
    let mut rows = lab.json(0, arguments);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

/// The first file with an extension.
fn file(directory: &Path, extension: &str) -> PathBuf {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|it| it == extension) {
            files.push(path);
        }
    }
    files.sort();
    files.remove(0)
}

#[test]
fn a_checkpoint_shares_its_tables_and_is_whole() {
    let lab = Lab::new();
    let directory = database(&lab);
    let before = row(&lab, &["verify", "db"]);
    assert_eq!(before["rows"], 210);
    assert_eq!(before["entries"], 200);
    assert_eq!(before["log_records"], 10);
    assert!(
        before["space_amplification"].as_f64() > Some(1.0),
        "{before}"
    );
    let copied = row(&lab, &["checkpoint", "db", "copy"]);
    assert_eq!(copied["files_linked"], 2, "{copied}");
    assert_eq!(copied["sequence"], 210, "{copied}");
    let settings = fs::read_to_string(directory.join("SETTINGS.json")).expect("they are there");
    assert!(
        settings.contains("\"seed\": 77"),
        "it was opened under its own settings"
    );
    fs::remove_dir_all(&directory).expect("removable");
    let after = row(&lab, &["verify", "copy"]);
    for column in ["rows", "reachable_bytes"] {
        assert_eq!(after[column], before[column], "{column}");
    }
    lab.aura(&["checkpoint", "copy", "copy/inside"])
        .refuses(2, &["inside", "outside the database's own"]);
    lab.aura(&["checkpoint", "nowhere", "there"])
        .refuses(2, &["nowhere is no database"]);
    lab.aura(&["checkpoint", "copy", "again"]);
    lab.aura(&["checkpoint", "copy", "again"])
        .refuses(2, &["again cannot take a checkpoint", "not empty"]);
}

#[test]
fn damage_is_named_and_what_is_sound_is_saved() {
    let lab = Lab::new();
    let directory = database(&lab);
    assert!(lab.json(0, &["repair", "db"]).is_empty(), "nothing is lost");
    lab.aura(&["repair", "db", "--dry-run"])
        .refuses(0, &["nothing is wrong"]);
    let table = file(&directory, "sst");
    let mut bytes = fs::read(&table).expect("it is there");
    bytes[10] ^= 1;
    fs::write(&table, bytes).expect("writable");
    let name = table
        .file_name()
        .expect("a name")
        .to_str()
        .expect("a plain name");
    let verified = lab.aura(&["verify", "db"]);
    assert_eq!(verified.code, 1);
    assert!(
        verified.output.contains("offset 0") && verified.said().contains("aura repair"),
        "{}",
        verified.output
    );

    let planned = lab.json(1, &["repair", "db", "--dry-run"]);
    let [loss] = &planned[..] else {
        panic!("{planned:?}")
    };
    assert!(
        loss["file"]
            .as_str()
            .is_some_and(|file| file.ends_with(name)),
        "{loss}"
    );
    assert_eq!(loss["offset"], 0);
    assert_eq!(loss["first_key"], "key000");
    let lost = loss["entries"].as_u64().expect("the index knows");
    assert!(lost > 10, "{loss}");
    assert!(table.is_file(), "a dry run changes nothing");
    assert!(!directory.join("lost").exists(), "a dry run moves nothing");
    assert_eq!(lab.json(0, &["repair", "db"]), planned);
    assert!(directory.join("lost").join(name).is_file());
    assert!(!table.exists());
    assert_eq!(row(&lab, &["verify", "db"])["rows"], 210 - lost);

    fs::remove_file(directory.join("CURRENT")).expect("removable");
    lab.aura(&["verify", "db"]).refuses(1, &["problems"]);
    let rebuilt = lab.aura(&["repair", "db"]);
    rebuilt.refuses(
        0,
        &[
            "the manifest is lost: keys that were deleted before, one by one",
            "moved to db/lost",
        ],
    );
    assert_eq!(row(&lab, &["verify", "db"])["rows"], 210 - lost);
    fs::create_dir(lab.path("empty")).expect("a folder");
    lab.aura(&["repair", "empty"])
        .refuses(2, &["empty is no database"]);
}

#[test]
fn a_database_in_use_can_be_verified_and_not_changed() {
    let lab = Lab::new();
    let directory = database(&lab);
    let world = DiskWorld::new(1).expect("a runtime");
    world.block_on(async {
        let engine = EngineBuilder::new(world.env(), &directory)
            .open()
            .await
            .expect("it opens");
        for arguments in [&["checkpoint", "db", "copy"][..], &["repair", "db"]] {
            lab.aura(arguments).refuses(3, &["is in use"]);
        }
        assert_eq!(row(&lab, &["verify", "db"])["in_use"], true);
        engine.close().await.expect("it can be closed");
        assert_eq!(row(&lab, &["verify", "db"])["in_use"], false);
    });
}

/// The answer to an HTTP request, or None if nobody listens yet.
fn answer(address: &str, request: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream
        .write_all(request.as_bytes())
        .expect("it can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is text");
    Some(answer)
}

#[test]
fn metrics_are_served_until_the_command_is_stopped() {
    use std::io::{BufRead, BufReader};
    let lab = Lab::new();
    database(&lab);
    let mut serving = lab.start(&["serve-metrics", "db", "--format", "json"]);
    let output = serving.stdout.take().expect("it is piped");
    let mut row = String::new();
    BufReader::new(output).read_line(&mut row).expect("a row");
    let row: Value = serde_json::from_str(&row).unwrap_or_else(|error| panic!("{error}: {row}"));
    let url = row["url"].as_str().expect("a URL").to_owned();
    let address = url
        .strip_prefix("http://")
        .and_then(|url| url.strip_suffix("/metrics"))
        .expect("the URL of the metrics");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let ask = |path: &str, method: &str| {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        answer(address, &request).expect("it listens")
    };
    let metrics = ask("/metrics", "GET");
    let top = lab.aura(&["top", &url, "--once", "--every", "1ms", "--format", "json"]);
    let elsewhere = ask("/", "GET");
    let posted = ask("/metrics", "POST");
    serving.kill().expect("it runs");
    serving.wait().expect("it ends");
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    let tables = top
        .rows()
        .into_iter()
        .find(|row| row["metric"] == "aura_tree_tables");
    assert_eq!(tables.expect("a row")["value"], 1.0);
    let ended = lab.aura(&["top", &url, "--once"]);
    ended.refuses(3, &["nobody answers at", "the run may have ended"]);
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    assert!(metrics.contains(kind), "{metrics}");
    assert!(metrics.contains("\naura_tree_tables 1\n"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(elsewhere.starts_with("HTTP/1.1 404 "), "{elsewhere}");
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
}

#[test]
fn a_database_can_be_watched() {
    let lab = Lab::new();
    database(&lab);
    let rows = lab.json(0, &["top", "db", "--once", "--every", "1ms"]);
    let tables = rows.iter().find(|row| row["metric"] == "aura_tree_tables");
    assert_eq!(tables.expect("a row")["value"], 1.0);
    let nothing = lab.aura(&["top", "elsewhere"]);
    nothing.refuses(2, &["elsewhere serves no metrics", "--serve-metrics"]);
    let format = lab.aura(&["top", "db", "--format", "csv"]);
    format.refuses(2, &["--once prints rows"]);
}

#[test]
fn a_run_shows_the_engine_of_a_trial_under_way() {
    use std::io::{BufRead, BufReader};
    let lab = Lab::new();
    let config = lab.config(
        "long.toml",
        &SMALL.replace("operations = ", "operations = 1_000_"),
    );
    let mut command = lab.command(&["run", config, "--serve-metrics", "-j", "1"]);
    let mut run = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut words = BufReader::new(run.stderr.take().expect("it is piped")).lines();
    let url = words.find_map(|line| {
        line.ok()?
            .strip_prefix("metrics of a trial under way: ")
            .map(str::to_owned)
    });
    let url = url.expect("the address is named");
    let name = "long";
    let endpoint = lab.path("results").join(name).join("endpoint");
    assert_eq!(fs::read_to_string(endpoint).expect("it is named"), url);
    // The first trial may not have begun.
    let gets = std::iter::repeat_with(|| {
        let rows = lab.json(0, &["top", name, "--once", "--every", "1ms"]);
        let gets = rows
            .iter()
            .find(|row| row["metric"] == "aura_engine_gets_total");
        gets.and_then(|row| row["value"].as_f64())
    });
    let seen = gets.flatten().find(|gets| *gets > 0.0);
    run.kill().expect("it runs");
    run.wait().expect("it ends");
    assert!(seen.is_some());
}
