//! The format of a value file.
//!
//! ```text
//! file      "AURAVAL1" | frame | frame | ...             as writers fill it
//! collected "AURAVAL1" | frame | ... | map | trailer     as garbage collection writes it
//! frame     checksum u32 | key bytes u32 | stored bytes u32 | raw bytes u32 | compression u8 | key
//!           | stored value
//! map       section | section | ...
//! section   file, collections, frames start, extent count, then for each extent: its start less
//! the
//!           end of the one before, its bytes             (every number a varint)
//! trailer   checksum u32 | map bytes u32 | "AURAMAP1"
//! ```
//!
//! Fixed integers are little-endian. A frame's checksum is CRC32C over everything behind it, and
//! the pointer carries it too. So a pointer that leads to another frame, or to a frame that was
//! never written, is detected.
//!
//! A collected file holds the live frames of one or several older files, each as a section.
//! Pointers keep naming the file and the offset where a value was first written. The section maps
//! the kept extents of that file to their places: they lie one after another from `frames start`
//! on. The trailer's checksum is CRC32C over the map and its length.

use super::section::Section;
use crate::codec::{Fields, put_varint};
use crate::config::Compression;
use crate::env::CpuWork;
use crate::storage::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// First bytes of a value file.
pub(crate) const MAGIC: &[u8; 8] = b"AURAVAL1";

/// Last bytes of a collected value file.
pub(crate) const MAP_MAGIC: &[u8; 8] = b"AURAMAP1";

/// Bytes of a frame before its key.
pub(crate) const HEADER_BYTES: usize = 17;

/// Bytes behind the map of a collected value file.
pub(crate) const TRAILER_BYTES: usize = 16;

/// Returns the bytes of a whole frame.
pub(crate) fn frame_bytes(key_bytes: usize, stored_bytes: u32) -> usize {
    HEADER_BYTES + key_bytes + stored_bytes as usize
}

/// Appends a frame. Returns its checksum.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    key: &[u8],
    stored: &[u8],
    raw_bytes: u32,
    compression: Compression,
    work: &mut CpuWork,
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
    work.bytes_checksummed += stored.len() as u64;
    work.bytes_copied += stored.len() as u64;
    out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

/// Returns the bytes of the frame that begins with `header`, or `None` if these bytes cannot begin
/// one.
pub(crate) fn frame_bytes_of(header: &[u8]) -> Option<usize> {
    let header: &[u8; HEADER_BYTES] = header.first_chunk()?;
    let key_bytes = half(header, 4) as usize;
    let stored_bytes = half(header, 8);
    let plausible = (1..=KEY_BYTES_MAX).contains(&key_bytes)
        && stored_bytes as usize <= VALUE_BYTES_MAX
        && half(header, 12) as usize <= VALUE_BYTES_MAX
        && Compression::from_tag(header[16]).is_some();
    plausible.then(|| frame_bytes(key_bytes, stored_bytes))
}

/// Returns the checksum of a whole frame, if it is right.
pub(crate) fn checksum_of(frame: &[u8]) -> Option<u32> {
    let checksum = half(frame.first_chunk::<HEADER_BYTES>()?, 0);
    (crc32c::crc32c(&frame[4..]) == checksum).then_some(checksum)
}

/// Returns the stored value of a frame, if the frame is sound, has this checksum and belongs to
/// `key`.
pub(crate) fn decode<'a>(
    frame: &'a [u8],
    key: &[u8],
    checksum: u32,
    work: &mut CpuWork,
) -> Option<&'a [u8]> {
    work.bytes_checksummed += frame.len() as u64;
    let value_start = HEADER_BYTES + key.len();
    let sound = checksum_of(frame)? == checksum
        && half(frame, 4) as usize == key.len()
        && frame.len() == frame_bytes(key.len(), half(frame, 8))
        && &frame[HEADER_BYTES..value_start] == key;
    sound.then(|| &frame[value_start..])
}

/// Encodes the map and trailer of a collected file.
pub(crate) fn encode_map(sections: &[Section]) -> Vec<u8> {
    let mut map = Vec::new();
    for section in sections {
        put_varint(&mut map, section.file);
        put_varint(&mut map, section.collections.into());
        put_varint(&mut map, section.start);
        put_varint(&mut map, section.extents().len() as u64);
        let mut end_before = 0;
        for (start, end) in section.extents() {
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

/// Returns the bytes of the map behind which this trailer stands, or `None` if it is not a trailer.
pub(crate) fn map_bytes(trailer: &[u8]) -> Option<usize> {
    let trailer: &[u8; TRAILER_BYTES] = trailer.try_into().ok()?;
    (trailer[8..] == *MAP_MAGIC).then(|| half(trailer, 4) as usize)
}

/// Decodes the map and trailer of a collected file, or returns `None` if they are damaged.
pub(crate) fn decode_map(map_and_trailer: &[u8]) -> Option<Vec<Section>> {
    let map_bytes_stored = map_and_trailer.len().checked_sub(TRAILER_BYTES)?;
    let (map, trailer) = map_and_trailer.split_at_checked(map_bytes_stored)?;
    let covered = [map, &trailer[4..8]].concat();
    if map_bytes(trailer)? != map.len() || crc32c::crc32c(&covered) != half(trailer, 0) {
        return None;
    }
    let mut fields = Fields::new(map);
    let mut sections = Vec::new();
    while !fields.is_empty() {
        let file = fields.varint()?;
        let collections = u32::try_from(fields.varint()?).ok()?;
        let start = fields.varint()?;
        let count = fields.varint()?;
        let mut extents: Vec<(u64, u64)> = Vec::new();
        let mut end_before = 0u64;
        for _ in 0..count {
            let from = end_before.checked_add(fields.varint()?)?;
            let to = from.checked_add(fields.varint()?)?;
            extents.push((from, to));
            end_before = to;
        }
        sections.push(Section::new(file, collections, start, extents));
    }
    Some(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_bytes_of_a_frame_are_frozen_and_every_flipped_bit_is_detected() {
        let work = &mut CpuWork::default();
        let mut bytes = Vec::new();
        let checksum = encode(&mut bytes, b"key", b"value", 5, Compression::None, work);
        assert_eq!(
            hex(&bytes[4..]),
            "030000000500000005000000006b657976616c7565"
        );
        assert_eq!(frame_bytes_of(&bytes), Some(bytes.len()));
        let value = decode(&bytes, b"key", checksum, work);
        assert_eq!(value, Some(&b"value"[..]));
        assert_eq!(decode(&bytes, b"kex", checksum, work), None);
        assert_eq!(decode(&bytes, b"key", checksum ^ 1, work), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let value = decode(&flipped, b"key", checksum, work);
            assert_eq!(value, None, "bit {bit}");
        }
    }

    #[test]
    fn the_bytes_of_a_map_are_frozen_and_every_flipped_bit_is_detected() {
        let sections = [
            Section::new(3, 1, 8, vec![(8, 108), (208, 258)]),
            Section::new(300, 2, 158, vec![(1008, 1108)]),
        ];
        let bytes = encode_map(&sections);
        let (map, trailer) = bytes.split_at(bytes.len() - TRAILER_BYTES);
        assert_eq!(hex(map), "0301080208646432ac02029e0101f00764");
        assert_eq!(map_bytes(trailer), Some(map.len()));
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
