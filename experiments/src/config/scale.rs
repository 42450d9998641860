//! An experiment several times as large: what `aura run --scale` does to a case.
//!
//! Records, operations, durations, memory and the sizes of files grow together. So the tree keeps
//! its levels and the cache its share of the data, while everything holds more blocks, and every
//! window more flushes and merges. A conclusion that changes with the scale was one about the
//! scale.

use bytesize::ByteSize;
use humantime_serde::re::humantime;
use serde_json::{Value, json};

use super::tree::Node;

/// What grows beside the operations of phases, with the value where a config leaves it out.
const SCALED: [&str; 12] = [
    "workload.records",
    "workload.operations",
    "workload.warm_up_operations",
    "engine.memtable",
    "engine.table.size",
    "engine.cache.size",
    "engine.compaction.base",
    "engine.compaction.debt_slowdown",
    "engine.compaction.agent_window",
    "engine.compaction.picker.deadline",
    "engine.self_tuning.window",
    "engine.value_log.file",
];

/// What a workload has if the config does not say: it grows as well.
const RECORDS: &str = "workload.records";
const OPERATIONS: &str = "workload.operations";
const UNWRITTEN_COUNT: u64 = 1000;

/// Makes a case `factor` times as large. Values that are no counts or sizes are left for the
/// checks that follow.
pub(super) fn enlarge(tree: &mut Node, factor: u64) {
    if factor == 1 {
        return;
    }
    spell_out_counts(tree);
    tree.for_each_leaf(&mut |path, value| {
        let larger = match path {
            _ if is_scaled(path) => times(value, factor),
            _ if is_duration(path) => longer(value, factor),
            _ => None,
        };
        if let Some(larger) = larger {
            *value = larger;
        }
    });
}

/// Leaves a share, in (0, 1], of the operations and durations of phases; records and warm-up stay.
pub(super) fn shorten(tree: &mut Node, share: f64) {
    if share == 1.0 {
        return;
    }
    spell_out_counts(tree);
    tree.for_each_leaf(&mut |path, value| {
        let is_count = path.starts_with("workload.") && path.ends_with("operations");
        if is_count && path != "workload.warm_up_operations" {
            if let Some(count) = value.as_u64() {
                *value = Value::from(((count as f64 * share) as u64).max(1));
            }
        } else if is_duration(path)
            && let Some(long) = value
                .as_str()
                .and_then(|it| humantime::parse_duration(it).ok())
        {
            let short = long.mul_f64(share);
            *value = humantime::format_duration(short).to_string().into();
        }
    });
}

/// Writes the counts that a config leaves to their defaults. Where time ends a phase, its
/// operations have no default.
fn spell_out_counts(tree: &mut Node) {
    let count = || Node::defaults(Value::from(UNWRITTEN_COUNT));
    // The default for keys of a set is all of them.
    let is_set = ["workload.key.file", "workload.key.generated"]
        .iter()
        .any(|key| tree.get(key).is_some());
    if tree.get(RECORDS).is_none() && !is_set {
        tree.put(RECORDS, count());
    }
    if tree.get(OPERATIONS).is_some() || tree.get("workload.duration").is_some() {
        return;
    }
    let phases = tree.get("workload.phases").map(Node::to_value);
    let phases: Vec<Value> = match phases {
        Some(Value::Array(phases)) => phases,
        _ => Vec::new(),
    };
    if phases.iter().all(|phase| phase.get("duration").is_none()) {
        tree.put(OPERATIONS, count());
        return;
    }
    for (at, phase) in phases.iter().enumerate() {
        let counts = ["operations", "duration", "step"];
        if counts.iter().all(|key| phase.get(key).is_none()) {
            let added = Node::defaults(json!({ "operations": UNWRITTEN_COUNT }));
            tree.merge_item("workload.phases", at, added);
        }
    }
}

fn is_duration(path: &str) -> bool {
    let of_phase = path.starts_with("workload.phases[") && path.ends_with("].duration");
    of_phase || path == "workload.duration"
}

/// A duration, `factor` times as long.
fn longer(value: &Value, factor: u64) -> Option<Value> {
    let short = humantime::parse_duration(value.as_str()?).ok()?;
    let long = short.checked_mul(u32::try_from(factor).ok()?)?;
    Some(humantime::format_duration(long).to_string().into())
}

fn is_scaled(path: &str) -> bool {
    let of_phase = path.starts_with("workload.phases[") && path.ends_with("].operations");
    let of_role = path.starts_with("workload.roles[") && path.ends_with("].operations");
    let of_schedule = path.ends_with(".at_operations");
    let of_drift = path.ends_with(".drift.every_operations");
    let ranges = ["memtable[", "cache.size["];
    let range = path.strip_prefix("engine.self_tuning.ranges.");
    let of_range = range.is_some_and(|it| ranges.iter().any(|start| it.starts_with(start)));
    of_phase || of_role || of_schedule || of_drift || of_range || SCALED.contains(&path)
}

/// A count or a size, `factor` times as large.
fn times(value: &Value, factor: u64) -> Option<Value> {
    let small = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse::<ByteSize>().ok()?.as_u64(),
        _ => return None,
    };
    Some(Value::from(small.saturating_mul(factor)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_and_sizes_grow_and_shares_and_ratios_do_not() {
        let mut tree = Node::defaults(json!({
            "workload": {
                "operations": 10,
                "value": { "bytes": 100 },
                "phases": [{ "name": "a", "operations": 7 }, { "name": "b" }],
            },
            "engine": {
                "memtable": "256KiB",
                "cache": { "size": 1_000, "metadata_share": 0.5 },
                "table": { "block": "4KiB", "size": "1MiB" },
                "compaction": {
                    "layout": { "policy": "leveled", "ratio": 10 },
                    "picker": { "policy": "lethe", "deadline": 60 },
                    "agent": { "actions": [{ "at_operations": 5, "runs": 3 }] },
                },
                "self_tuning": {
                    "window": 100,
                    "ranges": { "memtable": [1_000, "1KiB"], "filter-bits": [2, 16] },
                },
            },
        }));
        enlarge(&mut tree, 4);
        let expected = json!({
            "workload": {
                "records": 4000,
                "operations": 40,
                "value": { "bytes": 100 },
                "phases": [{ "name": "a", "operations": 28 }, { "name": "b" }],
            },
            "engine": {
                "memtable": 1_048_576,
                "cache": { "size": 4_000, "metadata_share": 0.5 },
                "table": { "block": "4KiB", "size": 4_194_304 },
                "compaction": {
                    "layout": { "policy": "leveled", "ratio": 10 },
                    "picker": { "policy": "lethe", "deadline": 240 },
                    "agent": { "actions": [{ "at_operations": 20, "runs": 3 }] },
                },
                "self_tuning": {
                    "window": 400,
                    "ranges": { "memtable": [4_000, 4_096], "filter-bits": [2, 16] },
                },
            },
        });
        assert_eq!(tree.to_value(), expected);
    }

    fn scaled(workload: Value) -> Value {
        let mut tree = Node::defaults(json!({ "workload": workload }));
        enlarge(&mut tree, 4);
        tree.to_value()["workload"].clone()
    }

    #[test]
    fn durations_grow_and_operations_stay_without_end() {
        let workload = json!({
            "duration": "1m 30s",
            "roles": [{ "name": "w", "operations": 5 }],
            "phases": [{ "name": "a", "step": "wait", "duration": "250ms" }, { "name": "b" }],
        });
        let expected = json!({
            "records": 4000,
            "duration": "6m",
            "roles": [{ "name": "w", "operations": 20 }],
            "phases": [{ "name": "a", "step": "wait", "duration": "1s" }, { "name": "b" }],
        });
        assert_eq!(scaled(workload), expected);
        // Without a duration of its own, a phase beside one that has it does 1000 operations.
        let workload = json!({
            "records": 1,
            "phases": [
                { "name": "a", "duration": "1s" },
                { "name": "b" },
                { "name": "c", "step": "settle" },
            ],
        });
        let expected = json!({
            "records": 4,
            "phases": [
                { "name": "a", "duration": "4s" },
                { "name": "b", "operations": 4000 },
                { "name": "c", "step": "settle" },
            ],
        });
        assert_eq!(scaled(workload), expected);
        let unreadable = scaled(json!({ "records": 1, "duration": "soon" }));
        assert_eq!(unreadable, json!({ "records": 4, "duration": "soon" }));
    }

    #[test]
    fn a_share_is_of_operations_and_durations_alone() {
        let mut tree = Node::defaults(json!({
            "workload": {
                "records": 90,
                "warm_up_operations": 9,
                "operations": 900,
                "phases": [{ "name": "a", "operations": 2 }, { "name": "b", "duration": "9s" }],
            },
            "engine": { "memtable": 900 },
        }));
        shorten(&mut tree, 1.0 / 3.0);
        let expected = json!({
            "workload": {
                "records": 90,
                "warm_up_operations": 9,
                "operations": 300,
                "phases": [{ "name": "a", "operations": 1 }, { "name": "b", "duration": "3s" }],
            },
            "engine": { "memtable": 900 },
        });
        assert_eq!(tree.to_value(), expected);
    }

    #[test]
    fn what_cannot_be_scaled_is_left_for_the_checks() {
        let mut tree = Node::defaults(json!({
            "workload": { "records": "many", "operations": u64::MAX },
            "engine": { "memtable": true },
        }));
        enlarge(&mut tree, 2);
        let expected = json!({
            "workload": { "records": "many", "operations": u64::MAX },
            "engine": { "memtable": true },
        });
        assert_eq!(tree.to_value(), expected);
    }
}
