//! Writes a table from entries in internal order.

use std::path::PathBuf;
use std::sync::Arc;

use aura_policies::filter::{FilterFacts, FilterPolicy};
use aura_policies::index::Ranks;
use bytes::Bytes;

use super::block::{Block, BlockBuilder};
use super::format::{Footer, Handle, Properties, seal};
use super::hash_key;
use crate::config::Compression;
use crate::env::{CpuWork, File};
use crate::error::{Error, Result};
use crate::index::{Images, IndexBuild, IndexReport, IndexWriter, TableIndex};
use crate::storage::{Entry, EntryKind, check_key};

/// Bytes collected before the file is appended to.
const APPEND_BYTES: usize = 256 << 10;

/// The largest sequence number a table can hold: it shares 8 B with the kind.
const SEQUENCE_MAX: u64 = u64::MAX >> 8;

/// How tables are written.
pub(crate) struct TableOptions {
    /// Bytes at which a data block is cut, before compression. A single entry may be larger.
    pub block_bytes: usize,
    /// How data blocks are compressed.
    pub compression: Compression,
    /// Who builds the filter.
    pub filter: Arc<dyn FilterPolicy>,
    /// Its registered name.
    pub filter_name: String,
    /// How the index is made.
    pub index: IndexBuild,
    /// What the filter policy is told.
    pub facts: FilterFacts,
    /// Whether somebody wants the data blocks as they are written.
    pub keeps_cuts: bool,
}

/// A data block just written, as it is before compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinishedBlock {
    /// Where in the file it lies.
    pub offset: u64,
    /// Its bytes.
    pub data: Bytes,
    /// Its first key.
    pub first: Bytes,
    /// Its last key.
    pub last: Bytes,
}

/// A table just written, for the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// Bytes of the file.
    pub bytes: u64,
    /// Entries, tombstones included.
    pub entries: u64,
    /// Tombstones.
    pub deletions: u64,
    /// Stored bytes of the value-log values that its entries point at.
    pub separated_bytes: u64,
    /// The smallest user key.
    pub smallest: Bytes,
    /// The largest user key.
    pub largest: Bytes,
    /// The smallest sequence number.
    pub sequence_min: u64,
    /// The largest sequence number.
    pub sequence_max: u64,
    /// What its index is.
    pub index: IndexReport,
    /// The last data blocks, where somebody wants them: those not yet taken.
    pub cuts: Vec<FinishedBlock>,
}

/// Writes one table. Nothing is synced: that is the caller's part, once it is finished.
pub(crate) struct TableBuilder {
    file: Arc<dyn File>,
    path: PathBuf,
    options: Arc<TableOptions>,
    block: BlockBuilder,
    index: IndexWriter,
    images: Images,
    /// What the images are of; None where nobody asks for them.
    ranks: Option<Ranks>,
    /// Of each distinct key.
    hashes: Vec<u64>,
    /// Of the table so far; its names and model facts are filled in at the end.
    properties: Properties,
    /// The last key and its sequence number.
    last: (Vec<u8>, u64),
    /// Data blocks that nobody has taken yet.
    cuts: Vec<FinishedBlock>,
    /// Bytes not yet appended to the file, and how many were.
    pending: Vec<u8>,
    appended: u64,
}

impl TableBuilder {
    /// Starts a table in an empty file.
    pub(crate) fn new(file: Arc<dyn File>, path: PathBuf, options: Arc<TableOptions>) -> Self {
        let properties = Properties {
            sequence_min: u64::MAX,
            filter: options.filter_name.clone(),
            index: options.index.spec.policy.clone(),
            ..Properties::default()
        };
        Self {
            file,
            path,
            ranks: options.index.wants(),
            options,
            block: BlockBuilder::default(),
            index: IndexWriter::default(),
            images: Images::default(),
            hashes: Vec::new(),
            properties,
            last: (Vec::new(), 0),
            cuts: Vec::new(),
            pending: Vec::new(),
            appended: 0,
        }
    }

    /// Bytes of data blocks and index so far, the block being filled before compression.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.position() + (self.block.bytes() + self.index.bytes()) as u64
    }

    /// Bytes that the file was given so far.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended
    }

    fn position(&self) -> u64 {
        self.appended + self.pending.len() as u64
    }

    /// Adds the next entry. Versions of one user key must all go to one table; they may lie in several of its blocks.
    ///
    /// # Errors
    /// [`Error::Corruption`] where the entry is not after the last one in internal order, or is malformed;
    /// [`Error::KeySize`]; [`Error::Io`] where the file cannot be written. The table is to be given up then.
    pub(crate) async fn add(&mut self, entry: &Entry, work: &mut CpuWork) -> Result<()> {
        self.check(entry, work)?;
        let room = self.options.block_bytes.saturating_sub(self.block.bytes());
        if !self.block.is_empty() && BlockBuilder::bytes_of(entry) > room {
            self.cut_block(work).await?;
        }
        self.block.add(entry);
        work.bytes_copied += (entry.key.len() + entry.value.len()) as u64;
        match self.ranks {
            Some(Ranks::Entries) => self.images.push(&entry.key),
            Some(Ranks::Blocks) if self.properties.entries == 0 => self.images.note(&entry.key),
            _ => {}
        }
        if self.properties.entries == 0 || self.last.0 != entry.key {
            self.hashes.push(hash_key(&entry.key));
            self.last.0.clear();
            self.last.0.extend_from_slice(&entry.key);
        }
        self.last.1 = entry.sequence;
        self.count(entry);
        Ok(())
    }

    fn check(&self, entry: &Entry, work: &mut CpuWork) -> Result<()> {
        check_key(&entry.key)?;
        let refuse = |what: &str| Err(Error::corruption(&self.path, self.position(), what));
        work.comparisons += 1;
        let after = match self.last.0[..].cmp(&entry.key) {
            _ if self.properties.entries == 0 => true,
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => self.last.1 > entry.sequence,
            std::cmp::Ordering::Greater => false,
        };
        if !after {
            return refuse("an entry to be written is not after the one before it");
        }
        if entry.sequence > SEQUENCE_MAX {
            return refuse("an entry to be written has a sequence number of more than 56 bits");
        }
        if entry.kind == EntryKind::Pointer && entry.pointer().is_none() {
            return refuse("an entry to be written is a pointer that does not read back");
        }
        Ok(())
    }

    fn count(&mut self, entry: &Entry) {
        let properties = &mut self.properties;
        properties.entries += 1;
        properties.deletions += u64::from(entry.kind == EntryKind::Delete);
        properties.separated_bytes += entry
            .pointer()
            .map_or(0, |pointer| pointer.stored_bytes.into());
        properties.sequence_min = properties.sequence_min.min(entry.sequence);
        properties.sequence_max = properties.sequence_max.max(entry.sequence);
        if properties.entries == 1 {
            properties.smallest = Bytes::copy_from_slice(&entry.key);
        }
    }

    /// The data blocks written since the last call; none where nobody wants them.
    pub(crate) fn take_cuts(&mut self) -> Vec<FinishedBlock> {
        std::mem::take(&mut self.cuts)
    }

    async fn cut_block(&mut self, work: &mut CpuWork) -> Result<()> {
        let (entries, offset) = (self.block.len(), self.position());
        let mut kept = None;
        let bytes = self.block.finish(|raw| {
            kept = self.options.keeps_cuts.then(|| Bytes::copy_from_slice(raw));
            seal(&mut self.pending, raw, self.options.compression, work)
        });
        if let Some(data) = kept {
            work.bytes_copied += data.len() as u64;
            let first =
                Block::new(data.clone()).and_then(|block| block.key(0).map(Bytes::copy_from_slice));
            let last = Bytes::copy_from_slice(&self.last.0);
            self.cuts.push(FinishedBlock {
                offset,
                data,
                first: first.unwrap_or_default(),
                last,
            });
        }
        self.index.add(bytes, entries, &self.last.0);
        if self.ranks == Some(Ranks::Blocks) {
            self.images.push(&self.last.0);
        }
        if self.pending.len() >= APPEND_BYTES {
            self.append(work).await
        } else {
            Ok(())
        }
    }

    async fn append(&mut self, work: &mut CpuWork) -> Result<()> {
        work.system_calls += 1;
        let written = self.file.append(&self.pending).await;
        written.map_err(|error| Error::io("append to", &self.path, error))?;
        self.appended += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Adds a block that is no data block.
    fn put_block(&mut self, raw: &[u8], work: &mut CpuWork) -> Result<Handle> {
        let offset = self.position();
        let bytes = seal(&mut self.pending, raw, Compression::None, work);
        let too_large = |_| {
            Error::config(
                "table.size",
                "the filter, model or index of a table has over 4 GiB",
            )
        };
        Ok(Handle {
            offset,
            bytes: u32::try_from(bytes).map_err(too_large)?,
        })
    }

    /// Completes the table.
    ///
    /// # Errors
    /// [`Error::Corruption`] for a table without entries, [`Error::Io`] where the file cannot be written.
    pub(crate) async fn finish(mut self, work: &mut CpuWork) -> Result<Built> {
        if self.block.is_empty() {
            return Err(Error::corruption(
                &self.path,
                0,
                "a table to be written has no entries",
            ));
        }
        self.cut_block(work).await?;
        let filter = self
            .options
            .filter
            .build(&std::mem::take(&mut self.hashes), &self.options.facts);
        let images = std::mem::take(&mut self.images).finish();
        let (model, facts) = self.options.index.train(&images, &self.index, work);
        self.properties.largest = Bytes::from(std::mem::take(&mut self.last.0));
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
            Error::corruption(&self.path, footer.index.offset, "the index has over 4 GiB")
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
            index: index.report().clone(),
            cuts: self.cuts,
        })
    }
}
