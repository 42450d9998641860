//! A database at rest with files of every kind, and the regions of its files.

use std::ops::Range;
use std::path::{Path, PathBuf};

use aura_engine::env::sim::{CrashMode, FsImage};
use aura_engine::{EngineConfig, SyncPolicy};

use super::history::History;
use super::tour::{Recorded, tour, tour_config};
use super::{run, sim};

/// A database at rest with files of every kind, some writes in the log only.
pub(crate) struct Specimen {
    pub(crate) image: FsImage,
    pub(crate) config: EngineConfig,
    pub(crate) history: History,
    /// States up to this one are in tables, or were when the database was last opened.
    pub(crate) flushed: usize,
    /// States up to this one are proven to have been durable by what is on disk.
    pub(crate) proven: usize,
}

impl Specimen {
    /// Returns the files of the database with their bytes. The tour has left a copy of it beside
    /// it.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let own = self
            .image
            .paths()
            .into_iter()
            .filter(|path| path.starts_with("/db"));
        own.map(|path| (path.clone(), self.image.read(&path).unwrap()))
            .collect()
    }
}

/// Creates a specimen. A `young` one was never closed: all its writes are in its first log.
pub(crate) fn specimen(seed: u64, young: bool) -> Specimen {
    let config = tour_config(seed);
    let world = sim(seed);
    let mut db = Recorded::new(world.env(), config.clone());
    let flushed = run(&world, async {
        if !young {
            tour(&mut db).await.unwrap();
        }
        db.open().await.unwrap();
        let flushed = db.history.acknowledged;
        db.batch(&[(0, Some(700)), (1, Some(20)), (2, None)])
            .await
            .unwrap();
        db.put(3, 800).await.unwrap();
        db.together(&[(4, 30), (5, 900)]).await.unwrap();
        db.put(6, 30).await.unwrap();
        flushed
    });
    // Under "always", the record of a group proves that all groups before it are on the device.
    let proven = if config.wal.sync == SyncPolicy::Always {
        db.history.acknowledged - 1
    } else {
        flushed
    };
    let image = world.crash_image(CrashMode::KeepAll, seed).unwrap();
    Specimen {
        image,
        config,
        history: db.history,
        flushed,
        proven,
    }
}

/// Bytes of the header of a log.
const LOG_HEADER: usize = 52;
/// Bytes of the header of each record of a log.
const LOG_RECORD_HEADER: usize = 32;

/// Bytes of the header of a manifest.
const MANIFEST_HEADER: usize = 12;
/// Bytes of the header of each edit of a manifest.
const EDIT_HEADER: usize = 12;

/// Bytes behind the map of a value file that a collection wrote.
const VALUES_TRAILER: usize = 16;

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

/// Returns the regions of records that follow each other from `at`. Each is a header and a body,
/// whose length `body` finds in the header. Zeros behind the last are a region of their own.
fn records(
    bytes: &[u8],
    mut at: usize,
    header: (&'static str, usize),
    body: (&'static str, impl Fn(&[u8]) -> Option<usize>),
) -> Vec<(&'static str, Range<usize>)> {
    let mut regions = Vec::new();
    while at < bytes.len() {
        if bytes[at..].iter().all(|byte| *byte == 0) {
            regions.push(("reserved", at..bytes.len()));
            break;
        }
        let start = at + header.1;
        let end = start + body.1(&bytes[at..]).expect("the file is whole");
        regions.extend([(header.0, at..start), (body.0, start..end)]);
        at = end;
    }
    regions
}

/// Returns the regions of a table: its data blocks, and its other blocks, whose places the last 64
/// bytes state.
fn table_regions(bytes: &[u8]) -> Vec<(&'static str, Range<usize>)> {
    let footer = bytes.len() - 64;
    let field = |at: usize| word(bytes, footer + at).expect("a footer has 64 bytes");
    let handle = |at: usize| field(at)..field(at) + field(at + 8);
    let named = [
        ("filter", handle(0)),
        ("model", handle(12)),
        ("index", handle(24)),
        ("properties", handle(36)),
    ];
    let present: Vec<_> = named
        .into_iter()
        .filter(|(_, range)| !range.is_empty())
        .collect();
    let data = 0..present.iter().map(|(_, range)| range.start).min().unwrap();
    [
        vec![("data", data)],
        present,
        vec![("footer", footer..bytes.len())],
    ]
    .concat()
}

/// Returns where the frames of a value file end: before the map of one that a collection wrote.
fn frames_end(bytes: &[u8]) -> usize {
    match bytes.ends_with(b"AURAMAP1") {
        true => {
            let trailer = bytes.len() - VALUES_TRAILER;
            trailer - word(bytes, trailer + 4).expect("the file is whole")
        }
        false => bytes.len(),
    }
}

/// Returns the kind of a file and its regions.
pub(crate) fn regions(
    path: &Path,
    bytes: &[u8],
) -> (&'static str, Vec<(&'static str, Range<usize>)>) {
    let name = path.file_name().unwrap().to_str().unwrap();
    match name.rsplit('.').next().unwrap() {
        "wal" => {
            let mut found = vec![("header", 0..LOG_HEADER)];
            found.extend(records(
                bytes,
                LOG_HEADER,
                ("record header", LOG_RECORD_HEADER),
                ("record body", |it| word(it, 8)),
            ));
            ("log", found)
        }
        "vlog" => {
            let mut found = vec![("header", 0..8)];
            let body = |it: &[u8]| Some(word(it, 4)? + word(it, 8)?);
            let end = frames_end(bytes);
            found.extend(records(
                &bytes[..end],
                8,
                ("frame header", 17),
                ("frame body", body),
            ));
            if end < bytes.len() {
                let trailer = bytes.len() - VALUES_TRAILER;
                found.extend([("map", end..trailer), ("trailer", trailer..bytes.len())]);
            }
            ("values", found)
        }
        "sst" => ("table", table_regions(bytes)),
        "manifest" => {
            let mut found = vec![("header", 0..MANIFEST_HEADER)];
            found.extend(records(
                bytes,
                MANIFEST_HEADER,
                ("edit header", EDIT_HEADER),
                ("edit", |it| word(it, 8)),
            ));
            ("manifest", found)
        }
        _ if name == "CURRENT" => ("CURRENT", vec![("all", 0..bytes.len())]),
        "json" => ("json", vec![("all", 0..bytes.len())]),
        _ if name == "LOCK" => ("LOCK", Vec::new()),
        other => {
            panic!("{name} has an unknown extension, {other}: its regions must be listed here")
        }
    }
}

/// Corrects every checksum of a file of this kind that was tampered with, so that readers go past
/// the checksums.
pub(crate) fn reseal(kind: &str, path: &Path, bytes: &mut Vec<u8>) {
    match kind {
        "log" => {
            seal(bytes, 0..LOG_HEADER - 4, LOG_HEADER - 4);
            let number = bytes.get(8..16).map_or(0, |word| {
                u64::from_le_bytes(word.try_into().expect("8 bytes"))
            });
            reseal_headed(bytes, number, LOG_HEADER, LOG_RECORD_HEADER);
        }
        "values" => reseal_records(bytes, 8, |it| Some(17 + word(it, 4)? + word(it, 8)?)),
        "manifest" => {
            let number = path.file_stem().unwrap().to_str().unwrap();
            let number = number.parse().unwrap();
            reseal_headed(bytes, number, MANIFEST_HEADER, EDIT_HEADER);
        }
        "table" => reseal_table(bytes).unwrap_or_default(),
        "CURRENT" => {
            let name = bytes
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default()
                .to_vec();
            *bytes = [
                &name,
                format!("\n{:08x}\n", crc32c::crc32c(&name)).as_bytes(),
            ]
            .concat();
        }
        _ => {}
    }
}

/// Writes the checksum of `covered` to `at`, if both lie in the file.
fn seal(bytes: &mut [u8], covered: Range<usize>, at: usize) {
    let Some(checksum) = bytes.get(covered).map(crc32c::crc32c) else {
        return;
    };
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Corrects records whose checksum stands before the bytes it covers.
fn reseal_records(bytes: &mut [u8], mut at: usize, length: impl Fn(&[u8]) -> Option<usize>) {
    while let Some(end) = bytes.get(at..).and_then(&length).map(|length| at + length)
        && end <= bytes.len()
    {
        seal(bytes, at + 4..end, at);
        at = end;
    }
}

/// Corrects records whose header has a checksum of the body, and one of the header and the file's
/// number.
fn reseal_headed(bytes: &mut [u8], number: u64, mut at: usize, header: usize) {
    while let Some(body) = bytes.get(at..).and_then(|record| word(record, 8))
        && let Some(end) = (at + header).checked_add(body)
        && end <= bytes.len()
    {
        seal(bytes, at + header..end, at + 4);
        let salt = crc32c::crc32c(&number.to_le_bytes());
        let checksum = crc32c::crc32c_append(salt, &bytes[at + 4..at + header]);
        bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
        at = end;
    }
}

/// Corrects blocks whose checksum stands at their end, and the footer.
fn reseal_table(bytes: &mut [u8]) -> Option<()> {
    let footer = bytes.len().checked_sub(64)?;
    seal(bytes, footer..footer + 52, footer + 52);
    let mut blocks = Vec::new();
    for at in [0, 12, 24, 36] {
        let start = word(bytes, footer + at)?;
        blocks.push(start..start + word(bytes, footer + at + 8)?);
    }
    // The index lists the data blocks: their count, and for each its bytes, entries and last key.
    let mut rest = bytes.get(blocks[2].clone())?;
    let count = word(rest, 0)?;
    let mut start = 0usize;
    rest = &rest[4..];
    let mut varint = |skip: bool| {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let (byte, after) = rest.split_first()?;
            value |= u64::from(byte & 0x7f) << shift;
            rest = after;
            if byte & 0x80 == 0 {
                break;
            }
        }
        if skip {
            rest = rest.get(usize::try_from(value).ok()?..)?;
        }
        usize::try_from(value).ok()
    };
    for _ in 0..count.min(1000) {
        let (Some(length), Some(_), Some(_)) = (varint(false), varint(false), varint(true)) else {
            break;
        };
        let Some(end) = start.checked_add(length).filter(|end| *end <= footer) else {
            break;
        };
        blocks.push(start..end);
        start = end;
    }
    for block in blocks.into_iter().filter(|block| block.len() > 4) {
        seal(bytes, block.start..block.end - 4, block.end - 4);
    }
    Some(())
}
