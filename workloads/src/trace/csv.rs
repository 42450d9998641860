//! CSV: one request a row, with a map of columns.
//!
//! Source: RFC 4180 for the quoting; the common form `time,key,size` is that of libCacheSim's CSV
//! reader.
//!
//! ```text
//! time,key,size        a header is optional; if there is one, it names the columns
//!   0,159161,1568        seconds (a fraction is allowed), key, bytes
//! ```
//!
//! A key that is a decimal number below 2^64 without leading zeros is that number. Any other key is
//! hashed (XXH3, 64 bits).

use std::io::{BufRead, BufWriter, Read, Write};

use ::csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use xxhash_rust::xxh3::xxh3_64;

use super::columns::{Column, Columns};
use super::input::number;
use super::loaded::{Builder, Trace};
use super::{Place, Result, TraceError};

const SECOND_NS: u64 = 1_000_000_000;

const TIME_NAMES: [&str; 5] = ["time", "timestamp", "clock_time", "op_time", "ts"];
const KEY_NAMES: [&str; 8] = [
    "key",
    "obj_id",
    "object_id",
    "object",
    "obj",
    "id",
    "lbn",
    "block",
];
const SIZE_NAMES: [&str; 7] = [
    "size",
    "bytes",
    "obj_size",
    "object_size",
    "length",
    "len",
    "value_size",
];

/// The rows of a file.
pub(super) struct Rows<R> {
    reader: Reader<R>,
    row: ByteRecord,
    pending: bool,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(input: R, delimiter: u8, quoting: bool) -> Self {
        let mut form = ReaderBuilder::new();
        form.has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .quoting(quoting)
            .buffer_capacity(1 << 16);
        Self {
            reader: form.from_reader(input),
            row: ByteRecord::new(),
            pending: false,
        }
    }

    /// The next row; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<&ByteRecord>> {
        if !std::mem::take(&mut self.pending) {
            let read = self.reader.read_byte_record(&mut self.row);
            let place = Place::Line(self.reader.position().line());
            let more = read.map_err(|error| match error.into_kind() {
                ErrorKind::Io(source) => TraceError::Io { place, source },
                other => TraceError::malformed(place, format!("{other:?}")),
            })?;
            if !more {
                return Ok(None);
            }
        }
        Ok(Some(&self.row))
    }

    /// The first row. [`Self::next`] returns it again unless it is skipped.
    pub(super) fn peek(&mut self) -> Result<Option<&ByteRecord>> {
        let more = self.next()?.is_some();
        self.pending = more;
        Ok(more.then_some(&self.row))
    }

    /// Skips the row that was peeked at last.
    pub(super) fn skip(&mut self) {
        self.pending = false;
    }
}

/// The position of each field in a row, counted from 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    pub(super) time: Option<usize>,
    pub(super) key: usize,
    /// The request's bytes are the sum of these fields.
    pub(super) sizes: [Option<usize>; 2],
    /// How often the request is made; once if there is no such field.
    pub(super) count: Option<usize>,
    /// The operation's field, and the operation that removes the object.
    pub(super) removal: Option<(usize, &'static [u8])>,
}

/// The most repetitions of a request: CacheBench stores the number in 16 bits.
const COUNT_MAX: u64 = 0xffff;

impl Layout {
    /// Adds all rows to `builder`.
    pub(super) fn read(&self, rows: &mut Rows<impl Read>, builder: &mut Builder) -> Result<()> {
        if self.sizes.iter().any(Option::is_some) {
            builder.has_sizes();
        }
        if self.time.is_some() {
            builder.has_times();
        }
        while let Some(row) = rows.next()? {
            if !self.push(row, builder)? {
                break;
            }
        }
        Ok(())
    }

    fn push(&self, row: &ByteRecord, builder: &mut Builder) -> Result<bool> {
        if let Some((place, name)) = self.removal
            && field(row, place, "operation")? == name
        {
            builder.removal();
            return Ok(true);
        }
        let key = key_of(field(row, self.key, "key")?);
        let mut bytes = 0_u64;
        for place in self.sizes.into_iter().flatten() {
            bytes = bytes.saturating_add(whole(row, place, "size")?);
        }
        let at_ns = match self.time {
            Some(place) if builder.wants_times() => {
                let text = field(row, place, "time")?;
                nanoseconds(text).ok_or_else(|| no_number(row, "time in seconds", text))?
            }
            _ => 0,
        };
        let count = self
            .count
            .map_or(Ok(1), |place| whole(row, place, "count"))?;
        if count > COUNT_MAX {
            return Err(TraceError::malformed(
                place_of(row),
                format!("{count} repetitions are too many"),
            ));
        }
        for _ in 0..count {
            if !builder.push(key, bytes, at_ns)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn place_of(row: &ByteRecord) -> Place {
    Place::Line(row.position().map_or(0, ::csv::Position::line))
}

fn field<'a>(row: &'a ByteRecord, place: usize, what: &str) -> Result<&'a [u8]> {
    row.get(place).map(<[u8]>::trim_ascii).ok_or_else(|| {
        let message = format!(
            "the {what} is column {}, but the row has {}",
            place + 1,
            row.len()
        );
        TraceError::malformed(place_of(row), message)
    })
}

fn whole(row: &ByteRecord, place: usize, what: &str) -> Result<u64> {
    let text = field(row, place, what)?;
    number(text).ok_or_else(|| no_number(row, what, text))
}

fn no_number(row: &ByteRecord, what: &str, text: &[u8]) -> TraceError {
    let shown: String = String::from_utf8_lossy(text).chars().take(40).collect();
    TraceError::malformed(
        place_of(row),
        format!("the {what} `{shown}` is not a number in range"),
    )
}

/// The key that `text` stands for.
fn key_of(text: &[u8]) -> u64 {
    match number(text) {
        Some(key) if text[0] != b'0' || text.len() == 1 => key,
        _ => xxh3_64(text),
    }
}

/// Reads decimal seconds. Digits beyond the nanosecond are cut off.
fn nanoseconds(text: &[u8]) -> Option<u64> {
    let dot = text
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(text.len());
    let seconds = number(&text[..dot])?.checked_mul(SECOND_NS)?;
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction
        .iter()
        .copied()
        .chain(std::iter::repeat(b'0'))
        .take(9);
    seconds.checked_add(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// Reads rows by the columns that the caller names. What it leaves out is found by the header, or
/// by the number of columns.
pub(super) fn read(input: impl BufRead, columns: &Columns, builder: &mut Builder) -> Result<()> {
    let mut rows = Rows::new(input, columns.delimiter.unwrap_or(b','), true);
    let Some(first) = rows.peek()? else {
        return Ok(());
    };
    let has_header = columns
        .header
        .unwrap_or_else(|| columns.needs_header() || is_header(first, columns));
    let layout = if has_header {
        by_header(first, columns)?
    } else {
        by_number(first, columns)?
    };
    if has_header {
        rows.skip();
    }
    layout.read(&mut rows, builder)
}

/// The names of a header.
pub(super) fn names(row: &ByteRecord) -> Vec<String> {
    row.iter()
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .collect()
}

/// Whether the first row is a header: it has a common name for keys, or a word where a number
/// should be.
fn is_header(row: &ByteRecord, columns: &Columns) -> bool {
    let is_word = |column: &Column| {
        let text = column.place(&[]).and_then(|place| row.get(place));
        text.is_some_and(|text| nanoseconds(text.trim_ascii()).is_none())
    };
    let has_key = names(row).iter().any(|it| KEY_NAMES.contains(&&**it));
    let numbers = [&columns.time, &columns.size];
    has_key || numbers.into_iter().flatten().any(is_word)
}

/// The layout by a header: the columns that the caller names, or those with a common name.
fn by_header(row: &ByteRecord, columns: &Columns) -> Result<Layout> {
    let header = names(row);
    let listed = header.join(", ");
    let find = |asked: &Option<Column>, common: &[&str]| {
        let Some(column) = asked else {
            return Ok(header.iter().position(|it| common.contains(&&**it)));
        };
        let found = column.place(&header);
        if found.is_none() {
            let message = format!("the header has no column {column}; it has {listed}");
            return Err(TraceError::malformed(place_of(row), message));
        }
        Ok(found)
    };
    let Some(key) = find(&columns.key, &KEY_NAMES)? else {
        let message =
            format!("none of the columns {listed} has a common name for keys; name it: key=...");
        return Err(TraceError::malformed(place_of(row), message));
    };
    let size = find(&columns.size, &SIZE_NAMES)?;
    Ok(Layout {
        time: find(&columns.time, &TIME_NAMES)?,
        key,
        sizes: [size, None],
        ..Layout::default()
    })
}

/// The layout without a header: the columns that the caller numbers, or the common form.
fn by_number(row: &ByteRecord, columns: &Columns) -> Result<Layout> {
    let place = |column: &Option<Column>| column.as_ref().and_then(|column| column.place(&[]));
    if let Some(key) = place(&columns.key) {
        let sizes = [place(&columns.size), None];
        return Ok(Layout {
            time: place(&columns.time),
            key,
            sizes,
            ..Layout::default()
        });
    }
    match row.len() {
        1 => Ok(Layout::default()),
        3 => Ok(Layout {
            time: Some(0),
            key: 1,
            sizes: [Some(2), None],
            ..Layout::default()
        }),
        other => Err(TraceError::malformed(
            place_of(row),
            format!(
                "{other} columns without a header: say what they are, such as time=1,key=2,size=3"
            ),
        )),
    }
}

/// Writes a trace with a header. Columns that it has no values for are left out.
pub(super) fn write(trace: &Trace, output: impl Write) -> Result<()> {
    write_rows(trace, output).map_err(TraceError::Write)
}

fn write_rows(trace: &Trace, output: impl Write) -> std::io::Result<()> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let header = match (!trace.times().is_empty(), trace.has_sizes()) {
        (true, true) => "time,key,size\n",
        (true, false) => "time,key\n",
        (false, true) => "key,size\n",
        (false, false) => "key\n",
    };
    output.write_all(header.as_bytes())?;
    for request in 0..trace.objects().len() {
        write_row(trace, request, &mut output)?;
    }
    output.flush()
}

fn write_row(trace: &Trace, request: usize, output: &mut impl Write) -> std::io::Result<()> {
    if let Some(at_ns) = trace.times().get(request) {
        let seconds = at_ns / SECOND_NS;
        match at_ns % SECOND_NS {
            0 => write!(output, "{seconds},")?,
            rest => write!(output, "{seconds}.{rest:09},")?,
        }
    }
    let object = trace.objects()[request] as usize;
    write!(output, "{}", trace.keys()[object])?;
    if trace.has_sizes() {
        write!(output, ",{}", trace.bytes(request))?;
    }
    output.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_keys_and_seconds_become_nanoseconds() {
        assert_eq!(key_of(b"159161"), 159_161);
        assert_eq!(key_of(b"0"), 0);
        for text in [&b"007"[..], b"18446744073709551616", b"nz:u:eeW5", b""] {
            assert_eq!(key_of(text), xxh3_64(text));
        }
        assert_eq!(nanoseconds(b"12"), Some(12_000_000_000));
        assert_eq!(nanoseconds(b"12.0000000019"), Some(12_000_000_001));
        assert_eq!(nanoseconds(b"0.5"), Some(500_000_000));
        for bad in [
            &b""[..],
            b".",
            b"-1",
            b"1.x",
            b"99999999999999999999",
            b"20000000000",
        ] {
            assert_eq!(nanoseconds(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
