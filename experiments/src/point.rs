//! Sweep points: the value of each swept key.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bytesize::ByteSize;

/// A sweep point: the dotted key of each swept setting, with its value as tables show it.
/// Empty in an experiment without a sweep.
pub type Point = BTreeMap<String, String>;

/// Returns the point as tables show it: `engine.cache.size=32MiB`, several keys separated by a
/// space; empty without a sweep.
pub fn label(point: &Point) -> String {
    point
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Orders two points key by key: numbers and sizes by their amount, other values by their letters.
pub fn order(a: &Point, b: &Point) -> Ordering {
    for ((key, value), (other_key, other)) in a.iter().zip(b) {
        let by_amount = match (amount(value), amount(other)) {
            (Some(value), Some(other)) => value.total_cmp(&other),
            _ => Ordering::Equal,
        };
        let order = key.cmp(other_key).then(by_amount).then(value.cmp(other));
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Reads a number, or a size in bytes.
fn amount(value: &str) -> Option<f64> {
    if let Ok(number) = value.parse::<f64>() {
        return Some(number);
    }
    let size = value.parse::<ByteSize>().ok()?;
    Some(size.as_u64() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_ordered_by_amount() {
        let point = |value: &str| Point::from([("engine.cache.size".to_owned(), value.to_owned())]);
        for (less, more) in [
            ("32MiB", "128MiB"),
            ("512KiB", "1MiB"),
            ("9", "10"),
            ("0.5", "0.75"),
            ("arc", "lru"),
        ] {
            assert_eq!(
                order(&point(less), &point(more)),
                Ordering::Less,
                "{less} {more}"
            );
        }
    }

    #[test]
    fn a_label_lists_every_key() {
        let point = Point::from([
            ("engine.cache.size".to_owned(), "1MiB".to_owned()),
            ("workload.preset".to_owned(), "ycsb-a".to_owned()),
        ]);
        assert_eq!(
            label(&point),
            "engine.cache.size=1MiB workload.preset=ycsb-a"
        );
        assert_eq!(label(&Point::new()), "");
    }
}
