//! Keys from files: which are loaded, which are inserted, and what is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use aura_workloads::Inputs;
use aura_workloads::keyset::{FileKeys, GeneratedSet, KeyFormat};
use aura_workloads::{Acknowledged, Op, OpKind, Phase, Seed, Workload, WorkloadConfig};
use serde_json::{Value, json};

fn lines(text: &str) -> Arc<FileKeys> {
    Arc::new(KeyFormat::Lines.read_in_order(text.as_bytes()).unwrap())
}

/// Thirty words in no order, some of them twice.
fn words() -> Arc<FileKeys> {
    let numbers = (0..40).map(|number| format!("word{}\n", number * 7 % 30));
    lines(&numbers.collect::<String>())
}

fn config(settings: Value) -> WorkloadConfig {
    let mut config = json!({ "key": { "file": "words.txt", "format": "lines" } });
    for (key, value) in settings.as_object().unwrap() {
        match (config.get_mut(key), value) {
            (Some(Value::Object(table)), Value::Object(more)) => table.extend(more.clone()),
            _ => config[key] = value.clone(),
        }
    }
    serde_json::from_value(config).unwrap()
}

fn resolved(settings: Value) -> Workload {
    config(settings)
        .resolve_with(&Inputs::from(&words()))
        .unwrap()
}

/// The keys of a phase's operations of one kind, in order.
fn keys_of(phase: &Phase, kind: OpKind, acknowledged: &Acknowledged) -> Vec<String> {
    let mut keys = Vec::new();
    for client in 0..phase.clients {
        let mut stream = phase.stream(client, Seed(5));
        while let Some(op) = stream.next(acknowledged) {
            if let Op::Insert { key, .. } = op {
                acknowledged.acknowledge(key.number);
            }
            if op.kind() == kind {
                keys.push(String::from_utf8(op.key().bytes.to_vec()).unwrap());
            }
        }
    }
    keys
}

fn loaded(workload: &Workload) -> Vec<String> {
    keys_of(&workload.load, OpKind::Insert, &Acknowledged::new(0))
}

#[test]
fn keys_are_loaded_in_the_order_of_the_file_or_scattered() {
    let ordered = resolved(json!({ "key": { "order": "ordered" }, "clients": 3 }));
    assert_eq!(ordered.records, 30, "the distinct keys");
    let in_file: Vec<String> = (0..30).map(|n| format!("word{}", n * 7 % 30)).collect();
    assert_eq!(loaded(&ordered), in_file);
    let hashed = loaded(&resolved(json!({})));
    assert_ne!(hashed, in_file);
    let as_set = |keys: &[String]| keys.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(as_set(&hashed), as_set(&in_file));
    assert_eq!(hashed.len(), 30);
}

#[test]
fn inserts_take_further_keys_until_there_are_no_more() {
    let settings = json!({ "records": 20, "operations": 8, "mix": { "insert": 1 } });
    let workload = resolved(settings);
    let acknowledged = Acknowledged::new(20);
    let inserted = keys_of(&workload.phases[0], OpKind::Insert, &acknowledged);
    assert_eq!(inserted.len(), 8);
    let mut all = loaded(&workload);
    all.extend(inserted);
    let distinct: BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 28);

    let settings = json!({ "records": 20, "duration": "1s", "mix": { "insert": 1 } });
    let endless = resolved(settings);
    let mut stream = endless.phases[0].stream(0, Seed(1));
    let acknowledged = Acknowledged::new(20);
    let mut done = 0;
    while stream.next(&acknowledged).is_some() {
        done += 1;
    }
    assert_eq!(done, 10);
    assert!(stream.is_out_of_keys());
    assert!(stream.next(&acknowledged).is_none());
}

#[test]
fn absent_keys_are_none_of_the_file() {
    let workload = resolved(json!({
        "records": 10, "operations": 500, "mix": { "read_absent": 1 },
    }));
    let absent = keys_of(
        &workload.phases[0],
        OpKind::ReadAbsent,
        &Acknowledged::new(10),
    );
    let absent: BTreeSet<_> = absent.into_iter().collect();
    let all: BTreeSet<_> = loaded(&resolved(json!({}))).into_iter().collect();
    assert_eq!(absent.len(), 10, "one beside each record");
    assert!(absent.is_disjoint(&all), "{absent:?}");
    assert!(absent.first() > all.first() && absent.first() < all.last());
}

#[test]
fn numbers_are_keys_that_sort_as_they_do() {
    let mut bytes = 3_u64.to_le_bytes().to_vec();
    for number in [5_u64, 1 << 40, 5] {
        bytes.extend(number.to_le_bytes());
    }
    let keys = KeyFormat::SosdU64.read_in_order(&bytes[..]).unwrap();
    assert_eq!((keys.len(), keys.duplicates(), keys.longest()), (2, 1, 8));
    let mut key = Vec::new();
    keys.copy(1, &mut key);
    assert_eq!(key, [0, 0, 1, 0, 0, 0, 0, 0]);
    // The digest is of the distinct keys and their order.
    assert_eq!(lines("b\na\nb\n").digest(), lines("b\r\na").digest());
    assert_ne!(lines("b\na\n").digest(), lines("a\nb\n").digest());
    assert_ne!(lines("ab\nc\n").digest(), lines("a\nbc\n").digest());
}

#[test]
fn a_generated_set_is_inserted_like_that_of_a_file() {
    let settings = json!({ "key": { "file": null, "format": null, "generated": "square:50" } });
    let config = config(settings);
    let set = GeneratedSet::parse("square:50").unwrap().keys_in_order(0);
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let workload = config.resolve_with(&Inputs::from(&Arc::new(set))).unwrap();
    let mut stream = workload.load.stream(0, Seed(5));
    while let Some(op) = stream.next(&Acknowledged::new(0)) {
        keys.push(op.key().bytes.to_vec());
    }
    keys.sort();
    let squares: Vec<Vec<u8>> = (1..=50_u64)
        .map(|number| (number * number).to_be_bytes().to_vec())
        .collect();
    assert_eq!(keys, squares);
}

#[test]
fn what_a_file_cannot_give_is_refused_with_the_key() {
    let two = json!([
        { "name": "a", "operations": 6, "mix": { "insert": 1 } },
        { "name": "b", "operations": 10, "mix": { "insert": 1, "read": 1 } },
    ]);
    for (settings, key, said) in [
        (
            json!({ "records": 31 }),
            "records",
            "at most 30, the distinct keys",
        ),
        (
            json!({ "records": 20, "phases": two }),
            "records",
            "small enough for 11 inserts: the file has 30 distinct keys",
        ),
        (
            json!({ "key": { "prefix": "k" } }),
            "key.prefix",
            "as they are",
        ),
        (
            json!({ "key": { "zero_padding": 9 } }),
            "key.zero_padding",
            "as they are",
        ),
        (json!({ "key": { "format": null } }), "key.file", "sosd-u64"),
        (json!({ "key": { "file": null } }), "key.format", "missing"),
        (
            json!({ "key": { "generated": "square" } }),
            "key.generated",
            "leave one of them out",
        ),
    ] {
        let error = config(settings)
            .resolve_with(&Inputs::from(&words()))
            .unwrap_err();
        assert_eq!(error.key(), key, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let unread = config(json!({})).resolve().unwrap_err();
    assert_eq!(unread.key(), "key.file");
    assert!(
        config(json!({ "records": 19, "phases": two }))
            .resolve_with(&Inputs::from(&words()))
            .is_ok()
    );
}
