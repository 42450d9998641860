//! A value file on disk.
//!
//! ```text
//! file   "AURAVAL1" | frame | frame | ...
//! frame  checksum u32 | key bytes u32 | stored bytes u32 | raw bytes u32 | compression u8 | key | stored value
//! ```
//!
//! Integers are little-endian. The checksum is CRC32C over everything after it, and the pointer carries it too: a pointer
//! that lands on another frame, or on a frame that was never written, is found out.

use bytes::Bytes;

use crate::config::Compression;

/// The first bytes of a value file.
pub(crate) const MAGIC: &[u8; 8] = b"AURAVAL1";

/// Bytes of a frame before its key.
pub(crate) const HEADER_BYTES: usize = 17;

/// Bytes of a whole frame.
pub(crate) fn frame_bytes(key_bytes: usize, stored_bytes: u32) -> usize {
    HEADER_BYTES + key_bytes + stored_bytes as usize
}

/// Appends a frame; its checksum.
pub(crate) fn encode(out: &mut Vec<u8>, key: &[u8], stored: &[u8], raw_bytes: u32, compression: Compression) -> u32 {
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

/// Bytes of the frame that starts with `header`, as it states them; None where that can be no frame.
pub(crate) fn stated_bytes(header: &[u8]) -> Option<u64> {
    let header: &[u8; HEADER_BYTES] = header.first_chunk()?;
    let half = |at: usize| u64::from(u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes")));
    (half(4) > 0 && Compression::from_tag(header[16]).is_some()).then(|| HEADER_BYTES as u64 + half(4) + half(8))
}

/// Whether a whole frame has the checksum that it states.
pub(crate) fn sound_frame(frame: &[u8]) -> bool {
    frame.split_first_chunk::<4>().is_some_and(|(checksum, rest)| u32::from_le_bytes(*checksum) == crc32c::crc32c(rest))
}

/// The stored value of a frame, if the frame is sound, has this checksum and belongs to `key`.
pub(crate) fn decode(frame: &Bytes, key: &[u8], checksum: u32) -> Option<Bytes> {
    let header: &[u8; HEADER_BYTES] = frame.first_chunk()?;
    let half = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
    let value_start = HEADER_BYTES + key.len();
    let sound = half(0) == checksum
        && crc32c::crc32c(&frame[4..]) == checksum
        && half(4) as usize == key.len()
        && frame.len() == frame_bytes(key.len(), half(8))
        && &frame[HEADER_BYTES..value_start] == key;
    sound.then(|| frame.slice(value_start..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_frame_are_frozen_and_every_flip_is_noticed() {
        let mut bytes = Vec::new();
        let checksum = encode(&mut bytes, b"key", b"value", 5, Compression::None);
        let hex: String = bytes[4..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "030000000500000005000000006b657976616c7565");
        let frame = Bytes::from(bytes.clone());
        assert_eq!(decode(&frame, b"key", checksum).as_deref(), Some(&b"value"[..]));
        assert_eq!(decode(&frame, b"kex", checksum), None);
        assert_eq!(decode(&frame, b"key", checksum ^ 1), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&Bytes::from(flipped), b"key", checksum), None, "bit {bit}");
        }
    }
}
