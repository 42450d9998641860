//! The table file, to the byte.
//!
//! Integers are little-endian; `varint` is LEB128; `bytes` is a varint length and that many bytes.
//!
//! ```text
//! file        data block 0 | .. | data block n-1
//!             | filter block | model block | index block | properties block | footer
//!
//! block       stored bytes | trailer
//!             blocks follow each other without a gap, from offset 0
//! trailer     compression u8 | raw length u32 | crc32c u32
//!             the checksum covers the stored bytes and the five bytes before it
//!
//! data        entry 0 | .. | entry k-1 | heads | offset of each entry u32 | k u32
//! entry       key length varint | key | (sequence << 8 | kind) u64 | value length varint | value
//!             in internal order; offsets count from the start of the block; the first is 0
//!
//! heads       head of each key u32 | prefix | its length u8
//!             only if k is 4 or more; k then has its highest bit set
//!             prefix: what all keys begin with, up to 255 bytes
//!             head: the four bytes behind it, big-endian as a number, padded with zeros
//!
//! filter      the filter policy's encoding
//!             no block if the policy builds no filter
//! model       ties 0 | .. | ties r-1 | the index policy's encoding
//!             no block if the table uses fence pointers
//! ties        image u64 | first rank u32 | length u32
//!             only those that are longer than the bound
//!
//! index       n u32 | for each data block:
//!               bytes in the file, trailer included, varint | entries varint | last key bytes
//!
//! properties  entries varint | deletions varint | separated bytes varint
//!             | sequence min varint | sequence max varint | smallest key bytes | largest key bytes
//!             | filter policy bytes | index policy bytes
//!             | why the model was refused: code, ": ", detail; or nothing, bytes
//!             | longest ties varint | largest error varint
//!             | index policy with parameters bytes | by block u8 | bound of ties varint | r varint
//!             | error p99 varint | error mean / 1000 varint
//!             | window blocks p99 varint | probes / 1000 varint
//!             | steps varint | training nanoseconds u64
//!
//! footer      filter handle | model handle | index handle | properties handle
//!             | version u32 | crc32c u32 | magic u64
//!             64 bytes; the checksum covers the version and all before it
//! handle      offset u64 | bytes u32, trailer included
//!             0 bytes: there is no such block
//! ```
//!
//! Data blocks are compressed as the table's options say. The other blocks are not: filters and
//! models are close to random, and the index is read once. Every version of the format keeps the
//! size of the footer and the place of its last three fields, so that a reader can distinguish a
//! newer table from a damaged one. Before version 3 data blocks have no heads. In version 1 the
//! properties end with the largest error, a refusal has no code, and no ties are listed: the
//! longest ties bound them all.

use std::path::Path;

use bytes::Bytes;

use crate::codec::{Fields, compress, decompress, put_bytes, put_varint};
use crate::config::Compression;
use crate::env::CpuWork;
use crate::error::{Error, Result};
use crate::index::{IndexedTable, ModelFacts, Refused};

/// Bytes of the footer.
pub(crate) const FOOTER_BYTES: usize = 4 * 12 + 16;

/// The newest version of the format that this build reads, and the version that it writes.
pub(crate) const VERSION: u32 = 3;

const MAGIC: u64 = u64::from_le_bytes(*b"aura.sst");

/// Whether this build accepts wrong checksums of blocks. It is a planted bug: `scripts/canary`
/// checks that tests fail with it.
const ANY_CHECKSUM: bool = cfg!(aura_canary = "checksum");

/// Appends a block of `raw` bytes and its trailer to `out`. Returns the number of appended bytes.
///
/// The bytes are compressed only if that makes them smaller.
pub(crate) fn seal(
    out: &mut Vec<u8>,
    raw: &[u8],
    compression: Compression,
    work: &mut CpuWork,
) -> usize {
    let start = out.len();
    let used = match compress(compression, raw, work) {
        Some(packed) => {
            out.extend_from_slice(&packed);
            compression
        }
        None => {
            out.extend_from_slice(raw);
            Compression::None
        }
    };
    work.bytes_copied += (out.len() - start) as u64;
    out.push(used.tag());
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    let checksum = crc32c::crc32c(&out[start..]);
    work.bytes_checksummed += (out.len() - start) as u64;
    out.extend_from_slice(&checksum.to_le_bytes());
    out.len() - start
}

/// Returns the raw bytes of a block that [`seal`] wrote, given everything that it appended.
///
/// # Errors
/// A description of the damage.
pub(crate) fn unseal(sealed: &Bytes, work: &mut CpuWork) -> Result<Bytes, &'static str> {
    let Some((body, checksum)) = sealed.split_last_chunk::<4>() else {
        return Err("a block is shorter than its trailer");
    };
    work.bytes_checksummed += body.len() as u64;
    if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) && !ANY_CHECKSUM {
        return Err("the checksum of a block is wrong");
    }
    let Some((stored, trailer)) = body.split_last_chunk::<5>() else {
        return Err("a block is shorter than its trailer");
    };
    let [tag, length @ ..] = *trailer;
    let Some(compression) = Compression::from_tag(tag) else {
        return Err("a block names an unknown compression");
    };
    let raw_bytes = u32::from_le_bytes(length) as usize;
    decompress(compression, &sealed.slice(..stored.len()), raw_bytes, work)
        .ok_or("a block does not decompress")
}

/// The place of a block in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handle {
    /// The offset in the file.
    pub offset: u64,
    /// The bytes in the file, trailer included; 0 if there is no such block.
    pub bytes: u32,
}

impl Handle {
    fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.bytes.to_le_bytes());
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            offset: fields.u64()?,
            bytes: fields.u32()?,
        })
    }
}

/// The places of all blocks other than data blocks. They follow the data blocks in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// The filter.
    pub filter: Handle,
    /// The model.
    pub model: Handle,
    /// The index.
    pub index: Handle,
    /// The properties.
    pub properties: Handle,
}

impl Footer {
    /// Encodes the footer.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER_BYTES);
        for handle in [self.filter, self.model, self.index, self.properties] {
            handle.put(&mut out);
        }
        out.extend_from_slice(&VERSION.to_le_bytes());
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&MAGIC.to_le_bytes());
        out
    }

    /// Decodes a footer that [`encode`](Self::encode) wrote. `offset` is its offset in the file.
    ///
    /// # Errors
    /// [`Error::Format`] if the footer is intact but of a newer version, otherwise
    /// [`Error::Corruption`].
    pub(crate) fn decode(bytes: &[u8], path: &Path, offset: u64) -> Result<Self> {
        let damaged = |what: &str| Error::corruption(path, offset, what);
        let mut end = Fields::new(bytes.get(FOOTER_BYTES - 16..).unwrap_or_default());
        let (Some(version), Some(checksum), Some(magic), true) =
            (end.u32(), end.u32(), end.u64(), end.is_empty())
        else {
            return Err(damaged("the footer is incomplete"));
        };
        if magic != MAGIC {
            return Err(damaged("the file does not end with a table's magic number"));
        }
        if crc32c::crc32c(&bytes[..FOOTER_BYTES - 12]) != checksum {
            return Err(damaged("the checksum of the footer is wrong"));
        }
        if version > VERSION {
            return Err(Error::Format {
                file: path.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        let mut fields = Fields::new(bytes);
        let mut handle =
            || Handle::read(&mut fields).ok_or_else(|| damaged("the footer is incomplete"));
        let footer = Self {
            filter: handle()?,
            model: handle()?,
            index: handle()?,
            properties: handle()?,
        };
        footer
            .check(offset)
            .ok_or_else(|| damaged("the footer's handles do not describe the blocks before it"))?;
        Ok(footer)
    }

    /// Checks that the blocks follow each other without a gap and end at `end`. Returns None if
    /// they do not.
    fn check(&self, end: u64) -> Option<()> {
        let mut next = self.start();
        for handle in [self.filter, self.model, self.index, self.properties] {
            if handle.bytes > 0 {
                (handle.offset == next).then_some(())?;
                next = next.checked_add(u64::from(handle.bytes))?;
            }
        }
        (next == end && self.index.bytes > 0 && self.properties.bytes > 0).then_some(())
    }

    /// Returns the offset at which the data blocks end and the other blocks start.
    pub(crate) fn start(&self) -> u64 {
        for handle in [self.filter, self.model, self.index] {
            if handle.bytes > 0 {
                return handle.offset;
            }
        }
        self.properties.offset
    }
}

/// The facts about a table that the table itself stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    /// Entries, tombstones included.
    pub entries: u64,
    /// Tombstones.
    pub deletions: u64,
    /// Stored bytes of the values in the value log that entries point at.
    pub separated_bytes: u64,
    /// The smallest sequence number.
    pub sequence_min: u64,
    /// The largest sequence number.
    pub sequence_max: u64,
    /// The smallest user key.
    pub smallest: Bytes,
    /// The largest user key.
    pub largest: Bytes,
    /// The name of the filter policy that built the filter.
    pub filter: String,
    /// The name of the index policy.
    pub index: String,
    /// The facts about the model.
    pub model: ModelFacts,
}

impl Properties {
    /// Returns the properties that the table's index needs.
    pub(crate) fn indexed(&self) -> IndexedTable<'_> {
        IndexedTable {
            version: VERSION,
            entries: self.entries,
            smallest: &self.smallest,
            largest: &self.largest,
            index: &self.index,
            model: &self.model,
        }
    }

    /// Encodes the properties block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [
            self.entries,
            self.deletions,
            self.separated_bytes,
            self.sequence_min,
            self.sequence_max,
        ] {
            put_varint(&mut out, number);
        }
        put_bytes(&mut out, &self.smallest);
        put_bytes(&mut out, &self.largest);
        let model = &self.model;
        let refused = model.refused.as_ref().map(Refused::to_string);
        for text in [&self.filter, &self.index, &refused.unwrap_or_default()] {
            put_bytes(&mut out, text.as_bytes());
        }
        put_varint(&mut out, model.longest_run.into());
        put_varint(&mut out, model.error_max.into());
        put_bytes(&mut out, model.parameters.as_bytes());
        out.push(u8::from(model.by_block));
        for number in [model.tie_bound, model.tie_runs, model.error_p99] {
            put_varint(&mut out, number.into());
        }
        put_varint(&mut out, model.error_mean_milli);
        put_varint(&mut out, model.window_blocks.into());
        put_varint(&mut out, model.probes_milli);
        put_varint(&mut out, model.steps.into());
        out.extend_from_slice(&model.training_nanos.to_le_bytes());
        out
    }

    /// Decodes properties that [`encode`](Self::encode) wrote. Returns None if the bytes are
    /// malformed.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(bytes);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let mut properties = Self {
            entries: fields.varint()?,
            deletions: fields.varint()?,
            separated_bytes: fields.varint()?,
            sequence_min: fields.varint()?,
            sequence_max: fields.varint()?,
            smallest: Bytes::copy_from_slice(fields.bytes()?),
            largest: Bytes::copy_from_slice(fields.bytes()?),
            filter: text(fields.bytes()?)?,
            index: text(fields.bytes()?)?,
            model: ModelFacts {
                refused: Refused::decode(&text(fields.bytes()?)?),
                longest_run: fields.varint()?.try_into().ok()?,
                error_max: fields.varint()?.try_into().ok()?,
                ..ModelFacts::default()
            },
        };
        let model = &mut properties.model;
        if fields.is_empty() {
            // Version 1.
            model.tie_bound = model.longest_run;
            return Some(properties);
        }
        model.parameters = text(fields.bytes()?)?;
        model.by_block = match fields.byte()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        model.tie_bound = fields.varint()?.try_into().ok()?;
        model.tie_runs = fields.varint()?.try_into().ok()?;
        model.error_p99 = fields.varint()?.try_into().ok()?;
        model.error_mean_milli = fields.varint()?;
        model.window_blocks = fields.varint()?.try_into().ok()?;
        model.probes_milli = fields.varint()?;
        model.steps = fields.varint()?.try_into().ok()?;
        model.training_nanos = fields.u64()?;
        fields.is_empty().then_some(properties)
    }
}
