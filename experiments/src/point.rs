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

/// Orders two points key by key, values in their natural order.
pub fn order(a: &Point, b: &Point) -> Ordering {
    for ((key, value), (other_key, other)) in a.iter().zip(b) {
        let order = key.cmp(other_key).then_with(|| natural(value, other));
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Orders two names as people do: numbers and sizes in them by their amount, the rest by letters.
/// `9 bits` comes before `10 bits`, `512KiB` before `1MiB`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut rest, mut other) = (a, b);
    while let (Some(part), Some(with)) = (first(rest), first(other)) {
        let order = match (part.amount, with.amount) {
            (Some(amount), Some(with)) => amount.total_cmp(&with),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => part.text.cmp(with.text),
        };
        if order.is_ne() {
            return order;
        }
        rest = &rest[part.text.len()..];
        other = &other[with.text.len()..];
    }
    // Equal amounts may be written differently: names that differ are never equal.
    rest.len().cmp(&other.len()).then_with(|| a.cmp(b))
}

/// A part of a name: a number or size, or the text up to the next one.
struct NamePart<'a> {
    text: &'a str,
    amount: Option<f64>,
}

/// The first part of a name; `None` at its end.
fn first(name: &str) -> Option<NamePart<'_>> {
    let is_digit = |letter: char| letter.is_ascii_digit();
    if !name.starts_with(is_digit) {
        let end = name.find(is_digit).unwrap_or(name.len());
        let text = &name[..end];
        return (!text.is_empty()).then_some(NamePart { text, amount: None });
    }
    let is_number = |letter: char| letter.is_ascii_digit() || letter == '.';
    let digits = name.find(|letter| !is_number(letter)).unwrap_or(name.len());
    let digits = name[..digits].trim_end_matches('.').len();
    let unit = name[digits..].find(|letter: char| !letter.is_ascii_alphabetic());
    let sized = &name[..unit.map_or(name.len(), |unit| digits + unit)];
    [sized, &name[..digits]]
        .into_iter()
        .find_map(|text| {
            let amount = Some(amount(text)?);
            Some(NamePart { text, amount })
        })
        .or(Some(NamePart {
            text: &name[..digits],
            amount: None,
        }))
}

/// Reads a number, or a size in bytes.
pub fn amount(value: &str) -> Option<f64> {
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
    fn names_are_ordered_as_people_do() {
        let sorted = [
            "0.5",
            "5 bits",
            "10 bits",
            "10 bits, tight",
            "256KiB",
            "1MiB",
            "16MiB",
            "a",
            "a2",
            "a10",
            "arc",
            "lru",
            "lru 2",
            "lru 10",
            "pgm-4",
            "pgm-16",
        ];
        for (at, less) in sorted.iter().enumerate() {
            for more in &sorted[at + 1..] {
                assert_eq!(natural(less, more), Ordering::Less, "{less} {more}");
                assert_eq!(natural(more, less), Ordering::Greater, "{more} {less}");
            }
        }
        assert_eq!(natural("1.0", "1.00"), Ordering::Less);
        assert_eq!(natural("x", "x"), Ordering::Equal);
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
