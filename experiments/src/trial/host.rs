//! The machine of a real trial, as the system describes it: what a reader needs to know before
//! times of two runs are compared.

use std::io;
use std::path::Path;

use aura_engine::env::disk;

use super::TrialError;
use crate::doctor::{
    Readings, Sample, cpu_ticks, file_system, governor, is_in_memory, judge, load, own_processes,
    text, turbo,
};
use crate::files;
use crate::record::{Host, ProcessUse};

/// The machine as it was at a trial's start.
pub(super) struct Arrival {
    host: Host,
    readings: Readings,
    before: Sample,
}

/// The host's name, as the system has it.
pub fn host_name() -> String {
    text("/proc/sys/kernel/hostname")
}

/// The processor's model; empty if the system does not say.
pub fn processor() -> String {
    let cpu = text("/proc/cpuinfo");
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':'));
    model.map_or_else(String::new, |(_, model)| model.trim().to_owned())
}

/// The most bytes of memory that this process has had; `None` if the system does not say.
pub fn memory_peak_bytes() -> Option<u64> {
    Some(value(&text("/proc/self/status"), "VmHWM:")? << 10)
}

/// Describes the machine at a trial's start; the database lies in `directory`.
pub(super) fn arrive(directory: &Path) -> Arrival {
    let host = Host {
        name: host_name(),
        cpu: processor(),
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
        kernel: text("/proc/sys/kernel/osrelease"),
        file_system: file_system(directory),
        governor: governor(),
        governor_after: String::new(),
        turbo: turbo(),
        turbo_after: String::new(),
        started: files::seconds_since_1970(),
        ended: 0,
        load_before: load(),
        load_after: 0.0,
        facts: Vec::new(),
    };
    Arrival {
        host,
        readings: Readings::take(directory),
        before: Sample::take(),
    }
}

/// Completes the description at the trial's end.
pub(super) fn leave(arrival: Arrival) -> Host {
    let spent = Sample::take().since(&arrival.before, &own_processes());
    Host {
        governor_after: governor(),
        turbo_after: turbo(),
        ended: files::seconds_since_1970(),
        load_after: load(),
        facts: judge(&arrival.readings, &spent),
        ..arrival.host
    }
}

/// Nanoseconds of a tick in which Linux counts the CPU time of processes.
const TICK_NANOS: u64 = 10_000_000;

/// What this process has used so far; `None` if the system does not say.
pub(super) fn process_use() -> Option<ProcessUse> {
    let texts = ["/proc/self/io", "/proc/self/stat", "/proc/self/status"].map(text);
    counted(texts.each_ref().map(String::as_str))
}

/// Reads the process's `io`, `stat` and `status`.
fn counted([io, stat, status]: [&str; 3]) -> Option<ProcessUse> {
    Some(ProcessUse {
        asked: value(io, "rchar:")?,
        from_device: value(io, "read_bytes:")?,
        written: value(io, "wchar:")?,
        cpu_nanos: cpu_ticks(stat)? * TICK_NANOS,
        memory_peak_bytes: value(status, "VmHWM:")? << 10,
    })
}

/// The number after `name` at the start of a line.
fn value(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Checks that files in `directory`, which must exist, can bypass the page cache, and that there is
/// a device behind it.
pub(super) fn check_direct_io(directory: &Path) -> Result<(), TrialError> {
    let kind = file_system(directory);
    match refusal(&kind, || disk::check_direct_io(directory)) {
        None => Ok(()),
        Some(why) => Err(TrialError::DirectIo {
            directory: directory.to_owned(),
            why,
        }),
    }
}

/// Why files cannot bypass the page cache of a file system, on which it was `tried`. One in memory
/// may not refuse, but has nothing behind the page cache.
fn refusal(kind: &str, tried: impl FnOnce() -> io::Result<()>) -> Option<String> {
    if is_in_memory(kind) {
        return Some(format!("{kind} lies in memory"));
    }
    tried().err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_uses_is_read_from_what_the_system_says() {
        let io = "rchar: 6976\nwchar: 1\nsyscr: 10\nread_bytes: 4096\nwrite_bytes: 2";
        let stat = "42 (a b) c) S 1 1 1 0 -1 4194560 900 0 0 0 70 5 0 0 20 0 3 0 1000 1 1";
        let status = "Name:\ta\nVmPeak:\t   99 kB\nVmHWM:\t    1024 kB\n";
        let expected = ProcessUse {
            asked: 6976,
            from_device: 4096,
            written: 1,
            cpu_nanos: 750_000_000,
            memory_peak_bytes: 1 << 20,
        };
        assert_eq!(counted([io, stat, status]), Some(expected));
        assert_eq!(counted(["rchar: 6976", stat, status]), None);
        assert_eq!(
            counted([io, "42 (a) S 1", status]),
            Some(ProcessUse {
                cpu_nanos: 0,
                ..expected
            })
        );
        assert_eq!(counted(["", "", ""]), None);
    }

    #[test]
    fn direct_io_is_refused_in_memory_and_where_the_system_refuses_it() {
        let untried = || panic!("it lies in memory");
        let in_memory = refusal("tmpfs", untried);
        assert_eq!(in_memory.as_deref(), Some("tmpfs lies in memory"));
        assert_eq!(refusal("ext4", || Ok(())), None);
        let invalid = || Err(io::ErrorKind::InvalidInput.into());
        assert!(refusal("zfs", invalid).is_some());
    }
}
