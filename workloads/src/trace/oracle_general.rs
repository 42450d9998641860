//! oracleGeneral: libCacheSim's binary format, in which each request knows the next request for its
//! object.
//!
//! Source: libCacheSim, `traceReader/customizedReader/oracle/oracleGeneralBin.h`.
//!
//! ```text
//!   24 bytes, little-endian, no header
//!    0  u32  time in seconds
//!    4  u64  key
//!   12  u32  bytes
//!   16  i64  number of the next request for the key, from 1; -1 or the largest number: never
//! ```
//!
//! The last field is ignored when reading, because bounds compute the future themselves. It is
//! computed when writing.

use std::io::{BufRead, BufWriter, Write};

use super::input::{Records, bytes_at};
use super::loaded::{Builder, Trace};
use super::{Format, Result, TraceError};

const RECORD: usize = 24;
const NEVER: i64 = -1;
const SECOND_NS: u64 = 1_000_000_000;

pub(super) fn read(input: impl BufRead, builder: &mut Builder) -> Result<()> {
    builder.has_sizes();
    builder.has_times();
    let mut records = Records::<_, RECORD>::new(input);
    while let Some((record, _)) = records.next()? {
        let seconds = u32::from_le_bytes(bytes_at(&record, 0));
        let key = u64::from_le_bytes(bytes_at(&record, 4));
        let bytes = u32::from_le_bytes(bytes_at(&record, 12));
        if !builder.push(key, u64::from(bytes), u64::from(seconds) * SECOND_NS)? {
            break;
        }
    }
    Ok(())
}

pub(super) fn write(trace: &Trace, output: impl Write) -> Result<()> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let cannot_say = |message| TraceError::CannotSay {
        format: Format::OracleGeneral,
        message,
    };
    for (request, next) in next_requests(trace).into_iter().enumerate() {
        let at_ns = trace.times().get(request).copied().unwrap_or(0);
        let seconds = u32::try_from(at_ns / SECOND_NS).map_err(|_| {
            cannot_say(format!(
                "request {} is {at_ns} ns after the start",
                request + 1
            ))
        })?;
        let bytes = u32::try_from(trace.stated_bytes(request))
            .map_err(|_| cannot_say(format!("request {} is for 4 GiB or more", request + 1)))?;
        let mut record = [0; RECORD];
        record[..4].copy_from_slice(&seconds.to_le_bytes());
        record[4..12]
            .copy_from_slice(&trace.keys()[trace.objects()[request] as usize].to_le_bytes());
        record[12..16].copy_from_slice(&bytes.to_le_bytes());
        record[16..].copy_from_slice(&next.to_le_bytes());
        output.write_all(&record).map_err(TraceError::Write)?;
    }
    output.flush().map_err(TraceError::Write)
}

/// The number of each request's next request for the same object, counted from 1; -1 for the
/// last.
fn next_requests(trace: &Trace) -> Vec<i64> {
    let mut later = vec![NEVER; trace.keys().len()];
    let mut next = vec![NEVER; trace.objects().len()];
    for (request, &object) in trace.objects().iter().enumerate().rev() {
        next[request] = std::mem::replace(&mut later[object as usize], request as i64 + 1);
    }
    next
}
