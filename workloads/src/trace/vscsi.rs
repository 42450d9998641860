//! vscsi: SCSI commands as CloudPhysics recorded them.
//!
//! Source: Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015 (the traces);
//! libCacheSim (`traceReader/customizedReader/vscsi.h`, the two layouts).
//!
//! ```text
//!   version 1, 32 bytes, little-endian      version 2, 40 bytes
//!    0  u32  serial number                   0  u16  command
//!    4  u32  bytes                           2  u16  version: 2 in the upper byte
//!    8  u32  scatter-gather entries          4  u32  serial number
//!   12  u16  command                         8  u32  bytes
//!   14  u16  version: 1 in the upper byte   12  u32  scatter-gather entries
//!   16  u64  logical block                  16  u64  logical block
//!   24  u64  time in microseconds           24  u64  time in microseconds
//!                                           32  u64  response time
//! ```
//!
//! A request is for its first block, with its bytes; reads and writes are treated alike. The first
//! two records show which version a file has, and each later record must have the same.

use std::io::{BufRead, Read};

use super::input::{Records, bytes_at, fill, nanoseconds_of};
use super::loaded::Builder;
use super::{Place, Result, TraceError};

const FIRST: usize = 32;
const SECOND: usize = 40;

/// The layout of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Where a record has its fields.
struct Layout {
    version_at: usize,
    bytes_at: usize,
    record_bytes: usize,
}

impl Version {
    fn layout(self) -> Layout {
        match self {
            Self::One => Layout {
                version_at: 14,
                bytes_at: 4,
                record_bytes: FIRST,
            },
            Self::Two => Layout {
                version_at: 2,
                bytes_at: 8,
                record_bytes: SECOND,
            },
        }
    }

    fn says(self, record: &[u8]) -> bool {
        let field = u16::from_le_bytes(bytes_at(record, self.layout().version_at));
        field >> 8 == self as u16 + 1
    }

    fn push(self, record: &[u8], place: Place, builder: &mut Builder) -> Result<bool> {
        if !self.says(record) {
            return Err(TraceError::malformed(
                place,
                format!("not a vscsi record of version {}", self as u16 + 1),
            ));
        }
        let bytes = u32::from_le_bytes(bytes_at(record, self.layout().bytes_at));
        let block = u64::from_le_bytes(bytes_at(record, 16));
        let microseconds = u64::from_le_bytes(bytes_at(record, 24));
        let at_ns = nanoseconds_of(microseconds, place)?;
        builder.push(block, u64::from(bytes), at_ns)
    }
}

/// The version of a file that begins with `head`.
pub(super) fn version(head: &[u8]) -> Option<Version> {
    [Version::Two, Version::One].into_iter().find(|version| {
        let length = version.layout().record_bytes;
        head.len() >= length
            && head
                .chunks_exact(length)
                .take(2)
                .all(|record| version.says(record))
    })
}

pub(super) fn read(mut input: impl BufRead, builder: &mut Builder) -> Result<()> {
    builder.has_sizes();
    builder.has_times();
    let mut head = [0; 2 * SECOND];
    let place = Place::Byte(0);
    let read = fill(&mut input, &mut head).map_err(|source| TraceError::Io { place, source })?;
    let head = &head[..read];
    if head.is_empty() {
        return Ok(());
    }
    let input = head.chain(input);
    match version(head) {
        Some(Version::One) => records::<FIRST>(Version::One, input, builder),
        Some(Version::Two) => records::<SECOND>(Version::Two, input, builder),
        None => Err(TraceError::malformed(
            place,
            "neither a vscsi record of version 1 nor one of version 2",
        )),
    }
}

fn records<const N: usize>(
    version: Version,
    input: impl BufRead,
    builder: &mut Builder,
) -> Result<()> {
    let mut records = Records::<_, N>::new(input);
    while let Some((record, place)) = records.next()? {
        if !version.push(&record, place, builder)? {
            break;
        }
    }
    Ok(())
}
