//! The writes of `aura-torture`, each a function of its number.

/// The key that holds the number of the last write.
pub(crate) const COUNT: &[u8] = b"count";

/// A key that is set after a write was given up.
pub(crate) const MARK: &[u8] = b"mark";

/// Number of keys that the writes use, besides the two above.
const KEYS: u64 = 150;

/// Spreads a number over 64 bits (SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Returns the changes of write `number`: one to three keys, each with its new value, or `None` for
/// a delete.
pub(crate) fn changes(number: u64) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let change = |part: u64| {
        let chance = mix(number << 2 | part);
        let key = format!("key{:04}", chance % KEYS).into_bytes();
        let bytes = match chance >> 32 & 15 {
            0 | 1 => return (key, None),
            2 | 3 => 3000,
            4 => 0,
            other => other * 20,
        };
        let words = (0..bytes / 8 + 1).flat_map(|word| mix(chance ^ word).to_le_bytes());
        let value = words.take(bytes as usize).collect();
        (key, Some(value))
    };
    (0..1 + number % 3).map(change).collect()
}
