//! Encodings shared by all on-disk formats: varints, fixed-width integers and block compression.
//!
//! Decoders never panic and never allocate more than the input can stand for, because damaged files
//! reach them.

use bytes::Bytes;

use crate::config::Compression;
use crate::env::CpuWork;

/// Appends `value` in LEB128: seven bits per byte, the lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Returns the bytes of a number as [`put_varint`] encodes it.
pub(crate) fn varint_bytes(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Reads a LEB128 number. Returns the number and its encoded length.
///
/// None if the bytes end too early or the number does not fit into 64 bits.
#[inline]
pub(crate) fn get_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    // Nearly all lengths are below 128.
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Appends the length of `bytes` as a varint, and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads fields one after the other. Every method returns None if the bytes end too early.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Creates a reader at the first byte.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns whether all bytes are read.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a varint.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let (value, used) = get_varint(self.rest)?;
        self.rest = &self.rest[used..];
        Some(value)
    }

    /// Reads a length and that many bytes.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (head, tail) = self.rest.split_at_checked(length)?;
        self.rest = tail;
        Some(head)
    }

    /// Reads one byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Reads a little-endian u32.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (head, tail) = self.rest.split_first_chunk::<4>()?;
        self.rest = tail;
        Some(u32::from_le_bytes(*head))
    }

    /// Reads a little-endian u64.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (head, tail) = self.rest.split_first_chunk::<8>()?;
        self.rest = tail;
        Some(u64::from_le_bytes(*head))
    }
}

/// Compresses `raw`. Returns None if that does not make it smaller; then it is stored uncompressed.
pub(crate) fn compress(
    compression: Compression,
    raw: &[u8],
    work: &mut CpuWork,
) -> Option<Vec<u8>> {
    let packed = match compression {
        Compression::None => return None,
        Compression::Lz4 => lz4_flex::block::compress(raw),
        Compression::Zstd => zstd::bulk::compress(raw, zstd::DEFAULT_COMPRESSION_LEVEL).ok()?,
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(raw).ok()?,
    };
    work.bytes_compressed += raw.len() as u64;
    (packed.len() < raw.len()).then_some(packed)
}

/// The largest number of raw bytes that one byte of LZ4 can stand for.
const LZ4_RATIO_MAX: usize = 255;

/// Decompresses what [`compress`] returned, to exactly `raw_bytes` bytes. Returns None if the bytes
/// are malformed.
pub(crate) fn decompress(
    compression: Compression,
    packed: &Bytes,
    raw_bytes: usize,
    work: &mut CpuWork,
) -> Option<Bytes> {
    let raw = match compression {
        Compression::None => return (packed.len() == raw_bytes).then(|| packed.clone()),
        // The decoder allocates before it reads, so an impossible length must be refused first.
        Compression::Lz4 if raw_bytes / LZ4_RATIO_MAX > packed.len() => return None,
        Compression::Lz4 => lz4_flex::block::decompress(packed, raw_bytes).ok()?,
        Compression::Zstd => {
            if zstd::zstd_safe::get_frame_content_size(packed).ok()? != Some(raw_bytes as u64) {
                return None;
            }
            zstd::bulk::decompress(packed, raw_bytes).ok()?
        }
        Compression::Snappy => {
            if snap::raw::decompress_len(packed).ok()? != raw_bytes {
                return None;
            }
            snap::raw::Decoder::new().decompress_vec(packed).ok()?
        }
    };
    work.bytes_decompressed += raw.len() as u64;
    (raw.len() == raw_bytes).then(|| Bytes::from(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_width_read_back() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(get_varint(&out), Some((value, out.len())));
                assert_eq!(
                    get_varint(&out[..out.len() - 1]).map(|(v, _)| v),
                    None,
                    "{value}"
                );
            }
        }
        assert_eq!(get_varint(&[0xff; 11]), None);
        assert_eq!(
            get_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
            None
        );
    }

    #[test]
    fn every_codec_returns_the_bytes_and_refuses_malformed_ones() {
        let raw: Vec<u8> = (0..10_000u32).map(|i| (i / 50) as u8).collect();
        for compression in [Compression::Lz4, Compression::Zstd, Compression::Snappy] {
            let mut work = CpuWork::default();
            let packed = Bytes::from(compress(compression, &raw, &mut work).expect("compressible"));
            assert_eq!(
                decompress(compression, &packed, raw.len(), &mut work).as_deref(),
                Some(&raw[..])
            );
            for length in [raw.len() - 1, u32::MAX as usize] {
                assert_eq!(
                    decompress(compression, &packed, length, &mut work),
                    None,
                    "{compression:?}"
                );
            }
            let cut = packed.slice(..packed.len() / 2);
            assert_eq!(
                decompress(compression, &cut, raw.len(), &mut work),
                None,
                "{compression:?}"
            );
            assert_eq!(work.bytes_compressed, raw.len() as u64);
        }
        assert_eq!(
            compress(Compression::None, &raw, &mut CpuWork::default()),
            None
        );
    }
}
