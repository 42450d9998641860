//! Fence pointers: the last key of every block, in the structures that the engine has for them.

use aura_engine::BareFences;
use aura_policies::index::search::partition_point;

/// The last key of every block.
pub(super) trait Fences {
    /// What can be looked for.
    type Query;

    /// The keys' images, in their order.
    fn images(&self) -> &[u64];

    /// The first key that is not below the query; their number if all are.
    fn search(&self, query: &Self::Query) -> usize;

    /// The bytes that they take.
    fn memory_bytes(&self) -> u64;
}

/// Numbers in one array.
pub(super) struct NumberFences(pub(super) Vec<u64>);

impl Fences for NumberFences {
    type Query = u64;

    fn images(&self) -> &[u64] {
        &self.0
    }

    fn search(&self, query: &u64) -> usize {
        partition_point(&self.0, |key| key < *query)
    }

    fn memory_bytes(&self) -> u64 {
        size_of_val(&self.0[..]) as u64
    }
}

/// Strings, in the engine's own structure.
pub(super) struct StringFences {
    prefix: Vec<u8>,
    suffixes: BareFences,
}

impl StringFences {
    /// The fences for sorted keys that all begin with `prefix`.
    pub(super) fn new(prefix: &[u8], keys: &[&[u8]]) -> Self {
        let suffixes: Vec<&[u8]> = keys.iter().map(|key| &key[prefix.len()..]).collect();
        Self {
            prefix: prefix.to_vec(),
            suffixes: BareFences::new(&suffixes),
        }
    }
}

impl Fences for StringFences {
    type Query = Vec<u8>;

    fn images(&self) -> &[u64] {
        self.suffixes.images()
    }

    fn search(&self, query: &Vec<u8>) -> usize {
        match query.strip_prefix(&self.prefix[..]) {
            Some(suffix) => self.suffixes.search(suffix),
            None if query[..] > self.prefix[..] => self.images().len(),
            None => 0,
        }
    }

    fn memory_bytes(&self) -> u64 {
        self.prefix.len() as u64 + self.suffixes.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_whether_they_end_within_the_image_or_differ_after_it() {
        let endings = [&b""[..], b"\0", b"a", b"late", b"later", b"z"];
        for middle in [&b""[..], b"abc", b"12345678"] {
            let mut keys: Vec<Vec<u8>> = Vec::new();
            for number in 0..20_u8 {
                for ending in endings {
                    keys.push([&b"key/"[..], middle, &[b'A' + number], ending].concat());
                }
            }
            keys.sort();
            let listed: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
            let fences = StringFences::new(b"key/", &listed);
            let near = |key: &Vec<u8>| {
                let shorter = key[..key.len() - 1].to_vec();
                let longer = [&key[..], b"m"].concat();
                [shorter, key.clone(), longer]
            };
            let mut queries: Vec<Vec<u8>> = keys.iter().flat_map(near).collect();
            queries.extend([&b""[..], b"key", b"key/", b"kex/z", b"kez", b"l"].map(<[u8]>::to_vec));
            for query in queries {
                let expected = keys.partition_point(|key| *key < query);
                assert_eq!(fences.search(&query), expected, "{}", query.escape_ascii());
            }
        }
    }
}
