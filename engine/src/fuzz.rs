//! Tests of every decoder of bytes from disk: encoded data reads back, and mutated bytes give
//! `None` or something that encodes again, never a panic.
//!
//! The decoders take bytes whose checksum is right, so the mutations are made below it;
//! `tests/fuzz.rs` mutates whole files. Inputs are drawn from a seed. `AURA_FUZZ=<n>` sets their
//! number for each decoder.

use std::path::Path;
use std::sync::Arc;

use aura_policies::facts::TableFacts;
use bytes::Bytes;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::codec::{compress, decompress};
use crate::config::Compression;
use crate::env::CpuWork;
use crate::manifest::{AddedTable, Edit, format as version};
use crate::ranges::RangeTombstone;
use crate::split::format as split;
use crate::storage::{Batch, BatchReader, Entry, EntryKind, ValuePointer};
use crate::table::block::{Block, BlockBuilder};
use crate::table::format as sst;
use crate::values::{Section, format as vlog};
use crate::wal::{LogPart, format as wal};

/// A seeded generator of numbers, bytes and mutations.
struct Chance(Xoshiro256PlusPlus);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    /// Returns a number of a random length in bits, so that every width of a varint occurs.
    fn number(&mut self) -> u64 {
        let bits = self.below(64);
        self.0.next_u64() >> bits
    }

    fn half(&mut self) -> u32 {
        self.number() as u32
    }

    fn bytes(&mut self, most: u64) -> Bytes {
        let count = self.below(most + 1);
        (0..count).map(|_| self.below(256) as u8).collect()
    }

    fn key(&mut self) -> Bytes {
        [&b"k"[..], &self.bytes(20)].concat().into()
    }

    fn codec(&mut self) -> Compression {
        Compression::from_tag(self.below(4) as u8).expect("there are four")
    }

    /// Changes a few bytes and the length.
    fn mutated(&mut self, bytes: &[u8]) -> Bytes {
        let mut bytes = bytes.to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len() as u64 + 1) as usize;
            match self.below(4) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => {
                    bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5) as usize]
                }
                2 => bytes.truncate(at),
                _ => bytes.insert(at, self.below(256) as u8),
            }
        }
        bytes.into()
    }
}

/// Calls `check` once for each input to try, with a generator of its own seed.
fn each_input(check: impl Fn(&mut Chance)) {
    let number = |name: &str| std::env::var(name).map(|text| text.parse().expect("a number"));
    let inputs: u64 = number("AURA_FUZZ").unwrap_or(3000);
    let first: u64 = number("AURA_FIRST_SEED").unwrap_or(1);
    for seed in first << 32..(first << 32) + inputs {
        let shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(&mut Chance(Xoshiro256PlusPlus::seed_from_u64(seed)));
        }));
        assert!(shown.is_ok(), "input {seed}");
    }
    #[expect(clippy::print_stdout, reason = "scripts/soak adds it up")]
    {
        println!("tried: inputs={inputs}");
    }
}

type Writes = Option<Vec<(EntryKind, Bytes, Bytes)>>;

fn batch(writes: &[(EntryKind, Bytes, Bytes)]) -> Batch {
    let mut batch = Batch::new();
    for (kind, key, value) in writes {
        match kind {
            EntryKind::Delete => batch.delete(key).unwrap(),
            EntryKind::Put => batch.put(key, value).unwrap(),
            EntryKind::DeleteRange => batch.copy(*kind, key, value),
            EntryKind::Pointer => match ValuePointer::decode(value) {
                Some(pointer) => assert!(batch.put_pointer(key, &pointer) > 0),
                None => continue,
            },
        }
    }
    batch
}

fn pointer(chance: &mut Chance) -> ValuePointer {
    ValuePointer {
        file: chance.number(),
        offset: chance.number(),
        stored_bytes: chance.half(),
        raw_bytes: chance.half(),
        compression: chance.codec(),
        checksum: chance.half(),
    }
}

fn writes(chance: &mut Chance) -> Vec<(EntryKind, Bytes, Bytes)> {
    let write = |chance: &mut Chance| match chance.below(4) {
        3 => {
            let start = chance.key();
            let more = chance.key();
            let end = match chance.below(3) {
                0 => Bytes::new(),
                _ => [&start[..], &more[..]].concat().into(),
            };
            (EntryKind::DeleteRange, start, end)
        }
        0 => (EntryKind::Delete, chance.key(), Bytes::new()),
        1 => (EntryKind::Put, chance.key(), chance.bytes(200)),
        _ => {
            let key = chance.key();
            let pointer = Bytes::copy_from_slice(&pointer(chance).encode());
            (EntryKind::Pointer, key, pointer)
        }
    };
    (0..chance.below(5)).map(|_| write(chance)).collect()
}

#[test]
fn batches_and_pointers() {
    each_input(|chance| {
        let made = writes(chance);
        let body = batch(&made).into_body();
        let read = BatchReader::new(body.clone()).collect::<Writes>();
        assert_eq!(read, Some(made));
        let mutated = chance.mutated(&body);
        let Some(mut sound) = BatchReader::new(mutated).collect::<Writes>() else {
            return;
        };
        sound.retain(|(kind, _, value)| {
            *kind != EntryKind::Pointer || ValuePointer::decode(value).is_some()
        });
        let read = BatchReader::new(batch(&sound).into_body()).collect::<Writes>();
        assert_eq!(read, Some(sound));
    });
}

/// Corrects the checksum over `covered` after `salt`, so that a decoder looks behind it.
fn reseal(bytes: &mut [u8], salt: u64, covered: std::ops::Range<usize>, at: usize) {
    if let Some(covered) = bytes.get(covered) {
        let salted = crc32c::crc32c(&salt.to_le_bytes());
        let checksum = crc32c::crc32c_append(salted, covered);
        bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
    }
}

#[test]
fn log_headers_and_records() {
    each_input(|chance| {
        let header = wal::Header {
            log: chance.number(),
            previous: chance.number(),
            previous_bytes: chance.number(),
            previous_synced: chance.number(),
            first_sequence: Some(chance.number()),
        };
        let log = header.log;
        let layout = wal::Layout::Current { log };
        let read = wal::Header::decode(&header.encode(), log);
        assert_eq!(read, Some((header, layout)));
        let _ = wal::Header::decode(&chance.mutated(&header.encode()), log);
        let record = wal::Record {
            sequence: chance.number() >> 8,
            writes: chance.half(),
            synced: chance.number(),
            body: chance.bytes(100),
        };
        let mut bytes = Vec::new();
        record.encode(log, &mut bytes);
        let end = bytes.len();
        let read = layout.record_at(&Bytes::from(bytes.clone()), 0);
        assert_eq!(read, Some((record, end)));
        let mut mutated = chance.mutated(&bytes).to_vec();
        reseal(&mut mutated, log, 4..wal::HEADER_BYTES, 0);
        let mutated = Bytes::from(mutated);
        let _ = wal::Layout::Version1.record_at(&mutated, 0);
        let Some((read, end)) = layout.record_at(&mutated, 0) else {
            return;
        };
        let _ = read.end();
        let mut again = Vec::new();
        read.encode(log, &mut again);
        assert_eq!(again, mutated[..end]);
    });
}

#[test]
fn markers_of_split_databases() {
    each_input(|chance| {
        let marker = split::SplitMarker {
            hash_seed: chance.number(),
            first_log: chance.number() >> 16,
            durable: LogPart {
                log: chance.number() >> 16,
                bytes: chance.number(),
            },
        };
        assert_eq!(split::SplitMarker::decode(&marker.encode()), Some(marker));
        let side = split::SideMarker {
            hash_seed: chance.number(),
            side: chance.number(),
        };
        assert_eq!(split::SideMarker::decode(&side.encode()), Some(side));
        for bytes in [marker.encode(), side.encode()] {
            let mut mutated = chance.mutated(&bytes).to_vec();
            if let Some(covered) = mutated.len().checked_sub(4) {
                let checksum = crc32c::crc32c(&mutated[..covered]);
                mutated[covered..].copy_from_slice(&checksum.to_le_bytes());
            }
            if let Some(read) = split::SplitMarker::decode(&mutated) {
                assert_eq!(read.encode(), mutated);
            }
            if let Some(read) = split::SideMarker::decode(&mutated) {
                assert_eq!(read.encode(), mutated);
            }
        }
    });
}

#[test]
fn value_frames() {
    each_input(|chance| {
        let key = chance.key();
        let value = chance.bytes(300);
        let compression = chance.codec();
        let mut frame = Vec::new();
        let mut work = CpuWork::default();
        let raw_bytes = chance.half();
        let checksum = vlog::encode(&mut frame, &key, &value, raw_bytes, compression, &mut work);
        let mut decode = |frame: &[u8], checksum| {
            vlog::decode(frame, &key, checksum, &mut work).map(<[u8]>::to_vec)
        };
        assert_eq!(decode(&frame, checksum).as_deref(), Some(&value[..]));
        let mut mutated = chance.mutated(&frame).to_vec();
        let _ = decode(&mutated, checksum);
        if let Some((place, covered)) = mutated.split_first_chunk_mut::<4>() {
            let checksum = crc32c::crc32c(covered);
            *place = checksum.to_le_bytes();
            let _ = decode(&mutated, checksum);
        }
    });
}

#[test]
fn compressed_bytes() {
    each_input(|chance| {
        let unit = chance.bytes(10);
        let raw = unit.repeat(chance.below(100) as usize);
        let codec = chance.codec();
        let mut work = CpuWork::default();
        let Some(packed) = compress(codec, &raw, &mut work) else {
            return;
        };
        let mutated = chance.mutated(&packed);
        let read = decompress(codec, &Bytes::from(packed), raw.len(), &mut work);
        assert_eq!(read.as_deref(), Some(&raw[..]));
        for length in [raw.len(), chance.half() as usize] {
            let read = decompress(codec, &mutated, length, &mut work);
            assert!(read.is_none_or(|read| read.len() == length));
        }
    });
}

fn table_facts(chance: &mut Chance) -> Arc<TableFacts> {
    Arc::new(TableFacts {
        id: chance.number(),
        bytes: chance.number(),
        entries: chance.number(),
        deletions: chance.number(),
        separated_bytes: chance.number(),
        smallest: chance.bytes(20),
        largest: chance.bytes(20),
        sequence_min: chance.number(),
        sequence_max: chance.number(),
    })
}

#[test]
fn maps_of_collected_value_files() {
    each_input(|chance| {
        let mut sections = Vec::new();
        for _ in 0..chance.below(3) {
            let mut extents = Vec::new();
            let mut at = 0;
            for _ in 0..chance.below(4) {
                let start = at + chance.below(1 << 30);
                at = start + 1 + chance.below(1 << 30);
                extents.push((start, at));
            }
            let file = chance.number();
            let collections = chance.half();
            let start = chance.below(1 << 40);
            sections.push(Section::new(file, collections, start, extents));
        }
        let bytes = vlog::encode_map(&sections);
        assert_eq!(vlog::decode_map(&bytes), Some(sections));
        let mut mutated = chance.mutated(&bytes).to_vec();
        if let Some(end) = mutated.len().checked_sub(vlog::TRAILER_BYTES) {
            let covered = [&mutated[..end], &mutated[end + 4..end + 8]].concat();
            mutated[end..end + 4].copy_from_slice(&crc32c::crc32c(&covered).to_le_bytes());
        }
        for section in vlog::decode_map(&mutated).into_iter().flatten() {
            let _ = section.place(chance.number());
        }
    });
}

/// Draws an edit.
fn edit(chance: &mut Chance) -> Edit {
    let mut edit = Edit::default();
    let some = |chance: &mut Chance| (chance.below(2) == 0).then(|| chance.number());
    edit.wal_min = some(chance);
    edit.next_number = some(chance);
    edit.sequence = some(chance);
    edit_tables(chance, &mut edit);
    edit_values(chance, &mut edit);
    for _ in 0..chance.below(3) {
        edit.ranges_added.push(RangeTombstone {
            sequence: chance.number(),
            start: chance.key(),
            end: Bytes::new(),
        });
    }
    edit.ranges_removed = (0..chance.below(3)).map(|_| chance.number()).collect();
    for (log, bytes) in pairs(chance) {
        edit.logs_durable.push(LogPart { log, bytes });
    }
    edit
}

fn pairs(chance: &mut Chance) -> Vec<(u64, u64)> {
    let count = chance.below(3);
    let pairs = (0..count).map(|_| (chance.number(), chance.number()));
    pairs.collect()
}

fn edit_tables(chance: &mut Chance, edit: &mut Edit) {
    for _ in 0..chance.below(3) {
        let level = chance.below(9) as usize;
        edit.removed.push((level, chance.number()));
    }
    for _ in 0..chance.below(3) {
        edit.added.push(AddedTable {
            level: chance.below(9) as usize,
            run: chance.number(),
            facts: table_facts(chance),
        });
    }
    for _ in 0..chance.below(3) {
        let level = chance.below(9) as usize;
        edit.runs_max.push((level, chance.half()));
    }
    edit.table_swept = pairs(chance);
}

fn edit_values(chance: &mut Chance, edit: &mut Edit) {
    let files = |chance: &mut Chance| (0..chance.below(3)).map(|_| chance.number()).collect();
    edit.values_opened = files(chance);
    edit.values_removed = files(chance);
    edit.values_sealed = pairs(chance);
    edit.values_accounted = pairs(chance);
    edit.values_moved = pairs(chance);
    for _ in 0..chance.below(3) {
        let mut at = 0;
        let mut extent = || {
            let start = at + chance.below(1 << 40);
            at = start + 1 + chance.below(1 << 40);
            (start, at)
        };
        let extents = vec![extent(), extent()];
        edit.values_dead.insert(chance.number(), extents);
    }
}

#[test]
fn manifest_edits_and_current() {
    each_input(|chance| {
        let edit = edit(chance);
        let manifest = chance.number();
        let layout = version::Layout::Current { manifest };
        let bytes = version::encode(&edit, manifest);
        let read = version::decode(&bytes, 0, layout);
        assert_eq!(read, Some((edit, bytes.len())));
        let mut mutated = chance.mutated(&bytes).to_vec();
        if let Some(payload) = mutated.get(12..) {
            let checksum = crc32c::crc32c(payload);
            mutated[4..8].copy_from_slice(&checksum.to_le_bytes());
        }
        reseal(&mut mutated, manifest, 4..12, 0);
        let _ = version::decode(&mutated, 0, version::Layout::Format2);
        if let Some((read, _)) = version::decode(&mutated, 0, layout) {
            let again = version::encode(&read, manifest);
            let reread = version::decode(&again, 0, layout);
            assert_eq!(reread, Some((read, again.len())));
        }
        let current = version::encode_current("000001.manifest");
        let mutated = chance.mutated(current.as_bytes());
        if let Some(name) = version::decode_current(&mutated) {
            let again = version::encode_current(name);
            assert_eq!(version::decode_current(again.as_bytes()), Some(name));
        }
    });
}

#[test]
fn table_blocks_footers_and_properties() {
    each_input(|chance| {
        let mut builder = BlockBuilder::default();
        for sequence in 0..1 + chance.below(8) {
            let kind = EntryKind::from_tag(chance.below(3) as u8).expect("there are three");
            builder.add(&Entry {
                key: chance.key(),
                sequence,
                kind,
                value: chance.bytes(50),
            });
        }
        let codec = chance.codec();
        let mut work = CpuWork::default();
        let raw = builder.finish(Bytes::copy_from_slice);
        let mut sealed = Vec::new();
        sst::seal(&mut sealed, &raw, codec, &mut work);
        let read = sst::unseal(&Bytes::from(sealed.clone()), &mut work);
        assert_eq!(read, Ok(raw.clone()));
        let mut mutated = chance.mutated(&sealed).to_vec();
        if let Some((covered, checksum)) = mutated.split_last_chunk_mut::<4>() {
            *checksum = crc32c::crc32c(covered).to_le_bytes();
        }
        let _ = sst::unseal(&Bytes::from(mutated), &mut work);
        let hostile = chance.mutated(&raw);
        let blocks = [Block::new(hostile.clone()), Block::checked(hostile)];
        for block in blocks.into_iter().flatten() {
            let _ = block.lower_bound(&chance.key(), chance.number(), &mut work);
            for index in 0..block.len().min(20) {
                drop(block.entry(index));
            }
        }
        let mut footer = sst::Footer::default().encode();
        let at = chance.below(footer.len() as u64) as usize;
        footer[at] = chance.below(256) as u8;
        let end = footer.len() - 12;
        let checksum = crc32c::crc32c(&footer[..end]);
        footer[end..end + 4].copy_from_slice(&checksum.to_le_bytes());
        let _ = sst::Footer::decode(&footer, Path::new("fuzzed"), chance.number());
        let properties = sst::Properties {
            entries: chance.number(),
            sequence_max: chance.number(),
            smallest: chance.bytes(10),
            filter: "a filter".to_owned(),
            ..sst::Properties::default()
        };
        let bytes = properties.encode();
        assert_eq!(sst::Properties::decode(&bytes), Some(properties));
        if let Some(read) = sst::Properties::decode(&chance.mutated(&bytes)) {
            assert_eq!(sst::Properties::decode(&read.encode()), Some(read));
        }
    });
}
