//! What the targets share: the limits of keys and values, errors, and settings that several of
//! them obeys.

use std::error;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use aura_engine::{
    Cursor, Engine, EngineConfig, Error, KEY_BYTES_MAX, Range, Result, SyncPolicy, VALUE_BYTES_MAX,
};
use aura_experiments::config::BadSetting;
use aura_experiments::files;
use aura_policies::{AnyFamily, PolicySpec, filter, layout, separation};

/// The error of another engine, as one of the trait's.
pub(crate) fn failed(
    action: &'static str,
    directory: &Path,
    error: impl Into<Box<dyn error::Error + Send + Sync>>,
) -> Error {
    Error::io(action, directory, io::Error::other(error))
}

/// Refuses a key that is empty or too long, as AuraDB does.
pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(Error::KeySize { bytes: key.len() });
    }
    Ok(())
}

/// Refuses a key or a value that AuraDB refuses.
pub(crate) fn check_put(key: &[u8], value: &[u8]) -> Result<()> {
    check_key(key)?;
    if value.len() > VALUE_BYTES_MAX {
        return Err(Error::ValueSize { bytes: value.len() });
    }
    Ok(())
}

/// Refuses a range whose bounds are too long.
pub(crate) fn check_range(range: &Range) -> Result<()> {
    for bound in [&range.start, &range.end] {
        if let Bound::Included(key) | Bound::Excluded(key) = bound
            // The smallest key above the largest one is a byte longer.
            && key.len() > KEY_BYTES_MAX + 1
        {
            return Err(Error::KeySize { bytes: key.len() });
        }
    }
    Ok(())
}

/// Whether no key can lie in the range: maps would panic at its bounds.
pub(crate) fn is_empty(range: &Range) -> bool {
    match (&range.start, &range.end) {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Included(end) | Bound::Excluded(end),
        ) => start >= end,
        _ => false,
    }
}

/// Refuses calls after the engine was closed.
#[derive(Default)]
pub(crate) struct Closed(AtomicBool);

impl Closed {
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        Ok(())
    }

    /// Closes; returns whether it was open.
    pub(crate) fn close(&self) -> bool {
        !self.0.swap(true, Ordering::Relaxed)
    }
}

/// Bytes of all keys and values: scans the whole database.
pub(crate) async fn reachable_bytes<E: Engine>(engine: &E) -> Result<u64> {
    let mut scan = engine.scan(Range::all(), aura_engine::Direction::Forward);
    let mut bytes = 0;
    while let Some((key, value)) = scan.next().await? {
        bytes += (key.len() + value.len()) as u64;
    }
    Ok(bytes)
}

/// Bytes on disk of the files below a directory that `counts` names. What a file reserves and has
/// not written does not count.
pub(crate) fn disk_bytes(directory: &Path, counts: fn(&Path) -> bool) -> Result<u64> {
    let read = |error| failed("list", directory, error);
    let mut bytes = 0;
    for name in files::names(directory).map_err(read)? {
        let path = directory.join(name);
        let about = path
            .metadata()
            .map_err(|source| Error::io("look at", &path, source))?;
        if about.is_dir() {
            bytes += disk_bytes(&path, counts)?;
        } else if counts(&path) {
            bytes += about.len().min(about.blocks() * 512);
        }
    }
    Ok(bytes)
}

fn bad(key: &str, message: impl Into<String>) -> BadSetting {
    BadSetting {
        key: key.to_owned(),
        message: message.into(),
    }
}

/// Whether each write is synced before it returns.
pub(crate) fn is_synced(engine: &EngineConfig, target: &str) -> Result<bool, BadSetting> {
    match engine.wal.sync {
        SyncPolicy::Always => Ok(true),
        SyncPolicy::Never => Ok(false),
        SyncPolicy::Interval(_) | SyncPolicy::Bytes(_) => {
            let message = format!("`{target}` syncs \"always\" or \"never\"");
            Err(bad("engine.wal.sync", message))
        }
    }
}

/// A number that a policy of this name has as a parameter; `None` if the policy is another one.
fn parameter(
    family: &dyn AnyFamily,
    spec: &PolicySpec,
    policy: &str,
    parameter: &str,
) -> Option<f64> {
    let complete = family.complete(spec).ok()?;
    let value = complete.params.get(parameter)?.as_f64();
    value.filter(|_| spec.policy == policy)
}

/// Bits of Bloom filter for each key; `None` for no filter.
pub(crate) fn filter_bits(engine: &EngineConfig, target: &str) -> Result<Option<f64>, BadSetting> {
    let spec = &engine.table.filter;
    let bits = parameter(&filter::FAMILY, spec, "bloom", "bits_per_key");
    if bits.is_some() || spec.policy == "none" {
        return Ok(bits);
    }
    let message = format!("`{target}` has the filters \"bloom\" and \"none\"");
    Err(bad("engine.table.filter", message))
}

/// Bytes from which on a value is kept apart from its key; `None` if all are kept with it.
pub(crate) fn separated_from(
    engine: &EngineConfig,
    target: &str,
) -> Result<Option<u64>, BadSetting> {
    let spec = &engine.value_log.separation;
    let bytes = parameter(&separation::FAMILY, spec, "threshold", "bytes");
    if bytes.is_some() || spec.policy == "never" {
        return Ok(bytes.map(|bytes| bytes as u64));
    }
    let message = format!("`{target}` separates by \"threshold\" or \"never\"");
    Err(bad("engine.value_log.separation", message))
}

/// How many times larger a level is than the one above it.
pub(crate) fn level_ratio(engine: &EngineConfig, target: &str) -> Result<f64, BadSetting> {
    let spec = &engine.compaction.layout;
    parameter(&layout::FAMILY, spec, "leveled", "ratio").ok_or_else(|| {
        let message = format!(
            "`{target}` has the layout \"leveled\"; its other ones are set by `target_options`"
        );
        bad("engine.compaction.layout", message)
    })
}

/// Bytes of level 1: four memtables, unless set.
pub(crate) fn base_bytes(engine: &EngineConfig) -> u64 {
    match engine.compaction.base.as_u64() {
        0 => 4 * engine.memtable.as_u64(),
        base => base,
    }
}
