//! What the processor and each process did between two looks.

use std::collections::BTreeMap;
use std::path::Path;

use super::readings::text;
use crate::files;

/// Ticks of the processor and of every process since they began, in hundredths of a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The processor's, in the columns of the first line of `/proc/stat`: user, nice, system,
    /// idle, waiting for I/O, interrupts (two columns), stolen.
    columns: Vec<u64>,
    processes: BTreeMap<Identity, Process>,
}

/// A process: its number, and when it began in ticks from the system's start. Numbers are used
/// again.
type Identity = (u64, u64);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    name: String,
    ticks: u64,
}

/// A process that used the processor.
#[derive(Clone, Debug, PartialEq)]
pub struct Busy {
    /// The program's name.
    pub name: String,
    /// Its share of one core.
    pub share: f64,
}

/// What happened between two samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// The share of the time that other machines took; `None` if the system does not say.
    pub stolen: Option<f64>,
    /// Processes other than those left out, the busiest first; `None` if the system does not say.
    pub others: Option<Vec<Busy>>,
}

/// The column of `/proc/stat` with stolen time, and the number of columns that add up to all time.
const STOLEN: usize = 7;

impl Sample {
    /// Looks at the system now.
    pub fn take() -> Self {
        let mut processes = BTreeMap::new();
        for name in files::names(Path::new("/proc")).unwrap_or_default() {
            let Ok(number) = name.parse::<u64>() else {
                continue;
            };
            // A process may have ended meanwhile.
            if let Some((began, found)) = process(&text(&format!("/proc/{number}/stat"))) {
                processes.insert((number, began), found);
            }
        }
        Self {
            columns: columns(&text("/proc/stat")),
            processes,
        }
    }

    /// What happened since `before`. The processes numbered `without` are left out.
    pub fn since(&self, before: &Self, without: &[u64]) -> Spent {
        let passed: Vec<u64> = self
            .columns
            .iter()
            .zip(&before.columns)
            .map(|(now, then)| now.saturating_sub(*then))
            .collect();
        let all: u64 = passed.iter().take(STOLEN + 1).sum();
        if all == 0 || passed.len() <= STOLEN {
            return Spent::default();
        }
        let cores = self.columns.get(STOLEN + 1).copied().unwrap_or(1).max(1);
        let of_one_core = all as f64 / cores as f64;
        let mut others = Vec::new();
        for (identity, now) in &self.processes {
            // One that began in between has done all of its work in it.
            let then = before.processes.get(identity).map_or(0, |it| it.ticks);
            let spent = now.ticks.saturating_sub(then);
            if spent > 0 && !without.contains(&identity.0) {
                others.push(Busy {
                    name: now.name.clone(),
                    share: spent as f64 / of_one_core,
                });
            }
        }
        others.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.name.cmp(&b.name)));
        Spent {
            stolen: Some(passed[STOLEN] as f64 / all as f64),
            others: (!self.processes.is_empty()).then_some(others),
        }
    }
}

/// The numbers of this process and of the one that started it, which waits for it.
pub(crate) fn own_processes() -> Vec<u64> {
    let parent = rustix::process::getppid();
    let numbers = [Some(rustix::process::getpid()), parent].into_iter();
    let raw = numbers.flatten().map(rustix::process::Pid::as_raw_nonzero);
    raw.filter_map(|it| u64::try_from(it.get()).ok()).collect()
}

/// The processor's ticks, and behind them the number of its cores; empty if the text is of another
/// form.
fn columns(stat: &str) -> Vec<u64> {
    let mut lines = stat.lines();
    let words = lines.next().and_then(|line| line.strip_prefix("cpu "));
    let parsed = words.map(|words| words.split_whitespace().take(STOLEN + 1).map(str::parse));
    let parsed: Option<Result<Vec<u64>, _>> = parsed.map(Iterator::collect);
    let Some(Ok(mut columns)) = parsed else {
        return Vec::new();
    };
    let cores = lines.filter(|line| line.starts_with("cpu")).count();
    columns.push(cores as u64);
    columns
}

/// When a process began, its name and its ticks, from its `stat`. `None` for a thread of the
/// kernel: what it does, it does for others.
fn process(stat: &str) -> Option<(u64, Process)> {
    /// The kernel's flag of its own threads, in the 9th word.
    const OF_KERNEL: u64 = 0x20_0000;
    let (_, after) = stat.split_once('(')?;
    let (name, words) = after.rsplit_once(')')?;
    let word = |number: usize| {
        words
            .split_whitespace()
            .nth(number - 3)?
            .parse::<u64>()
            .ok()
    };
    let found = Process {
        name: name.to_owned(),
        ticks: cpu_ticks(stat)?,
    };
    (word(9)? & OF_KERNEL == 0).then_some((word(22)?, found))
}

/// Ticks of a process in user mode and in the system, from its `stat`: the 14th and 15th word. The
/// second is the program's name in parentheses, which may hold spaces.
pub(crate) fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let words = after_name.split_whitespace().skip(11).take(2);
    words.map(|ticks| ticks.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(stat: &str, processes: &[(Identity, &str, u64)]) -> Sample {
        let processes = processes.iter();
        let process = |&(identity, name, ticks): &(Identity, &str, u64)| {
            let name = name.to_owned();
            (identity, Process { name, ticks })
        };
        Sample {
            columns: columns(stat),
            processes: processes.map(process).collect(),
        }
    }

    #[test]
    fn shares_are_of_the_time_between_two_looks() {
        let before = sample(
            "cpu  100 0 0 100 0 0 0 10 7 7\ncpu0 1\ncpu1 1\nintr 5",
            &[((1, 7), "a", 50), ((2, 7), "mine", 0), ((3, 7), "b", 20)],
        );
        // The number of the third process was used again, by a program of the same name.
        let processes = [
            ((1, 7), "a", 100),
            ((2, 7), "mine", 90),
            ((3, 900), "b", 25),
            ((4, 7), "c", 0),
        ];
        let after = sample(
            "cpu  250 0 0 140 0 0 0 20 9 9\ncpu0 1\ncpu1 1\nintr 5",
            &processes,
        );
        let spent = after.since(&before, &[2]);
        // 200 ticks of two cores: 100 of each. Ten of 200 were stolen.
        assert_eq!(spent.stolen, Some(0.05));
        let busy = |name: &str, share| Busy {
            name: name.to_owned(),
            share,
        };
        assert_eq!(spent.others, Some(vec![busy("a", 0.5), busy("b", 0.25)]));
    }

    #[test]
    fn what_the_system_does_not_say_stays_unknown() {
        let nothing = sample("", &[]);
        assert_eq!(nothing.since(&nothing, &[]), Spent::default());
        let short = sample("cpu  1 2 3", &[]);
        assert_eq!(short.since(&short, &[]), Spent::default());
        assert_eq!(process("42 without a name"), None);
        let stat = |flags: u64| {
            format!("42 (a b) c) S 1 1 1 0 -1 {flags} 900 0 0 0 70 5 0 0 20 0 3 0 1234 8 9")
        };
        let found = process(&stat(0x40_0100)).expect("a process");
        let name = "a b) c".to_owned();
        assert_eq!(found, (1234, Process { name, ticks: 75 }));
        assert_eq!(process(&stat(0x20_8040)), None, "the kernel's own");
    }
}
