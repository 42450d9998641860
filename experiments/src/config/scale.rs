//! An experiment several times as large: what `aura run --scale` does to a case.
//!
//! Records, operations, memory and the sizes of files grow together. So the tree keeps its levels
//! and the cache its share of the data, while everything holds more blocks, and every window more
//! flushes and merges. A conclusion that changes with the scale was one about the scale.

use bytesize::ByteSize;
use serde_json::Value;

use super::tree::Node;

/// What grows beside the operations of phases, with the value where a config leaves it out.
const SCALED: [&str; 10] = [
    "workload.records",
    "workload.operations",
    "workload.warm_up_operations",
    "engine.memtable",
    "engine.table.size",
    "engine.cache.size",
    "engine.compaction.base",
    "engine.compaction.debt_slowdown",
    "engine.compaction.agent_window",
    "engine.value_log.file",
];

/// What a workload has if the config does not say: it grows as well.
const UNWRITTEN: [&str; 2] = ["workload.records", "workload.operations"];
const UNWRITTEN_COUNT: u64 = 1000;

/// Makes a case `factor` times as large. Values that are no counts or sizes are left for the
/// checks that follow.
pub(super) fn enlarge(tree: &mut Node, factor: u64) {
    if factor == 1 {
        return;
    }
    for key in UNWRITTEN {
        if tree.get(key).is_none() {
            tree.put(key, Node::defaults(Value::from(UNWRITTEN_COUNT)));
        }
    }
    tree.for_each_leaf(&mut |path, value| {
        let larger = is_scaled(path).then(|| times(value, factor)).flatten();
        if let Some(larger) = larger {
            *value = larger;
        }
    });
}

fn is_scaled(path: &str) -> bool {
    let of_phase = path.starts_with("workload.phases[") && path.ends_with("].operations");
    let of_schedule = path.ends_with(".at_operations");
    let of_drift = path.ends_with(".drift.every_operations");
    of_phase || of_schedule || of_drift || SCALED.contains(&path)
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
                    "agent": { "actions": [{ "at_operations": 5, "runs": 3 }] },
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
                    "agent": { "actions": [{ "at_operations": 20, "runs": 3 }] },
                },
            },
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
