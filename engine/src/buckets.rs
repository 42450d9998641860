//! Log-linear buckets: `2^BITS` for each power of two, so that a value is known to a part in
//! `2^BITS`.
//!
//! Source: HdrHistogram (Tene, 2012), with fewer digits.

/// The bucket of a value, the last of `buckets` for all that are larger. O(1).
pub(crate) fn bucket<const BITS: u32>(value: u64, buckets: usize) -> usize {
    let each = 1_usize << BITS;
    let Some(exponent) = value.checked_ilog2().filter(|it| *it >= BITS) else {
        return value as usize;
    };
    let shift = exponent - BITS;
    let place = (value >> shift) as usize & (each - 1);
    ((shift as usize + 1) * each + place).min(buckets - 1)
}

/// The least and the largest value of a bucket. O(1).
pub(crate) fn bounds<const BITS: u32>(bucket: usize) -> (u64, u64) {
    let each = 1_usize << BITS;
    match bucket / each {
        0 => (bucket as u64, bucket as u64),
        row => {
            let least = ((each + bucket % each) as u64) << (row - 1);
            (least, least + (1 << (row - 1)) - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const BITS: u32>() {
        let buckets = 38 << BITS;
        let values = (0..4_000).chain((12..37).flat_map(|bits| {
            let power = 1_u64 << bits;
            [power - 1, power, power + 1, power + power / 3]
        }));
        let mut last = 0;
        for value in values {
            let at = bucket::<BITS>(value, buckets);
            assert!(at >= last, "{value}: buckets go up");
            last = at;
            let (least, largest) = bounds::<BITS>(at);
            assert!(
                (least..=largest).contains(&value),
                "{value}: {least} to {largest}"
            );
            assert!(
                largest - least <= value >> BITS,
                "{value}: {least} to {largest}"
            );
            assert!(
                at == 0 || bounds::<BITS>(at - 1).1 + 1 == least,
                "{value}: no gap"
            );
        }
        assert_eq!(bucket::<BITS>(u64::MAX, buckets), buckets - 1);
    }

    #[test]
    fn a_value_lies_in_its_bucket_which_is_narrow() {
        check::<3>();
        check::<4>();
    }
}
