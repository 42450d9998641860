//! A value file on disk.
//!
//! ```text
//! file      "AURAVAL1" | frame | frame | ...                     as writers fill it
//! collected "AURAVAL1" | frame | ... | map | trailer              as garbage collection writes it
//! frame     checksum u32 | key bytes u32 | stored bytes u32 | raw bytes u32 | compression u8 | key | stored value
//! map       section | section | ...
//! section   file, collections, frames start, run count, then for each run: its start less the end of the run before, its
//!           bytes                                                (every number a varint)
//! trailer   checksum u32 | map bytes u32 | "AURAMAP1"
//! ```
//!
//! Fixed integers are little-endian. A frame's checksum is CRC32C over everything after it, and the pointer carries it too: a
//! pointer that lands on another frame, or on a frame that was never written, is found out.
//!
//! A collected file holds the live frames of one or several older files, each as a section: pointers go on naming the file
//! and the offset where a value was first written, and the section says where the runs of bytes that were kept lie now: one
//! after the other from `frames start` on. The trailer's checksum is CRC32C over the map and its length.

use bytes::Bytes;

use super::section::Section;
use crate::codec::{Fields, put_varint};
use crate::config::Compression;
use crate::storage::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// The first bytes of a value file.
pub(crate) const MAGIC: &[u8; 8] = b"AURAVAL1";

/// The last bytes of a collected value file.
pub(crate) const MAP_MAGIC: &[u8; 8] = b"AURAMAP1";

/// Bytes of a frame before its key.
pub(crate) const HEADER_BYTES: usize = 17;

/// Bytes at the end of a collected value file.
pub(crate) const TRAILER_BYTES: usize = 16;

/// Bytes of a whole frame.
pub(crate) fn frame_bytes(key_bytes: usize, stored_bytes: u32) -> usize {
    HEADER_BYTES + key_bytes + stored_bytes as usize
}

/// Appends a frame; its checksum.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    key: &[u8],
    stored: &[u8],
    raw_bytes: u32,
    compression: Compression,
) -> u32 {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(key.len() as u32).to_le_bytes());
    out.extend_from_slice(&(stored.len() as u32).to_le_bytes());
    out.extend_from_slice(&raw_bytes.to_le_bytes());
    out.push(compression.tag());
    out.extend_from_slice(key);
    out.extend_from_slice(stored);
    let checksum = crc32c::crc32c(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// Bytes of the frame that begins with `header`; None where these are not the first bytes of a frame.
pub(crate) fn frame_bytes_of(header: &[u8]) -> Option<usize> {
    let header: &[u8; HEADER_BYTES] = header.first_chunk()?;
    let (key_bytes, stored_bytes) = (half(header, 4) as usize, half(header, 8));
    let plausible = (1..=KEY_BYTES_MAX).contains(&key_bytes)
        && stored_bytes as usize <= VALUE_BYTES_MAX
        && half(header, 12) as usize <= VALUE_BYTES_MAX
        && Compression::from_tag(header[16]).is_some();
    plausible.then(|| frame_bytes(key_bytes, stored_bytes))
}

/// The checksum of a whole frame, if it holds.
pub(crate) fn checksum_of(frame: &[u8]) -> Option<u32> {
    let checksum = half(frame.first_chunk::<HEADER_BYTES>()?, 0);
    (crc32c::crc32c(&frame[4..]) == checksum).then_some(checksum)
}

/// The stored value of a frame, if the frame is sound, has this checksum and belongs to `key`.
pub(crate) fn decode(frame: &Bytes, key: &[u8], checksum: u32) -> Option<Bytes> {
    let value_start = HEADER_BYTES + key.len();
    let sound = checksum_of(frame)? == checksum
        && half(frame, 4) as usize == key.len()
        && frame.len() == frame_bytes(key.len(), half(frame, 8))
        && &frame[HEADER_BYTES..value_start] == key;
    sound.then(|| frame.slice(value_start..))
}

/// The map and trailer of a collected file.
pub(crate) fn encode_map(sections: &[Section]) -> Vec<u8> {
    let mut map = Vec::new();
    for section in sections {
        let head = [
            section.file,
            section.collections.into(),
            section.start,
            section.runs().len() as u64,
        ];
        head.iter().for_each(|number| put_varint(&mut map, *number));
        let mut end_before = 0;
        for (start, end) in section.runs() {
            put_varint(&mut map, start - end_before);
            put_varint(&mut map, end - start);
            end_before = *end;
        }
    }
    let mut covered = map.clone();
    covered.extend_from_slice(&(map.len() as u32).to_le_bytes());
    let checksum = crc32c::crc32c(&covered);
    map.extend_from_slice(&checksum.to_le_bytes());
    map.extend_from_slice(&covered[covered.len() - 4..]);
    map.extend_from_slice(MAP_MAGIC);
    map
}

/// Bytes of the map whose trailer this is; None where it is no trailer.
pub(crate) fn map_bytes(trailer: &[u8]) -> Option<usize> {
    let trailer: &[u8; TRAILER_BYTES] = trailer.try_into().ok()?;
    (trailer[8..] == *MAP_MAGIC).then(|| half(trailer, 4) as usize)
}

/// Reads back `encode_map`; None where it does not hold.
pub(crate) fn decode_map(map_and_trailer: &[u8]) -> Option<Vec<Section>> {
    let (map, trailer) =
        map_and_trailer.split_at_checked(map_and_trailer.len().checked_sub(TRAILER_BYTES)?)?;
    let covered = [map, &trailer[4..8]].concat();
    if map_bytes(trailer)? != map.len() || crc32c::crc32c(&covered) != half(trailer, 0) {
        return None;
    }
    let mut fields = Fields::new(map);
    let mut sections = Vec::new();
    while !fields.is_empty() {
        let (file, collections) = (fields.varint()?, u32::try_from(fields.varint()?).ok()?);
        let (start, count) = (fields.varint()?, fields.varint()?);
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for _ in 0..count {
            let from = runs
                .last()
                .map_or(0, |(_, end)| *end)
                .checked_add(fields.varint()?)?;
            runs.push((from, from.checked_add(fields.varint()?)?));
        }
        sections.push(Section::new(file, collections, start, runs));
    }
    Some(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_frame_are_frozen_and_every_flip_is_noticed() {
        let mut bytes = Vec::new();
        let checksum = encode(&mut bytes, b"key", b"value", 5, Compression::None);
        let hex: String = bytes[4..]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "030000000500000005000000006b657976616c7565");
        assert_eq!(frame_bytes_of(&bytes), Some(bytes.len()));
        let frame = Bytes::from(bytes.clone());
        assert_eq!(
            decode(&frame, b"key", checksum).as_deref(),
            Some(&b"value"[..])
        );
        assert_eq!(decode(&frame, b"kex", checksum), None);
        assert_eq!(decode(&frame, b"key", checksum ^ 1), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                decode(&Bytes::from(flipped), b"key", checksum),
                None,
                "bit {bit}"
            );
        }
    }

    #[test]
    fn the_bytes_of_a_map_are_frozen_and_every_flip_is_noticed() {
        let sections = [
            Section::new(3, 1, 8, vec![(8, 108), (208, 258)]),
            Section::new(300, 2, 158, vec![(1008, 1108)]),
        ];
        let bytes = encode_map(&sections);
        let hex: String = bytes[..bytes.len() - TRAILER_BYTES]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(hex, "0301080208646432ac02029e0101f00764");
        assert_eq!(
            map_bytes(&bytes[bytes.len() - TRAILER_BYTES..]),
            Some(bytes.len() - TRAILER_BYTES)
        );
        assert_eq!(decode_map(&bytes).unwrap(), sections);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_map(&flipped).is_none(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(decode_map(&bytes[..cut]).is_none(), "cut {cut}");
        }
    }
}
