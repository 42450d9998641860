//! lcs: libCacheSim's own binary format, in its versions 1 to 8.
//!
//! Source: libCacheSim, `traceReader/customizedReader/lcs.h`; the header of 1,024 bytes is that of
//! 2024, the one of 8,192 bytes that of 2025.
//!
//! ```text
//!   header, 1,024 or 8,192 bytes                 record, little-endian
//!     0  u64  123456789abcdef0 (hexadecimal)      0  u32  time in seconds
//!     8  u64  version                             4  u64  key
//!    16  i64  version of the statistics          12  u32  bytes; from version 3 on i64
//!    24  i64  requests; 0: not stated             +  u8   operation, from version 2 on
//!         ... further statistics                  +  u24  tenant, from version 2 on
//!    last u64  as the first                       +  u32  time to live, from version 3 on
//!                                                 +  i64  number of the next request for the key
//!   record bytes by version:                      +  u32  features: 1, 2, 4, 8, 16 in versions
//!     24 28 36 40 44 52 68 100                            4 to 8
//! ```
//!
//! Tenants, features and next requests are ignored. A deletion requests nothing. A time to live is
//! in seconds, and 0 if the object has none. Files from before the versions, whose header describes
//! the fields, are refused.

use std::io::BufRead;

use super::csv::{Effect, without_operations};
use super::input::{Records, bytes_at, fill};
use super::loaded::{Builder, Extra, Life};
use super::operations::{Action, Name, Operation};
use super::{Place, Result, TraceError};

/// The first and the last eight bytes of the header.
pub(super) const MAGIC: [u8; 8] = 0x1234_5678_9abc_def0_u64.to_le_bytes();

const SHORT_HEADER: usize = 1024;
const LONG_HEADER: usize = 8192;

/// The bytes of a record of each version, from 1 on.
const RECORDS: [usize; 8] = [24, 28, 36, 40, 44, 52, 68, 100];

/// The operations by their numbers.
const OPERATIONS: [&str; 16] = [
    "nop", "get", "gets", "set", "add", "cas", "replace", "append", "prepend", "delete", "incr",
    "decr", "read", "write", "update", "invalid",
];

const SECOND_NS: u64 = 1_000_000_000;

/// What the header states.
struct Header {
    version: usize,
    /// 0 if it is not stated.
    requests: u64,
    bytes: usize,
}

pub(super) fn read(mut input: impl BufRead, builder: &mut Builder) -> Result<()> {
    let Some(header) = read_header(&mut input)? else {
        return Ok(());
    };
    builder.has_sizes();
    builder.has_times();
    if header.version == 1 && builder.chooses_operations() {
        return Err(without_operations());
    }
    match RECORDS[header.version - 1] {
        24 => records::<24>(&header, input, builder),
        28 => records::<28>(&header, input, builder),
        36 => records::<36>(&header, input, builder),
        40 => records::<40>(&header, input, builder),
        44 => records::<44>(&header, input, builder),
        52 => records::<52>(&header, input, builder),
        68 => records::<68>(&header, input, builder),
        _ => records::<100>(&header, input, builder),
    }
}

/// Reads the header; `None` if the input is empty.
fn read_header(input: &mut impl BufRead) -> Result<Option<Header>> {
    let place = Place::Byte(0);
    let failed = |source| TraceError::Io { place, source };
    let refused = |message: String| Err(TraceError::malformed(place, message));
    let mut header = [0; LONG_HEADER];
    let (short, rest) = header.split_at_mut(SHORT_HEADER);
    let read = fill(input, short).map_err(failed)?;
    if read == 0 {
        return Ok(None);
    }
    if !short.starts_with(&MAGIC) {
        return refused("this is not a trace in libCacheSim's lcs format".to_owned());
    }
    if read < SHORT_HEADER {
        return Err(TraceError::Truncated { place });
    }
    let version = u64::from_le_bytes(bytes_at(short, 8));
    let requests = i64::from_le_bytes(bytes_at(short, 24));
    let is_described = short[8] == b'<';
    let is_short = short.ends_with(&MAGIC);
    if is_described && is_short {
        return refused(
            "the header is from before the versions, and describes its fields: libCacheSim's \
             traceConv writes a later one"
                .to_owned(),
        );
    }
    let known = usize::try_from(version).ok();
    let Some(version) = known.filter(|version| (1..=RECORDS.len()).contains(version)) else {
        let last = RECORDS.len();
        return refused(format!(
            "version {version} is not known here: 1 to {last} are"
        ));
    };
    let Ok(requests) = u64::try_from(requests) else {
        return refused(format!("it states {requests} requests"));
    };
    let mut bytes = SHORT_HEADER;
    if !is_short {
        bytes = LONG_HEADER;
        if fill(input, rest).map_err(failed)? < rest.len() {
            return Err(TraceError::Truncated { place });
        }
        if !rest.ends_with(&MAGIC) {
            return refused(format!(
                "the header's last bytes are wrong, at {SHORT_HEADER} and at {LONG_HEADER} bytes"
            ));
        }
    }
    Ok(Some(Header {
        version,
        requests,
        bytes,
    }))
}

fn records<const N: usize>(
    header: &Header,
    input: impl BufRead,
    builder: &mut Builder,
) -> Result<()> {
    let mut records = Records::<_, N>::after(header.bytes as u64, input);
    let mut read = 0;
    while let Some((record, place)) = records.next()? {
        read += 1;
        if !push(header.version, &record, place, builder)? {
            return Ok(());
        }
    }
    if read < header.requests {
        // The file ends between two records, and before the last.
        let place = Place::Byte(header.bytes as u64 + read * N as u64);
        return Err(TraceError::Truncated { place });
    }
    Ok(())
}

fn push(version: usize, record: &[u8], place: Place, builder: &mut Builder) -> Result<bool> {
    let seconds = u32::from_le_bytes(bytes_at(record, 0));
    let key = u64::from_le_bytes(bytes_at(record, 4));
    let at_ns = u64::from(seconds) * SECOND_NS;
    if version == 1 {
        let bytes = u32::from_le_bytes(bytes_at(record, 12));
        return builder.push(key, u64::from(bytes), at_ns);
    }
    let (bytes, operation_at) = if version == 2 {
        let bytes = u32::from_le_bytes(bytes_at(record, 12));
        (u64::from(bytes), 16)
    } else {
        let bytes = i64::from_le_bytes(bytes_at(record, 12));
        let Ok(bytes) = u64::try_from(bytes) else {
            return Err(TraceError::malformed(place, format!("a size of {bytes}")));
        };
        (bytes, 20)
    };
    let number = record[operation_at];
    let Some(operation) = OPERATIONS.get(usize::from(number)) else {
        let message = format!("operation {number} is not known");
        return Err(TraceError::malformed(place, message));
    };
    if !builder.wants_operation(operation.as_bytes()) {
        return Ok(true);
    }
    if builder.takes_operations() {
        let Some(action) = Action::of(operation.as_bytes()) else {
            let message = format!("operation {operation} does nothing to a store");
            return Err(TraceError::malformed(place, message));
        };
        let operation = Operation {
            value_bytes: Some(bytes),
            ..Operation::new(action, Name::Number(key), at_ns)
        };
        return builder.push_operation(&operation, place);
    }
    let effect = Effect::of(operation.as_bytes());
    if effect == Effect::Removes {
        builder.removal(key)?;
        return Ok(true);
    }
    let ttl = || u32::from_le_bytes(bytes_at(record, operation_at + 4));
    let life = (version > 2).then(|| Life {
        ttl_ns: u64::from(ttl()) * SECOND_NS,
        begins: effect == Effect::Writes,
    });
    let extra = Extra {
        life,
        ..Extra::default()
    };
    builder.push_with(key, bytes, at_ns, &extra)
}
