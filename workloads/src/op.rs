//! Operations, as streams yield them. Their bytes are borrowed from the stream.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kinds of operation, in the order in which a mix lists them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum OpKind {
    /// Get one key.
    Read,
    /// Put a new value for a chosen key.
    Update,
    /// Put a new key.
    Insert,
    /// Read some records in key order, from a chosen key on.
    Scan,
    /// Get a key, then put a new value for it; timed as one operation.
    ReadModifyWrite,
    /// Delete a chosen key.
    Delete,
    /// Get a key that is never inserted.
    ReadAbsent,
}

impl OpKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Update,
        Self::Insert,
        Self::Scan,
        Self::ReadModifyWrite,
        Self::Delete,
        Self::ReadAbsent,
    ];

    /// The name used in configs, metrics and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Update => "update",
            Self::Insert => "insert",
            Self::Scan => "scan",
            Self::ReadModifyWrite => "read_modify_write",
            Self::Delete => "delete",
            Self::ReadAbsent => "read_absent",
        }
    }
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To larger keys.
    #[default]
    Forward,
    /// To smaller keys.
    Reverse,
}

/// A key: its number in the workload, and the bytes that the engine gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRef<'a> {
    /// Records are numbered from 0, in the order of their insertion.
    pub number: u64,
    /// The number as [`KeySpace`](crate::KeySpace) spells it.
    pub bytes: &'a [u8],
}

/// One operation. Its bytes live until the stream is asked for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// Get `key`.
    Read {
        /// What to get.
        key: KeyRef<'a>,
    },
    /// Put `value` for a key that the distribution chose.
    Update {
        /// What to write.
        key: KeyRef<'a>,
        /// Its new value.
        value: &'a [u8],
    },
    /// Put a new key. The caller acknowledges the key's number when the write is acknowledged.
    Insert {
        /// The new key.
        key: KeyRef<'a>,
        /// Its value.
        value: &'a [u8],
    },
    /// Read up to `length` records, starting at `key`.
    Scan {
        /// Where to start (inclusive).
        key: KeyRef<'a>,
        /// The most records to read (at least 1).
        length: u32,
        /// The direction.
        direction: Direction,
    },
    /// Get `key`, then put `value` for it.
    ReadModifyWrite {
        /// What to read and write.
        key: KeyRef<'a>,
        /// Its new value.
        value: &'a [u8],
    },
    /// Delete `key`.
    Delete {
        /// What to delete.
        key: KeyRef<'a>,
    },
    /// Get `key`, which is never inserted.
    ReadAbsent {
        /// What to look for. Its number is that of the record whose popularity it has.
        key: KeyRef<'a>,
    },
}

impl<'a> Op<'a> {
    /// The operation's kind.
    pub fn kind(&self) -> OpKind {
        match self {
            Self::Read { .. } => OpKind::Read,
            Self::Update { .. } => OpKind::Update,
            Self::Insert { .. } => OpKind::Insert,
            Self::Scan { .. } => OpKind::Scan,
            Self::ReadModifyWrite { .. } => OpKind::ReadModifyWrite,
            Self::Delete { .. } => OpKind::Delete,
            Self::ReadAbsent { .. } => OpKind::ReadAbsent,
        }
    }

    /// The key it touches; the first key of a scan.
    pub fn key(&self) -> KeyRef<'a> {
        match *self {
            Self::Read { key }
            | Self::Update { key, .. }
            | Self::Insert { key, .. }
            | Self::Scan { key, .. }
            | Self::ReadModifyWrite { key, .. }
            | Self::Delete { key }
            | Self::ReadAbsent { key } => key,
        }
    }

    /// The value it writes, if it writes one.
    pub fn value(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Update { value, .. }
            | Self::Insert { value, .. }
            | Self::ReadModifyWrite { value, .. } => Some(value),
            Self::Read { .. }
            | Self::Scan { .. }
            | Self::Delete { .. }
            | Self::ReadAbsent { .. } => None,
        }
    }
}
