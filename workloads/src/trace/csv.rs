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
//! Tabs, semicolons, bars or spaces may stand in the place of commas. A column of operations says
//! which rows delete an object, a column of times to live how many seconds it lives.
//!
//! A key that is a decimal number below 2^64 without leading zeros is that number. Any other key is
//! hashed (XXH3, 64 bits).

use std::io::{BufRead, BufWriter, Read, Write};

use ::csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use xxhash_rust::xxh3::xxh3_64;

use super::columns::{Column, Columns, plain};
use super::input::number;
use super::loaded::{Builder, Extra, Life, Trace};
use super::operations::{Action, Name, Operation};
use super::{Place, Result, TraceError};

const SECOND_NS: u64 = 1_000_000_000;

/// Delimiters that are looked for, the likeliest first.
const DELIMITERS: [u8; 5] = [b',', b'\t', b';', b'|', b' '];

/// Rows that show how a file is delimited, and whether it has a header.
const ROWS_SHOWN: usize = 8;

// Common names of columns, as `plain` makes them.
const TIME_NAMES: [&str; 6] = ["time", "timestamp", "clocktime", "optime", "ts", "reqtime"];
const KEY_NAMES: [&str; 13] = [
    "key", "objid", "objectid", "object", "obj", "id", "lbn", "block", "blockid", "cachekey",
    "lba", "url", "hash",
];
const SIZE_NAMES: [&str; 8] = [
    "size",
    "bytes",
    "objsize",
    "objectsize",
    "length",
    "len",
    "valuesize",
    "blocksize",
];
const OP_NAMES: [&str; 5] = ["op", "operation", "optype", "cmd", "command"];
const TTL_NAMES: [&str; 3] = ["ttl", "timetolive", "exptime"];
const KEY_SIZE_NAMES: [&str; 3] = ["keysize", "keybytes", "keylength"];
const SCAN_NAMES: [&str; 4] = ["scan", "scanlength", "scanlen", "records"];
const COST_NAMES: [&str; 4] = ["cost", "misscost", "penalty", "misspenalty"];

/// What an operation does to its object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Reads,
    Writes,
    Removes,
}

impl Effect {
    /// The effect of the operation `name`. What is not known reads.
    pub(super) fn of(name: &[u8]) -> Self {
        match Action::of(name) {
            Some(Action::Delete) => Self::Removes,
            Some(Action::Put | Action::ReadModifyWrite) => Self::Writes,
            _ => Self::Reads,
        }
    }
}

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
    /// The bytes of the object, or of its value.
    pub(super) size: Option<usize>,
    /// The bytes of the key.
    pub(super) key_size: Option<usize>,
    /// Whether a request's bytes are those of the key, too.
    pub(super) counts_keys: bool,
    /// How many records a scan reads.
    pub(super) scan: Option<usize>,
    /// How often the request is made; once if there is no such field.
    pub(super) count: Option<usize>,
    /// The operation.
    pub(super) operation: Option<usize>,
    /// The time to live, in seconds.
    pub(super) ttl: Option<usize>,
    /// What a miss costs, in any unit.
    pub(super) cost: Option<usize>,
    /// Nanoseconds of a unit of time; seconds if `None`.
    pub(super) time_unit_ns: Option<u64>,
}

/// The most repetitions of a request: CacheBench stores the number in 16 bits.
const COUNT_MAX: u64 = 0xffff;

impl Layout {
    /// Adds all rows to `builder`.
    pub(super) fn read(&self, rows: &mut Rows<impl Read>, builder: &mut Builder) -> Result<()> {
        if self.size.is_some() {
            builder.has_sizes();
        }
        if self.time.is_some() {
            builder.has_times();
        }
        if self.operation.is_none() && builder.chooses_operations() {
            return Err(without_operations());
        }
        while let Some(row) = rows.next()? {
            if !self.push(row, builder)? {
                break;
            }
        }
        Ok(())
    }

    fn push(&self, row: &ByteRecord, builder: &mut Builder) -> Result<bool> {
        if builder.takes_operations() {
            return self.push_operations(row, builder);
        }
        let mut effect = None;
        if let Some(place) = self.operation {
            let name = field(row, place, "operation")?;
            if !builder.wants_operation(name) {
                return Ok(true);
            }
            effect = Some(Effect::of(name));
        }
        let key = key_of(field(row, self.key, "key")?);
        if effect == Some(Effect::Removes) {
            builder.removal(key)?;
            return Ok(true);
        }
        let mut bytes = 0_u64;
        let key_size = self.key_size.filter(|_| self.counts_keys);
        for place in [self.size, key_size].into_iter().flatten() {
            let more = whole(row, place, "size")?;
            bytes = bytes.checked_add(more).ok_or_else(|| {
                TraceError::malformed(place_of(row), "the sizes of key and value are too large")
            })?;
        }
        let at_ns = self.at_ns(row)?;
        let count = self.repetitions(row)?;
        let mut extra = Extra {
            life: self.life(row, effect)?,
            cost: self.cost(row)?,
            ..Extra::default()
        };
        for _ in 0..count {
            if !builder.push_with(key, bytes, at_ns, &extra)? {
                return Ok(false);
            }
            extra.life = None;
        }
        Ok(true)
    }

    /// The time of a row; 0 if no row says that.
    fn at_ns(&self, row: &ByteRecord) -> Result<u64> {
        let Some(place) = self.time else {
            return Ok(0);
        };
        let unit_ns = self.time_unit_ns.unwrap_or(SECOND_NS);
        let text = field(row, place, "time")?;
        let what = match unit_ns {
            SECOND_NS => "time in seconds",
            _ => "time",
        };
        nanoseconds(text, unit_ns).ok_or_else(|| no_number(row, what, text))
    }

    /// How often the request of a row is made.
    fn repetitions(&self, row: &ByteRecord) -> Result<u64> {
        let count = self
            .count
            .map_or(Ok(1), |place| whole(row, place, "count"))?;
        if count > COUNT_MAX {
            return Err(TraceError::malformed(
                place_of(row),
                format!("{count} repetitions are too many"),
            ));
        }
        Ok(count)
    }

    /// Adds a row as operations on a store.
    fn push_operations(&self, row: &ByteRecord, builder: &mut Builder) -> Result<bool> {
        let mut action = Action::Get;
        if let Some(place) = self.operation {
            let name = field(row, place, "operation")?;
            if !builder.wants_operation(name) {
                return Ok(true);
            }
            action = Action::of(name).ok_or_else(|| {
                let shown: String = String::from_utf8_lossy(name).chars().take(40).collect();
                let message = format!(
                    "the operation `{shown}` is not known: {} are",
                    Action::names()
                );
                TraceError::malformed(place_of(row), message)
            })?;
        }
        // An empty field, such as the size of a delete, states nothing.
        let stated = |place: Option<usize>, what: &str| {
            let place = place.filter(|place| row.get(*place).is_some_and(|it| !it.is_empty()));
            place.map(|place| whole(row, place, what)).transpose()
        };
        let length = stated(self.scan, "scan length")?.unwrap_or(0);
        let text = field(row, self.key, "key")?;
        let operation = Operation {
            key_bytes: stated(self.key_size, "key size")?,
            value_bytes: stated(self.size, "size")?,
            length: u32::try_from(length).map_err(|_| {
                TraceError::malformed(place_of(row), "the scan length is 2^32 or more")
            })?,
            ..Operation::new(action, Name::Text(text, key_of(text)), self.at_ns(row)?)
        };
        for _ in 0..self.repetitions(row)? {
            if !builder.push_operation(&operation, place_of(row))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a miss of a row costs; `None` if no row says that.
    fn cost(&self, row: &ByteRecord) -> Result<Option<u32>> {
        let Some(place) = self.cost else {
            return Ok(None);
        };
        let text = field(row, place, "cost")?;
        let cost = number(text).and_then(|cost| u32::try_from(cost).ok());
        match cost {
            Some(cost) => Ok(Some(cost)),
            None => Err(no_number(row, "cost, a whole number,", text)),
        }
    }

    /// How long the object of a row lives; `None` if no row says that.
    fn life(&self, row: &ByteRecord, effect: Option<Effect>) -> Result<Option<Life>> {
        let Some(place) = self.ttl else {
            return Ok(None);
        };
        let text = field(row, place, "time to live")?;
        let ttl_ns = match text {
            b"" => 0,
            text => nanoseconds(text, SECOND_NS)
                .ok_or_else(|| no_number(row, "time to live in seconds", text))?,
        };
        Ok(Some(Life {
            ttl_ns,
            begins: effect == Some(Effect::Writes),
        }))
    }
}

/// The error of a choice among operations in a trace that has none.
pub(super) fn without_operations() -> TraceError {
    TraceError::malformed(
        Place::Line(1),
        "operations are chosen, and the trace does not say which operation a request is",
    )
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

/// Reads a decimal number of units. Digits beyond the nanosecond are cut off.
fn nanoseconds(text: &[u8], unit_ns: u64) -> Option<u64> {
    let dot = text
        .iter()
        .position(|byte| *byte == b'.')
        .unwrap_or(text.len());
    let whole = number(&text[..dot])?.checked_mul(unit_ns)?;
    let fraction = text.get(dot + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction
        .iter()
        .copied()
        .chain(std::iter::repeat(b'0'))
        .take(9);
    let billionths = digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    whole.checked_add(billionths * unit_ns / SECOND_NS)
}

/// Reads rows by the columns that the caller names. What it leaves out is found by the header, or
/// by the number of columns.
pub(super) fn read(
    mut input: impl BufRead,
    columns: &Columns,
    builder: &mut Builder,
) -> Result<()> {
    let place = Place::Line(1);
    let head = input
        .fill_buf()
        .map_err(|source| TraceError::Io { place, source })?;
    let delimiter = columns.delimiter.unwrap_or_else(|| delimiter_of(head));
    let shown = first_rows(head, delimiter);
    let mut rows = Rows::new(input, delimiter, true);
    let Some(first) = rows.peek()? else {
        return Ok(());
    };
    let has_header = columns
        .header
        .unwrap_or_else(|| columns.needs_header() || is_header(first, &shown, columns));
    let layout = if has_header {
        by_header(first, columns)?
    } else {
        by_number(first, columns, delimiter)?
    };
    if has_header {
        rows.skip();
    }
    layout.read(&mut rows, builder)
}

/// Whether a line looks like a row of several columns.
pub(super) fn is_row(line: &[u8]) -> bool {
    let marks = &DELIMITERS[..DELIMITERS.len() - 1];
    line.iter().any(|byte| marks.contains(byte))
}

/// The whole lines of `head`, as far as they are shown.
fn first_lines(head: &[u8]) -> Vec<&[u8]> {
    let lines = head.split_inclusive(|byte| *byte == b'\n');
    let mut lines: Vec<&[u8]> = lines.take(ROWS_SHOWN).collect();
    // The last line may go on behind the head.
    if lines.len() > 1 && lines.last().is_some_and(|line| !line.ends_with(b"\n")) {
        lines.pop();
    }
    lines
}

/// The delimiter that divides the first rows into the same number of columns, more than one. The
/// first row may be a header, whose names hold delimiters. A comma if none does.
fn delimiter_of(head: &[u8]) -> u8 {
    let lines = first_lines(head);
    let rows = lines.get(1..).filter(|rows| !rows.is_empty());
    let rows = rows.unwrap_or(&lines);
    let divides = |delimiter: &u8| {
        let count = |line: &[u8]| line.iter().filter(|byte| *byte == delimiter).count();
        let least = rows.iter().map(|line| count(line)).min().unwrap_or(0);
        let most = rows.iter().map(|line| count(line)).max().unwrap_or(0);
        least > 0 && least == most && lines.first().is_some_and(|line| count(line) > 0)
    };
    DELIMITERS.into_iter().find(divides).unwrap_or(b',')
}

/// The first rows of a file.
fn first_rows(head: &[u8], delimiter: u8) -> Vec<ByteRecord> {
    let text = first_lines(head).concat();
    let mut rows = Rows::new(&text[..], delimiter, true);
    let mut shown = Vec::new();
    while let Ok(Some(row)) = rows.next() {
        shown.push(row.clone());
    }
    shown
}

/// The names of a header, as a format with fixed names writes them.
pub(super) fn names(row: &ByteRecord) -> Vec<String> {
    row.iter()
        .map(|name| String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase())
        .collect()
}

/// The names of a header. One may hold delimiters in brackets, as in `op [get: 1, put: 0]`.
fn titles(row: &ByteRecord) -> Vec<String> {
    let mut titles: Vec<String> = Vec::new();
    let mut open = 0_i32;
    for field in row {
        let text = String::from_utf8_lossy(field);
        match titles.last_mut() {
            Some(last) if open > 0 => {
                last.push(',');
                last.push_str(&text);
            }
            _ => titles.push(text.trim_start_matches('#').trim().to_owned()),
        }
        let brackets = text.chars().map(|char| match char {
            '(' | '[' | '{' => 1,
            ')' | ']' | '}' => -1,
            _ => 0,
        });
        open = (open + brackets.sum::<i32>()).max(0);
    }
    titles
}

/// The unit that a name states in brackets, in nanoseconds; `None` if it states none.
fn unit_ns(title: &str) -> Option<u64> {
    let (_, unit) = title.split_once(['(', '['])?;
    match unit.trim_end_matches([')', ']']).trim() {
        "ns" => Some(1),
        "us" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(SECOND_NS),
        _ => None,
    }
}

/// Whether the first row is a header: it begins with `#`, has a common name for keys, a word where
/// the caller expects a number, or a word above numbers.
fn is_header(row: &ByteRecord, shown: &[ByteRecord], columns: &Columns) -> bool {
    let is_number = |text: &[u8]| {
        let text = text.trim_ascii();
        nanoseconds(text.strip_prefix(b"-").unwrap_or(text), SECOND_NS).is_some()
            || number(text).is_some()
    };
    let is_word = |column: &Column| {
        let text = column.place(&[]).and_then(|place| row.get(place));
        text.is_some_and(|text| !is_number(text))
    };
    let is_word_above_numbers = |place: usize| {
        let below = shown.get(1..).unwrap_or_default();
        let is_word = |text: &[u8]| !text.trim_ascii().is_empty() && !is_number(text);
        !below.is_empty()
            && row.get(place).is_some_and(is_word)
            && below
                .iter()
                .all(|row| row.get(place).is_some_and(is_number))
    };
    let has_key = titles(row)
        .iter()
        .any(|it| KEY_NAMES.contains(&&*plain(it)));
    let numbers = [&columns.time, &columns.size];
    has_key
        || row.get(0).is_some_and(|text| text.starts_with(b"#"))
        || numbers.into_iter().flatten().any(is_word)
        || (0..row.len()).any(is_word_above_numbers)
}

/// The layout by a header: the columns that the caller names, or those with a common name. A file
/// of one column holds keys.
fn by_header(row: &ByteRecord, columns: &Columns) -> Result<Layout> {
    let header = titles(row);
    let listed = header.join(", ");
    let find = |asked: &Option<Column>, common: &[&str]| {
        let Some(column) = asked else {
            return Ok(header.iter().position(|it| common.contains(&&*plain(it))));
        };
        let found = column.place(&header);
        if found.is_none() {
            let message = format!("the header has no column {column}; it has {listed}");
            return Err(TraceError::malformed(place_of(row), message));
        }
        Ok(found)
    };
    let only = (header.len() == 1).then_some(0);
    let Some(key) = find(&columns.key, &KEY_NAMES)?.or(only) else {
        let wanted = KEY_NAMES.join(", ");
        let message = format!(
            "none of the columns {listed} has a common name for keys ({wanted}); name it: key=..."
        );
        return Err(TraceError::malformed(place_of(row), message));
    };
    let size = find(&columns.size, &SIZE_NAMES)?;
    let time = find(&columns.time, &TIME_NAMES)?;
    let title_of_time = time.and_then(|place| header.get(place));
    Ok(Layout {
        time,
        key,
        size,
        key_size: find(&columns.key_size, &KEY_SIZE_NAMES)?,
        counts_keys: false,
        scan: find(&columns.scan, &SCAN_NAMES)?,
        count: None,
        operation: find(&columns.op, &OP_NAMES)?,
        ttl: find(&columns.ttl, &TTL_NAMES)?,
        cost: find(&columns.cost, &COST_NAMES)?,
        time_unit_ns: title_of_time.and_then(|title| unit_ns(title)),
    })
}

/// The layout without a header: the columns that the caller numbers, or the common form.
fn by_number(row: &ByteRecord, columns: &Columns, delimiter: u8) -> Result<Layout> {
    let place = |column: &Option<Column>| column.as_ref().and_then(|column| column.place(&[]));
    if let Some(key) = place(&columns.key) {
        return Ok(Layout {
            time: place(&columns.time),
            key,
            size: place(&columns.size),
            key_size: place(&columns.key_size),
            scan: place(&columns.scan),
            operation: place(&columns.op),
            ttl: place(&columns.ttl),
            cost: place(&columns.cost),
            ..Layout::default()
        });
    }
    match row.len() {
        1 => Ok(Layout::default()),
        3 => Ok(Layout {
            time: Some(0),
            key: 1,
            size: Some(2),
            ..Layout::default()
        }),
        other => {
            let by = match delimiter {
                b',' => "a comma".to_owned(),
                b'\t' => "a tab".to_owned(),
                b' ' => "a space".to_owned(),
                byte => format!("`{}`", char::from(byte)),
            };
            Err(TraceError::malformed(
                place_of(row),
                format!(
                    "{other} columns, divided by {by}, without a header: say what they are, such \
                     as time=1,key=2,size=3"
                ),
            ))
        }
    }
}

/// Writes a trace with a header. Columns that it has no values for are left out.
pub(super) fn write(trace: &Trace, output: impl Write) -> Result<()> {
    write_rows(trace, output).map_err(TraceError::Write)
}

fn write_rows(trace: &Trace, output: impl Write) -> std::io::Result<()> {
    let mut output = BufWriter::with_capacity(1 << 16, output);
    let columns = [
        ("time", !trace.times().is_empty()),
        ("key", true),
        ("size", trace.has_sizes()),
        ("cost", trace.has_costs()),
    ];
    let named = columns.into_iter().filter(|(_, is_there)| *is_there);
    let header: Vec<&str> = named.map(|(name, _)| name).collect();
    writeln!(output, "{}", header.join(","))?;
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
        write!(output, ",{}", trace.stated_bytes(request))?;
    }
    if trace.has_costs() {
        write!(output, ",{}", trace.cost(request))?;
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
        let seconds = |text| nanoseconds(text, SECOND_NS);
        assert_eq!(seconds(b"12"), Some(12_000_000_000));
        assert_eq!(seconds(b"12.0000000019"), Some(12_000_000_001));
        assert_eq!(seconds(b"0.5"), Some(500_000_000));
        assert_eq!(
            nanoseconds(b"1678863569123.5", 1_000_000),
            Some(1_678_863_569_123_500_000)
        );
        for bad in [
            &b""[..],
            b".",
            b"-1",
            b"1.x",
            b"99999999999999999999",
            b"20000000000",
        ] {
            assert_eq!(seconds(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }
}
