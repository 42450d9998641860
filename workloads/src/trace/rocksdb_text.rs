//! The readable form of RocksDB's traces: `trace_analyzer --convert_to_human_readable_trace`.
//!
//! Source: RocksDB, `tools/trace_analyzer_tool.cc`.
//!
//! ```text
//!   0x6B6579 1 0 100 1700000000000000     key, type, column family, value bytes, microseconds
//!   0x61 4 0 0 1700000000000100           a delete of a range: its first key
//! ```
//!
//! Types: 0 get, 1 put, 2 delete, 3 single delete, 4 delete of a range, 5 merge, 6 seek, 7 seek for
//! prev, 8 multi-get, 9 put of an entity. They are read as in RocksDB's binary traces. The analyzer
//! does not write where a deleted range ends: such deletes are left out and counted, unless a row
//! has the end as a second key. It leaves out transactions that were prepared and not committed.
//! Rows without keys (`--no_key`) are refused.

use std::io::BufRead;

use super::input::{Lines, nanoseconds_of, number};
use super::loaded::Builder;
use super::operations::{Action, Name, Operation};
use super::rocksdb::key_of;
use super::{Place, Result, TraceError};

pub(super) fn read(input: impl BufRead, builder: &mut Builder) -> Result<()> {
    builder.has_times();
    let mut lines = Lines::new(input);
    while let Some((line, place)) = lines.next()? {
        if !line.is_empty() && !push(line, place, builder)? {
            break;
        }
    }
    Ok(())
}

/// Whether a line is of this format.
pub(super) fn is_line(line: &[u8]) -> bool {
    let fields = fields(line);
    matches!(fields.len(), 5 | 6)
        && hex(fields[0]).is_some()
        && fields[fields.len() - 4..]
            .iter()
            .all(|field| number(field).is_some())
}

fn fields(line: &[u8]) -> Vec<&[u8]> {
    let split = line.trim_ascii().split(|byte| *byte == b' ');
    split.filter(|field| !field.is_empty()).collect()
}

/// The bytes that `0x` and pairs of digits stand for.
fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"0x")?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? * 16 + digit(*low)?) as u8);
    pairs.iter().map(byte).collect()
}

fn push(line: &[u8], place: Place, builder: &mut Builder) -> Result<bool> {
    let malformed = |message: &str| TraceError::malformed(place, message);
    let fields = fields(line);
    let wanted = "a row is a key as 0x.., a type, a column family, value bytes, microseconds";
    let Some((keys, [kind, family, bytes, micros])) = fields.split_last_chunk() else {
        return Err(malformed(wanted));
    };
    let numbers = [kind, family, bytes, micros].map(|field| number(field));
    let [Some(kind), Some(family), Some(bytes), Some(micros)] = numbers else {
        return Err(malformed(wanted));
    };
    let family = u32::try_from(family).map_err(|_| malformed("the column family is too large"))?;
    let key_at = |at: usize| -> Result<Vec<u8>> {
        let key = keys.get(at).and_then(|key| hex(key));
        let key = key.ok_or_else(|| malformed(wanted))?;
        Ok(key_of(family, &key))
    };
    let at_ns = nanoseconds_of(micros, place)?;
    let key = key_at(0)?;
    let action = match kind {
        0 | 8 => Action::Get,
        1 | 9 => Action::Put,
        2 | 3 => Action::Delete,
        4 if keys.len() == 1 => {
            builder.delete_open_range();
            return Ok(true);
        }
        4 => {
            builder.delete_range(&key, &key_at(1)?, at_ns, place)?;
            return Ok(true);
        }
        5 => Action::ReadModifyWrite,
        6 => Action::Scan,
        7 => Action::ReverseScan,
        other => return Err(malformed(&format!("type {other} is not known here"))),
    };
    let operation = Operation {
        // Only writes have a value; readers state 0.
        value_bytes: action.writes().then_some(bytes),
        ..Operation::new(action, Name::Bytes(&key), at_ns)
    };
    builder.push_operation(&operation, place)
}
