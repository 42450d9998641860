//! An index without a table, to measure the cost of a look-up before any block is examined.

use std::ops::Range;
use std::sync::Arc;

use aura_policies::PolicySpec;
use aura_policies::index::Ranks;
use bytes::Bytes;

use super::format::Properties;
use crate::config::IndexGate;
use crate::env::{Clock, CpuWork};
use crate::error::{Error, Result};
use crate::index::{Images, IndexBuild, IndexReport, IndexWriter, TableIndex};

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
}
