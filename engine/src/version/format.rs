//! The manifest on disk.
//!
//! ```text
//! file     "AURAMAN1" | format u32 | record | record | ...
//! record   checksum u32 | bytes u32 | edit
//! edit     field | field | ...
//! field    tag u8, then by tag (every number a varint, `bytes` a varint length and the bytes):
//!   1 wal_min       number
//!   2 next_number   number
//!   3 sequence      number
//!   4 removed       level, table
//!   5 added         level, run, table, bytes, entries, deletions, separated bytes, sequence min, sequence max,
//!                   smallest bytes, largest bytes
//!   6 runs_max      level, runs
//!   7 values_opened   file
//!   8 values_sealed   file, bytes
//!  10 values_removed  file
//!  11 values_dead     file, count, then for each part: its start less the end of the part before, its bytes
//!  12 values_moved    file, file on disk
//!  13 values_settled  file, bytes
//!  20 ranges_added    sequence, start bytes, end bytes (empty: no end)
//!  21 ranges_removed  sequence
//!  22 table_swept     table, sequence
//!
//! CURRENT  the manifest's file name | "\n" | its CRC32C in hexadecimal | "\n"
//! ```
//!
//! The checksum is CRC32C over the bytes and the edit. The first record of a manifest is the whole state when it was
//! begun, so that older manifests are never needed. Format 1 knew garbage only as a sum of bytes (tag 9): it is read, and that
//! garbage stays where it is, for nobody knows which bytes it was.

use std::sync::Arc;

use aura_policies::facts::TableFacts;
use bytes::Bytes;

use super::edit::{AddedTable, Edit};
use crate::codec::{Fields, put_bytes, put_varint};
use crate::ranges::RangeTombstone;

/// The first bytes of a manifest.
pub(crate) const MAGIC: &[u8; 8] = b"AURAMAN1";

/// The format written here; a larger one is refused.
pub(crate) const FORMAT: u32 = 2;

/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 12;

/// The bytes before the first record.
pub(crate) fn header() -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out
}

/// A record.
pub(crate) fn encode(edit: &Edit) -> Vec<u8> {
    let payload = encode_edit(edit);
    let mut out = vec![0; 4];
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&payload);
    let checksum = crc32c::crc32c(&out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// The record that starts at `offset` of a whole file, and where the next one starts; None where there is no sound one.
pub(crate) fn decode(file: &[u8], offset: usize) -> Option<(Edit, usize)> {
    let header: &[u8; 8] = file.get(offset..)?.first_chunk()?;
    let half = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
    let end = (offset + 8).checked_add(half(4) as usize)?;
    if crc32c::crc32c(file.get(offset + 4..end)?) != half(0) {
        return None;
    }
    Some((decode_edit(&file[offset + 8..end])?, end))
}

fn put(out: &mut Vec<u8>, tag: u8, numbers: &[u64]) {
    out.push(tag);
    numbers.iter().for_each(|number| put_varint(out, *number));
}

fn encode_edit(edit: &Edit) -> Vec<u8> {
    let mut out = Vec::new();
    for (tag, number) in [(1, edit.wal_min), (2, edit.next_number), (3, edit.sequence)] {
        if let Some(number) = number {
            put(&mut out, tag, &[number]);
        }
    }
    for (level, table) in &edit.removed {
        put(&mut out, 4, &[*level as u64, *table]);
    }
    for AddedTable { level, run, facts } in &edit.added {
        let sizes = [
            facts.bytes,
            facts.entries,
            facts.deletions,
            facts.separated_bytes,
        ];
        put(&mut out, 5, &[*level as u64, *run, facts.id]);
        sizes.iter().for_each(|size| put_varint(&mut out, *size));
        put_varint(&mut out, facts.sequence_min);
        put_varint(&mut out, facts.sequence_max);
        put_bytes(&mut out, &facts.smallest);
        put_bytes(&mut out, &facts.largest);
    }
    for (level, runs) in &edit.runs_max {
        put(&mut out, 6, &[*level as u64, u64::from(*runs)]);
    }
    edit.values_opened
        .iter()
        .for_each(|file| put(&mut out, 7, &[*file]));
    edit.values_sealed
        .iter()
        .for_each(|(file, bytes)| put(&mut out, 8, &[*file, *bytes]));
    edit.values_removed
        .iter()
        .for_each(|file| put(&mut out, 10, &[*file]));
    for (file, parts) in &edit.values_dead {
        put(&mut out, 11, &[*file, parts.len() as u64]);
        let mut parts = parts.clone();
        parts.sort_unstable();
        let mut end_before = 0;
        for (start, end) in parts {
            put_varint(&mut out, start - end_before);
            put_varint(&mut out, end - start);
            end_before = end;
        }
    }
    edit.values_moved
        .iter()
        .for_each(|(file, physical)| put(&mut out, 12, &[*file, *physical]));
    edit.values_settled
        .iter()
        .for_each(|(file, bytes)| put(&mut out, 13, &[*file, *bytes]));
    for RangeTombstone {
        sequence,
        start,
        end,
    } in &edit.ranges_added
    {
        put(&mut out, 20, &[*sequence]);
        put_bytes(&mut out, start);
        put_bytes(&mut out, end);
    }
    edit.ranges_removed
        .iter()
        .for_each(|sequence| put(&mut out, 21, &[*sequence]));
    edit.table_swept
        .iter()
        .for_each(|(table, sequence)| put(&mut out, 22, &[*table, *sequence]));
    out
}

/// Levels a manifest may name: far more than a tree of any size has, so that damage cannot ask for terabytes of memory.
const LEVELS_MAX: u64 = 1000;

fn level(fields: &mut Fields<'_>) -> Option<usize> {
    let level = fields.varint()?;
    (level < LEVELS_MAX).then_some(level as usize)
}

fn decode_edit(payload: &[u8]) -> Option<Edit> {
    let mut edit = Edit::default();
    let mut fields = Fields::new(payload);
    while !fields.is_empty() {
        match fields.byte()? {
            1 => edit.wal_min = Some(fields.varint()?),
            2 => edit.next_number = Some(fields.varint()?),
            3 => edit.sequence = Some(fields.varint()?),
            4 => edit.removed.push((level(&mut fields)?, fields.varint()?)),
            5 => edit.added.push(decode_added(&mut fields)?),
            6 => edit
                .runs_max
                .push((level(&mut fields)?, u32::try_from(fields.varint()?).ok()?)),
            7 => edit.values_opened.push(fields.varint()?),
            8 => edit
                .values_sealed
                .push((fields.varint()?, fields.varint()?)),
            9 => drop((fields.varint()?, fields.varint()?)),
            10 => edit.values_removed.push(fields.varint()?),
            11 => {
                let (file, parts) = (fields.varint()?, decode_parts(&mut fields)?);
                edit.values_dead.insert(file, parts);
            }
            12 => edit.values_moved.push((fields.varint()?, fields.varint()?)),
            13 => edit
                .values_settled
                .push((fields.varint()?, fields.varint()?)),
            20 => edit.ranges_added.push(decode_range(&mut fields)?),
            21 => drop(edit.ranges_removed.insert(fields.varint()?)),
            22 => edit.table_swept.push((fields.varint()?, fields.varint()?)),
            _ => return None,
        }
    }
    Some(edit)
}

fn decode_parts(fields: &mut Fields<'_>) -> Option<Vec<(u64, u64)>> {
    let count = fields.varint()?;
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for _ in 0..count {
        let start = parts
            .last()
            .map_or(0, |(_, end)| *end)
            .checked_add(fields.varint()?)?;
        parts.push((start, start.checked_add(fields.varint()?)?));
    }
    Some(parts)
}

fn decode_range(fields: &mut Fields<'_>) -> Option<RangeTombstone> {
    let sequence = fields.varint()?;
    let (start, end) = (
        Bytes::copy_from_slice(fields.bytes()?),
        Bytes::copy_from_slice(fields.bytes()?),
    );
    (end.is_empty() || start < end).then_some(RangeTombstone {
        sequence,
        start,
        end,
    })
}

fn decode_added(fields: &mut Fields<'_>) -> Option<AddedTable> {
    let (level, run) = (level(fields)?, fields.varint()?);
    let facts = TableFacts {
        id: fields.varint()?,
        bytes: fields.varint()?,
        entries: fields.varint()?,
        deletions: fields.varint()?,
        separated_bytes: fields.varint()?,
        sequence_min: fields.varint()?,
        sequence_max: fields.varint()?,
        smallest: Bytes::copy_from_slice(fields.bytes()?),
        largest: Bytes::copy_from_slice(fields.bytes()?),
    };
    Some(AddedTable {
        level,
        run,
        facts: Arc::new(facts),
    })
}

/// The content of `CURRENT` for the manifest `name`.
pub(crate) fn encode_current(name: &str) -> String {
    format!("{name}\n{:08x}\n", crc32c::crc32c(name.as_bytes()))
}

/// Reads back `encode_current`.
pub(crate) fn decode_current(content: &[u8]) -> Option<&str> {
    let mut lines = std::str::from_utf8(content).ok()?.lines();
    let (name, checksum) = (lines.next()?, lines.next()?);
    (u32::from_str_radix(checksum, 16).ok()? == crc32c::crc32c(name.as_bytes())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit() -> Edit {
        let facts = TableFacts {
            id: 9,
            bytes: 4096,
            entries: 30,
            deletions: 2,
            separated_bytes: 0,
            smallest: Bytes::from_static(b"a"),
            largest: Bytes::from_static(b"z"),
            sequence_min: 1,
            sequence_max: 300,
        };
        Edit {
            wal_min: Some(5),
            next_number: Some(10),
            sequence: Some(300),
            removed: vec![(0, 4)],
            added: vec![AddedTable {
                level: 1,
                run: 8,
                facts: Arc::new(facts),
            }],
            runs_max: vec![(1, 4)],
            values_opened: vec![6],
            values_sealed: vec![(3, 1000)],
            values_settled: vec![(6, 200)],
            values_moved: vec![(3, 9)],
            values_dead: [(3, vec![(8, 28), (128, 138)])].into(),
            values_removed: vec![2],
            ranges_added: vec![
                RangeTombstone {
                    sequence: 299,
                    start: Bytes::from_static(b"c"),
                    end: Bytes::from_static(b"c\0"),
                },
                RangeTombstone {
                    sequence: 300,
                    start: Bytes::new(),
                    end: Bytes::new(),
                },
            ],
            ranges_removed: [7].into(),
            table_swept: vec![(9, 300)],
        }
    }

    #[test]
    fn the_bytes_of_an_edit_are_frozen() {
        let record = encode(&edit());
        let hex: String = record[4..]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "46000000\
             0105020a03ac020400040501080980201e020001ac02016101 7a0601040706 0803e8070a02\
             0b03020814640a 0c0309 0d06c801\
             14ab0201630263001 4ac0200001507 1609ac02"
                .replace(' ', "")
        );
        assert_eq!(decode(&record, 0), Some((edit(), record.len())));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let record = encode(&edit());
        for bit in 0..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped, 0), None, "bit {bit}");
        }
        for cut in 0..record.len() {
            assert_eq!(decode(&record[..cut], 0), None, "cut {cut}");
        }
    }

    #[test]
    fn the_bytes_of_current_are_frozen_and_checked() {
        let content = encode_current("000001.manifest");
        assert_eq!(content, "000001.manifest\n2061e873\n");
        assert_eq!(decode_current(content.as_bytes()), Some("000001.manifest"));
        assert_eq!(decode_current(content.replace('1', "2").as_bytes()), None);
        assert_eq!(decode_current(b""), None);
    }
}
