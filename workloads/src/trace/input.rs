//! What the readers share: lines and records with their places, and numbers written in digits.

use std::io::{BufRead, Read};
use std::ops::Range;

use super::{Place, Result, TraceError};

/// The longest line of a trace. Without a limit, the garbage of a binary file would be read as one
/// line.
const LINE_BYTES_MAX: u64 = 1 << 16;

/// The lines of a text.
pub(super) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    line: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            line: 0,
        }
    }

    /// The next line without its end, and its place; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(&[u8], Place)>> {
        self.line += 1;
        let place = Place::Line(self.line);
        self.buffer.clear();
        let mut bounded = self.input.by_ref().take(LINE_BYTES_MAX);
        let read = bounded.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|source| TraceError::Io { place, source })?;
        if read as u64 == LINE_BYTES_MAX {
            return Err(TraceError::malformed(
                place,
                format!("it is longer than {LINE_BYTES_MAX} bytes"),
            ));
        }
        Ok((read > 0).then(|| (self.buffer.trim_ascii_end(), place)))
    }
}

/// Bytes of records that are read at once.
const BUFFER_BYTES: usize = 1 << 16;

/// Records of N bytes.
pub(super) struct Records<R, const N: usize> {
    input: R,
    buffer: Vec<u8>,
    /// The part of the buffer that holds what was read and not returned.
    ready: Range<usize>,
    offset: u64,
}

impl<R: Read, const N: usize> Records<R, N> {
    pub(super) fn new(input: R) -> Self {
        Self::after(0, input)
    }

    /// The records of an input of which `offset` bytes were read before.
    pub(super) fn after(offset: u64, input: R) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES.max(N)],
            ready: 0..0,
            offset,
        }
    }

    /// The next record and its place; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<([u8; N], Place)>> {
        let place = Place::Byte(self.offset);
        if self.ready.len() < N {
            self.refill()
                .map_err(|source| TraceError::Io { place, source })?;
        }
        let Some(record) = self.buffer[self.ready.clone()].first_chunk() else {
            return match self.ready.len() {
                0 => Ok(None),
                _ => Err(TraceError::Truncated { place }),
            };
        };
        self.ready.start += N;
        self.offset += N as u64;
        Ok(Some((*record, place)))
    }

    /// Reads on until a record is ready, or the input ends.
    fn refill(&mut self) -> std::io::Result<()> {
        self.buffer.copy_within(self.ready.clone(), 0);
        self.ready = 0..self.ready.len();
        while self.ready.len() < N {
            match self.input.read(&mut self.buffer[self.ready.end..]) {
                Ok(0) => break,
                Ok(read) => self.ready.end += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads until `buffer` is full or the input ends, and returns the number of bytes read.
pub(super) fn fill(input: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// N bytes from `at` on.
pub(super) fn bytes_at<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&record[at..at + N]);
    bytes
}

/// Reads a number that consists of decimal digits only; `None` if it does not, or is too large.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 {
        return None;
    }
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    // Nineteen digits always fit.
    let (safe, rest) = text.split_at(text.len().min(19));
    let mut number = 0;
    for &byte in safe {
        number = number * 10 + digit(byte)?;
    }
    rest.iter().try_fold(number, |number: u64, &byte| {
        number.checked_mul(10)?.checked_add(digit(byte)?)
    })
}

/// Whether the first bytes of a file look like text.
pub(super) fn is_text(head: &[u8]) -> bool {
    !head.is_empty()
        && head
            .iter()
            .all(|byte| *byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r'))
}

/// The nanoseconds of a time in microseconds that stands at `place`.
///
/// # Errors
/// [`TraceError`] if they do not fit 64 bits.
pub(super) fn nanoseconds_of(micros: u64, place: Place) -> Result<u64> {
    micros.checked_mul(1000).ok_or_else(|| {
        TraceError::malformed(
            place,
            format!("a time of {micros} microseconds is too large"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_up_to_the_largest() {
        let largest = u64::MAX.to_string();
        assert_eq!(number(largest.as_bytes()), Some(u64::MAX));
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"007"), Some(7));
        for bad in [
            "",
            "18446744073709551616",
            "99999999999999999999",
            "000000000000000000001",
            "-1",
            "+1",
            "1.5",
            "a",
        ] {
            assert_eq!(number(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn lines_know_their_numbers_and_have_an_end() {
        let mut lines = Lines::new(&b"a\r\n\nb"[..]);
        assert_eq!(
            lines.next().expect("memory"),
            Some((&b"a"[..], Place::Line(1)))
        );
        assert_eq!(
            lines.next().expect("memory"),
            Some((&b""[..], Place::Line(2)))
        );
        assert_eq!(
            lines.next().expect("memory"),
            Some((&b"b"[..], Place::Line(3)))
        );
        assert_eq!(lines.next().expect("memory"), None);
        let endless = vec![b'x'; 1 << 17];
        assert!(matches!(
            Lines::new(&endless[..]).next(),
            Err(TraceError::Malformed {
                place: Place::Line(1),
                ..
            })
        ));
    }

    #[test]
    fn a_record_may_lie_across_two_reads_but_not_across_the_end() {
        let halves = (&[1, 2, 3][..]).chain(&[4, 5, 6, 7, 8, 9][..]);
        let mut records = Records::<_, 4>::new(halves);
        assert_eq!(
            records.next().expect("memory"),
            Some(([1, 2, 3, 4], Place::Byte(0)))
        );
        assert_eq!(
            records.next().expect("memory"),
            Some(([5, 6, 7, 8], Place::Byte(4)))
        );
        assert!(matches!(
            records.next(),
            Err(TraceError::Truncated {
                place: Place::Byte(8)
            })
        ));
    }
}
