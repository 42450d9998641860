//! The shares of the kinds of operation in a workload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::op::OpKind;

/// Shares of the kinds of operation, relative to their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Mix {
    /// Gets.
    pub read: f64,
    /// Puts of keys that exist.
    pub update: f64,
    /// Puts of new keys.
    pub insert: f64,
    /// Scans.
    pub scan: f64,
    /// A get and a put of the same key, timed as one.
    pub read_modify_write: f64,
    /// Deletes. Their keys are chosen like those of reads, so later reads may miss.
    pub delete: f64,
    /// Gets of keys that are never inserted. They lie between those that are, and each is as
    /// popular as the record whose place it takes.
    pub read_absent: f64,
}

impl Mix {
    /// These shares, and no others.
    pub fn of(shares: &[(OpKind, f64)]) -> Self {
        let mut mix = Self::default();
        for &(kind, share) in shares {
            *match kind {
                OpKind::Read => &mut mix.read,
                OpKind::Update => &mut mix.update,
                OpKind::Insert => &mut mix.insert,
                OpKind::Scan => &mut mix.scan,
                OpKind::ReadModifyWrite => &mut mix.read_modify_write,
                OpKind::Delete => &mut mix.delete,
                OpKind::ReadAbsent => &mut mix.read_absent,
            } = share;
        }
        mix
    }

    /// The share of `kind` as written, not divided by the sum.
    pub fn share(&self, kind: OpKind) -> f64 {
        match kind {
            OpKind::Read => self.read,
            OpKind::Update => self.update,
            OpKind::Insert => self.insert,
            OpKind::Scan => self.scan,
            OpKind::ReadModifyWrite => self.read_modify_write,
            OpKind::Delete => self.delete,
            OpKind::ReadAbsent => self.read_absent,
        }
    }

    /// The sum of all shares.
    pub fn total(&self) -> f64 {
        OpKind::ALL.iter().map(|&kind| self.share(kind)).sum()
    }

    /// The probability of `kind`. The mix of a resolved phase has a positive sum.
    pub fn probability(&self, kind: OpKind) -> f64 {
        self.share(kind) / self.total()
    }
}
