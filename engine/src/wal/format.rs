//! The format of a write-ahead log.
//!
//! ```text
//! file    header | record | record | ...
//! header  "AURAWAL2" | log u64 | previous log u64 | previous bytes u64 | previous synced u64
//!         | first sequence u64 | checksum u32
//! record  header checksum u32 | body checksum u32 | body bytes u32 | writes u32 | sequence u64
//!         | synced u64 | body
//! ```
//!
//! Integers are little-endian, checksums are CRC32C. The checksum of the file header covers all
//! bytes before it. The header checksum of a record covers the log's number and the record header
//! behind the checksum. So user data, bytes of another log, or an older file of the same name are
//! never taken for a record, and a scan for records behind damage looks at each byte once. The body
//! is a batch, encoded as in [`Batch`](crate::Batch).
//!
//! Three fields connect the logs of a database:
//! - `previous log`, `previous bytes` and `previous synced` name the log before this one, its
//!   length when this one began, and how much of it was on the device by then.
//! - `first sequence` is the sequence number of the first record. Sequence numbers are consecutive,
//!   across logs too: a record with another number stands behind a hole.
//! - `synced` is the number of bytes of this file that were on the device when the record was
//!   written. Damage below it is corruption, not the torn end of a log.
//!
//! Zeros behind the last record are room that was reserved.
//!
//! Version 1 ("AURAWAL1") is read. It has no log number, no first sequence, and one checksum over
//! header and body of a record.

use bytes::Bytes;

use crate::storage::{BATCH_BYTES_MAX, Sequence};

/// First bytes of a log file in the version that is written.
pub(crate) const MAGIC: &[u8; 8] = b"AURAWAL2";

/// First bytes of a log file of version 1.
const MAGIC_1: &[u8; 8] = b"AURAWAL1";

/// Bytes of a record before its body.
pub(crate) const HEADER_BYTES: usize = 32;

/// Bytes of a record before its body in version 1.
const HEADER_BYTES_1: usize = 28;

/// Bytes of a file's header.
pub(crate) const FILE_HEADER_BYTES: usize = 52;

/// Bytes of a file's header in version 1.
const FILE_HEADER_BYTES_1: usize = 36;

fn half(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

/// Header of a log: its own number and its link to the log before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// The number of this log.
    pub(crate) log: u64,
    /// Number of the previous log; 0 if there was no log before.
    pub(crate) previous: u64,
    /// Bytes of the previous log when this one began.
    pub(crate) previous_bytes: u64,
    /// Bytes of the previous log that were known to be on the device.
    pub(crate) previous_synced: u64,
    /// The sequence number of the first record; `None` in version 1.
    pub(crate) first_sequence: Option<Sequence>,
}

impl Header {
    /// Returns the bytes of a header, in the version that is written.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.log.to_le_bytes());
        out.extend_from_slice(&self.previous.to_le_bytes());
        out.extend_from_slice(&self.previous_bytes.to_le_bytes());
        out.extend_from_slice(&self.previous_synced.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// Reads the header at the start of `file`, which is named as log `number`. Returns `None` if
    /// the bytes are not a header.
    pub(crate) fn decode(file: &[u8], number: u64) -> Option<(Self, Layout)> {
        let magic: &[u8; 8] = file.first_chunk()?;
        match magic {
            MAGIC => {
                let covered = covered(file, FILE_HEADER_BYTES)?;
                let header = Self {
                    log: word(covered, 8),
                    previous: word(covered, 16),
                    previous_bytes: word(covered, 24),
                    previous_synced: word(covered, 32),
                    first_sequence: Some(word(covered, 40)),
                };
                Some((header, Layout::Current { log: header.log }))
            }
            MAGIC_1 => {
                let covered = covered(file, FILE_HEADER_BYTES_1)?;
                let header = Self {
                    log: number,
                    previous: word(covered, 8),
                    previous_bytes: word(covered, 16),
                    previous_synced: word(covered, 24),
                    first_sequence: None,
                };
                Some((header, Layout::Version1))
            }
            _ => None,
        }
    }
}

/// Returns the first `bytes - 4` bytes of `file`, if the checksum behind them is right.
fn covered(file: &[u8], bytes: usize) -> Option<&[u8]> {
    let (covered, rest) = file.split_at_checked(bytes - 4)?;
    let checksum = u32::from_le_bytes(*rest.first_chunk()?);
    (crc32c::crc32c(covered) == checksum).then_some(covered)
}

/// A logged batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The sequence number of its first write; the others follow it.
    pub(crate) sequence: Sequence,
    /// The number of writes in it.
    pub(crate) writes: u32,
    /// Bytes of the file known to be on the device when it was written.
    pub(crate) synced: u64,
    /// The writes.
    pub(crate) body: Bytes,
}

impl Record {
    /// Returns the sequence number after its last write, or `None` if that does not fit the 56 bits
    /// that tables have for it.
    pub(crate) fn end(&self) -> Option<Sequence> {
        let end = self.sequence.checked_add(self.writes.into())?;
        (end >> 56 == 0).then_some(end)
    }

    /// Appends the encoded record to `out`, for log `log`. The body must not exceed
    /// [`BATCH_BYTES_MAX`] bytes.
    pub(crate) fn encode(&self, log: u64, out: &mut Vec<u8>) {
        debug_assert!(
            self.body.len() <= BATCH_BYTES_MAX,
            "the body is too long for its length field"
        );
        let mut header = [0; HEADER_BYTES];
        header[4..8].copy_from_slice(&crc32c::crc32c(&self.body).to_le_bytes());
        header[8..12].copy_from_slice(&(self.body.len() as u32).to_le_bytes());
        header[12..16].copy_from_slice(&self.writes.to_le_bytes());
        header[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        header[24..].copy_from_slice(&self.synced.to_le_bytes());
        let checksum = header_checksum(log, &header);
        header[..4].copy_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&self.body);
    }
}

/// Returns the checksum of a header: over the log's number and all but its own four bytes. One call
/// over both: a call for a few bytes costs more than the bytes.
fn header_checksum(log: u64, header: &[u8; HEADER_BYTES]) -> u32 {
    let mut salted = [0; 8 + HEADER_BYTES - 4];
    salted[..8].copy_from_slice(&log.to_le_bytes());
    salted[8..].copy_from_slice(&header[4..]);
    crc32c::crc32c(&salted)
}

/// Layout of the records of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The layout drawn at the head of this file.
    Current {
        /// The log's number, which the checksums of its records cover.
        log: u64,
    },
    /// The layout of version 1.
    Version1,
}

/// The header of a record: sound in the current version, plausible in version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    sequence: Sequence,
    writes: u32,
    /// Bytes of the file known to be on the device when the record was written.
    pub(crate) synced: u64,
    body_checksum: u32,
    body_start: usize,
    /// Where the record ends.
    pub(crate) end: usize,
}

impl Layout {
    /// Returns the number of bytes of the file's header.
    pub(crate) fn file_header_bytes(self) -> usize {
        match self {
            Self::Current { .. } => FILE_HEADER_BYTES,
            Self::Version1 => FILE_HEADER_BYTES_1,
        }
    }

    /// Reads the header of a record at `at`, or returns `None` if there is no sound one. In version
    /// 1, where a header has no checksum of its own, it returns a plausible header. O(1).
    pub(crate) fn header_at(self, file: &[u8], at: usize) -> Option<RecordHeader> {
        match self {
            Self::Current { log } => {
                let header: &[u8; HEADER_BYTES] = file.get(at..)?.first_chunk()?;
                let sequence = word(header, 16);
                // Cheaper than the checksum, and already rejects most bytes that are no header.
                if sequence >> 56 != 0 || half(header, 0) != header_checksum(log, header) {
                    return None;
                }
                let body_start = at + HEADER_BYTES;
                Some(RecordHeader {
                    sequence,
                    writes: half(header, 12),
                    synced: word(header, 24),
                    body_checksum: half(header, 4),
                    body_start,
                    end: body_start.checked_add(half(header, 8) as usize)?,
                })
            }
            Self::Version1 => {
                let header: &[u8; HEADER_BYTES_1] = file.get(at..)?.first_chunk()?;
                let sequence = word(header, 8);
                let writes = half(header, 16);
                let synced = word(header, 20);
                let body_start = at + HEADER_BYTES_1;
                let body_bytes = half(header, 4) as usize;
                let end = body_start.checked_add(body_bytes)?;
                // A write takes at least two bytes. No record can know more bytes than lie before
                // it.
                let plausible = end <= file.len()
                    && sequence >> 56 == 0
                    && synced <= at as u64
                    && (1..=body_bytes / 2).contains(&(writes as usize));
                plausible.then_some(RecordHeader {
                    sequence,
                    writes,
                    synced,
                    body_checksum: half(header, 0),
                    body_start,
                    end,
                })
            }
        }
    }

    /// Reads the record with this header, or returns `None` if its body is not whole. O(body).
    pub(crate) fn record(self, file: &Bytes, header: &RecordHeader) -> Option<Record> {
        let covered = match self {
            Self::Current { .. } => file.get(header.body_start..header.end)?,
            Self::Version1 => file.get(header.body_start + 4 - HEADER_BYTES_1..header.end)?,
        };
        if crc32c::crc32c(covered) != header.body_checksum {
            return None;
        }
        Some(Record {
            sequence: header.sequence,
            writes: header.writes,
            synced: header.synced,
            body: file.slice(header.body_start..header.end),
        })
    }

    /// Reads the record that starts at `at` and returns it with the position where it ends, or
    /// `None` if there is no sound one.
    pub(crate) fn record_at(self, file: &Bytes, at: usize) -> Option<(Record, usize)> {
        let header = self.header_at(file, at)?;
        Some((self.record(file, &header)?, header.end))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::storage::{Batch, Range};

    const LOG: u64 = 5;
    const LAYOUT: Layout = Layout::Current { log: LOG };

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

    fn encoded(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(LOG, &mut bytes);
        bytes
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Encodes a header as version 1 did.
    pub(crate) fn version_1_header(header: &Header) -> Vec<u8> {
        let mut out = MAGIC_1.to_vec();
        out.extend_from_slice(&header.previous.to_le_bytes());
        out.extend_from_slice(&header.previous_bytes.to_le_bytes());
        out.extend_from_slice(&header.previous_synced.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    /// Encodes a record as version 1 did.
    pub(crate) fn version_1_record(record: &Record) -> Vec<u8> {
        let mut out = vec![0; 4];
        out.extend_from_slice(&(record.body.len() as u32).to_le_bytes());
        out.extend_from_slice(&record.sequence.to_le_bytes());
        out.extend_from_slice(&record.writes.to_le_bytes());
        out.extend_from_slice(&record.synced.to_le_bytes());
        out.extend_from_slice(&record.body);
        let checksum = crc32c::crc32c(&out[4..]);
        out[..4].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    #[test]
    fn the_bytes_of_a_record_are_frozen() {
        let bytes = encoded(&record());
        let writes = "01036b65790576616c7565 0004676f6e65 030366726f02746f 030000".replace(' ', "");
        assert_eq!(
            hex(&bytes[8..]),
            format!("1c0000000400000007000000000000000800000000000000{writes}")
        );
        assert_eq!(bytes[4..8], crc32c::crc32c(&record().body).to_le_bytes());
        let mut salted = LOG.to_le_bytes().to_vec();
        salted.extend_from_slice(&bytes[4..HEADER_BYTES]);
        assert_eq!(bytes[..4], crc32c::crc32c(&salted).to_le_bytes());
        let end = bytes.len();
        assert_eq!(
            LAYOUT.record_at(&Bytes::from(bytes), 0),
            Some((record(), end))
        );
    }

    #[test]
    fn the_bytes_of_the_header_are_frozen_and_every_flipped_bit_is_detected() {
        let header = Header {
            log: LOG,
            previous: 3,
            previous_bytes: 5000,
            previous_synced: 4096,
            first_sequence: Some(77),
        };
        let bytes = header.encode();
        let fields = "0500000000000000 0300000000000000 8813000000000000 0010000000000000 \
                      4d00000000000000";
        assert_eq!(bytes[..8], *b"AURAWAL2");
        assert_eq!(hex(&bytes[8..48]), fields.replace(' ', ""));
        assert_eq!(bytes[48..], crc32c::crc32c(&bytes[..48]).to_le_bytes());
        assert_eq!(Header::decode(&bytes, LOG), Some((header, LAYOUT)));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped, LOG), None, "bit {bit}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_detected() {
        let bytes = encoded(&record());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(LAYOUT.record_at(&flipped.into(), 0), None, "bit {bit}");
        }
        for cut in 0..bytes.len() {
            let cut_off = Bytes::copy_from_slice(&bytes[..cut]);
            assert_eq!(LAYOUT.record_at(&cut_off, 0), None, "cut {cut}");
        }
    }

    #[test]
    fn a_record_of_another_log_is_not_read() {
        let bytes = Bytes::from(encoded(&record()));
        assert_eq!(Layout::Current { log: LOG + 1 }.record_at(&bytes, 0), None);
    }

    #[test]
    fn version_1_is_read() {
        let header = Header {
            log: LOG,
            previous: 3,
            previous_bytes: 5000,
            previous_synced: 4096,
            first_sequence: None,
        };
        assert_eq!(
            Header::decode(&version_1_header(&header), LOG),
            Some((header, Layout::Version1))
        );
        // The record may know of the eight bytes before it.
        let mut bytes = vec![0; 8];
        bytes.extend(version_1_record(&record()));
        let end = bytes.len();
        for cut in 0..end {
            let cut_off = Bytes::copy_from_slice(&bytes[..cut]);
            assert_eq!(Layout::Version1.record_at(&cut_off, 8), None, "cut {cut}");
        }
        assert_eq!(
            Layout::Version1.record_at(&bytes.into(), 8),
            Some((record(), end))
        );
    }
}
