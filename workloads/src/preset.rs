//! The six core workloads of YCSB.
//!
//! Source: YCSB `workloads/workloada` to `workloadf`. All insert in hashed key order. Records,
//! operations and the value size (YCSB: 1000, 1000, ten fields of 100 bytes) are the config's
//! defaults. YCSB's updates write one of the ten fields. A key-value engine has no fields, so an
//! update writes the whole value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::Distribution;
use crate::mix::Mix;

/// A named mix and distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Half reads, half updates.
    YcsbA,
    /// Reads, few updates.
    YcsbB,
    /// Reads only.
    YcsbC,
    /// Reads of the latest inserts.
    YcsbD,
    /// Short scans, few inserts.
    YcsbE,
    /// Reads and read-modify-writes.
    YcsbF,
}

impl Preset {
    /// All presets, by name.
    pub const ALL: [Self; 6] = [
        Self::YcsbA,
        Self::YcsbB,
        Self::YcsbC,
        Self::YcsbD,
        Self::YcsbE,
        Self::YcsbF,
    ];

    /// The name a config uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::YcsbA => "ycsb-a",
            Self::YcsbB => "ycsb-b",
            Self::YcsbC => "ycsb-c",
            Self::YcsbD => "ycsb-d",
            Self::YcsbE => "ycsb-e",
            Self::YcsbF => "ycsb-f",
        }
    }

    /// One line: what it does, and the application that YCSB has in mind.
    pub fn about(self) -> &'static str {
        match self {
            Self::YcsbA => "50 % reads, 50 % updates, ycsb-zipfian (session store)",
            Self::YcsbB => "95 % reads, 5 % updates, ycsb-zipfian (photo tagging)",
            Self::YcsbC => "100 % reads, ycsb-zipfian (profile cache)",
            Self::YcsbD => "95 % reads, 5 % inserts, latest (status updates)",
            Self::YcsbE => "95 % scans of 1 to 100 records, 5 % inserts, ycsb-zipfian (threads)",
            Self::YcsbF => "50 % reads, 50 % read-modify-writes, ycsb-zipfian (user records)",
        }
    }

    /// Its shares of operations.
    pub fn mix(self) -> Mix {
        match self {
            Self::YcsbA => Mix {
                read: 0.5,
                update: 0.5,
                ..Mix::default()
            },
            Self::YcsbB => Mix {
                read: 0.95,
                update: 0.05,
                ..Mix::default()
            },
            Self::YcsbC => Mix {
                read: 1.0,
                ..Mix::default()
            },
            Self::YcsbD => Mix {
                read: 0.95,
                insert: 0.05,
                ..Mix::default()
            },
            Self::YcsbE => Mix {
                scan: 0.95,
                insert: 0.05,
                ..Mix::default()
            },
            Self::YcsbF => Mix {
                read: 0.5,
                read_modify_write: 0.5,
                ..Mix::default()
            },
        }
    }

    /// Which keys it requests.
    pub fn distribution(self) -> Distribution {
        match self {
            Self::YcsbD => Distribution::Latest {},
            _ => Distribution::YcsbZipfian {},
        }
    }
}
