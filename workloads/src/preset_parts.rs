//! What presets set beside their mix and distribution: values, scans, and a role of a second kind.

use crate::config::{RoleConfig, ScanConfig, Until, ValueConfig};
use crate::distributions::Distribution;
use crate::lengths::{Length, LengthDistribution, LengthRange};
use crate::mix::Mix;
use crate::op::{Direction, OpKind};
use crate::preset::Preset;

/// How long the values of a preset are, if that is not the default.
pub(crate) fn value(preset: Preset) -> Option<ValueConfig> {
    let range = LengthRange {
        min: 10,
        max: 1024,
        distribution: LengthDistribution::GeneralizedPareto {
            k: 0.2615,
            sigma: 25.45,
            theta: 0.0,
        },
    };
    (preset == Preset::Mixgraph).then(|| ValueConfig {
        bytes: Length::Range(range).into(),
        ..ValueConfig::default()
    })
}

/// How long the scans of a preset are, if that is not the default.
pub(crate) fn scan(preset: Preset) -> Option<ScanConfig> {
    if preset == Preset::Mixgraph {
        return Some(ScanConfig {
            min_length: 1,
            max_length: 10_000,
            length_distribution: LengthDistribution::GeneralizedPareto {
                k: 2.517,
                sigma: 14.236,
                theta: 0.0,
            },
            direction: Direction::Forward,
        });
    }
    let length = match preset {
        Preset::SeekRandom | Preset::SeekRandomWhileWriting => 1,
        Preset::TimeSeries => 100,
        _ => return None,
    };
    Some(ScanConfig {
        min_length: length,
        max_length: length,
        direction: match preset {
            Preset::TimeSeries => Direction::Reverse,
            _ => Direction::Forward,
        },
        ..ScanConfig::default()
    })
}

/// The role of a preset beside that of its clients, which goes on until these have ended.
pub(crate) fn background(preset: Preset) -> Option<RoleConfig> {
    let update = Mix::of(&[(OpKind::Update, 1.0)]);
    let (name, mix) = match preset {
        Preset::ReadWhileWriting | Preset::SeekRandomWhileWriting => ("writer", update),
        Preset::ReadWhileScanning => ("scanner", Mix::of(&[(OpKind::Scan, 1.0)])),
        Preset::TimeSeries => {
            let shares = [(OpKind::Insert, 0.5), (OpKind::Delete, 0.5)];
            ("writer", Mix::of(&shares))
        }
        _ => return None,
    };
    let scans = ScanConfig {
        min_length: 1000,
        max_length: 1000,
        ..ScanConfig::default()
    };
    Some(RoleConfig {
        name: name.to_owned(),
        until: Some(Until::OthersEnd),
        mix: Some(mix),
        scan: (preset == Preset::ReadWhileScanning).then_some(scans),
        distribution: (preset == Preset::TimeSeries).then_some(Distribution::Oldest {}),
        ..RoleConfig::default()
    })
}
