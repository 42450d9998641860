//! Sorted keys as an index sees them: images to train on, and the array to search.

use std::ops::Range;

use aura_policies::index::search::partition_point;
use aura_workloads::Generator;
use aura_workloads::keyset::StringKeys;

use super::Ties;
use super::fences::{Fences, NumberFences, StringFences};

/// What a model must find for a query.
pub(super) enum Target {
    /// The query is below all keys, by their common prefix.
    Below,
    /// The query has this image.
    Image(u64),
    /// The query is above all keys, by their common prefix.
    Above,
}

/// Sorted, distinct keys.
pub(super) trait SortedKeys {
    /// What can be looked for.
    type Query;
    /// The last key of every block.
    type Fences: Fences<Query = Self::Query>;

    fn len(&self) -> usize {
        self.images().len()
    }

    /// The keys' images, in their order.
    fn images(&self) -> &[u64];

    /// The most keys with one image.
    fn largest_tie(&self) -> usize;

    /// What a model must find for a query.
    fn target(&self, query: &Self::Query) -> Target;

    /// Returns the first rank of `range` whose key is not below the query, or the range's end. By
    /// the fastest search known of sorted numbers, or by binary search of strings.
    fn lower_bound(&self, range: Range<usize>, query: &Self::Query) -> usize;

    /// The last key of every block of `block_keys` keys.
    fn fences(&self, block_keys: usize) -> Self::Fences;

    /// A stored key.
    fn present(&self, rank: usize) -> Self::Query;

    /// Draws a query from the gap after a key; `None` if the draw hits a key.
    fn absent(&self, rank: usize, generator: &mut Generator) -> Option<Self::Query>;

    /// Writes a query for messages.
    fn show(query: &Self::Query) -> String;
}

/// The last rank of every block of `block_keys` keys.
fn last_ranks(keys: usize, block_keys: usize) -> impl Iterator<Item = usize> {
    (0..keys.div_ceil(block_keys)).map(move |block| ((block + 1) * block_keys).min(keys) - 1)
}

/// Numbers, each its own image.
pub(super) struct Numbers(Vec<u64>);

impl Numbers {
    pub(super) fn new(keys: Vec<u64>) -> Self {
        Self(keys)
    }
}

impl SortedKeys for Numbers {
    type Query = u64;
    type Fences = NumberFences;

    fn images(&self) -> &[u64] {
        &self.0
    }

    fn largest_tie(&self) -> usize {
        1
    }

    fn target(&self, query: &u64) -> Target {
        Target::Image(*query)
    }

    fn lower_bound(&self, range: Range<usize>, query: &u64) -> usize {
        range.start + partition_point(&self.0[range], |key| key < *query)
    }

    fn fences(&self, block_keys: usize) -> NumberFences {
        let ranks = last_ranks(self.0.len(), block_keys);
        NumberFences(ranks.map(|rank| self.0[rank]).collect())
    }

    fn present(&self, rank: usize) -> u64 {
        self.0[rank]
    }

    fn absent(&self, rank: usize, generator: &mut Generator) -> Option<u64> {
        let low = self.0[rank];
        let next = self.0.get(rank + 1).copied().unwrap_or(u64::MAX);
        let gap = next.saturating_sub(low).saturating_sub(1);
        (gap > 0).then(|| low + 1 + generator.below(gap))
    }

    fn show(query: &u64) -> String {
        query.to_string()
    }
}

/// Strings: the image is the 8 bytes after the prefix that all share, as a big-endian number.
pub(super) struct Strings {
    keys: StringKeys,
    images: Vec<u64>,
    /// Bytes that all keys begin with.
    prefix: usize,
    largest_tie: usize,
}

impl Strings {
    pub(super) fn new(keys: StringKeys) -> Self {
        // The keys are sorted: what the first and the last share, all share.
        let prefix = match keys.len() {
            0 => 0,
            count => common_prefix(keys.get(0), keys.get(count - 1)),
        };
        let images: Vec<u64> = keys.iter().map(|key| image(&key[prefix..])).collect();
        let largest_tie = tie_sizes(&images).max().unwrap_or(0);
        Self {
            keys,
            images,
            prefix,
            largest_tie,
        }
    }

    pub(super) fn ties(&self) -> Ties {
        Ties {
            keys: tie_sizes(&self.images).filter(|size| *size > 1).sum(),
            largest: self.largest_tie,
            prefix: self.prefix,
        }
    }
}

/// How many keys have each image.
fn tie_sizes(images: &[u64]) -> impl Iterator<Item = usize> {
    let ties = images.chunk_by(|one, other| one == other);
    ties.map(<[u64]>::len)
}

fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(one, other)| one == other).count()
}

/// The first 8 bytes as a big-endian number, filled up with zeros.
fn image(suffix: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let known = suffix.len().min(8);
    bytes[..known].copy_from_slice(&suffix[..known]);
    u64::from_be_bytes(bytes)
}

impl SortedKeys for Strings {
    type Query = Vec<u8>;
    type Fences = StringFences;

    fn images(&self) -> &[u64] {
        &self.images
    }

    /// At least two: a query may share its image with a key that differs from it in later bytes.
    fn largest_tie(&self) -> usize {
        self.largest_tie.max(2)
    }

    fn target(&self, query: &Vec<u8>) -> Target {
        let prefix = &self.keys.get(0)[..self.prefix];
        match query.strip_prefix(prefix) {
            Some(suffix) => Target::Image(image(suffix)),
            None if query[..] < *prefix => Target::Below,
            None => Target::Above,
        }
    }

    fn lower_bound(&self, range: Range<usize>, query: &Vec<u8>) -> usize {
        let mut low = range.start;
        let mut high = range.end;
        while low < high {
            let middle = low + (high - low) / 2;
            if self.keys.get(middle) < &query[..] {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn fences(&self, block_keys: usize) -> StringFences {
        let ranks = last_ranks(self.keys.len(), block_keys);
        let keys: Vec<&[u8]> = ranks.map(|rank| self.keys.get(rank)).collect();
        StringFences::new(&self.keys.get(0)[..self.prefix], &keys)
    }

    fn present(&self, rank: usize) -> Vec<u8> {
        self.keys.get(rank).to_vec()
    }

    /// Draws a key with one more letter, or cut short with another last byte.
    fn absent(&self, rank: usize, generator: &mut Generator) -> Option<Vec<u8>> {
        let mut query = self.keys.get(rank).to_vec();
        if generator.below(2) == 1 {
            query.truncate(1 + generator.below(query.len() as u64) as usize);
            query.pop();
        }
        query.push(b'a' + generator.below(26) as u8);
        let found = self.lower_bound(0..self.keys.len(), &query);
        (found == self.keys.len() || self.keys.get(found) != query).then_some(query)
    }

    fn show(query: &Vec<u8>) -> String {
        format!("\"{}\"", query.escape_ascii())
    }
}

/// Queries with their right answers.
pub(super) struct Queries<Q> {
    queries: Vec<Q>,
    ranks: Vec<usize>,
}

/// Draws after which a set is assumed to have no gaps.
const DRAWS_MAX: usize = 64;

/// Draws queries: half stored keys, half absent ones from gaps after stored ones, in random order.
/// In a set without gaps, such as consecutive numbers, all are stored.
pub(super) fn queries<K: SortedKeys>(
    keys: &K,
    count: usize,
    generator: &mut Generator,
) -> Queries<K::Query> {
    let mut draw = |number: usize| {
        let mut rank = generator.below(keys.len() as u64) as usize;
        if number % 2 == 1 {
            for _ in 0..DRAWS_MAX {
                if let Some(query) = keys.absent(rank, generator) {
                    return query;
                }
                rank = generator.below(keys.len() as u64) as usize;
            }
        }
        keys.present(rank)
    };
    let queries: Vec<K::Query> = (0..count).map(&mut draw).collect();
    let ranks = queries
        .iter()
        .map(|query| keys.lower_bound(0..keys.len(), query))
        .collect();
    Queries { queries, ranks }
}

impl<Q> Queries<Q> {
    pub(super) fn len(&self) -> usize {
        self.queries.len()
    }

    pub(super) fn at(&self, place: usize) -> &Q {
        &self.queries[place]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Q, usize)> {
        self.queries.iter().zip(self.ranks.iter().copied())
    }

    /// The places, among the first `of` queries, that belong to one of `rounds` rounds.
    pub(super) fn slice(&self, round: usize, rounds: usize, of: usize) -> Range<usize> {
        of * round / rounds..of * (round + 1) / rounds
    }
}
