//! `.aurat`: AuraDB's own traces, as its caches record them.
//!
//! Source: this file. All numbers are little-endian. A varint has 7 bits a byte, the lowest first;
//! the top bit means that more follow. Zigzag maps 0, -1, 1, -2 to 0, 1, 2, 3.
//!
//! ```text
//!   header, 32 bytes                                chunk: 16 bytes, then its records
//!    0  [u8; 8]  "AURATRAC"                          0  u32  bytes of the records
//!    8  u16      version: 1, 2 of operations         4  u32  number of records
//!   10  u16      1 sizes, 2 times, 4 details,        8  u64  XXH3 of the records, seeded with
//!                                                            the 8 bytes before
//!                8 operations, 24 operations without times
//!   12  u32      1 kept by hash, else 0
//!   16  f64      share of the keys that is kept     last chunk: 0 records in 8 bytes, the
//!   24  u64      XXH3 of the bytes before           number of records in the file
//!
//!   record: with details   u8 flags (0-2 kind, 3 hit, 4 level, 5 file, 6 cost, 7 scanned),
//!                          u8 caller, [u8 level] [varint file] [varint cost] [varint scanned],
//!                          each if flagged
//!           with times     zigzag varint: nanoseconds since the record before; since 0 in
//!                          the chunk's first record
//!           always         u64 key
//!           with sizes     varint bytes
//!   operation: u8 flags (0-2 action, 3 load, 4 value, 5 source), [zigzag varint time as above],
//!              varint key bytes, key, [varint value bytes], [varint records of a scan],
//!              [varint key number, u64 version]
//! ```
//!
//! Actions: 0 get, 1 put, 2 delete, 3 scan, 4 reverse scan, 5 read-modify-write. A value is the one
//! written, or the one that a reader found. The source says from which numbers it was made.
//!
//! Kept by hash are the keys with the lowest XXH3, seeded with 1: of a request's key as 8 bytes, of
//! an operation's of the XXH3 of its key. A sample of such a file is taken within it. A source
//! without times gives a file without times.
//!
//! If left out, a file is 0, a cost 1, and a position in a scan 0. A recorder that dies writes no
//! last chunk. Such a trace is read up to there and then refused, with the place, so that half a
//! trace is never taken for a whole one.

use std::io::{self, BufRead, BufWriter, Write};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::input::{bytes_at, fill};
use super::loaded::{Builder, Detail, Extra, Trace};
use super::operations::{Action, Name, Operation, Operations, ValueSource};
use super::sample::Kept;
use super::{Place, Result, TraceError};

pub(super) const MAGIC: [u8; 8] = *b"AURATRAC";
const VERSION: u16 = 1;
const VERSION_OF_OPERATIONS: u16 = 2;
/// The flag of a trace of operations.
const OPERATIONS: u16 = 8;
/// The flag of operations without times.
const UNTIMED: u16 = 16;
const HEADER: usize = 32;
const CHUNK_HEADER: usize = 16;

/// A chunk is closed when its records have this many bytes.
const CHUNK_BYTES: usize = 1 << 16;
/// The most bytes of a record, beside the key of an operation.
const RECORD_BYTES_MAX: usize = 64;
/// More than the longest key of an operation has.
const KEY_BYTES_MAX: usize = 1 << 16;

/// The kinds of objects that records may name, by their numbers.
pub const KINDS: [&str; 6] = [
    "data",
    "index",
    "filter",
    "value",
    "key-value",
    "key-pointer",
];

/// What the records of a trace hold beside the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The sizes of objects.
    pub sizes: bool,
    /// The times of requests.
    pub times: bool,
    /// The details of requests.
    pub details: bool,
}

impl Contents {
    fn flags(self) -> u16 {
        u16::from(self.sizes) | u16::from(self.times) << 1 | u16::from(self.details) << 2
    }
}

/// One request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceRecord {
    /// Its time, in nanoseconds since a start that the recorder chose.
    pub at_ns: u64,
    /// The object's identity.
    pub key: u64,
    /// The object's bytes.
    pub bytes: u64,
    /// Further details.
    pub detail: Detail,
}

/// One operation on a store, as a trace holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationRecord<'a> {
    /// When it began, in nanoseconds since a start that the recorder chose.
    pub at_ns: u64,
    /// What it does.
    pub action: Action,
    /// The key; 1 to 65,535 bytes.
    pub key: &'a [u8],
    /// Bytes of the value that it wrote or found; `None` if it did neither.
    pub value_bytes: Option<u64>,
    /// Records that a scan asked for.
    pub length: u32,
    /// Where the value comes from that it wrote.
    pub source: Option<ValueSource>,
    /// Whether it belongs to the load; such records come first.
    pub loads: bool,
}

/// Writes a trace record by record, in [`Format::Aurat`](super::Format::Aurat).
///
/// ```
/// use aura_workloads::trace::{self, Contents, Format, ReadOptions, TraceRecord, TraceWriter};
///
/// let contents = Contents { sizes: true, times: false, details: false };
/// let mut writer = TraceWriter::new(Vec::new(), contents, 1.0)?;
/// for key in [7, 8, 7] {
///     writer.push(&TraceRecord { key, bytes: 4096, ..TraceRecord::default() })?;
/// }
/// let bytes = writer.finish()?;
///
/// let read = trace::read(&bytes[..], Format::Aurat, &ReadOptions::default())?;
/// assert_eq!(read.objects(), [0, 1, 0]);
/// assert_eq!(read.keys(), [7, 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TraceWriter<W: Write> {
    output: W,
    contents: Contents,
    chunk: Vec<u8>,
    in_chunk: u32,
    written: u64,
    last_ns: u64,
}

impl<W: Write> TraceWriter<W> {
    /// Begins a trace in which the share `sample_rate` of the keys is kept.
    ///
    /// # Errors
    /// An error of the output.
    pub fn new(output: W, contents: Contents, sample_rate: f64) -> io::Result<Self> {
        let flags = contents.flags();
        Self::begin(output, contents, flags, &Kept::by_others(sample_rate))
    }

    /// Begins a trace of operations on a store, in which the share `sample_rate` of the keys is
    /// kept, chosen by [`Sample::SEED`](super::Sample::SEED), with `times` or without. It takes
    /// [`TraceWriter::push_operation`] only.
    ///
    /// # Errors
    /// An error of the output.
    pub fn of_operations(output: W, sample_rate: f64, times: bool) -> io::Result<Self> {
        Self::begin_operations(output, &Kept::by_hash(sample_rate), times)
    }

    fn begin_operations(output: W, kept: &Kept, times: bool) -> io::Result<Self> {
        let contents = Contents {
            sizes: true,
            times,
            details: false,
        };
        let flags = if times {
            OPERATIONS
        } else {
            OPERATIONS | UNTIMED
        };
        Self::begin(output, contents, flags, kept)
    }

    fn begin(mut output: W, contents: Contents, flags: u16, kept: &Kept) -> io::Result<Self> {
        let version = match flags & OPERATIONS {
            OPERATIONS => VERSION_OF_OPERATIONS,
            _ => VERSION,
        };
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&version.to_le_bytes());
        header[10..12].copy_from_slice(&flags.to_le_bytes());
        header[12] = u8::from(kept.is_by_hash && kept.rate < 1.0);
        header[16..24].copy_from_slice(&kept.rate.to_le_bytes());
        let checksum = xxh3_64(&header[..24]);
        header[24..].copy_from_slice(&checksum.to_le_bytes());
        output.write_all(&header)?;
        Ok(Self {
            output,
            contents,
            chunk: Vec::new(),
            in_chunk: 0,
            written: 0,
            last_ns: 0,
        })
    }

    /// Adds a request. Only the lowest three bits of its kind are kept.
    ///
    /// # Errors
    /// An error of the output.
    pub fn push(&mut self, record: &TraceRecord) -> io::Result<()> {
        if self.contents.details {
            push_detail(&mut self.chunk, &record.detail);
        }
        if self.contents.times {
            self.push_time(record.at_ns);
        }
        self.chunk.extend(record.key.to_le_bytes());
        if self.contents.sizes {
            push_varint(&mut self.chunk, record.bytes);
        }
        self.end_record()
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// An error of the output.
    pub fn push_operation(&mut self, record: &OperationRecord<'_>) -> io::Result<()> {
        let flags = record.action as u8
            | u8::from(record.loads) << 3
            | u8::from(record.value_bytes.is_some()) << 4
            | u8::from(record.source.is_some()) << 5;
        self.chunk.push(flags);
        if self.contents.times {
            self.push_time(record.at_ns);
        }
        push_varint(&mut self.chunk, record.key.len() as u64);
        self.chunk.extend(record.key);
        if let Some(bytes) = record.value_bytes {
            push_varint(&mut self.chunk, bytes);
        }
        if matches!(record.action, Action::Scan | Action::ReverseScan) {
            push_varint(&mut self.chunk, u64::from(record.length));
        }
        if let Some(source) = record.source {
            push_varint(&mut self.chunk, source.number);
            self.chunk.extend(source.version.to_le_bytes());
        }
        self.end_record()
    }

    fn push_time(&mut self, at_ns: u64) {
        push_varint(
            &mut self.chunk,
            zigzag(at_ns.wrapping_sub(self.last_ns) as i64),
        );
        self.last_ns = at_ns;
    }

    fn end_record(&mut self) -> io::Result<()> {
        self.in_chunk += 1;
        self.written += 1;
        if self.chunk.len() >= CHUNK_BYTES {
            self.close_chunk()
        } else {
            Ok(())
        }
    }

    fn close_chunk(&mut self) -> io::Result<()> {
        let mut header = [0; CHUNK_HEADER];
        header[..4].copy_from_slice(&(self.chunk.len() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&self.in_chunk.to_le_bytes());
        let checksum = xxh3_64_with_seed(&self.chunk, u64::from_le_bytes(bytes_at(&header, 0)));
        header[8..].copy_from_slice(&checksum.to_le_bytes());
        self.output.write_all(&header)?;
        self.output.write_all(&self.chunk)?;
        self.chunk.clear();
        self.in_chunk = 0;
        self.last_ns = 0;
        Ok(())
    }

    /// Ends the trace, flushes the output and returns it.
    ///
    /// # Errors
    /// An error of the output.
    pub fn finish(mut self) -> io::Result<W> {
        if self.in_chunk > 0 {
            self.close_chunk()?;
        }
        self.chunk.extend(self.written.to_le_bytes());
        self.close_chunk()?;
        self.output.flush()?;
        Ok(self.output)
    }
}

fn push_detail(chunk: &mut Vec<u8>, detail: &Detail) {
    let flags = [
        detail.hit,
        detail.level.is_some(),
        detail.file != 0,
        detail.cost != 1,
        detail.scanned != 0,
    ];
    let flags = flags
        .into_iter()
        .enumerate()
        .fold(detail.kind & 7, |bits, (at, flag)| {
            bits | u8::from(flag) << (at + 3)
        });
    chunk.extend([flags, detail.caller]);
    chunk.extend(detail.level);
    let numbers = [
        (detail.file, 0),
        (u64::from(detail.cost), 1),
        (u64::from(detail.scanned), 0),
    ];
    for (number, _) in numbers
        .into_iter()
        .filter(|(number, usual)| number != usual)
    {
        push_varint(chunk, number);
    }
}

fn push_varint(chunk: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        chunk.push(number as u8 | 0x80);
        number >>= 7;
    }
    chunk.push(number as u8);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

pub(super) fn write(trace: &Trace, output: impl Write) -> Result<()> {
    // Costs have their place among the details.
    let details = trace.has_costs();
    let contents = Contents {
        sizes: trace.has_sizes(),
        times: !trace.times().is_empty(),
        details,
    };
    let flags = contents.flags();
    let write = || {
        let output = BufWriter::with_capacity(CHUNK_BYTES, output);
        let mut writer = TraceWriter::begin(output, contents, flags, &trace.kept())?;
        for (request, &object) in trace.objects().iter().enumerate() {
            writer.push(&TraceRecord {
                at_ns: trace.times().get(request).copied().unwrap_or_default(),
                key: trace.keys()[object as usize],
                bytes: trace.stated_bytes(request),
                detail: Detail {
                    cost: trace.cost(request),
                    ..trace.details().get(request).copied().unwrap_or_default()
                },
            })?;
        }
        writer.finish().map(drop)
    };
    write().map_err(TraceError::Write)
}

/// Writes operations as a trace.
pub(super) fn write_operations(operations: &Operations, output: impl Write) -> Result<()> {
    let write = || {
        let output = BufWriter::with_capacity(CHUNK_BYTES, output);
        let mut writer =
            TraceWriter::begin_operations(output, &operations.kept(), operations.has_times())?;
        for at in 0..operations.len() {
            let operation = operations.at(at);
            writer.push_operation(&OperationRecord {
                at_ns: operations.time(at),
                action: operation.action,
                key: operation.key,
                value_bytes: operation.value_bytes,
                length: operation.length,
                source: operations.stated_source(at),
                loads: at < operations.loads(),
            })?;
        }
        writer.finish().map(drop)
    };
    write().map_err(TraceError::Write)
}

pub(super) fn read(mut input: impl BufRead, builder: &mut Builder) -> Result<()> {
    let contents = read_header(&mut input, builder)?;
    let mut offset = HEADER as u64;
    let mut found = 0;
    let mut chunk = Vec::new();
    loop {
        let count = read_chunk(&mut input, offset, &mut chunk)?;
        let mut records = Decoder {
            rest: &chunk,
            chunk: &chunk,
            offset: offset + CHUNK_HEADER as u64,
        };
        if count == 0 {
            let place = Place::Byte(offset);
            return match chunk.first_chunk() {
                Some(total) if chunk.len() == 8 && u64::from_le_bytes(*total) == found => Ok(()),
                _ => Err(TraceError::malformed(
                    place,
                    format!("the trace should end here, after {found} records"),
                )),
            };
        }
        let mut at_ns = 0;
        for _ in 0..count {
            if contents.operations {
                let times = contents.of_requests.times;
                if !records.operation(times, &mut at_ns, builder)? {
                    return Ok(());
                }
                continue;
            }
            let contents = contents.of_requests;
            let record = records.record(contents, &mut at_ns)?;
            let extra = Extra {
                detail: contents.details.then_some(record.detail),
                ..Extra::default()
            };
            if !builder.push_with(record.key, record.bytes, record.at_ns, &extra)? {
                return Ok(());
            }
        }
        if !records.rest.is_empty() {
            return Err(records.malformed("bytes follow the chunk's last record"));
        }
        found += u64::from(count);
        offset += (CHUNK_HEADER + chunk.len()) as u64;
    }
}

/// What the header says of the records.
#[derive(Clone, Copy)]
struct Header {
    of_requests: Contents,
    /// Whether they are operations instead.
    operations: bool,
}

fn read_header(input: &mut impl BufRead, builder: &mut Builder) -> Result<Header> {
    let place = Place::Byte(0);
    let mut header = [0; HEADER];
    let read = fill(input, &mut header).map_err(|source| TraceError::Io { place, source })?;
    if read < HEADER {
        return Err(TraceError::Truncated { place });
    }
    let version = u16::from_le_bytes(bytes_at(&header, 8));
    let flags = u16::from_le_bytes(bytes_at(&header, 10));
    let rate = f64::from_le_bytes(bytes_at(&header, 16));
    if !header.starts_with(&MAGIC) {
        return Err(TraceError::malformed(
            place,
            "this is not a trace in AuraDB's own format",
        ));
    }
    if xxh3_64(&header[..24]) != u64::from_le_bytes(bytes_at(&header, 24)) {
        return Err(TraceError::malformed(
            place,
            "the header's checksum is wrong",
        ));
    }
    let untimed = flags == OPERATIONS | UNTIMED;
    let operations = version == VERSION_OF_OPERATIONS && (flags == OPERATIONS || untimed);
    let requests = version == VERSION && flags < OPERATIONS;
    if !(operations || requests) || !(rate > 0.0 && rate <= 1.0) {
        let message =
            format!("version {version} with flags {flags} and rate {rate} is not known here");
        return Err(TraceError::malformed(place, message));
    }
    let is_by_hash = header[12] == 1;
    builder.recorded_as(Kept { rate, is_by_hash });
    let of_requests = Contents {
        sizes: operations || flags & 1 != 0,
        times: if operations { !untimed } else { flags & 2 != 0 },
        details: flags & 4 != 0,
    };
    if of_requests.sizes {
        builder.has_sizes();
    }
    if of_requests.times {
        builder.has_times();
    }
    Ok(Header {
        of_requests,
        operations,
    })
}

/// Reads the chunk at `offset` and returns how many records it holds.
fn read_chunk(input: &mut impl BufRead, offset: u64, chunk: &mut Vec<u8>) -> Result<u32> {
    let place = Place::Byte(offset);
    let failed = |source| TraceError::Io { place, source };
    let mut header = [0; CHUNK_HEADER];
    if fill(input, &mut header).map_err(failed)? < CHUNK_HEADER {
        return Err(TraceError::Truncated { place });
    }
    let length = u32::from_le_bytes(bytes_at(&header, 0)) as usize;
    if length >= CHUNK_BYTES + KEY_BYTES_MAX + RECORD_BYTES_MAX {
        return Err(TraceError::malformed(
            place,
            format!("a chunk of {length} bytes is too long"),
        ));
    }
    chunk.resize(length, 0);
    if fill(input, chunk).map_err(failed)? < length {
        return Err(TraceError::Truncated { place });
    }
    if xxh3_64_with_seed(chunk, u64::from_le_bytes(bytes_at(&header, 0)))
        != u64::from_le_bytes(bytes_at(&header, 8))
    {
        return Err(TraceError::malformed(
            place,
            "the chunk's checksum is wrong",
        ));
    }
    Ok(u32::from_le_bytes(bytes_at(&header, 4)))
}

/// Reads records from a chunk.
struct Decoder<'a> {
    rest: &'a [u8],
    chunk: &'a [u8],
    offset: u64,
}

impl Decoder<'_> {
    fn malformed(&self, message: &str) -> TraceError {
        TraceError::malformed(
            Place::Byte(self.offset + (self.chunk.len() - self.rest.len()) as u64),
            message,
        )
    }

    fn record(&mut self, contents: Contents, at_ns: &mut u64) -> Result<TraceRecord> {
        let detail = if contents.details {
            self.detail()?
        } else {
            Detail::default()
        };
        if contents.times {
            *at_ns = at_ns.wrapping_add(unzigzag(self.varint()?) as u64);
        }
        let key = u64::from_le_bytes(self.take()?);
        let bytes = if contents.sizes { self.varint()? } else { 1 };
        Ok(TraceRecord {
            at_ns: *at_ns,
            key,
            bytes,
            detail,
        })
    }

    /// Adds an operation to `builder`; returns false when no more are wanted.
    fn operation(&mut self, times: bool, at_ns: &mut u64, builder: &mut Builder) -> Result<bool> {
        let place = Place::Byte(self.offset + (self.chunk.len() - self.rest.len()) as u64);
        let [flags] = self.take()?;
        let has = |bit: u8| flags & (1 << bit) != 0;
        let Some(&action) = Action::ALL.get(usize::from(flags & 7)) else {
            return Err(self.malformed("an unknown action"));
        };
        if times {
            *at_ns = at_ns.wrapping_add(unzigzag(self.varint()?) as u64);
        }
        let bytes = self.varint()? as usize;
        let Some((key, rest)) = self.rest.split_at_checked(bytes) else {
            return Err(self.malformed("the chunk ends within a key"));
        };
        self.rest = rest;
        let value_bytes = if has(4) { Some(self.varint()?) } else { None };
        let scans = matches!(action, Action::Scan | Action::ReverseScan);
        let length = if scans { self.small()? } else { 0 };
        let source = if has(5) {
            Some(ValueSource {
                number: self.varint()?,
                version: u64::from_le_bytes(self.take()?),
            })
        } else {
            None
        };
        let operation = Operation {
            value_bytes,
            length,
            source,
            loads: has(3),
            ..Operation::new(action, Name::Bytes(key), *at_ns)
        };
        builder.push_operation(&operation, place)
    }

    fn detail(&mut self) -> Result<Detail> {
        let [flags, caller] = self.take()?;
        let kind = flags & 7;
        if usize::from(kind) >= KINDS.len() {
            return Err(self.malformed("an unknown kind of object"));
        }
        let has = |bit: u8| flags & (1 << bit) != 0;
        let level = if has(4) {
            Some(self.take::<1>()?[0])
        } else {
            None
        };
        let file = if has(5) { self.varint()? } else { 0 };
        let cost = if has(6) { self.small()? } else { 1 };
        let scanned = if has(7) { self.small()? } else { 0 };
        Ok(Detail {
            kind,
            level,
            file,
            caller,
            cost,
            scanned,
            hit: has(3),
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.malformed("the chunk ends within a record"));
        };
        self.rest = rest;
        Ok(*taken)
    }

    fn small(&mut self) -> Result<u32> {
        u32::try_from(self.varint()?).map_err(|_| self.malformed("a number is too large"))
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.malformed("a number is too large"))
    }
}
