//! The format of the manifest and of `CURRENT`.
//!
//! ```text
//! file     "AURAMAN1" | format u32 | record | record | ...
//! record   header checksum u32 | checksum u32 | bytes u32 | edit
//! edit     field | field | ...
//! field    tag u8, then by tag (every number a varint, `bytes` a varint length and the bytes):
//!   1 wal_min       number
//!   2 next_number   number
//!   3 sequence      number
//!   4 removed       level, table
//!   5 added         level, run, table, bytes, entries, deletions, separated bytes,
//!                   sequence min, sequence max, smallest bytes, largest bytes
//!   6 runs_max      level, runs
//!   7 values_opened   file
//!   8 values_sealed   file, bytes
//!  10 values_removed  file
//!  11 values_dead     file, count, then for each extent: its start less the end of the one before,
//!                     its bytes
//!  12 values_moved    file, file on disk
//!  13 values_accounted  file, bytes
//!  14 logs_durable    log, bytes
//!  20 ranges_added    sequence, start bytes, end bytes (empty: no end)
//!  21 ranges_removed  sequence
//!  22 table_swept     table, sequence
//!
//! CURRENT  the manifest's file name | "\n" | its CRC32C in hexadecimal | "\n"
//! ```
//!
//! Checksums are CRC32C: one over the edit, one over the manifest's number and the header behind
//! it. So a scan for records behind damage looks at each byte once. The first record of a manifest
//! is the whole state when the manifest began, so older manifests are never needed.
//!
//! Older formats are read. Formats 1 and 2 have one checksum, over the length and the edit. Format
//! 1 knew garbage only as a sum of bytes (tag 9). That garbage stays on disk, because it is unknown
//! which bytes it was.

use std::sync::Arc;

use aura_policies::facts::TableFacts;
use bytes::Bytes;

use super::edit::{AddedTable, Edit};
use crate::codec::{Fields, put_bytes, put_varint};
use crate::ranges::RangeTombstone;
use crate::wal::LogPart;

/// First bytes of a manifest.
pub(crate) const MAGIC: &[u8; 8] = b"AURAMAN1";

/// Format that is written. A larger one is refused.
pub(crate) const FORMAT: u32 = 3;

/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 12;

/// Returns the bytes before the first record.
pub(crate) fn header() -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&FORMAT.to_le_bytes());
    out
}

/// Layout of the records of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The layout drawn at the head of this file.
    Current {
        /// The manifest's number, which the checksums of its records cover.
        manifest: u64,
    },
    /// The layout of formats 1 and 2.
    Format2,
}

impl Layout {
    /// Returns the layout of manifest `number` in `format`, or `None` if the format is newer.
    pub(crate) fn of(format: u32, number: u64) -> Option<Self> {
        match format {
            FORMAT => Some(Self::Current { manifest: number }),
            1 | 2 => Some(Self::Format2),
            _ => None,
        }
    }
}

fn header_checksum(manifest: u64, header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&manifest.to_le_bytes()), header)
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// Encodes a record of manifest `number`.
pub(crate) fn encode(edit: &Edit, number: u64) -> Vec<u8> {
    let payload = encode_edit(edit);
    let mut out = vec![0; 4];
    out.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    let checksum = header_checksum(number, &out[4..]);
    out[..4].copy_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&payload);
    out
}

/// Decodes the record that starts at `offset` of a whole file. Returns it with the position of the
/// next one, or `None` if there is no sound record.
pub(crate) fn decode(file: &[u8], offset: usize, layout: Layout) -> Option<(Edit, usize)> {
    match layout {
        Layout::Current { manifest } => {
            let header: &[u8; 12] = file.get(offset..)?.first_chunk()?;
            if half(header, 0) != header_checksum(manifest, &header[4..]) {
                return None;
            }
            let start = offset + 12;
            let end = start.checked_add(half(header, 8) as usize)?;
            let payload = file.get(start..end)?;
            let sound = crc32c::crc32c(payload) == half(header, 4);
            Some((decode_edit(payload).filter(|_| sound)?, end))
        }
        Layout::Format2 => {
            let header: &[u8; 8] = file.get(offset..)?.first_chunk()?;
            let start = offset + 8;
            let end = start.checked_add(half(header, 4) as usize)?;
            let payload = file.get(start..end)?;
            // Bytes that are not an edit are rejected after a few of them, before the checksum.
            let edit = decode_edit(payload)?;
            let sound = crc32c::crc32c(&file[offset + 4..end]) == half(header, 0);
            sound.then_some((edit, end))
        }
    }
}

fn put(out: &mut Vec<u8>, tag: u8, numbers: &[u64]) {
    out.push(tag);
    for number in numbers {
        put_varint(out, *number);
    }
}

/// Tags of fields, as drawn at the head of this file.
mod tag {
    pub(super) const WAL_MIN: u8 = 1;
    pub(super) const NEXT_NUMBER: u8 = 2;
    pub(super) const SEQUENCE: u8 = 3;
    pub(super) const REMOVED: u8 = 4;
    pub(super) const ADDED: u8 = 5;
    pub(super) const RUNS_MAX: u8 = 6;
    pub(super) const VALUES_OPENED: u8 = 7;
    pub(super) const VALUES_SEALED: u8 = 8;
    /// Format 1 only: a sum of garbage bytes.
    pub(super) const VALUES_GARBAGE: u8 = 9;
    pub(super) const VALUES_REMOVED: u8 = 10;
    pub(super) const VALUES_DEAD: u8 = 11;
    pub(super) const VALUES_MOVED: u8 = 12;
    pub(super) const VALUES_ACCOUNTED: u8 = 13;
    pub(super) const LOGS_DURABLE: u8 = 14;
    pub(super) const RANGES_ADDED: u8 = 20;
    pub(super) const RANGES_REMOVED: u8 = 21;
    pub(super) const TABLE_SWEPT: u8 = 22;
}

fn encode_edit(edit: &Edit) -> Vec<u8> {
    let mut out = Vec::new();
    let numbers = [
        (tag::WAL_MIN, edit.wal_min),
        (tag::NEXT_NUMBER, edit.next_number),
        (tag::SEQUENCE, edit.sequence),
    ];
    for (tag, number) in numbers {
        if let Some(number) = number {
            put(&mut out, tag, &[number]);
        }
    }
    encode_tables(edit, &mut out);
    encode_values(edit, &mut out);
    for part in &edit.logs_durable {
        put(&mut out, tag::LOGS_DURABLE, &[part.log, part.bytes]);
    }
    encode_ranges(edit, &mut out);
    out
}

fn encode_tables(edit: &Edit, out: &mut Vec<u8>) {
    for (level, table) in &edit.removed {
        put(out, tag::REMOVED, &[*level as u64, *table]);
    }
    for AddedTable { level, run, facts } in &edit.added {
        let numbers = [
            *level as u64,
            *run,
            facts.id,
            facts.bytes,
            facts.entries,
            facts.deletions,
            facts.separated_bytes,
            facts.sequence_min,
            facts.sequence_max,
        ];
        put(out, tag::ADDED, &numbers);
        put_bytes(out, &facts.smallest);
        put_bytes(out, &facts.largest);
    }
    for (level, runs) in &edit.runs_max {
        put(out, tag::RUNS_MAX, &[*level as u64, u64::from(*runs)]);
    }
}

fn encode_values(edit: &Edit, out: &mut Vec<u8>) {
    for file in &edit.values_opened {
        put(out, tag::VALUES_OPENED, &[*file]);
    }
    for (file, bytes) in &edit.values_sealed {
        put(out, tag::VALUES_SEALED, &[*file, *bytes]);
    }
    for file in &edit.values_removed {
        put(out, tag::VALUES_REMOVED, &[*file]);
    }
    for (file, extents) in &edit.values_dead {
        put(out, tag::VALUES_DEAD, &[*file, extents.len() as u64]);
        let mut extents = extents.clone();
        extents.sort_unstable();
        let mut end_before = 0;
        for (start, end) in extents {
            put_varint(out, start - end_before);
            put_varint(out, end - start);
            end_before = end;
        }
    }
    for (file, physical) in &edit.values_moved {
        put(out, tag::VALUES_MOVED, &[*file, *physical]);
    }
    for (file, bytes) in &edit.values_accounted {
        put(out, tag::VALUES_ACCOUNTED, &[*file, *bytes]);
    }
}

fn encode_ranges(edit: &Edit, out: &mut Vec<u8>) {
    for range in &edit.ranges_added {
        put(out, tag::RANGES_ADDED, &[range.sequence]);
        put_bytes(out, &range.start);
        put_bytes(out, &range.end);
    }
    for sequence in &edit.ranges_removed {
        put(out, tag::RANGES_REMOVED, &[*sequence]);
    }
    for (table, sequence) in &edit.table_swept {
        put(out, tag::TABLE_SWEPT, &[*table, *sequence]);
    }
}

/// Levels that a manifest may name. It is far more than any tree has, and keeps damage from
/// demanding terabytes of memory.
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
            tag::WAL_MIN => edit.wal_min = Some(fields.varint()?),
            tag::NEXT_NUMBER => edit.next_number = Some(fields.varint()?),
            tag::SEQUENCE => edit.sequence = Some(fields.varint()?),
            tag::REMOVED => edit.removed.push((level(&mut fields)?, fields.varint()?)),
            tag::ADDED => edit.added.push(decode_added(&mut fields)?),
            tag::RUNS_MAX => {
                let level = level(&mut fields)?;
                let runs = u32::try_from(fields.varint()?).ok()?;
                edit.runs_max.push((level, runs));
            }
            tag::VALUES_OPENED => edit.values_opened.push(fields.varint()?),
            tag::VALUES_SEALED => edit.values_sealed.push(pair(&mut fields)?),
            tag::VALUES_GARBAGE => drop(pair(&mut fields)?),
            tag::VALUES_REMOVED => edit.values_removed.push(fields.varint()?),
            tag::VALUES_DEAD => {
                let file = fields.varint()?;
                let extents = decode_extents(&mut fields)?;
                edit.values_dead.insert(file, extents);
            }
            tag::VALUES_MOVED => edit.values_moved.push(pair(&mut fields)?),
            tag::VALUES_ACCOUNTED => edit.values_accounted.push(pair(&mut fields)?),
            tag::LOGS_DURABLE => edit.logs_durable.push(LogPart {
                log: fields.varint()?,
                bytes: fields.varint()?,
            }),
            tag::RANGES_ADDED => edit.ranges_added.push(decode_range(&mut fields)?),
            tag::RANGES_REMOVED => drop(edit.ranges_removed.insert(fields.varint()?)),
            tag::TABLE_SWEPT => edit.table_swept.push(pair(&mut fields)?),
            _ => return None,
        }
    }
    Some(edit)
}

fn pair(fields: &mut Fields<'_>) -> Option<(u64, u64)> {
    Some((fields.varint()?, fields.varint()?))
}

fn decode_extents(fields: &mut Fields<'_>) -> Option<Vec<(u64, u64)>> {
    let count = fields.varint()?;
    let mut extents: Vec<(u64, u64)> = Vec::new();
    let mut end_before = 0u64;
    for _ in 0..count {
        let start = end_before.checked_add(fields.varint()?)?;
        let end = start.checked_add(fields.varint()?)?;
        extents.push((start, end));
        end_before = end;
    }
    Some(extents)
}

fn decode_range(fields: &mut Fields<'_>) -> Option<RangeTombstone> {
    let sequence = fields.varint()?;
    let start = Bytes::copy_from_slice(fields.bytes()?);
    let end = Bytes::copy_from_slice(fields.bytes()?);
    let is_range = end.is_empty() || start < end;
    is_range.then_some(RangeTombstone {
        sequence,
        start,
        end,
    })
}

fn decode_added(fields: &mut Fields<'_>) -> Option<AddedTable> {
    let level = level(fields)?;
    let run = fields.varint()?;
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

/// Returns the content of `CURRENT` for the manifest `name`.
pub(crate) fn encode_current(name: &str) -> String {
    format!("{name}\n{:08x}\n", crc32c::crc32c(name.as_bytes()))
}

/// Returns the manifest's name in the content of `CURRENT`, if the checksum is right.
pub(crate) fn decode_current(content: &[u8]) -> Option<&str> {
    let mut lines = std::str::from_utf8(content).ok()?.lines();
    let name = lines.next()?;
    let checksum = u32::from_str_radix(lines.next()?, 16).ok()?;
    (checksum == crc32c::crc32c(name.as_bytes())).then_some(name)
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
            logs_durable: vec![LogPart { log: 5, bytes: 400 }],
            removed: vec![(0, 4)],
            added: vec![AddedTable {
                level: 1,
                run: 8,
                facts: Arc::new(facts),
            }],
            runs_max: vec![(1, 4)],
            values_opened: vec![6],
            values_sealed: vec![(3, 1000)],
            values_accounted: vec![(6, 200)],
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

    const MANIFEST: u64 = 3;
    const LAYOUT: Layout = Layout::Current { manifest: MANIFEST };

    /// Returns the bytes of `edit()`. Without the durable logs they are those of format 2.
    fn payload(durable_logs: &str) -> String {
        format!(
            "0105020a03ac020400040501080980201e020001ac02016101 7a0601040706 0803e8070a02\
             0b03020814640a 0c0309 0d06c801 {durable_logs}\
             14ab0201630263001 4ac0200001507 1609ac02"
        )
        .replace(' ', "")
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_of_an_edit_are_frozen() {
        let record = encode(&edit(), MANIFEST);
        assert_eq!(hex(&record[8..12]), "4a000000");
        assert_eq!(hex(&record[12..]), payload("0e059003"));
        assert_eq!(record[4..8], crc32c::crc32c(&record[12..]).to_le_bytes());
        let mut salted = MANIFEST.to_le_bytes().to_vec();
        salted.extend_from_slice(&record[4..12]);
        assert_eq!(record[..4], crc32c::crc32c(&salted).to_le_bytes());
        assert_eq!(decode(&record, 0, LAYOUT), Some((edit(), record.len())));
        let other = Layout::Current { manifest: 4 };
        assert_eq!(
            decode(&record, 0, other),
            None,
            "a record of another manifest"
        );
    }

    /// Returns `edit()` without the fields that format 2 did not know, and its record in format 2.
    fn format_2() -> (Edit, Vec<u8>) {
        let edit = Edit {
            logs_durable: Vec::new(),
            ..edit()
        };
        let payload = encode_edit(&edit);
        let mut record = vec![0; 4];
        record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        record.extend_from_slice(&payload);
        let checksum = crc32c::crc32c(&record[4..]);
        record[..4].copy_from_slice(&checksum.to_le_bytes());
        (edit, record)
    }

    #[test]
    fn format_2_is_read() {
        let (edit, record) = format_2();
        assert_eq!(hex(&record[4..8]), "46000000");
        assert_eq!(hex(&record[8..]), payload(""));
        let end = record.len();
        assert_eq!(decode(&record, 0, Layout::Format2), Some((edit, end)));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_detected() {
        let old = (format_2().1, Layout::Format2);
        for (record, layout) in [(encode(&edit(), MANIFEST), LAYOUT), old] {
            for bit in 0..record.len() * 8 {
                let mut flipped = record.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode(&flipped, 0, layout), None, "{layout:?}, bit {bit}");
            }
            for cut in 0..record.len() {
                let found = decode(&record[..cut], 0, layout);
                assert_eq!(found, None, "{layout:?}, cut {cut}");
            }
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
