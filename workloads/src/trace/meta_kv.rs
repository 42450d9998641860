//! Meta's key-value cache traces (`kvcache_202206`, `kvcache_202401`).
//!
//! Source: CacheLib's documentation of its evaluation traces, and CacheBench, which reads them
//! (`cachebench/workload/KVReplayGenerator.h`).
//!
//! ```text
//!   2022  key,op,size,op_count,key_size (the default order)
//!   2024  op_time,key,key_size,op,op_count,size,cache_hits,ttl,usecase,sub_usecase
//! ```
//!
//! Columns are found by the header's names; `key`, `op` and `size` must be there. A row stands for
//! `op_count` requests, one after the other. An object's size is that of its value and, if given,
//! its key. Every operation but `DELETE` is a request. Times to live count if there are times.

use std::io::BufRead;

use super::Result;
use super::csv::{Layout, Rows, names};
use super::loaded::Builder;
use super::{Place, TraceError};

const WITHOUT_HEADER: [&str; 6] = ["key", "op", "size", "op_count", "key_size", "ttl"];

pub(super) fn read(input: impl BufRead, builder: &mut Builder) -> Result<()> {
    let mut rows = Rows::new(input, b',', false);
    let Some(first) = rows.peek()? else {
        return Ok(());
    };
    let header = names(first);
    let known = |names: &[String]| {
        let place = |name: &str| names.iter().position(|known| known == name);
        Some(Layout {
            time: place("op_time"),
            key: place("key")?,
            size: Some(place("size")?),
            key_size: place("key_size"),
            counts_keys: true,
            count: place("op_count"),
            operation: Some(place("op")?),
            ttl: place("ttl"),
            ..Layout::default()
        })
    };
    if let Some(layout) = known(&header) {
        rows.skip();
        return layout.read(&mut rows, builder);
    }
    let usual: Vec<String> = WITHOUT_HEADER
        .into_iter()
        .take(header.len())
        .map(str::to_owned)
        .collect();
    match known(&usual) {
        Some(layout) => layout.read(&mut rows, builder),
        None => Err(TraceError::malformed(
            Place::Line(1),
            "the columns key, op and size must be there",
        )),
    }
}

/// Whether a line is the header of this format.
pub(super) fn is_header(line: &[u8]) -> bool {
    let names: Vec<&[u8]> = line.trim_ascii().split(|byte| *byte == b',').collect();
    let has = |name: &&[u8]| names.contains(name);
    // Meta's time is `op_time`: a table with another one is anybody's.
    let of_others = [&b"time"[..], b"timestamp", b"ts"];
    [&b"key"[..], b"op", b"size"].iter().all(has) && !of_others.iter().any(has)
}
