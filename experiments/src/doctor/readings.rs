//! What the system says of itself, read from its files.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use crate::files;

/// File systems in memory: there is no device under them.
const IN_MEMORY: [&str; 3] = ["tmpfs", "ramfs", "devtmpfs"];

/// What the system says, as it says it. An empty text and `None` are unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    /// The governor of the first core.
    pub governor: String,
    /// Whether the processor may exceed its base frequency: `on` or `off`.
    pub turbo: String,
    /// Whether cores share an execution unit: `1`, `0`, or what the system says instead.
    pub smt: String,
    /// Megahertz of the first core now, and the most it can have.
    pub frequency: (Option<f64>, Option<f64>),
    /// Processes that ran or waited for a core over the last minute.
    pub load: Option<f64>,
    /// Cores that this process may use.
    pub cores: u64,
    /// The clock that the system reads.
    pub clock: String,
    /// `/proc/meminfo`.
    pub memory: String,
    /// Files that this process may have open; `u64::MAX` without a limit.
    pub open_files: Option<u64>,
    /// Cores that the control group may use; infinite without a limit.
    pub group_cores: Option<f64>,
    /// Bytes that the control group may use; infinite without a limit.
    pub group_memory: Option<f64>,
    /// When the system backs memory with huge pages, with the choice in brackets.
    pub huge_pages: String,
    /// The mount that the directory lies on.
    pub mount: Option<Mount>,
    /// Whether its device turns: `1` or `0`.
    pub rotational: String,
    /// Bytes of the file system: those that this process may still write, and all.
    pub room: Option<(u64, u64)>,
}

/// A mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// Its type, such as `ext4`.
    pub kind: String,
    /// What it is on, such as `/dev/vda`.
    pub source: String,
    /// The device's numbers, `major:minor`.
    pub device: String,
}

impl Readings {
    /// Reads the state of the system, and of the file system under `directory`, which need not
    /// exist yet.
    pub fn take(directory: &Path) -> Self {
        let directory = existing(directory);
        let mount = mount(&text("/proc/self/mountinfo"), &directory);
        let current = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq";
        let most = "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq";
        Self {
            governor: governor(),
            turbo: turbo(),
            smt: text("/sys/devices/system/cpu/smt/active"),
            frequency: (megahertz(&text(current)), megahertz(&text(most))),
            load: first_number(&text("/proc/loadavg")),
            cores: crate::parallel::cores() as u64,
            clock: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            memory: text("/proc/meminfo"),
            open_files: Some(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)),
            group_cores: group_cores(),
            group_memory: group_memory(),
            huge_pages: text("/sys/kernel/mm/transparent_hugepage/enabled"),
            rotational: mount.as_ref().map_or_else(String::new, rotational),
            room: room(&directory),
            mount,
        }
    }
}

/// The contents of a file of the system, trimmed; empty if it is missing.
pub fn text(path: &str) -> String {
    let text = files::read_to_string(Path::new(path)).unwrap_or_default();
    text.trim().to_owned()
}

/// The frequency governor of the first core; empty if the system does not say.
pub fn governor() -> String {
    text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
}

/// Whether the processor may exceed its base frequency: `on`, `off`, or empty.
pub fn turbo() -> String {
    let no_turbo = text("/sys/devices/system/cpu/intel_pstate/no_turbo");
    let boost = text("/sys/devices/system/cpu/cpufreq/boost");
    turbo_state(&no_turbo, &boost).to_owned()
}

/// Intel's driver has a switch that turns turbo off, others have one that turns it on.
fn turbo_state(no_turbo: &str, boost: &str) -> &'static str {
    match (no_turbo, boost) {
        ("0", _) | ("", "1") => "on",
        ("1", _) | ("", "0") => "off",
        _ => "",
    }
}

/// Processes that ran or waited for a core over the last minute; 0 if the system does not say.
pub fn load() -> f64 {
    first_number(&text("/proc/loadavg")).unwrap_or(0.0)
}

/// The type of the file system that `directory`, which must exist, lies on; empty if the system
/// does not say.
pub fn file_system(directory: &Path) -> String {
    let mount = mount(&text("/proc/self/mountinfo"), &files::absolute(directory));
    mount.map_or_else(String::new, |mount| mount.kind)
}

/// Whether a type of file system lies in memory.
pub fn is_in_memory(kind: &str) -> bool {
    IN_MEMORY.contains(&kind)
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Megahertz of a text in kilohertz.
fn megahertz(text: &str) -> Option<f64> {
    Some(first_number(text)? / 1e3)
}

/// The directory, or the nearest above it that exists.
fn existing(directory: &Path) -> PathBuf {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let found = absolute.ancestors().find(|path| path.exists());
    files::absolute(found.unwrap_or(Path::new("/")))
}

/// The deepest of the mounts above a directory; of several on one place, the last, which hides the
/// others.
fn mount(mounts: &str, directory: &Path) -> Option<Mount> {
    let mut deepest = 0;
    let mut found = None;
    for line in mounts.lines() {
        let Some((place, mount)) = mount_of(line) else {
            continue;
        };
        if directory.starts_with(&place) && place.len() >= deepest {
            deepest = place.len();
            found = Some(mount);
        }
    }
    found
}

/// A line of `mountinfo`: its place, and what is mounted there.
fn mount_of(line: &str) -> Option<(String, Mount)> {
    let (mounted, what) = line.split_once(" - ")?;
    let mut mounted = mounted.split_whitespace().skip(2);
    let device = mounted.next()?.to_owned();
    // The system writes a space in a name as an octal number.
    let place = mounted.nth(1)?.replace("\\040", " ");
    let mut what = what.split_whitespace();
    let mount = Mount {
        kind: what.next()?.to_owned(),
        source: what.next()?.to_owned(),
        device,
    };
    Some((place, mount))
}

/// Whether a mount's device turns. A partition has no queue of its own, but its disk has.
fn rotational(mount: &Mount) -> String {
    let device = format!("/sys/dev/block/{}", mount.device);
    let own = text(&format!("{device}/queue/rotational"));
    if own.is_empty() {
        text(&format!("{device}/../queue/rotational"))
    } else {
        own
    }
}

/// Bytes that this process may still write to a file system, and all of them.
fn room(directory: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(directory).ok()?;
    let unit = found.f_frsize;
    Some((found.f_bavail * unit, found.f_blocks * unit))
}

/// A file of this process's control group of version 2; empty if there is no such file.
///
/// Without a namespace of its own the group lies below the root, which has no limits.
fn of_group(name: &str) -> String {
    let groups = text("/proc/self/cgroup");
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let own = text(&format!("/sys/fs/cgroup{}/{name}", own.unwrap_or_default()));
    match own.is_empty() {
        true => text(&format!("/sys/fs/cgroup/{name}")),
        false => own,
    }
}

/// Cores of the control group, of version 2 or 1.
fn group_cores() -> Option<f64> {
    let both = of_group("cpu.max");
    if !both.is_empty() {
        return cores_of(&both);
    }
    let quota = text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
    let period = text("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    cores_of(&format!("{quota} {period}"))
}

/// Cores of a quota and its period; infinite for `max` and for -1.
fn cores_of(text: &str) -> Option<f64> {
    let (quota, period) = text.split_once(' ')?;
    if quota == "max" || quota == "-1" {
        return Some(f64::INFINITY);
    }
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

/// Bytes from which a limit of version 1 means that there is no limit.
const NO_LIMIT: f64 = 1e18;

/// Bytes of the control group, of version 2 or 1.
fn group_memory() -> Option<f64> {
    let newer = of_group("memory.max");
    let found = match newer.is_empty() {
        false => newer,
        true => text("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    };
    if found == "max" {
        return Some(f64::INFINITY);
    }
    let bytes: f64 = found.parse().ok()?;
    Some(if bytes < NO_LIMIT {
        bytes
    } else {
        f64::INFINITY
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
28 27 0:25 / /tmp ro shared:1 master:2 - tmpfs tmpfs ro
29 28 259:1 / /tmp/my\\040disk rw - xfs /dev/nvme0n1p1 rw
broken line";

    #[test]
    fn either_switch_says_whether_turbo_is_on() {
        assert_eq!(turbo_state("0", ""), "on");
        assert_eq!(turbo_state("1", "1"), "off");
        assert_eq!(turbo_state("", "1"), "on");
        assert_eq!(turbo_state("", "0"), "off");
        assert_eq!(turbo_state("", ""), "");
    }

    #[test]
    fn the_deepest_mount_above_a_directory_says_what_it_lies_on() {
        for (directory, kind, device) in [
            ("/home/results", "ext4", "254:0"),
            ("/tmp/aura-1", "tmpfs", "0:25"),
            ("/tmp/my disk/aura-1", "xfs", "259:1"),
            ("/tmpx", "ext4", "254:0"),
        ] {
            let found = mount(MOUNTS, Path::new(directory)).expect("a mount");
            assert_eq!((found.kind.as_str(), found.device.as_str()), (kind, device));
        }
        assert_eq!(mount("", Path::new("/")), None);
    }

    #[test]
    fn limits_of_control_groups_are_cores_and_may_be_absent() {
        assert_eq!(cores_of("150000 100000"), Some(1.5));
        assert_eq!(cores_of("max 100000"), Some(f64::INFINITY));
        assert_eq!(cores_of("-1 100000"), Some(f64::INFINITY));
        assert_eq!(cores_of(" "), None);
    }

    #[test]
    fn a_directory_that_is_not_there_yet_lies_where_its_parent_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = files::absolute(folder.path());
        assert_eq!(existing(&folder.path().join("a/b")), there);
    }
}
