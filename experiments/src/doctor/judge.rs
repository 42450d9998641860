//! From what the system says to facts: what each means for measurements, and what helps.

use super::readings::{Readings, is_in_memory};
use super::{Fact, Health, Spent};

/// File systems that send writes elsewhere or divide and copy what they are given.
const LAYERED: [&str; 8] = [
    "overlay", "btrfs", "zfs", "nfs", "nfs4", "cifs", "9p", "virtiofs",
];

/// Processes that are named.
const NAMED: usize = 4;

/// Makes facts of what the system says, in the order of listings.
pub fn judge(readings: &Readings, spent: &Spent) -> Vec<Fact> {
    vec![
        governor(&readings.governor),
        turbo(&readings.turbo),
        smt(&readings.smt),
        frequency(readings.frequency),
        load(readings.load, readings.cores),
        steal(spent.stolen),
        processes(spent),
        group_cores(readings.group_cores, readings.cores),
        clock(&readings.clock),
        memory(&readings.memory),
        swap(&readings.memory),
        group_memory(readings.group_memory, total_memory(&readings.memory)),
        huge_pages(&readings.huge_pages),
        file_system(readings),
        disk(readings),
        room(readings.room),
        open_files(readings.open_files),
    ]
}

fn governor(governor: &str) -> Fact {
    const NAME: &str = "governor";
    let fact = Fact::ok(NAME, governor);
    match governor {
        "" => Fact::unknown(NAME),
        "performance" => fact,
        _ => fact.but(
            Health::Warning,
            "the clock follows the load, so a variant that waits more computes slower",
            "cpupower frequency-set -g performance",
        ),
    }
}

fn turbo(turbo: &str) -> Fact {
    const NAME: &str = "turbo";
    match turbo {
        "on" => Fact::ok(NAME, turbo).but(
            Health::Note,
            "speed depends on heat and on what other cores do",
            "echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo, or 0 > .../cpufreq/boost",
        ),
        "off" => Fact::ok(NAME, turbo),
        _ => Fact::unknown(NAME),
    }
}

fn smt(active: &str) -> Fact {
    const NAME: &str = "simultaneous threads";
    match active {
        "1" => Fact::ok(NAME, "on").but(
            Health::Note,
            "two threads of one core slow each other down",
            "echo off > /sys/devices/system/cpu/smt/control",
        ),
        "0" => Fact::ok(NAME, "off"),
        _ => Fact::unknown(NAME),
    }
}

/// The share of its highest frequency below which a core is slow.
const SLOW: f64 = 0.8;

fn frequency((now, most): (Option<f64>, Option<f64>)) -> Fact {
    const NAME: &str = "frequency";
    let Some(now) = now else {
        return Fact::unknown(NAME);
    };
    match most {
        Some(most) if now < SLOW * most => Fact::ok(NAME, format!("{now:.0} of {most:.0} MHz"))
            .but(
                Health::Note,
                "the first core runs below its highest clock now",
                "look again under load; a governor, heat or a power limit holds it back",
            ),
        Some(most) => Fact::ok(NAME, format!("{now:.0} of {most:.0} MHz")),
        None => Fact::ok(NAME, format!("{now:.0} MHz")),
    }
}

fn load(load: Option<f64>, cores: u64) -> Fact {
    const NAME: &str = "load";
    let Some(load) = load else {
        return Fact::unknown(NAME);
    };
    let fact = Fact::ok(NAME, format!("{load:.2} on {cores} cores"));
    let share = load / cores.max(1) as f64;
    let fix = "wait until it is below a quarter of the cores, or stop other work";
    if share > 1.0 {
        let consequence = "more processes want a core than there are: times are those of a queue";
        fact.but(Health::Warning, consequence, fix)
    } else if share > 0.25 {
        fact.but(Health::Note, "other work shares cores and caches", fix)
    } else {
        fact
    }
}

fn steal(stolen: Option<f64>) -> Fact {
    const NAME: &str = "stolen time";
    let Some(stolen) = stolen else {
        return Fact::unknown(NAME);
    };
    let fact = Fact::ok(NAME, format!("{:.1} %", stolen * 100.0));
    let consequence = "the host gives this machine's cores to others for that share of the time";
    let fix = "use a machine with cores of its own; more pairs average it out";
    if stolen > 0.02 {
        fact.but(Health::Warning, consequence, fix)
    } else if stolen > 0.002 {
        fact.but(Health::Note, consequence, fix)
    } else {
        fact
    }
}

fn processes(spent: &Spent) -> Fact {
    const NAME: &str = "other processes";
    let Some(others) = &spent.others else {
        return Fact::unknown(NAME);
    };
    let heavy: Vec<_> = others.iter().filter(|busy| busy.share >= 0.05).collect();
    if heavy.is_empty() {
        return Fact::ok(NAME, "quiet: each below 5 % of a core");
    }
    let named = heavy.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|busy| format!("{} {:.0} %", busy.name, busy.share * 100.0))
        .collect();
    let more = match heavy.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let all: f64 = heavy.iter().map(|busy| busy.share).sum();
    let health = if all >= 0.2 {
        Health::Warning
    } else {
        Health::Note
    };
    Fact::ok(NAME, format!("{}{more}", named.join(", "))).but(
        health,
        "they take cores, caches and the disk from what is measured",
        "stop them, or measure when they are done",
    )
}

fn group_cores(limit: Option<f64>, cores: u64) -> Fact {
    const NAME: &str = "core limit";
    match limit {
        None => Fact::unknown(NAME),
        Some(limit) if limit < cores as f64 => Fact::ok(NAME, format!("{limit} cores")).but(
            Health::Warning,
            "the group is stopped for the rest of each period: latencies get pauses of its length",
            "lift cpu.max of the control group, or pin whole cores (cpuset) instead",
        ),
        Some(limit) if limit.is_finite() => Fact::ok(NAME, format!("{limit} cores")),
        Some(_) => Fact::ok(NAME, "unlimited"),
    }
}

fn clock(source: &str) -> Fact {
    const NAME: &str = "clock source";
    match source {
        "" => Fact::unknown(NAME),
        "tsc" | "arch_sys_counter" | "kvm-clock" | "hyperv_clocksource_tsc_page" => {
            Fact::ok(NAME, source)
        }
        _ => Fact::ok(NAME, source).but(
            Health::Warning,
            "reading it is a call of the system: each timed operation pays for it",
            "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
    }
}

/// Bytes of a line of `/proc/meminfo`.
fn bytes_of(memory: &str, name: &str) -> Option<f64> {
    let mut lines = memory.lines();
    let rest = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: f64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024.0)
}

fn total_memory(memory: &str) -> Option<f64> {
    bytes_of(memory, "MemTotal")
}

fn gib(bytes: f64) -> String {
    format!("{:.1} GiB", bytes / f64::from(1 << 30))
}

fn memory(memory: &str) -> Fact {
    const NAME: &str = "memory available";
    let (Some(free), Some(all)) = (bytes_of(memory, "MemAvailable"), total_memory(memory)) else {
        return Fact::unknown(NAME);
    };
    let fact = Fact::ok(NAME, format!("{} of {}", gib(free), gib(all)));
    if free < 0.1 * all {
        fact.but(
            Health::Warning,
            "the page cache has no room and processes may be swapped out or killed",
            "stop what holds it, or make the experiment smaller",
        )
    } else {
        fact
    }
}

fn swap(memory: &str) -> Fact {
    const NAME: &str = "swap used";
    let (Some(all), Some(free)) = (bytes_of(memory, "SwapTotal"), bytes_of(memory, "SwapFree"))
    else {
        return Fact::unknown(NAME);
    };
    if all == 0.0 {
        return Fact::ok(NAME, "no swap");
    }
    let fact = Fact::ok(NAME, format!("{} of {}", gib(all - free), gib(all)));
    if all - free > 0.01 * all {
        fact.but(
            Health::Note,
            "memory of some process lies on the disk; touching it stalls",
            "swapoff -a && swapon -a, with enough free memory",
        )
    } else {
        fact
    }
}

fn group_memory(limit: Option<f64>, total: Option<f64>) -> Fact {
    const NAME: &str = "memory limit";
    let Some(limit) = limit else {
        return Fact::unknown(NAME);
    };
    if total.is_some_and(|total| limit >= total) || limit.is_infinite() {
        return Fact::ok(NAME, "unlimited");
    }
    Fact::ok(NAME, gib(limit)).but(
        Health::Note,
        "the page cache counts towards it: reads may come from the device sooner than elsewhere",
        "raise memory.max of the control group, or use io = \"direct\"",
    )
}

fn huge_pages(setting: &str) -> Fact {
    const NAME: &str = "huge pages";
    let chosen = setting
        .split_once('[')
        .and_then(|(_, it)| it.split_once(']'));
    match chosen {
        None => Fact::unknown(NAME),
        Some(("always", _)) => Fact::ok(NAME, "always").but(
            Health::Note,
            "the system joins pages at moments of its own: pauses, and memory that is not used",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        Some((chosen, _)) => Fact::ok(NAME, chosen),
    }
}

fn file_system(readings: &Readings) -> Fact {
    const NAME: &str = "file system";
    let Some(mount) = &readings.mount else {
        return Fact::unknown(NAME);
    };
    let kind = mount.kind.as_str();
    let fact = Fact::ok(NAME, kind);
    if is_in_memory(kind) {
        fact.but(
            Health::Warning,
            "it lies in memory: no device is measured",
            "name a folder on a disk: world.directory, or --results",
        )
    } else if LAYERED.contains(&kind) || kind.starts_with("fuse") {
        fact.but(
            Health::Note,
            "it copies, divides or forwards what it is given: amplification is not the engine's \
             alone",
            "use ext4 or xfs on a local disk",
        )
    } else {
        fact
    }
}

fn disk(readings: &Readings) -> Fact {
    const NAME: &str = "disk";
    let Some(mount) = &readings.mount else {
        return Fact::unknown(NAME);
    };
    let source = &mount.source;
    match readings.rotational.as_str() {
        "0" => Fact::ok(NAME, format!("{source}, no spinning disk")),
        "1" => Fact::ok(NAME, format!("{source}, says that it spins")).but(
            Health::Note,
            "a disk with heads, whose seeks dominate, or a virtual volume that only says so",
            "measure it: aura calibrate --dir DIR",
        ),
        _ => Fact::unknown(NAME),
    }
}

fn room(room: Option<(u64, u64)>) -> Fact {
    const NAME: &str = "free space";
    let Some((free, all)) = room else {
        return Fact::unknown(NAME);
    };
    let (free, all) = (free as f64, all as f64);
    let fact = Fact::ok(NAME, format!("{} of {}", gib(free), gib(all)));
    let fix = "remove files, or name another disk with world.directory";
    if free < 0.02 * all || free < 1e9 {
        let consequence = "a run may end at a full disk, and a full drive writes slower";
        fact.but(Health::Warning, consequence, fix)
    } else if free < 0.1 * all {
        fact.but(
            Health::Note,
            "a drive that is nearly full writes slower",
            fix,
        )
    } else {
        fact
    }
}

fn open_files(limit: Option<u64>) -> Fact {
    const NAME: &str = "open files";
    match limit {
        None => Fact::unknown(NAME),
        Some(u64::MAX) => Fact::ok(NAME, "unlimited"),
        Some(limit) if limit < 1024 => Fact::ok(NAME, limit.to_string()).but(
            Health::Note,
            "tables beyond it are closed and opened again",
            "ulimit -n 65536",
        ),
        Some(limit) => Fact::ok(NAME, limit.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::processes::Busy;
    use super::super::readings::Mount;
    use super::*;

    /// A machine on which nothing disturbs.
    fn quiet() -> Readings {
        Readings {
            governor: "performance".to_owned(),
            turbo: "off".to_owned(),
            smt: "0".to_owned(),
            frequency: (Some(3000.0), Some(3000.0)),
            load: Some(0.2),
            cores: 2,
            clock: "tsc".to_owned(),
            memory: "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\nSwapTotal: 0 kB\n\
                     SwapFree: 0 kB"
                .to_owned(),
            open_files: Some(20_000),
            group_cores: Some(f64::INFINITY),
            group_memory: Some(f64::INFINITY),
            huge_pages: "always [madvise] never".to_owned(),
            mount: Some(Mount {
                kind: "ext4".to_owned(),
                source: "/dev/vda".to_owned(),
                device: "254:0".to_owned(),
            }),
            rotational: "0".to_owned(),
            room: Some((50 << 30, 100 << 30)),
        }
    }

    fn idle() -> Spent {
        Spent {
            stolen: Some(0.0),
            others: Some(vec![Busy {
                name: "sshd".to_owned(),
                share: 0.01,
            }]),
        }
    }

    /// The facts of a health, by name.
    fn of(facts: &[Fact], health: Health) -> Vec<&str> {
        let found = facts.iter().filter(|fact| fact.health == health);
        found.map(|fact| fact.name.as_str()).collect()
    }

    #[test]
    fn a_quiet_machine_has_no_warning_and_no_note() {
        let facts = judge(&quiet(), &idle());
        assert_eq!(of(&facts, Health::Ok).len(), facts.len(), "{facts:?}");
        assert!(facts.iter().all(|fact| fact.consequence.is_empty()));
    }

    #[test]
    fn what_the_system_does_not_say_is_unknown_and_never_a_warning() {
        let facts = judge(&Readings::default(), &Spent::default());
        assert_eq!(of(&facts, Health::Unknown).len(), facts.len(), "{facts:?}");
        assert!(facts.iter().all(|fact| fact.value == "unknown"));
    }

    #[test]
    fn each_disturbance_is_a_warning_with_consequence_and_fix() {
        let disturbed = Readings {
            governor: "powersave".to_owned(),
            load: Some(2.1),
            clock: "hpet".to_owned(),
            memory: "MemTotal: 8388608 kB\nMemAvailable: 4194 kB".to_owned(),
            group_cores: Some(1.5),
            mount: Some(Mount {
                kind: "tmpfs".to_owned(),
                ..Mount::default()
            }),
            room: Some((1 << 20, 100 << 30)),
            ..quiet()
        };
        let spent = Spent {
            stolen: Some(0.03),
            others: Some(vec![Busy {
                name: "cc".to_owned(),
                share: 0.9,
            }]),
        };
        let facts = judge(&disturbed, &spent);
        let expected = [
            "governor",
            "load",
            "stolen time",
            "other processes",
            "core limit",
            "clock source",
            "memory available",
            "file system",
            "free space",
        ];
        assert_eq!(of(&facts, Health::Warning), expected);
        let silent = facts.iter().find(|fact| {
            fact.health == Health::Warning && (fact.consequence.is_empty() || fact.fix.is_empty())
        });
        assert_eq!(silent, None);
        let named = facts.iter().find(|fact| fact.name == "other processes");
        assert_eq!(named.map(|fact| fact.value.as_str()), Some("cc 90 %"));
    }

    #[test]
    fn what_a_reader_should_know_is_a_note() {
        let noted = Readings {
            turbo: "on".to_owned(),
            smt: "1".to_owned(),
            frequency: (Some(1000.0), Some(3000.0)),
            load: Some(1.0),
            memory: "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\nSwapTotal: 1000 kB\n\
                     SwapFree: 500 kB"
                .to_owned(),
            group_memory: Some(1e9),
            huge_pages: "[always] madvise never".to_owned(),
            mount: Some(Mount {
                kind: "overlay".to_owned(),
                ..Mount::default()
            }),
            rotational: "1".to_owned(),
            room: Some((5 << 30, 100 << 30)),
            open_files: Some(256),
            ..quiet()
        };
        let facts = judge(&noted, &idle());
        assert_eq!(of(&facts, Health::Note).len(), 11, "{facts:?}");
        assert_eq!(of(&facts, Health::Warning), Vec::<&str>::new());
    }
}
