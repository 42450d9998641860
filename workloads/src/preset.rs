//! Named workloads: the six core workloads of YCSB, those of RocksDB's db_bench, a queue, a time
//! series.
//!
//! Source: YCSB `workloads/workloada` to `workloadf`. All insert in hashed key order. Records,
//! operations and the value size (YCSB: 1000, 1000, ten fields of 100 bytes) are the config's
//! defaults. YCSB's updates write one of the ten fields. A key-value engine has no fields, so an
//! update writes the whole value.
//!
//! Source: RocksDB `tools/db_bench_tool.cc`. Its phases follow one another on one database, and
//! draw from `--num` keys whether they are there or not. Here each preset first loads its records;
//! `fillseq` and `fillrandom` then insert each key once, in order or scattered. The second role of
//! `readwhilewriting` and its like goes on until the readers have done their operations.
//!
//! Source of `mixgraph`: Cao et al., "Characterizing, Modeling, and Benchmarking RocksDB Key-Value
//! Workloads at Facebook", FAST 2020, and the options that its authors published for db_bench
//! (facebook/rocksdb#5953). Kinds of operation, keys, lengths of values and of scans are theirs,
//! but drawn one by one: db_bench takes all of them from one number. Its rate, a sine, is `load = {
//! arrival = "constant", rate = { mean, amplitude, period, phase } }` with mean `sine_d`, amplitude
//! `sine_a`, period 2 pi / `sine_b` and phase `sine_c`; without it the loop is closed, as
//! db_bench's without `--sine_mix_rate`.
//!
//! The engine has no times to live. `time-series` deletes the oldest record for each new one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distributions::Distribution;
use crate::mix::Mix;
use crate::op::OpKind;

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
    /// Db_bench: inserts in key order.
    #[serde(rename = "fillseq")]
    FillSeq,
    /// Db_bench: inserts in scattered order, each key once.
    #[serde(rename = "fillrandom")]
    FillRandom,
    /// Db_bench: updates, uniform.
    #[serde(rename = "overwrite")]
    Overwrite,
    /// Db_bench: reads, uniform.
    #[serde(rename = "readrandom")]
    ReadRandom,
    /// Db_bench: reads of keys that are not there.
    #[serde(rename = "readmissing")]
    ReadMissing,
    /// Db_bench: reads of one record in a hundred.
    #[serde(rename = "readhot")]
    ReadHot,
    /// Db_bench: seeks that read one record, uniform.
    #[serde(rename = "seekrandom")]
    SeekRandom,
    /// Db_bench: read-modify-writes, uniform.
    #[serde(rename = "updaterandom")]
    UpdateRandom,
    /// Db_bench: deletes, uniform.
    #[serde(rename = "deleterandom")]
    DeleteRandom,
    /// Db_bench: uniform reads while one client updates.
    #[serde(rename = "readwhilewriting")]
    ReadWhileWriting,
    /// Db_bench: uniform reads while one client scans 1000 records at a time.
    #[serde(rename = "readwhilescanning")]
    ReadWhileScanning,
    /// Db_bench: uniform seeks while one client updates.
    #[serde(rename = "seekrandomwhilewriting")]
    SeekRandomWhileWriting,
    /// Db_bench: the mix of ZippyDB at Facebook, after Cao et al.
    #[serde(rename = "mixgraph")]
    Mixgraph,
    /// 50 % inserts, 50 % deletes of the oldest record: first in, first out.
    #[serde(rename = "queue")]
    Queue,
    /// Reads and backward scans of the latest records, while one client inserts, and deletes the
    /// oldest.
    #[serde(rename = "time-series")]
    TimeSeries,
}

impl Preset {
    /// All presets, by name.
    pub const ALL: [Self; 21] = [
        Self::YcsbA,
        Self::YcsbB,
        Self::YcsbC,
        Self::YcsbD,
        Self::YcsbE,
        Self::YcsbF,
        Self::FillSeq,
        Self::FillRandom,
        Self::Overwrite,
        Self::ReadRandom,
        Self::ReadMissing,
        Self::ReadHot,
        Self::SeekRandom,
        Self::UpdateRandom,
        Self::DeleteRandom,
        Self::ReadWhileWriting,
        Self::ReadWhileScanning,
        Self::SeekRandomWhileWriting,
        Self::Mixgraph,
        Self::Queue,
        Self::TimeSeries,
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
            Self::FillSeq => "fillseq",
            Self::FillRandom => "fillrandom",
            Self::Overwrite => "overwrite",
            Self::ReadRandom => "readrandom",
            Self::ReadMissing => "readmissing",
            Self::ReadHot => "readhot",
            Self::SeekRandom => "seekrandom",
            Self::UpdateRandom => "updaterandom",
            Self::DeleteRandom => "deleterandom",
            Self::ReadWhileWriting => "readwhilewriting",
            Self::ReadWhileScanning => "readwhilescanning",
            Self::SeekRandomWhileWriting => "seekrandomwhilewriting",
            Self::Mixgraph => "mixgraph",
            Self::Queue => "queue",
            Self::TimeSeries => "time-series",
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
            Self::FillSeq => "db_bench: inserts in key order",
            Self::FillRandom => "db_bench: inserts in scattered order, each key once",
            Self::Overwrite => "db_bench: updates, uniform",
            Self::ReadRandom => "db_bench: reads, uniform",
            Self::ReadMissing => "db_bench: reads of keys that are not there",
            Self::ReadHot => "db_bench: reads of one record in a hundred",
            Self::SeekRandom => "db_bench: seeks that read one record, uniform",
            Self::UpdateRandom => "db_bench: read-modify-writes, uniform",
            Self::DeleteRandom => "db_bench: deletes, uniform",
            Self::ReadWhileWriting => "db_bench: uniform reads while one client updates",
            Self::ReadWhileScanning => {
                "db_bench: uniform reads while one client scans 1000 \
                 records at a time"
            }
            Self::SeekRandomWhileWriting => "db_bench: uniform seeks while one client updates",
            Self::Mixgraph => {
                "db_bench: 83 % reads, 14 % updates, 3 % scans; hot ranges of keys, values of \
                 10 to 1024 bytes (ZippyDB at Facebook)"
            }
            Self::Queue => {
                "50 % inserts, 50 % deletes of the oldest record: first \
                 in, first out"
            }
            Self::TimeSeries => {
                "reads and backward scans of the latest records, while \
                 one client inserts, and deletes the oldest"
            }
        }
    }

    /// Its shares of operations; of roles, those of the first.
    pub fn mix(self) -> Mix {
        let shares: &[(OpKind, f64)] = match self {
            Self::YcsbA => &[(OpKind::Read, 0.5), (OpKind::Update, 0.5)],
            Self::YcsbB => &[(OpKind::Read, 0.95), (OpKind::Update, 0.05)],
            Self::YcsbD => &[(OpKind::Read, 0.95), (OpKind::Insert, 0.05)],
            Self::YcsbE => &[(OpKind::Scan, 0.95), (OpKind::Insert, 0.05)],
            Self::YcsbF => &[(OpKind::Read, 0.5), (OpKind::ReadModifyWrite, 0.5)],
            Self::YcsbC
            | Self::ReadRandom
            | Self::ReadHot
            | Self::ReadWhileWriting
            | Self::ReadWhileScanning => &[(OpKind::Read, 1.0)],
            Self::FillSeq | Self::FillRandom => &[(OpKind::Insert, 1.0)],
            Self::Overwrite => &[(OpKind::Update, 1.0)],
            Self::ReadMissing => &[(OpKind::ReadAbsent, 1.0)],
            Self::SeekRandom | Self::SeekRandomWhileWriting => &[(OpKind::Scan, 1.0)],
            Self::UpdateRandom => &[(OpKind::ReadModifyWrite, 1.0)],
            Self::DeleteRandom => &[(OpKind::Delete, 1.0)],
            Self::Mixgraph => &[
                (OpKind::Read, 0.83),
                (OpKind::Update, 0.14),
                (OpKind::Scan, 0.03),
            ],
            Self::Queue => &[(OpKind::Insert, 0.5), (OpKind::Delete, 0.5)],
            Self::TimeSeries => &[(OpKind::Read, 0.5), (OpKind::Scan, 0.5)],
        };
        Mix::of(shares)
    }

    /// Which keys it requests.
    pub fn distribution(self) -> Distribution {
        match self {
            Self::YcsbA | Self::YcsbB | Self::YcsbC | Self::YcsbE | Self::YcsbF => {
                Distribution::YcsbZipfian {}
            }
            Self::YcsbD | Self::TimeSeries => Distribution::Latest {},
            Self::Mixgraph => Distribution::mixgraph(),
            Self::Queue => Distribution::Oldest {},
            Self::ReadHot => Distribution::Hotspot {
                data_fraction: 0.01,
                operation_fraction: 1.0,
                drift: None,
            },
            _ => Distribution::Uniform {},
        }
    }

    /// Whether its records lie in the order of their insertion.
    pub fn is_ordered(self) -> bool {
        matches!(
            self,
            Self::FillSeq | Self::Queue | Self::TimeSeries | Self::Mixgraph
        )
    }
}
