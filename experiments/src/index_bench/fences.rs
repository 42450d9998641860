//! Fence pointers: the last key of every block, in the structures that the engine has for them.

use aura_policies::index::search::partition_point;

use super::sorted::image;

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

/// Strings without their common prefix: the images in an array of their own, which is searched
/// first, and the bytes after those, which are compared only among equal images.
pub(super) struct StringFences {
    prefix: Vec<u8>,
    heads: Vec<u64>,
    /// The bytes after the images; those after the prefix if some key has fewer than 8 of them.
    tails: Vec<u8>,
    /// The end of each tail. The engine packs these numbers into fewer bits.
    ends: Vec<u32>,
    /// Bytes of the image that `tails` do not repeat: 8 or 0.
    skip: usize,
}

impl StringFences {
    /// The fences for sorted keys that all begin with `prefix`.
    pub(super) fn new(prefix: &[u8], keys: &[&[u8]]) -> Self {
        let suffixes = || keys.iter().map(|key| &key[prefix.len()..]);
        let skip = if suffixes().all(|suffix| suffix.len() >= 8) {
            8
        } else {
            0
        };
        let mut tails = Vec::new();
        let mut ends = Vec::with_capacity(keys.len());
        for suffix in suffixes() {
            tails.extend_from_slice(&suffix[skip..]);
            ends.push(tails.len() as u32);
        }
        Self {
            prefix: prefix.to_vec(),
            heads: suffixes().map(image).collect(),
            tails,
            ends,
            skip,
        }
    }

    fn tail(&self, place: usize) -> &[u8] {
        let start = match place.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        };
        &self.tails[start as usize..self.ends[place] as usize]
    }
}

impl Fences for StringFences {
    type Query = Vec<u8>;

    fn images(&self) -> &[u64] {
        &self.heads
    }

    fn search(&self, query: &Vec<u8>) -> usize {
        let Some(suffix) = query.strip_prefix(&self.prefix[..]) else {
            let above = query[..] > self.prefix[..];
            return if above { self.heads.len() } else { 0 };
        };
        let image = image(suffix);
        let mut low = partition_point(&self.heads, |head| head < image);
        if self.heads.get(low) != Some(&image) {
            return low;
        }
        // A query that ends inside the image is before all longer keys.
        let Some(tail) = suffix.get(self.skip..) else {
            return low;
        };
        let mut high = low + partition_point(&self.heads[low..], |head| head <= image);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.tail(middle) < tail {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn memory_bytes(&self) -> u64 {
        let numbers = size_of_val(&self.heads[..]) + size_of_val(&self.ends[..]);
        (self.prefix.len() + self.tails.len() + numbers) as u64
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
