//! Jobs for schedulers: what runs the slices of a plan on other machines, as text.
//!
//! A scheduler only has to hand an integer to a command. Each job calls `aura run --plan PLAN
//! --index-from-env`, which looks for what is finished in the results folder; a task that exits
//! with 75 was stopped and is to be started again. One file per scheduler says how.

mod hyperqueue;
mod kubernetes;
mod parallel;
mod slurm;

use std::path::PathBuf;

use serde::Serialize;

use crate::formats::quoted;
use crate::names::named_enum;

named_enum! {
    /// What runs tasks on machines.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
    pub enum Scheduler {
        /// A Slurm job array: a script for sbatch.
        Slurm = "slurm",
        /// GNU parallel on this machine: a shell script.
        Parallel = "parallel",
        /// A HyperQueue task array: a shell script that calls hq.
        Hyperqueue = "hyperqueue",
        /// An Indexed Job of Kubernetes: YAML for kubectl.
        Kubernetes = "kubernetes",
    }
}

/// A plan that is to be run in slices.
#[derive(Clone, Debug)]
pub struct Job {
    /// The program, where the tasks run.
    pub program: PathBuf,
    /// The plan's file, where the tasks run.
    pub plan: PathBuf,
    /// The folder of all results, where the tasks run.
    pub results: PathBuf,
    /// The experiment's name.
    pub experiment: String,
    /// How many trials an index stands for.
    pub slice: usize,
    /// How many indexes there are.
    pub tasks: usize,
    /// How many tasks run at the same time, at most; `None` for as many as there is room for.
    pub at_once: Option<usize>,
    /// Cores of a task: as many simulated trials run in parallel in it.
    pub cores: usize,
    /// Minutes that a task may take.
    pub minutes: Option<u64>,
    /// Bytes of memory that a task may take.
    pub memory_bytes: Option<u64>,
    /// Slurm's partition, or the queue.
    pub partition: Option<String>,
    /// Whether trials measure this machine: then nothing else may run beside them.
    pub real: bool,
    /// Kubernetes: the image, which holds the program.
    pub image: Option<String>,
    /// Kubernetes: the volume claim that is mounted at `mount`, with plan and results.
    pub claim: Option<String>,
    /// Kubernetes: where the volume is mounted.
    pub mount: PathBuf,
}

/// How often a task that failed is tried in all.
const TRIES: usize = 3;

impl Job {
    /// Writes the job for a scheduler.
    pub fn text(&self, scheduler: Scheduler) -> String {
        match scheduler {
            Scheduler::Slurm => slurm::script(self),
            Scheduler::Parallel => parallel::script(self),
            Scheduler::Hyperqueue => hyperqueue::script(self),
            Scheduler::Kubernetes => kubernetes::job(self),
        }
    }

    fn name(&self) -> String {
        job_name(&self.experiment)
    }

    /// The words of the command that runs one slice.
    fn command(&self) -> Vec<String> {
        let paths = [&self.program, &self.plan, &self.results];
        self.command_with(paths.map(|path| path.to_string_lossy().into_owned()))
    }

    /// Those words, with others for the program, the plan and the results.
    fn command_with(&self, [program, plan, results]: [String; 3]) -> Vec<String> {
        let mut words = vec![program, "run".to_owned(), "--plan".to_owned(), plan];
        words.extend(["--index-from-env".to_owned(), "--slice".to_owned()]);
        words.push(self.slice.to_string());
        words.extend(["--jobs".to_owned(), self.cores.to_string()]);
        words.extend(["--results".to_owned(), results]);
        words
    }

    /// The command that runs one slice, quoted for a shell.
    fn quoted(&self) -> String {
        let words = self.command();
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        words.join(" ")
    }
}

/// The name of an experiment's jobs: of letters that every scheduler takes.
pub fn job_name(experiment: &str) -> String {
    let plain = |letter: char| {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '-'
        }
    };
    let name: String = format!("aura-{experiment}").chars().map(plain).collect();
    // A label of DNS has 63 letters, and does not end with a dash.
    let name: String = name.chars().take(63).collect();
    name.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests;
