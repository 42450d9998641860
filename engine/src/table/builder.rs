//! Writes a table from entries in internal order.
//!
//! Data blocks are written as they fill up. Filter, model, index and properties follow at the end,
//! because they depend on all keys; until then the builder keeps 8 bytes per key for the filter,
//! and 8 bytes per entry or per block for a model.

use std::sync::Arc;

use aura_policies::filter::{FilterFacts, FilterPolicy};
use aura_policies::index::Ranks;
use bytes::Bytes;

use super::block::{Block, BlockBuilder};
use super::format::{Footer, Handle, Properties, seal};
use super::hash_key;
use crate::config::Compression;
use crate::directory::NamedFile;
use crate::env::CpuWork;
use crate::error::{Error, Result};
use crate::index::{Images, IndexBuild, IndexReport, IndexWriter, TableIndex};
use crate::storage::{EntryKind, EntryRef, check_key};

/// Bytes collected before they are appended to the file.
const APPEND_BYTES: usize = 256 << 10;

/// The largest sequence number that a table can store. It shares 8 bytes with the kind.
const SEQUENCE_MAX: u64 = u64::MAX >> 8;

/// The settings and policies for writing tables.
pub(crate) struct TableOptions {
    /// The size at which a data block is finished, in bytes before compression. A single entry may
    /// be larger.
    pub block_bytes: usize,
    /// The codec for data blocks.
    pub compression: Compression,
    /// The policy that builds the filter.
    pub filter: Arc<dyn FilterPolicy>,
    /// The filter policy's registered name.
    pub filter_name: String,
    /// The policy and settings for the index.
    pub index: IndexBuild,
    /// The facts that the filter policy receives.
    pub facts: FilterFacts,
    /// Whether to keep the uncompressed data blocks for [`TableBuilder::take_cuts`].
    pub keeps_cuts: bool,
}

/// A data block just written, before compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinishedBlock {
    /// The block's offset in the file.
    pub offset: u64,
    /// The uncompressed bytes.
    pub data: Bytes,
    /// The first key.
    pub first: Bytes,
    /// The last key.
    pub last: Bytes,
}

/// The facts about a table just written, for the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// Bytes of the file.
    pub bytes: u64,
    /// Entries, tombstones included.
    pub entries: u64,
    /// Tombstones.
    pub deletions: u64,
    /// Stored bytes of the values in the value log that entries point at.
    pub separated_bytes: u64,
    /// The smallest user key.
    pub smallest: Bytes,
    /// The largest user key.
    pub largest: Bytes,
    /// The smallest sequence number.
    pub sequence_min: u64,
    /// The largest sequence number.
    pub sequence_max: u64,
    /// The sequence number of the oldest tombstone, if there is a tombstone.
    pub oldest_deletion: Option<u64>,
    /// The kind and cost of the index.
    pub index: IndexReport,
    /// The finished blocks that were kept and not yet taken.
    pub cuts: Vec<FinishedBlock>,
}

/// Writes one table. It does not sync the file; the caller does when the table is finished.
pub(crate) struct TableBuilder {
    file: NamedFile,
    options: Arc<TableOptions>,
    block: BlockBuilder,
    index: IndexWriter,
    images: Images,
    /// What the model counts, entries or blocks. None if the policy needs no images.
    ranks: Option<Ranks>,
    /// The hash of each distinct key.
    hashes: Vec<u64>,
    /// The properties so far; the largest key and the model's facts are set at the end.
    properties: Properties,
    /// The sequence number of the oldest tombstone.
    oldest_deletion: Option<u64>,
    /// The key of the last entry.
    last_key: Vec<u8>,
    /// The sequence number of the last entry.
    last_sequence: u64,
    /// Finished blocks not yet taken.
    cuts: Vec<FinishedBlock>,
    /// Bytes not yet appended to the file.
    pending: Vec<u8>,
    /// Bytes appended to the file.
    appended: u64,
}

impl TableBuilder {
    /// Starts a table in an empty file.
    pub(crate) fn new(file: NamedFile, options: Arc<TableOptions>) -> Self {
        let properties = Properties {
            sequence_min: u64::MAX,
            filter: options.filter_name.clone(),
            index: options.index.spec.policy.clone(),
            ..Properties::default()
        };
        Self {
            file,
            ranks: options.index.wants(),
            options,
            block: BlockBuilder::default(),
            index: IndexWriter::default(),
            images: Images::default(),
            hashes: Vec::new(),
            properties,
            oldest_deletion: None,
            last_key: Vec::new(),
            last_sequence: 0,
            cuts: Vec::new(),
            pending: Vec::new(),
            appended: 0,
        }
    }

    /// Returns the bytes of data blocks and index so far. The unfinished block counts before
    /// compression.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.position() + (self.block.bytes() + self.index.bytes()) as u64
    }

    /// Returns the bytes appended to the file so far.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended
    }

    /// Returns the offset of the next block.
    fn position(&self) -> u64 {
        self.appended + self.pending.len() as u64
    }

    /// Adds the next entry.
    ///
    /// All versions of one user key must go to one table, but they may be in several of its blocks.
    ///
    /// # Errors
    /// [`Error::Corruption`] if the entry is malformed or not after the previous one in internal
    /// order; [`Error::KeySize`]; [`Error::Io`] if the file cannot be written. After an error the
    /// table must be abandoned.
    pub(crate) async fn add<'a>(
        &mut self,
        entry: impl Into<EntryRef<'a>>,
        work: &mut CpuWork,
    ) -> Result<()> {
        let entry = entry.into();
        self.check(entry, work)?;
        let room = self.options.block_bytes.saturating_sub(self.block.bytes());
        if !self.block.is_empty() && BlockBuilder::bytes_of(entry) > room {
            self.cut_block(work).await?;
        }
        self.block.add(entry);
        work.table_inserts += 1;
        work.bytes_copied += (entry.key.len() + entry.value.len()) as u64;
        match self.ranks {
            Some(Ranks::Entries) => self.images.push(entry.key),
            Some(Ranks::Blocks) if self.properties.entries == 0 => self.images.note(entry.key),
            _ => {}
        }
        if self.properties.entries == 0 || self.last_key != entry.key {
            self.hashes.push(hash_key(entry.key));
            self.last_key.clear();
            self.last_key.extend_from_slice(entry.key);
        }
        self.last_sequence = entry.sequence;
        self.count(entry);
        Ok(())
    }

    /// Refuses an entry that the table cannot store here.
    fn check(&self, entry: EntryRef<'_>, work: &mut CpuWork) -> Result<()> {
        check_key(entry.key)?;
        let refuse = |what: &str| Err(Error::corruption(self.file.path(), self.position(), what));
        work.comparisons += 1;
        let is_after = match self.last_key[..].cmp(entry.key) {
            _ if self.properties.entries == 0 => true,
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => self.last_sequence > entry.sequence,
            std::cmp::Ordering::Greater => false,
        };
        if !is_after {
            return refuse("an entry to be written is not after the one before it");
        }
        if entry.sequence > SEQUENCE_MAX {
            return refuse("an entry to be written has a sequence number of more than 56 bits");
        }
        if entry.kind == EntryKind::Pointer && entry.pointer().is_none() {
            return refuse("an entry to be written is a pointer that cannot be decoded");
        }
        Ok(())
    }

    /// Adds an entry to the properties.
    fn count(&mut self, entry: EntryRef<'_>) {
        let properties = &mut self.properties;
        properties.entries += 1;
        if entry.kind == EntryKind::Delete {
            properties.deletions += 1;
            let oldest = self.oldest_deletion.unwrap_or(u64::MAX);
            self.oldest_deletion = Some(oldest.min(entry.sequence));
        }
        if let Some(pointer) = entry.pointer() {
            properties.separated_bytes += u64::from(pointer.stored_bytes);
        }
        properties.sequence_min = properties.sequence_min.min(entry.sequence);
        properties.sequence_max = properties.sequence_max.max(entry.sequence);
        if properties.entries == 1 {
            properties.smallest = Bytes::copy_from_slice(entry.key);
        }
    }

    /// Returns the data blocks finished since the last call; empty unless the options keep them.
    pub(crate) fn take_cuts(&mut self) -> Vec<FinishedBlock> {
        std::mem::take(&mut self.cuts)
    }

    /// Finishes the current data block.
    async fn cut_block(&mut self, work: &mut CpuWork) -> Result<()> {
        let entries = self.block.len();
        let offset = self.position();
        let mut kept = None;
        let bytes = self.block.finish(|raw| {
            kept = self.options.keeps_cuts.then(|| Bytes::copy_from_slice(raw));
            seal(&mut self.pending, raw, self.options.compression, work)
        });
        if let Some(data) = kept {
            work.bytes_copied += data.len() as u64;
            let block = Block::new(data.clone());
            let first = block.as_ref().and_then(|block| block.key(0));
            self.cuts.push(FinishedBlock {
                offset,
                first: Bytes::copy_from_slice(first.unwrap_or_default()),
                last: Bytes::copy_from_slice(&self.last_key),
                data,
            });
        }
        self.index.add(bytes, entries, &self.last_key);
        if self.ranks == Some(Ranks::Blocks) {
            self.images.push(&self.last_key);
        }
        if self.pending.len() >= APPEND_BYTES {
            self.append(work).await
        } else {
            Ok(())
        }
    }

    /// Appends the collected bytes to the file.
    async fn append(&mut self, work: &mut CpuWork) -> Result<()> {
        self.file.append_counted(&self.pending, work).await?;
        self.appended += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Adds a block other than a data block.
    fn put_block(&mut self, raw: &[u8], work: &mut CpuWork) -> Result<Handle> {
        let offset = self.position();
        let bytes = seal(&mut self.pending, raw, Compression::None, work);
        let too_large = |_| {
            Error::config(
                "table.size",
                "the filter, model or index of a table has more than 4 GiB",
            )
        };
        Ok(Handle {
            offset,
            bytes: u32::try_from(bytes).map_err(too_large)?,
        })
    }

    /// Builds the filter; None if the table gets none.
    fn build_filter(&mut self, work: &mut CpuWork) -> Option<Vec<u8>> {
        let hashes = std::mem::take(&mut self.hashes);
        let TableOptions { filter, facts, .. } = &*self.options;
        let encoded = filter.build(&hashes, facts)?;
        if filter.solves(facts) {
            work.filter_equations += hashes.len() as u64;
        }
        Some(encoded)
    }

    /// Completes the table: finishes the last data block and writes filter, model, index,
    /// properties and footer.
    ///
    /// # Errors
    /// [`Error::Corruption`] if the table has no entries, [`Error::Io`] if the file cannot be
    /// written.
    pub(crate) async fn finish(mut self, work: &mut CpuWork) -> Result<Built> {
        if self.block.is_empty() {
            return Err(Error::corruption(
                self.file.path(),
                0,
                "a table to be written has no entries",
            ));
        }
        self.cut_block(work).await?;
        let filter = self.build_filter(work);
        let images = std::mem::take(&mut self.images).finish();
        let (model, facts) = self.options.index.train(&images, &self.index, work);
        self.properties.largest = Bytes::from(std::mem::take(&mut self.last_key));
        self.properties.model = facts;

        let mut footer = Footer::default();
        if let Some(filter) = filter {
            footer.filter = self.put_block(&filter, work)?;
        }
        if let Some(model) = &model {
            footer.model = self.put_block(model, work)?;
        }
        let index_block = std::mem::take(&mut self.index).finish();
        footer.index = self.put_block(&index_block, work)?;
        footer.properties = self.put_block(&self.properties.encode(), work)?;
        self.pending.extend_from_slice(&footer.encode());
        self.append(work).await?;

        let model = model.map(|model| Ok(Bytes::from(model)));
        let index = TableIndex::open(&index_block, &self.properties.indexed(), model);
        let index = index.ok_or_else(|| {
            let what = "the index has more than 4 GiB";
            Error::corruption(self.file.path(), footer.index.offset, what)
        })?;
        let Properties {
            entries,
            deletions,
            separated_bytes,
            smallest,
            largest,
            sequence_min,
            sequence_max,
            ..
        } = self.properties;
        Ok(Built {
            bytes: self.appended,
            entries,
            deletions,
            separated_bytes,
            smallest,
            largest,
            sequence_min,
            sequence_max,
            oldest_deletion: self.oldest_deletion,
            index: index.report().clone(),
            cuts: self.cuts,
        })
    }
}
