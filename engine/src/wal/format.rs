//! The log on disk.
//!
//! ```text
//! file    header | record | record | ...
//! header  "AURAWAL1" | previous log u64 | previous bytes u64 | previous synced u64 | checksum u32
//! record  checksum u32 | body bytes u32 | first sequence u64 | writes u32 | synced u64 | body
//! ```
//!
//! Integers are little-endian. A record's checksum is CRC32C over everything after it, the header's over everything
//! before it. `previous bytes` is how long the log before this one was when this one was begun, and `previous synced`
//! how much of that was known to be on the device: a shorter one ends history there, and below the latter it is
//! corruption. `synced` is how many bytes of this file were known to be on the device when the record was written:
//! damage below the `synced` of a later record is corruption, not the torn end of a log. The body is a batch as
//! [`Batch`](crate::Batch) keeps it.

use bytes::Bytes;

use crate::storage::Sequence;

/// The first bytes of a log file.
pub(crate) const MAGIC: &[u8; 8] = b"AURAWAL1";

/// Bytes of a record before its body.
pub(crate) const HEADER_BYTES: usize = 28;

/// Bytes of the header.
pub(crate) const FILE_HEADER_BYTES: usize = 36;

/// What a log says of the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// The number of the log before; 0 where there was none.
    pub(crate) previous: u64,
    /// How many bytes it had.
    pub(crate) previous_bytes: u64,
    /// How many of them were known to be on the device.
    pub(crate) previous_synced: u64,
}

impl Header {
    /// The encoded header.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.previous.to_le_bytes());
        out.extend_from_slice(&self.previous_bytes.to_le_bytes());
        out.extend_from_slice(&self.previous_synced.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// Reads back `encode`; None where the bytes are not a header.
    pub(crate) fn decode(file: &[u8]) -> Option<Self> {
        let (covered, rest) = file.split_at_checked(FILE_HEADER_BYTES - 4)?;
        let checksum = u32::from_le_bytes(*rest.first_chunk()?);
        if !covered.starts_with(MAGIC) || crc32c::crc32c(covered) != checksum {
            return None;
        }
        let word = |at: usize| u64::from_le_bytes(covered[at..at + 8].try_into().expect("8 bytes"));
        Some(Self {
            previous: word(8),
            previous_bytes: word(16),
            previous_synced: word(24),
        })
    }
}

/// One batch as logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The sequence number of its first write; the others follow.
    pub(crate) sequence: Sequence,
    /// How many writes it holds.
    pub(crate) writes: u32,
    /// Bytes of the file known to be on the device when it was written.
    pub(crate) synced: u64,
    /// The writes.
    pub(crate) body: Bytes,
}

impl Record {
    /// Bytes of the encoded record.
    pub(crate) fn bytes(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// The sequence number after its last write; None where that has more than the 56 bits that tables have for it.
    pub(crate) fn end(&self) -> Option<Sequence> {
        self.sequence
            .checked_add(self.writes.into())
            .filter(|end| end >> 56 == 0)
    }

    /// Appends the encoded record.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.body.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.writes.to_le_bytes());
        out.extend_from_slice(&self.synced.to_le_bytes());
        out.extend_from_slice(&self.body);
        let checksum = crc32c::crc32c(&out[start + 4..]);
        out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The record that starts at `offset` of a whole file; None where there is no sound one.
    pub(crate) fn decode(file: &Bytes, offset: usize) -> Option<Self> {
        let header: &[u8; HEADER_BYTES] = file.get(offset..)?.first_chunk()?;
        let half = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4 bytes"));
        let word = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("8 bytes"));
        let start = offset + HEADER_BYTES;
        let end = start.checked_add(half(4) as usize)?;
        let covered = file.get(offset + 4..end)?;
        if crc32c::crc32c(covered) != half(0) {
            return None;
        }
        Some(Self {
            sequence: word(8),
            writes: half(16),
            synced: word(20),
            body: file.slice(start..end),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Batch, Range};

    fn record() -> Record {
        let mut batch = Batch::new();
        batch.put(b"key", b"value").unwrap();
        batch.delete(b"gone").unwrap();
        batch.delete_range(&Range::between(b"fro", b"to")).unwrap();
        batch.delete_range(&Range::all()).unwrap();
        Record {
            sequence: 7,
            writes: 4,
            synced: 8,
            body: batch.into_body(),
        }
    }

    #[test]
    fn the_bytes_of_a_record_are_frozen() {
        let mut bytes = Vec::new();
        record().encode(&mut bytes);
        let hex: String = bytes[4..]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let writes = "01036b65790576616c7565 0004676f6e65 030366726f02746f 030000".replace(' ', "");
        assert_eq!(
            hex,
            format!("1c0000000700000000000000040000000800000000000000{writes}")
        );
        assert_eq!(bytes[..4], crc32c::crc32c(&bytes[4..]).to_le_bytes());
        assert_eq!(Record::decode(&Bytes::from(bytes), 0), Some(record()));
    }

    #[test]
    fn the_bytes_of_the_header_are_frozen_and_every_flip_is_noticed() {
        let header = Header {
            previous: 3,
            previous_bytes: 5000,
            previous_synced: 4096,
        };
        let bytes = header.encode();
        let hex: String = bytes[8..32]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            (&bytes[..8], hex.as_str()),
            (
                &b"AURAWAL1"[..],
                "030000000000000088130000000000000010000000000000"
            )
        );
        assert_eq!(bytes[32..], crc32c::crc32c(&bytes[..32]).to_le_bytes());
        assert_eq!(Header::decode(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let mut bytes = Vec::new();
        record().encode(&mut bytes);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&Bytes::from(flipped), 0), None, "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert_eq!(
                Record::decode(&Bytes::copy_from_slice(&bytes[..cut]), 0),
                None,
                "cut {cut}"
            );
        }
    }
}
