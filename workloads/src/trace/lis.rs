//! `.lis`: ranges of blocks, one a line.
//!
//! Source: the traces of N. Megiddo and D. S. Modha, "ARC: A Self-Tuning, Low Overhead Replacement
//! Cache", FAST 2003, as distributed by their authors and by `moka-rs/cache-trace`.
//!
//! ```text
//!   start count ignored request
//! 42     3       0       1      blocks 42, 43 and 44 are requested
//! ```
//!
//! Numbers are decimal and separated by blanks. Every block of a range is one request. There are no
//! sizes and no times.

use std::io::BufRead;

use super::input::{Lines, number};
use super::loaded::Builder;
use super::{Result, TraceError};

/// The most blocks of a line: a larger count is garbage.
const RANGE_MAX: u64 = 1 << 20;

pub(super) fn read(input: impl BufRead, builder: &mut Builder) -> Result<()> {
    let mut lines = Lines::new(input);
    while let Some((line, place)) = lines.next()? {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Some([start, count, ..]) = fields(line) else {
            return Err(TraceError::malformed(
                place,
                "expected four numbers: start, count, ignored, request",
            ));
        };
        if count > RANGE_MAX || start.checked_add(count).is_none() {
            return Err(TraceError::malformed(
                place,
                format!("a range of {count} blocks from {start} on is too large"),
            ));
        }
        for block in start..start + count {
            if !builder.push(block, 1, 0)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn fields(line: &[u8]) -> Option<[u64; 4]> {
    let mut fields = line
        .split(u8::is_ascii_whitespace)
        .filter(|field| !field.is_empty())
        .map(number);
    let four = [
        fields.next()??,
        fields.next()??,
        fields.next()??,
        fields.next()??,
    ];
    fields.next().is_none().then_some(four)
}

/// Whether a line is of this format.
pub(super) fn is_line(line: &[u8]) -> bool {
    fields(line).is_some()
}
