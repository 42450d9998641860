//! An index and a block without a table, to measure the parts of a look-up alone: before any block
//! is examined, and inside one.

use std::ops::Range;
use std::sync::Arc;

use aura_policies::PolicySpec;
use aura_policies::index::Ranks;
use bytes::Bytes;

use super::block::{Block, BlockBuilder};
use super::format::Properties;
use crate::config::IndexGate;
use crate::env::{Clock, CpuWork};
use crate::error::{Error, Result};
use crate::index::{Fences, Images, IndexBuild, IndexReport, IndexWriter, TableIndex};
use crate::storage::{EntryKind, EntryRef, Sequence};

/// The fence pointers that a table with given last keys of blocks would have: the engine's own
/// structure, without the addresses of blocks.
///
/// ```
/// use aura_engine::BareFences;
///
/// let fences = BareFences::new(&[&b"apple"[..], b"pear"]);
/// assert_eq!(fences.search(b"orange"), 1);
/// ```
pub struct BareFences(Fences);

impl BareFences {
    /// Creates them from sorted keys, without the prefix that all share.
    pub fn new(suffixes: &[&[u8]]) -> Self {
        Self(Fences::new(suffixes))
    }

    /// Returns the first 8 bytes of each key, as numbers that sort as the keys do.
    pub fn images(&self) -> &[u64] {
        self.0.heads()
    }

    /// Returns the first key that is not below `suffix`; their number if all are. O(log keys).
    pub fn search(&self, suffix: &[u8]) -> usize {
        self.0.search(suffix, &mut CpuWork::default())
    }

    /// Returns the bytes of memory in use.
    pub fn memory_bytes(&self) -> u64 {
        self.0.memory_bytes()
    }
}

/// The index that a table with given keys would have. It is built, checked and refused by the rules
/// for tables.
pub struct BareIndex {
    index: TableIndex,
}

impl BareIndex {
    /// Builds an index over `keys`, which are sorted and distinct.
    ///
    /// Each block has `block_entries` entries and `block_bytes` bytes. `clock` times the training.
    ///
    /// # Errors
    /// [`Error::Policy`] if `spec` does not name an index policy, [`Error::Config`] if there are no
    /// keys.
    pub fn build<'k>(
        keys: impl IntoIterator<Item = &'k [u8]>,
        block_entries: usize,
        block_bytes: usize,
        spec: &PolicySpec,
        gate: IndexGate,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let policy = aura_policies::index::build(spec).map_err(|source| Error::Policy {
            key: "table.index".to_owned(),
            source,
        })?;
        let build = IndexBuild {
            policy: policy.into(),
            spec: spec.clone(),
            gate,
            clock,
        };
        let mut images = Images::default();
        let mut writer = IndexWriter::default();
        let mut properties = Properties {
            index: spec.policy.clone(),
            ..Properties::default()
        };
        let mut last: &[u8] = &[];
        let mut cut = |entries: usize, last: &[u8], images: &mut Images| {
            writer.add(block_bytes, entries, last);
            if build.wants() == Some(Ranks::Blocks) {
                images.push(last);
            }
        };
        let mut held = 0;
        for key in keys {
            if held == block_entries.max(1) {
                cut(held, last, &mut images);
                held = 0;
            }
            if build.wants() == Some(Ranks::Entries) {
                images.push(key);
            } else if properties.entries == 0 {
                images.note(key);
            }
            if properties.entries == 0 {
                properties.smallest = Bytes::copy_from_slice(key);
            }
            properties.entries += 1;
            held += 1;
            last = key;
        }
        if held == 0 {
            return Err(Error::config("keys", "an index needs at least one"));
        }
        cut(held, last, &mut images);
        properties.largest = Bytes::copy_from_slice(last);
        let (model, facts) = build.train(&images.finish(), &writer, &mut CpuWork::default());
        properties.model = facts;
        let index = TableIndex::open(
            &writer.finish(),
            &properties.indexed(),
            model.map(|model| Ok(Bytes::from(model))),
        );
        Ok(Self {
            index: index.ok_or_else(|| {
                Error::config("keys", "they are not sorted, or have more than 4 GiB")
            })?,
        })
    }

    /// Returns the kind, cost and measured quality of the index.
    pub fn report(&self) -> &IndexReport {
        self.index.report()
    }

    /// Returns the blocks that can contain `key`, and the block to begin with.
    pub fn locate(&self, key: &[u8]) -> (Range<usize>, usize) {
        let candidates = self.index.candidates(key, true, &mut CpuWork::default());
        (candidates.span, candidates.likely)
    }
}

/// A data block of a table, which holds one version of each of its keys.
///
/// ```
/// use aura_engine::BareBlock;
///
/// let block = BareBlock::build([&b"apple"[..], b"pear"], 100)?;
/// assert_eq!((block.find(b"apple"), block.find(b"fig"), block.find(b"plum")), (0, 1, 2));
/// # Ok::<(), aura_engine::Error>(())
/// ```
pub struct BareBlock {
    block: Block,
}

impl BareBlock {
    /// Builds a block of `keys`, which are sorted and distinct, with values of `value_bytes`.
    ///
    /// O(keys).
    ///
    /// # Errors
    /// [`Error::Config`] if there are no keys, or they are not sorted and distinct, or the block
    /// would have 4 GiB or more.
    pub fn build<'k>(keys: impl IntoIterator<Item = &'k [u8]>, value_bytes: usize) -> Result<Self> {
        let value = vec![0; value_bytes];
        let mut builder = BlockBuilder::default();
        let mut last: Option<&[u8]> = None;
        for key in keys {
            if last.is_some_and(|last| last >= key) {
                return Err(Error::config("keys", "they are not sorted and distinct"));
            }
            last = Some(key);
            let entry = EntryRef {
                key,
                sequence: 1,
                kind: EntryKind::Put,
                value: &value,
            };
            let bytes = builder
                .bytes()
                .saturating_add(BlockBuilder::bytes_of(entry));
            if u32::try_from(bytes).is_err() {
                return Err(Error::config("keys", "a block has less than 4 GiB"));
            }
            builder.add(entry);
        }
        let block = Block::checked(builder.finish(Bytes::copy_from_slice));
        let block = block.ok_or_else(|| Error::config("keys", "a block needs at least one"))?;
        Ok(Self { block })
    }

    /// Returns the bytes of the block before compression.
    pub fn bytes(&self) -> usize {
        self.block.data().len()
    }

    /// Returns the number of keys.
    pub fn keys(&self) -> usize {
        self.block.len()
    }

    /// Returns the rank of the first key that is not before `key`; the number of keys if all are
    /// before.
    ///
    /// O(log keys).
    pub fn find(&self, key: &[u8]) -> usize {
        let found = self
            .block
            .lower_bound(key, Sequence::MAX, &mut CpuWork::default());
        found.expect("a block that was built is well formed")
    }

    /// Returns the result of [`find`](Self::find), faster if its rank is in `within` (end
    /// included), as a learned index promises.
    ///
    /// O(log of the ranks in `within`), or O(log keys) if it is elsewhere.
    pub fn find_within(&self, within: Range<usize>, key: &[u8]) -> usize {
        let work = &mut CpuWork::default();
        let found = self.block.lower_bound_in(within, key, Sequence::MAX, work);
        found.expect("a block that was built is well formed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::memory::MemoryWorld;

    #[test]
    fn every_index_leads_to_the_block_of_every_key() {
        let world = MemoryWorld::new(1).unwrap();
        let any = IndexGate {
            memory: 1e9,
            window_blocks: u32::MAX,
            probes: 1e9,
        };
        let keys: Vec<[u8; 12]> = (0..5_000u64)
            .map(|number| {
                let mut key = *b"user........";
                key[4..].copy_from_slice(&(number * number).to_be_bytes());
                key
            })
            .collect();
        for entry in aura_policies::index::FAMILY.entries() {
            let spec = PolicySpec::named(entry.name);
            let listed = keys.iter().map(|key| &key[..]);
            let index = BareIndex::build(listed, 30, 4096, &spec, any, world.env().clock).unwrap();
            assert_eq!(
                (index.report().keys, index.report().blocks),
                (5_000, 167),
                "{spec}"
            );
            for (rank, key) in keys.iter().enumerate() {
                let (span, likely) = index.locate(key);
                assert!(
                    span.contains(&(rank / 30)) && span.contains(&likely),
                    "{spec}: {rank} in {span:?}"
                );
            }
        }
        let none = BareIndex::build(
            [],
            30,
            4096,
            &PolicySpec::named("fence"),
            any,
            world.env().clock,
        );
        assert!(matches!(none, Err(Error::Config { .. })));
    }

    #[test]
    fn a_block_finds_the_rank_of_every_key() {
        let keys: Vec<[u8; 4]> = (0..100u32).map(|it| (2 * it + 1).to_be_bytes()).collect();
        let block = BareBlock::build(keys.iter().map(|key| &key[..]), 10).unwrap();
        assert_eq!(block.keys(), 100);
        // Lengths of a byte each, the tag, the head, the offset; what heads leave out, and its
        // length; and the number of entries.
        assert_eq!(
            block.bytes(),
            100 * (1 + 4 + 8 + 1 + 10 + 4 + 4) + 3 + 1 + 4
        );
        for number in 0..=200u32 {
            let key = number.to_be_bytes();
            let rank = number as usize / 2;
            assert_eq!(block.find(&key), rank, "{number}");
            for within in [rank..rank, rank.saturating_sub(3)..rank + 2, 7..9, 99..300] {
                assert_eq!(block.find_within(within.clone(), &key), rank, "{within:?}");
            }
        }
    }

    #[test]
    fn a_block_needs_sorted_keys() {
        for keys in [&[][..], &[&b"b"[..], b"a"], &[b"a", b"a"]] {
            let block = BareBlock::build(keys.iter().copied(), 1);
            assert!(matches!(block, Err(Error::Config { .. })), "{keys:?}");
        }
    }
}
