//! Which side a key belongs to, and a batch divided among the sides.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::recovery::LoggedWrites;
use crate::storage::{Batch, BatchSlices, EntryKind};

/// How the keys are divided into two halves: by a hash, so that each half is like the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Halves {
    seed: u64,
}

impl Halves {
    /// The halves of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The side of `key`: 0 or 1.
    pub(super) fn side_of(self, key: &[u8]) -> usize {
        // Never the seed of the filters: the keys of a side would share a bit of their hash.
        let seed = self.seed.wrapping_mul(2) | 1;
        (xxh3_64_with_seed(key, seed) >> 63) as usize
    }

    /// Divides an encoded batch of `writes` writes; None if it is malformed. A batch of one side is
    /// not copied.
    pub(super) fn divide(self, body: Bytes, writes: u32) -> Option<Parts> {
        let whole = LoggedWrites { body, writes };
        let mut touched = [false; 2];
        let mut found = 0;
        for write in BatchSlices::new(&whole.body) {
            let write = write?;
            found += 1;
            match write.kind {
                EntryKind::DeleteRange => touched = [true; 2],
                _ => touched[self.side_of(write.key)] = true,
            }
        }
        if found != writes {
            return None;
        }
        let sides = match touched {
            [true, true] => self.copies(&whole.body).map(Some),
            [true, false] => [Some(whole.clone()), None],
            [false, true] => [None, Some(whole.clone())],
            [false, false] => [None, None],
        };
        Some(Parts { whole, sides })
    }

    /// The writes of each side, in their order; range deletes belong to both.
    fn copies(self, body: &[u8]) -> [LoggedWrites; 2] {
        let mut sides = [Batch::new(), Batch::new()];
        for write in BatchSlices::new(body).flatten() {
            match write.kind {
                EntryKind::DeleteRange => sides
                    .iter_mut()
                    .for_each(|side| side.copy(write.kind, write.key, write.value)),
                _ => sides[self.side_of(write.key)].copy(write.kind, write.key, write.value),
            }
        }
        sides.map(|side| LoggedWrites {
            writes: side.len() as u32,
            body: side.into_body(),
        })
    }
}

/// A batch, and what of it belongs to each side.
pub(super) struct Parts {
    /// What is logged.
    pub(super) whole: LoggedWrites,
    /// What is applied.
    pub(super) sides: [Option<LoggedWrites>; 2],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Range;

    #[test]
    fn keys_are_halved_and_seeds_halve_them_otherwise() {
        let keys: Vec<Vec<u8>> = (0..2000_u32).map(|key| key.to_be_bytes().into()).collect();
        let [one, other] = [Halves::new(1), Halves::new(2)];
        let of_one = keys.iter().filter(|key| one.side_of(key) == 1).count();
        assert!((900..1100).contains(&of_one), "{of_one}");
        let moved = |key: &&Vec<u8>| one.side_of(key) != other.side_of(key);
        let moved = keys.iter().filter(moved).count();
        assert!((900..1100).contains(&moved), "{moved}");
    }

    #[test]
    fn a_batch_is_divided_in_order_and_range_deletes_go_to_both() {
        let halves = Halves::new(5);
        let of = |side: usize| {
            let keys = (0..100_u8).map(|key| vec![key]);
            keys.filter(|key| halves.side_of(key) == side)
                .collect::<Vec<_>>()
        };
        let [zero, one] = [of(0), of(1)];
        let mut batch = Batch::new();
        batch.put(&zero[0], b"a").unwrap();
        batch.put(&zero[1], b"b").unwrap();
        let parts = halves.divide(batch.clone().into_body(), 2).unwrap();
        assert!(parts.sides[1].is_none());
        let side = parts.sides[0].as_ref().unwrap();
        assert_eq!(side.body.as_ptr(), parts.whole.body.as_ptr(), "a copy");

        batch.delete_range(&Range::all()).unwrap();
        batch.delete(&one[0]).unwrap();
        let body = batch.into_body();
        let parts = halves.divide(body.clone(), 4).unwrap();
        let kinds = parts.sides.map(|side| {
            let side = side.unwrap();
            let kinds: Vec<_> = BatchSlices::new(&side.body)
                .map(|write| write.unwrap().kind)
                .collect();
            assert_eq!(kinds.len(), side.writes as usize);
            kinds
        });
        use EntryKind::{Delete, DeleteRange, Put};
        assert_eq!(kinds[0], [Put, Put, DeleteRange]);
        assert_eq!(kinds[1], [DeleteRange, Delete]);
        assert!(halves.divide(body.clone(), 3).is_none(), "another number");
        assert!(halves.divide(body.slice(..body.len() - 1), 4).is_none());
    }
}
