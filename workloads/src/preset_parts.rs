//! What presets set beside their mix and distribution: scans, and a role of a second kind.

use crate::config::{RoleConfig, ScanConfig, Until};
use crate::distributions::Distribution;
use crate::mix::Mix;
use crate::op::{Direction, OpKind};
use crate::preset::Preset;

/// How long the scans of a preset are, if that is not the default.
pub(crate) fn scan(preset: Preset) -> Option<ScanConfig> {
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
