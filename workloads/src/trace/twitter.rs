//! Twitter's cluster traces.
//!
//! Source: `twitter/cache-trace`; Yang, Yue and Rashmi, "A large scale analysis of hundreds of
//! in-memory cache clusters at Twitter", OSDI 2020.
//!
//! ```text
//!   timestamp,anonymised key,key size,value size,client,operation,TTL        no header, no quoting
//!   0,nz:u:eeW511W3dcH3de3d15ec,27,96,40,get,0
//! ```
//!
//! Times are seconds, sizes bytes. An object's size is that of its key and its value together.
//! Every operation but `delete` is a request. The time to live of a write, in seconds, is that of
//! its object.

use std::io::BufRead;

use super::Result;
use super::csv::{Layout, Rows};
use super::input::number;
use super::loaded::Builder;
use super::operations::Action;
use super::{Place, TraceError};

pub(super) fn read(input: impl BufRead, builder: &mut Builder) -> Result<()> {
    let layout = Layout {
        time: Some(0),
        key: 1,
        size: Some(3),
        key_size: Some(2),
        counts_keys: true,
        operation: Some(5),
        ttl: Some(6),
        ..Layout::default()
    };
    let mut rows = Rows::new(input, b',', false);
    if let Some(first) = rows.peek()?
        && first.len() != 7
    {
        let message = format!("a row has 7 columns, this one {}", first.len());
        return Err(TraceError::malformed(Place::Line(1), message));
    }
    layout.read(&mut rows, builder)
}

/// Whether a line is of this format.
pub(super) fn is_row(line: &[u8]) -> bool {
    let fields: Vec<&[u8]> = line.trim_ascii().split(|byte| *byte == b',').collect();
    fields.len() == 7
        && [0, 2, 3, 6]
            .into_iter()
            .all(|place| number(fields[place]).is_some())
        && Action::of(fields[5]).is_some()
}
