//! The machine of a real trial, as the system describes it: what a reader needs to know before
//! times of two runs are compared.

use std::path::Path;

use crate::files;
use crate::record::Host;

/// Describes the machine at a trial's start; the database lies in `directory`.
pub(super) fn arrive(directory: &Path) -> Host {
    let cpu = text("/proc/cpuinfo");
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':'));
    Host {
        name: text("/proc/sys/kernel/hostname"),
        cpu: model.map_or_else(String::new, |(_, model)| model.trim().to_owned()),
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
        kernel: text("/proc/sys/kernel/osrelease"),
        file_system: file_system(&text("/proc/self/mounts"), &files::absolute(directory)),
        governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        started: files::seconds_since_1970(),
        ended: 0,
        load_before: load(&text("/proc/loadavg")),
        load_after: 0.0,
    }
}

/// Completes the description at the trial's end.
pub(super) fn leave(host: Host) -> Host {
    Host {
        ended: files::seconds_since_1970(),
        load_after: load(&text("/proc/loadavg")),
        ..host
    }
}

/// The contents of a file of the system, trimmed; empty if it is missing.
fn text(path: &str) -> String {
    let text = files::read_to_string(Path::new(path)).unwrap_or_default();
    text.trim().to_owned()
}

/// The first number of `/proc/loadavg`.
fn load(text: &str) -> f64 {
    let first = text.split_whitespace().next();
    first.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// The type of the file system that `directory` lies on: of the mounts above it, the deepest.
fn file_system(mounts: &str, directory: &Path) -> String {
    let mut deepest = 0;
    let mut found = "";
    for line in mounts.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(place), Some(kind)) = (words.next(), words.next()) else {
            continue;
        };
        if directory.starts_with(place) && place.len() >= deepest {
            deepest = place.len();
            found = kind;
        }
    }
    found.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
/dev/vda / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/nvme0n1 /tmp/disk xfs rw 0 0";

    #[test]
    fn the_deepest_mount_above_a_directory_tells_its_file_system() {
        for (directory, expected) in [
            ("/home/results", "ext4"),
            ("/tmp/aura-1", "tmpfs"),
            ("/tmp/disk/aura-1", "xfs"),
            ("/tmpx", "ext4"),
        ] {
            assert_eq!(file_system(MOUNTS, Path::new(directory)), expected);
        }
        assert_eq!(file_system("", Path::new("/")), "");
    }
}
