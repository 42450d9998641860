//! Plain keys: one little-endian u64 a request, and nothing else.
//!
//! Source: the form in which benchmarks commonly exchange key sets; libCacheSim reads it as a
//! binary trace of the format `<Q`. There is no header, size or time.

use std::io::BufRead;

use super::Result;
use super::input::Records;
use super::loaded::Builder;

pub(super) fn read(input: impl BufRead, builder: &mut Builder) -> Result<()> {
    let mut records = Records::<_, 8>::new(input);
    while let Some((record, _)) = records.next()? {
        if !builder.push(u64::from_le_bytes(record), 1, 0)? {
            break;
        }
    }
    Ok(())
}
