//! Steps: what is done to the database between phases, without operations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a phase does instead of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Waits until no background work is left.
    Settle,
    /// Writes what is in memtables to tables.
    Flush,
    /// Flushes, then merges all tables into one run.
    Compact,
    /// Empties the engine's cache, and in the real world what the system's page cache holds of the
    /// database's files. Pinned indexes and filters stay.
    DropCaches,
    /// Waits for `duration`, while the background goes on.
    Wait,
}

impl Step {
    /// All steps.
    pub const ALL: [Self; 5] = [
        Self::Settle,
        Self::Flush,
        Self::Compact,
        Self::DropCaches,
        Self::Wait,
    ];

    /// The name used in configs and in the names of windows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settle => "settle",
            Self::Flush => "flush",
            Self::Compact => "compact",
            Self::DropCaches => "drop-caches",
            Self::Wait => "wait",
        }
    }

    /// One line: what it does.
    pub fn about(self) -> &'static str {
        match self {
            Self::Settle => "waits until no background work is left",
            Self::Flush => "writes what is in memtables to tables",
            Self::Compact => "flushes, then merges all tables into one run",
            Self::DropCaches => "empties the engine's cache, and the page cache of its files",
            Self::Wait => "waits, while the background goes on",
        }
    }
}
