//! YCSB's files of field lengths: `BlockSize` and a number, then one row per bucket with its
//! weight.
//!
//! Source: YCSB, `site.ycsb.generator.HistogramGenerator`. Bucket i stands for (i + 1) * block size
//! bytes; the last one for as many as the bucket before it. A draw is compared with the sums of
//! weights such that the first bucket has one part more than its weight, and the last one part
//! less. That is kept: a config made of the file has YCSB's shares to the part.

/// A length and its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) bytes: u64,
    pub(super) share: u64,
}

/// What is wrong with a file, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) line: usize,
    pub(super) message: &'static str,
}

/// Reads the lengths of `text`. O(rows).
///
/// # Errors
/// [`BadLine`] for what YCSB cannot read either, and for buckets out of order.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, BadLine> {
    let bad = |line, message| Err(BadLine { line, message });
    let mut rows = text.lines().zip(1..);
    let block = match rows.next().map(|(row, _)| fields(row)) {
        Some([Some("BlockSize"), Some(size), None]) => size.parse::<u64>().ok(),
        _ => None,
    };
    let Some(block) = block.filter(|block| i32::try_from(*block).is_ok()) else {
        return bad(1, "the first row is `BlockSize` and a whole number");
    };
    let mut weights = Vec::new();
    let mut area = 0_u64;
    for (row, line) in rows {
        let [Some(bucket), Some(weight), None] = fields(row) else {
            return bad(line, "a row is a bucket and its weight");
        };
        if bucket.parse() != Ok(weights.len()) {
            return bad(line, "buckets are numbered 0, 1, 2 and so on, in order");
        }
        let Ok(weight) = weight.parse::<u32>() else {
            return bad(line, "the weight is not a whole number below 2^32");
        };
        area += u64::from(weight);
        if i32::try_from(area).is_err() {
            return bad(line, "the weights add up to 2^31 or more");
        }
        weights.push(u64::from(weight));
    }
    if area == 0 {
        return bad(1, "no bucket has a weight");
    }
    parts(&weights, area, block).ok_or(BadLine {
        line: 1,
        message: "the block size is too large for the number of buckets",
    })
}

/// The first fields of a row, divided by blanks.
fn fields(row: &str) -> [Option<&str>; 3] {
    let mut fields = row.split_whitespace();
    [fields.next(), fields.next(), fields.next()]
}

/// The lengths with the parts of `area` that YCSB draws them for; `None` if one is too large.
fn parts(weights: &[u64], area: u64, block: u64) -> Option<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    // Draws are 0 to area - 1. Those up to the sum of the weights so far are taken.
    let (mut sum, mut taken) = (0, 0);
    for (bucket, weight) in weights.iter().enumerate() {
        let is_last = bucket + 1 == weights.len();
        sum += weight;
        let end = if is_last { area } else { (sum + 1).min(area) };
        let blocks = if is_last { bucket } else { bucket + 1 } as u64;
        let bytes = blocks.checked_mul(block)?;
        let share = end - taken;
        taken = end;
        match parts.last_mut() {
            _ if share == 0 => {}
            Some(last) if last.bytes == bytes => last.share += share,
            _ => parts.push(Part { bytes, share }),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// YCSB's loop, for every number that it may draw.
    fn drawn_by_ycsb(weights: &[i64], block: u64) -> Vec<(u64, u64)> {
        let mut counts = std::collections::BTreeMap::new();
        for draw in 0..weights.iter().sum() {
            let mut left: i64 = draw;
            let last = weights.len() - 1;
            let mut blocks = last;
            for (bucket, weight) in weights[..last].iter().enumerate() {
                left -= weight;
                if left <= 0 {
                    blocks = bucket + 1;
                    break;
                }
            }
            *counts.entry(blocks as u64 * block).or_insert(0) += 1;
        }
        counts.into_iter().collect()
    }

    #[test]
    fn shares_are_those_of_ycsbs_draws() {
        for weights in [
            vec![3, 1],
            vec![5],
            vec![0, 3, 0, 2],
            vec![0, 0, 7, 0, 0],
            vec![1, 1, 1, 1, 1],
            vec![10, 0, 0, 5, 1],
        ] {
            let rows = (weights.iter().enumerate()).map(|(at, it)| format!("{at}\t{it}\n"));
            let text = format!("BlockSize\t10\n{}", rows.collect::<String>());
            let parts = parse(&text).expect(&text);
            let found: Vec<(u64, u64)> = parts.iter().map(|it| (it.bytes, it.share)).collect();
            assert_eq!(found, drawn_by_ycsb(&weights, 10), "{weights:?}");
        }
    }

    #[test]
    fn bad_rows_are_refused_with_their_line() {
        for (text, line) in [
            ("", 1),
            ("0\t1\n", 1),
            ("BlockSize\tten\n", 1),
            ("BlockSize\t10\n0\t1\n2\t1\n", 3),
            ("BlockSize\t10\n0\t-1\n", 2),
            ("BlockSize\t10\n0 1 1\n", 2),
            ("BlockSize\t10\n0\t2147483647\n1\t1\n", 3),
            ("BlockSize\t10\n0\t0\n", 1),
        ] {
            assert_eq!(parse(text).map_err(|bad| bad.line), Err(line), "{text}");
        }
    }
}
