//! RocksDB's own traces of queries, as `DB::StartTrace` and `db_bench --trace_file` write them.
//!
//! Source: RocksDB, `trace_replay/trace_replay.cc`, `db/write_batch.cc` and `db/dbformat.h`.
//!
//! ```text
//!   record, little-endian                  payload by type, in version 0.2 after a map of 64 bits
//!     0  u64  microseconds                   1 begin  "feedcafedeadbeef\tTrace Version: 0.2\t..."
//!     8  u8   type                           2 end
//!     9  u32  bytes of the payload           3 write  varint length, write batch
//!    13       payload                        4 get    u32 family, varint length, key
//!                                            5 seek, 6 seek for prev  as get, then bounds
//!                                           13 multi-get  u32 keys, u32 families, keys
//!   write batch: u64 sequence, u32 count, then operations:
//!     u8 tag, [varint family], varint length, key, [varint length, value]
//! ```
//!
//! Versions 0.1 (no map, no length before the batch) and 0.2 are read. Each write of a batch
//! becomes an operation of its own, a merge a read-modify-write, a single delete a delete, a delete
//! of a range deletes of the keys in it that the trace named before, and each key of a multi-get a
//! get. A seek is a scan; RocksDB does not record how far it went, nor its bounds' effect. A key of
//! another column family than the default has the family's number before it, in four bytes, the
//! highest first.
//!
//! A transaction in two phases is recorded twice, when it is prepared and when it is committed, and
//! the second record has its writes again: the first is passed over, as RocksDB's analyzer does.
//! The policies that write before the commit (WritePrepared, WriteUnprepared) record the writes
//! once, with a mark of their own, and undo them by writes if they are rolled back: all of these
//! count.

use std::io::BufRead;

use super::input::{bytes_at, fill, nanoseconds_of};
use super::loaded::Builder;
use super::operations::{Action, Name, Operation};
use super::{Place, Result, TraceError};

const MAGIC: &[u8] = b"feedcafedeadbeef";
const RECORD_HEADER: usize = 13;
/// A payload that claims more is garbage.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;
const BATCH_HEADER: usize = 12;

const BEGIN: u8 = 1;
const END: u8 = 2;
const WRITE: u8 = 3;
const GET: u8 = 4;
const SEEK: u8 = 5;
const SEEK_FOR_PREV: u8 = 6;
const MULTI_GET: u8 = 13;

/// Whether a file begins like such a trace.
pub(super) fn is_trace(head: &[u8]) -> bool {
    head.get(RECORD_HEADER..)
        .is_some_and(|payload| payload.starts_with(MAGIC))
}

pub(super) fn read(mut input: impl BufRead, builder: &mut Builder) -> Result<()> {
    builder.has_times();
    let mut payload = Vec::new();
    let Some(first) = next(&mut input, 0, &mut payload)? else {
        return Ok(());
    };
    let mapped = version(&first, &payload)? >= 2;
    let mut offset = first.end;
    while let Some(record) = next(&mut input, offset, &mut payload)? {
        offset = record.end;
        if record.kind == END {
            break;
        }
        let fields = Fields {
            rest: &payload,
            place: record.place,
        };
        if !push(&record, fields, mapped, builder)? {
            break;
        }
    }
    Ok(())
}

/// A record without its payload.
struct Record {
    at_ns: u64,
    kind: u8,
    place: Place,
    /// The offset of the next record.
    end: u64,
}

/// Reads the record at `offset`; `None` at the end of the input.
fn next(input: &mut impl BufRead, offset: u64, payload: &mut Vec<u8>) -> Result<Option<Record>> {
    let place = Place::Byte(offset);
    let failed = |source| TraceError::Io { place, source };
    let mut header = [0; RECORD_HEADER];
    match fill(input, &mut header).map_err(failed)? {
        0 => return Ok(None),
        RECORD_HEADER => {}
        _ => return Err(TraceError::Truncated { place }),
    }
    let length = u32::from_le_bytes(bytes_at(&header, 9)) as usize;
    if length > PAYLOAD_BYTES_MAX {
        let message = format!("a record of {length} bytes is too long");
        return Err(TraceError::malformed(place, message));
    }
    payload.clear();
    let mut bounded = std::io::Read::take(input, length as u64);
    std::io::Read::read_to_end(&mut bounded, payload).map_err(failed)?;
    if payload.len() < length {
        return Err(TraceError::Truncated { place });
    }
    let micros = u64::from_le_bytes(bytes_at(&header, 0));
    Ok(Some(Record {
        at_ns: nanoseconds_of(micros, place)?,
        kind: header[8],
        place,
        end: offset + (RECORD_HEADER + length) as u64,
    }))
}

/// The version of the trace, which its first record states: 0.2 is 2.
fn version(record: &Record, payload: &[u8]) -> Result<u64> {
    let refused = |message: String| Err(TraceError::malformed(record.place, message));
    if record.kind != BEGIN || !payload.starts_with(MAGIC) {
        return refused("this is not a trace of RocksDB's queries".to_owned());
    }
    let text = String::from_utf8_lossy(payload);
    let stated = text
        .split('\t')
        .find_map(|part| part.strip_prefix("Trace Version: "));
    match stated {
        Some("0.1") => Ok(1),
        Some("0.2") => Ok(2),
        Some(other) => refused(format!(
            "version {other} is not known here: 0.1 and 0.2 are"
        )),
        None => refused("the first record does not state the trace's version".to_owned()),
    }
}

/// Adds the operations of a record. Returns false when no more are wanted.
fn push(
    record: &Record,
    mut fields: Fields<'_>,
    mapped: bool,
    builder: &mut Builder,
) -> Result<bool> {
    if mapped {
        fields.u64()?;
    }
    match record.kind {
        WRITE => {
            let batch = if mapped { fields.text()? } else { fields.rest };
            push_batch(record, batch, builder)
        }
        GET | SEEK | SEEK_FOR_PREV => {
            let family = fields.u32()?;
            let key = key_of(family, fields.text()?);
            let action = match record.kind {
                GET => Action::Get,
                SEEK => Action::Scan,
                _ => Action::ReverseScan,
            };
            push_one(record, action, &key, None, builder)
        }
        MULTI_GET => {
            let keys = fields.u32()?;
            let mut families = Fields {
                rest: fields.text()?,
                place: record.place,
            };
            let mut names = Fields {
                rest: fields.text()?,
                place: record.place,
            };
            for _ in 0..keys {
                let key = key_of(families.u32()?, names.text()?);
                if !push_one(record, Action::Get, &key, None, builder)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        other => {
            let message = format!("type {other} is no query");
            Err(TraceError::malformed(record.place, message))
        }
    }
}

fn push_one(
    record: &Record,
    action: Action,
    key: &[u8],
    value_bytes: Option<u64>,
    builder: &mut Builder,
) -> Result<bool> {
    let operation = Operation {
        value_bytes,
        ..Operation::new(action, Name::Bytes(key), record.at_ns)
    };
    builder.push_operation(&operation, record.place)
}

/// A key with the number of its column family before it, unless that is the default.
pub(super) fn key_of(family: u32, key: &[u8]) -> Vec<u8> {
    match family {
        0 => key.to_vec(),
        _ => [&family.to_be_bytes(), key].concat(),
    }
}

/// Adds the operations of a write batch.
fn push_batch(record: &Record, batch: &[u8], builder: &mut Builder) -> Result<bool> {
    let mut fields = Fields {
        rest: batch,
        place: record.place,
    };
    fields.take(BATCH_HEADER)?;
    let mut entries = fields;
    let (mut is_prepared, mut is_committed) = (false, false);
    while let Some(entry) = entries.entry()? {
        is_prepared |= matches!(entry, Entry::BeginsPrepared);
        is_committed |= matches!(entry, Entry::Commits);
    }
    if is_prepared && !is_committed {
        return Ok(true);
    }
    while let Some(entry) = fields.entry()? {
        let more = match entry {
            Entry::BeginsPrepared | Entry::Commits | Entry::Other => true,
            Entry::DeleteRange { family, start, end } => {
                let (start, end) = (key_of(family, start), key_of(family, end));
                builder.delete_range(&start, &end, record.at_ns, record.place)?;
                true
            }
            Entry::Write {
                action,
                family,
                key,
                value,
            } => {
                let bytes = value.map(|value| value.len() as u64);
                push_one(record, action, &key_of(family, key), bytes, builder)?
            }
        };
        if !more {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One entry of a write batch.
enum Entry<'a> {
    Write {
        action: Action,
        family: u32,
        key: &'a [u8],
        value: Option<&'a [u8]>,
    },
    DeleteRange {
        family: u32,
        start: &'a [u8],
        end: &'a [u8],
    },
    /// The mark before the writes of a transaction that is prepared, and written by its commit.
    BeginsPrepared,
    /// The mark of a commit.
    Commits,
    /// Any other mark.
    Other,
}

/// The fields of a payload that are left.
#[derive(Clone, Copy)]
struct Fields<'a> {
    rest: &'a [u8],
    place: Place,
}

impl<'a> Fields<'a> {
    fn malformed(&self, what: &str) -> TraceError {
        TraceError::malformed(self.place, format!("the record is damaged: {what}"))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(bytes) else {
            return Err(self.malformed("it ends within a field"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(bytes_at(self.take(4)?, 0)))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(bytes_at(self.take(8)?, 0)))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.malformed("a length is too large"))
    }

    fn text(&mut self) -> Result<&'a [u8]> {
        let bytes = self.varint()?;
        self.take(bytes as usize)
    }

    /// The next entry of a write batch; `None` at its end.
    fn entry(&mut self) -> Result<Option<Entry<'a>>> {
        let [tag, rest @ ..] = self.rest else {
            return Ok(None);
        };
        self.rest = rest;
        let has_family = matches!(tag, 0x4 | 0x5 | 0x6 | 0x8 | 0xE | 0x10 | 0x17 | 0x19);
        let family = if has_family { self.varint()? } else { 0 };
        let family = u32::try_from(family).map_err(|_| self.malformed("a family's number"))?;
        let action = match tag {
            0x1 | 0x5 | 0x10 | 0x11 | 0x16..=0x19 => Action::Put,
            0x2 | 0x6 => Action::ReadModifyWrite,
            0x0 | 0x4 | 0x7 | 0x8 => Action::Delete,
            0xE | 0xF => {
                let (start, end) = (self.text()?, self.text()?);
                return Ok(Some(Entry::DeleteRange { family, start, end }));
            }
            other => return self.mark(*other).map(Some),
        };
        let key = self.text()?;
        let mut value = None;
        if action.writes() {
            value = Some(self.text()?);
        }
        Ok(Some(Entry::Write {
            action,
            family,
            key,
            value,
        }))
    }

    /// An entry without a write.
    fn mark(&mut self, tag: u8) -> Result<Entry<'a>> {
        let entry = match tag {
            0x9 => return Ok(Entry::BeginsPrepared),
            0xD | 0x12 | 0x13 => return Ok(Entry::Other),
            // A blob of the log, and the ids of transactions that are prepared or rolled back.
            0x3 | 0xA | 0xC => Entry::Other,
            0xB => Entry::Commits,
            // A commit with its time before its id.
            0x15 => {
                self.text()?;
                Entry::Commits
            }
            other => return Err(self.malformed(&format!("tag {other} of a write batch"))),
        };
        self.text()?;
        Ok(entry)
    }
}
