//! The format of the files that mark the directories of a split database.
//!
//! ```text
//! SPLIT  "AURASPL1" | hash seed u64 | first log u64 | durable log u64 | durable bytes u64
//!        | checksum u32
//! SIDE   "AURASID1" | hash seed u64 | side u64 | checksum u32
//! ```
//!
//! Integers are little-endian. A checksum is a CRC32C over all bytes before it. `SPLIT` lies beside
//! the logs, which have the format of [`crate::wal`], and is replaced whole. Logs with numbers
//! below `first log` are needed no more; 0 means that there has been no log yet. The first `durable
//! bytes` bytes of log `durable log` are known to have been on the device: damage to them is not
//! the torn end of a log.

use crate::wal::LogPart;

/// First bytes of a marker of a split database.
const SPLIT_MAGIC: &[u8; 8] = b"AURASPL1";

/// First bytes of a marker of a side.
const SIDE_MAGIC: &[u8; 8] = b"AURASID1";

/// What marks the directory of a split database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SplitMarker {
    /// The seed of the hash that divides the keys.
    pub(crate) hash_seed: u64,
    /// The first log that is needed; 0 before the first log.
    pub(crate) first_log: u64,
    /// What of a log is known to be on the device.
    pub(crate) durable: LogPart,
}

/// What marks the directory of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SideMarker {
    /// The seed of the hash that divides the keys.
    pub(crate) hash_seed: u64,
    /// Which side it is.
    pub(crate) side: u64,
}

fn encode(magic: &[u8; 8], fields: &[u64]) -> Vec<u8> {
    let mut out = magic.to_vec();
    for field in fields {
        out.extend_from_slice(&field.to_le_bytes());
    }
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    out
}

/// The `N` fields behind `magic`; None if the bytes are anything else.
fn decode<const N: usize>(magic: &[u8; 8], bytes: &[u8]) -> Option<[u64; N]> {
    let (covered, checksum) = bytes.split_last_chunk::<4>()?;
    let fields = covered.strip_prefix(magic)?;
    if fields.len() != 8 * N || crc32c::crc32c(covered) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let mut out = [0; N];
    for (field, bytes) in out.iter_mut().zip(fields.chunks_exact(8)) {
        *field = u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
    }
    Some(out)
}

impl SplitMarker {
    /// The bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let LogPart { log, bytes } = self.durable;
        encode(SPLIT_MAGIC, &[self.hash_seed, self.first_log, log, bytes])
    }

    /// Reads the file; None if the bytes are no marker. Numbers that no log reaches are refused.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let [hash_seed, first_log, log, bytes] = decode(SPLIT_MAGIC, bytes)?;
        ((first_log | log) >> 48 == 0).then_some(Self {
            hash_seed,
            first_log,
            durable: LogPart { log, bytes },
        })
    }
}

impl SideMarker {
    /// The bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode(SIDE_MAGIC, &[self.hash_seed, self.side])
    }

    /// Reads the file; None if the bytes are no marker.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let [hash_seed, side] = decode(SIDE_MAGIC, bytes)?;
        Some(Self { hash_seed, side })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn split() -> SplitMarker {
        SplitMarker {
            hash_seed: 7,
            first_log: 3,
            durable: LogPart { log: 4, bytes: 500 },
        }
    }

    #[test]
    fn the_bytes_of_the_markers_are_frozen_and_checked() {
        let bytes = split().encode();
        let frozen = "4155524153504c310700000000000000030000000000000004000000000000\
                      00f401000000000000";
        assert_eq!(hex(&bytes[..40]), frozen);
        assert_eq!(SplitMarker::decode(&bytes), Some(split()));
        let side = SideMarker {
            hash_seed: 7,
            side: 1,
        };
        let of_side = side.encode();
        assert_eq!(
            hex(&of_side[..24]),
            "415552415349443107000000000000000100000000000000"
        );
        assert_eq!(SideMarker::decode(&of_side), Some(side));
        assert_eq!(SideMarker::decode(&bytes), None);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(SplitMarker::decode(&damaged), None, "byte {at}");
            assert_eq!(SplitMarker::decode(&bytes[..at]), None, "cut at {at}");
        }
        let unreached = SplitMarker {
            first_log: 1 << 48,
            ..split()
        };
        assert_eq!(SplitMarker::decode(&unreached.encode()), None);
    }
}
