//! Every decoder of bytes from disk, by itself: what was encoded reads back, and mutated bytes give None or something that
//! encodes again, never a panic.
//!
//! The decoders take bytes whose checksum holds, so the mutations are made below it: `tests/fuzz.rs` does that to whole
//! files. Inputs are drawn from a seed; `AURA_FUZZ=<n>` makes as many for each decoder.

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

    /// Of any length in bits, so that every width of a varint comes.
    fn number(&mut self) -> u64 {
        let bits = self.below(64);
        self.0.next_u64() >> bits
    }

    fn half(&mut self) -> u32 {
        self.number() as u32
    }

    fn bytes(&mut self, most: u64) -> Bytes {
        (0..self.below(most + 1))
            .map(|_| self.below(256) as u8)
            .collect()
    }

    fn key(&mut self) -> Bytes {
        [&b"k"[..], &self.bytes(20)].concat().into()
    }

    fn codec(&mut self) -> Compression {
        Compression::from_tag(self.below(4) as u8).expect("there are four")
    }

    /// Changes a few bytes, and the length.
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

/// Shows `check` as many generators as there are inputs to try, each with a seed of its own.
fn each_input(check: impl Fn(&mut Chance)) {
    let inputs =
        std::env::var("AURA_FUZZ").map_or(3000, |inputs| inputs.parse().expect("a number"));
    let first =
        std::env::var("AURA_FIRST_SEED").map_or(1, |seed| seed.parse::<u64>().expect("a number"));
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
            let (start, more) = (chance.key(), chance.key());
            let end = [&start[..], &more[..]].concat().into();
            (
                EntryKind::DeleteRange,
                start,
                if chance.below(3) == 0 {
                    Bytes::new()
                } else {
                    end
                },
            )
        }
        0 => (EntryKind::Delete, chance.key(), Bytes::new()),
        1 => (EntryKind::Put, chance.key(), chance.bytes(200)),
        _ => (
            EntryKind::Pointer,
            chance.key(),
            Bytes::copy_from_slice(&pointer(chance).encode()),
        ),
    };
    (0..chance.below(5)).map(|_| write(chance)).collect()
}

#[test]
fn batches_and_pointers() {
    each_input(|chance| {
        let made = writes(chance);
        let body = batch(&made).into_body();
        assert_eq!(
            BatchReader::new(body.clone()).collect::<Writes>(),
            Some(made)
        );
        let mutated = chance.mutated(&body);
        let Some(read) = BatchReader::new(mutated).collect::<Writes>() else {
            return;
        };
        let sound: Vec<_> = read
            .into_iter()
            .filter(|(kind, _, value)| {
                *kind != EntryKind::Pointer || ValuePointer::decode(value).is_some()
            })
            .collect();
        assert_eq!(
            BatchReader::new(batch(&sound).into_body()).collect::<Writes>(),
            Some(sound)
        );
    });
}

/// Puts right the checksum over `covered` after `salt`, so that a decoder looks behind it.
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
        assert_eq!(
            wal::Header::decode(&header.encode(), log),
            Some((header, layout))
        );
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
        assert_eq!(
            layout.record_at(&Bytes::from(bytes.clone()), 0),
            Some((record, end))
        );
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
fn value_frames() {
    each_input(|chance| {
        let (key, value, compression) = (chance.key(), chance.bytes(300), chance.codec());
        let mut frame = Vec::new();
        let checksum = vlog::encode(&mut frame, &key, &value, chance.half(), compression);
        let decode =
            |frame: &[u8], checksum| vlog::decode(&Bytes::copy_from_slice(frame), &key, checksum);
        assert_eq!(decode(&frame, checksum), Some(value));
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
        let (codec, mut work) = (chance.codec(), CpuWork::default());
        let Some(packed) = compress(codec, &raw, &mut work) else {
            return;
        };
        let mutated = chance.mutated(&packed);
        assert_eq!(
            decompress(codec, &Bytes::from(packed), raw.len(), &mut work).as_deref(),
            Some(&raw[..])
        );
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
            let (mut runs, mut at) = (Vec::new(), 0);
            for _ in 0..chance.below(4) {
                let start = at + chance.below(1 << 30);
                at = start + 1 + chance.below(1 << 30);
                runs.push((start, at));
            }
            sections.push(Section::new(
                chance.number(),
                chance.half(),
                chance.below(1 << 40),
                runs,
            ));
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

/// Any edit.
fn edit(chance: &mut Chance) -> Edit {
    let pairs = |chance: &mut Chance| {
        (0..chance.below(3))
            .map(|_| (chance.number(), chance.number()))
            .collect()
    };
    let files = |chance: &mut Chance| (0..chance.below(3)).map(|_| chance.number()).collect();
    let some = |chance: &mut Chance| (chance.below(2) == 0).then(|| chance.number());
    let mut edit = Edit::default();
    (edit.wal_min, edit.next_number, edit.sequence) = (some(chance), some(chance), some(chance));
    edit.removed = (0..chance.below(3))
        .map(|_| (chance.below(9) as usize, chance.number()))
        .collect();
    for _ in 0..chance.below(3) {
        let (level, run) = (chance.below(9) as usize, chance.number());
        edit.added.push(AddedTable {
            level,
            run,
            facts: table_facts(chance),
        });
    }
    edit.runs_max = (0..chance.below(3))
        .map(|_| (chance.below(9) as usize, chance.half()))
        .collect();
    (edit.values_opened, edit.values_removed) = (files(chance), files(chance));
    (edit.values_sealed, edit.values_settled) = (pairs(chance), pairs(chance));
    (edit.values_moved, edit.table_swept) = (pairs(chance), pairs(chance));
    for _ in 0..chance.below(3) {
        let mut at = 0;
        let mut part = || {
            let start = at + chance.below(1 << 40);
            at = start + 1 + chance.below(1 << 40);
            (start, at)
        };
        let parts = vec![part(), part()];
        edit.values_dead.insert(chance.number(), parts);
    }
    for _ in 0..chance.below(3) {
        let (sequence, start, end) = (chance.number(), chance.key(), Bytes::new());
        edit.ranges_added.push(RangeTombstone {
            sequence,
            start,
            end,
        });
    }
    edit.ranges_removed = (0..chance.below(3)).map(|_| chance.number()).collect();
    edit.logs_durable = pairs(chance)
        .into_iter()
        .map(|(log, bytes)| LogPart { log, bytes })
        .collect();
    edit
}

#[test]
fn manifest_edits_and_current() {
    each_input(|chance| {
        let edit = edit(chance);
        let manifest = chance.number();
        let layout = version::Layout::Current { manifest };
        let bytes = version::encode(&edit, manifest);
        assert_eq!(
            version::decode(&bytes, 0, layout),
            Some((edit, bytes.len()))
        );
        let mut mutated = chance.mutated(&bytes).to_vec();
        if let Some(payload) = mutated.get(12..) {
            let checksum = crc32c::crc32c(payload);
            mutated[4..8].copy_from_slice(&checksum.to_le_bytes());
        }
        reseal(&mut mutated, manifest, 4..12, 0);
        let _ = version::decode(&mutated, 0, version::Layout::Format2);
        if let Some((read, _)) = version::decode(&mutated, 0, layout) {
            let again = version::encode(&read, manifest);
            assert_eq!(
                version::decode(&again, 0, layout),
                Some((read, again.len()))
            );
        }
        let current = version::encode_current("000001.manifest");
        let mutated = chance.mutated(current.as_bytes());
        let read = version::decode_current(&mutated);
        assert!(read.is_none_or(|name| version::decode_current(
            version::encode_current(name).as_bytes()
        ) == Some(name)));
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
        let (codec, mut work) = (chance.codec(), CpuWork::default());
        let raw = builder.finish(Bytes::copy_from_slice);
        let mut sealed = Vec::new();
        sst::seal(&mut sealed, &raw, codec, &mut work);
        assert_eq!(
            sst::unseal(&Bytes::from(sealed.clone()), &mut work),
            Ok(raw.clone())
        );
        let mut mutated = chance.mutated(&sealed).to_vec();
        if let Some((covered, checksum)) = mutated.split_last_chunk_mut::<4>() {
            *checksum = crc32c::crc32c(covered).to_le_bytes();
        }
        let _ = sst::unseal(&Bytes::from(mutated), &mut work);
        let hostile = chance.mutated(&raw);
        for block in [Block::new(hostile.clone()), Block::checked(hostile)]
            .into_iter()
            .flatten()
        {
            let _ = block.lower_bound(&chance.key(), chance.number(), &mut work);
            (0..block.len().min(20)).for_each(|index| drop(block.entry(index)));
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
