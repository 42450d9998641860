//! `aura launch`: the job that runs a plan by a scheduler.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytesize::ByteSize;
use clap::Args;

use super::run::size;
use super::{CommandResult, Failure, Global};
use crate::exit::Exit;
use crate::files;
use crate::formats::print;
use crate::launch::{Job, Scheduler};
use crate::plan_file::PlanFile;
use crate::slice;

/// Write, or submit, the job that runs a plan by Slurm, GNU parallel, HyperQueue or Kubernetes.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  aura launch slurm plan.jsonl --jobs 8 --slice 20 --time 2h --memory 4GiB -o job.sh
  aura launch slurm plan.jsonl --submit
  aura launch parallel plan.jsonl --jobs 4 | bash
  aura launch kubernetes plan.jsonl --image registry/aura:1 --claim results --mount /data

Every task calls `aura run --plan PLAN --index-from-env`. The results folder must be the same for
all of them, on a file system whose locks all machines see (NFS 4, Lustre with flock). A task that
is stopped exits with 75 and is started again; what is finished is not run again. Afterwards
`aura run --plan PLAN` compares, and `aura status PLAN` says where it stands.

Tasks of real trials hold whole seeds. Those of Slurm and HyperQueue ask for a machine of their own.
--time must be longer than the longest trial: a task that is stopped begins its trial again.

Prints the job, unless -o writes it or --submit hands it over; then what the scheduler prints.

Exit codes: 0 done; 1 the scheduler refused the job, or a task failed; 2 the plan is wrong; 3 the
scheduler's command is missing, or the file cannot be written.")]
pub(super) struct Arguments {
    /// The scheduler.
    #[arg(value_enum)]
    scheduler: Scheduler,
    /// The plan, as `aura plan -o` wrote it.
    plan: PathBuf,
    /// How many tasks run at the same time, at most. Default: as many as there is room for; of real
    /// trials one.
    #[arg(long, short, value_name = "N", value_parser = size)]
    jobs: Option<usize>,
    /// How many trials a task runs. Default: as few as keep the tasks below a thousand; of real
    /// trials, a seed.
    #[arg(long, value_name = "N", value_parser = size)]
    slice: Option<usize>,
    /// Cores of a task: as many simulated trials run in parallel in it.
    #[arg(long, value_name = "N", default_value = "1", value_parser = size)]
    cores: usize,
    /// How long a task may take, such as `90min` or `2h`.
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    time: Option<u64>,
    /// How much memory a task may take, such as `4GiB`.
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// The partition of Slurm.
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// The program, where the tasks run. It must be the one that planned. Default: this one.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Kubernetes: the image that holds the program.
    #[arg(long, value_name = "IMAGE", required_if_eq("scheduler", "kubernetes"))]
    image: Option<String>,
    /// Kubernetes: the volume claim with plan and results.
    #[arg(long, value_name = "NAME", requires = "mount")]
    claim: Option<String>,
    /// Kubernetes: where the claim is mounted; plan and results are paths below it.
    #[arg(long, value_name = "DIR", requires = "claim")]
    mount: Option<PathBuf>,
    /// Write the job to this file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Submit the job by sbatch, bash or kubectl.
    #[arg(long)]
    submit: bool,
}

/// The least minutes of a task of Slurm.
const TIME_MIN: u64 = 3;

/// Slurm's usual limit of an array, MaxArraySize, is 1001.
const TASKS_MAX: usize = 1000;

impl Arguments {
    pub(super) fn run(&self, global: &Global) -> CommandResult {
        self.refuse_what_the_scheduler_ignores()?;
        let plan = PlanFile::open(&self.plan)?;
        refuse_other_programs(&plan)?;
        let job = self.job(global, &plan)?;
        let text = job.text(self.scheduler);
        let (tasks, slice) = (job.tasks, job.slice);
        global.remark(&format!(
            "{} trials in {tasks} tasks of {slice}",
            plan.len()
        ));
        let alone = [Scheduler::Slurm, Scheduler::Hyperqueue];
        if job.real && !alone.contains(&self.scheduler) {
            global.remark(
                "warning: real trials measure the machine: let nothing else run on it meanwhile",
            );
        }
        if let Some(path) = &self.output {
            files::replace(path, text.as_bytes())?;
            global.remark(&format!("wrote {}", path.display()));
        }
        if self.submit {
            return submit(self.scheduler, &text);
        }
        if self.output.is_none() {
            print(&text)?;
        }
        Ok(Exit::Done)
    }

    /// Refuses options that would change nothing in the job.
    fn refuse_what_the_scheduler_ignores(&self) -> Result<(), Failure> {
        use Scheduler::{Hyperqueue, Kubernetes, Parallel, Slurm};
        let ignored: [(&str, bool, &[Scheduler]); 6] = [
            ("--jobs", self.jobs.is_some(), &[Hyperqueue]),
            ("--time", self.time.is_some(), &[Parallel]),
            ("--memory", self.memory.is_some(), &[Parallel]),
            (
                "--partition",
                self.partition.is_some(),
                &[Parallel, Hyperqueue, Kubernetes],
            ),
            (
                "--image",
                self.image.is_some(),
                &[Slurm, Parallel, Hyperqueue],
            ),
            (
                "--claim",
                self.claim.is_some(),
                &[Slurm, Parallel, Hyperqueue],
            ),
        ];
        for (option, is_given, schedulers) in ignored {
            if is_given && schedulers.contains(&self.scheduler) {
                let scheduler = self.scheduler.name();
                return Err(Failure::usage(
                    format_args!("{option} means nothing to a job of {scheduler}"),
                    "leave it out",
                ));
            }
        }
        if self.time.is_some_and(|minutes| minutes < TIME_MIN) && self.scheduler == Slurm {
            return Err(Failure::usage(
                "Slurm asks a task to stop up to two minutes before its time is up: it would go \
                 back to the queue for ever",
                &format!("give it {TIME_MIN} minutes or more, and more than its longest trial"),
            ));
        }
        Ok(())
    }

    fn job(&self, global: &Global, plan: &PlanFile) -> Result<Job, Failure> {
        let real = plan.is_real()?;
        let inside = self.scheduler == Scheduler::Kubernetes;
        // Paths of a container mean nothing here.
        let place = |path: &Path| {
            if inside {
                path.to_owned()
            } else {
                files::absolute(path)
            }
        };
        if !inside {
            files::create_folder(&global.results)?;
        }
        let program = match &self.program {
            Some(program) => program.clone(),
            None if inside => PathBuf::from("aura"),
            None => files::program()?,
        };
        let slice = self.slice(plan, real)?;
        Ok(Job {
            program,
            plan: place(&self.plan),
            results: place(&global.results),
            experiment: plan.experiment.name.clone(),
            slice,
            tasks: slice::count(plan.len(), slice),
            at_once: self.jobs.or(real.then_some(1)),
            cores: self.cores,
            minutes: self.time,
            memory_bytes: self.memory.map(|size| size.as_u64()),
            partition: self.partition.clone(),
            real,
            image: self.image.clone(),
            claim: self.claim.clone(),
            mount: self.mount.clone().unwrap_or_default(),
        })
    }

    /// How many trials a task runs.
    fn slice(&self, plan: &PlanFile, real: bool) -> Result<usize, Failure> {
        let few = plan.len().div_ceil(TASKS_MAX).max(1);
        if !real {
            return Ok(self.slice.unwrap_or(few));
        }
        let trials = plan.brief()?;
        let block = slice::block(&trials).unwrap_or(plan.len()).max(1);
        let slice = self.slice.unwrap_or(few.next_multiple_of(block));
        if slice.is_multiple_of(block) {
            return Ok(slice);
        }
        Err(Failure::usage(
            "real trials are compared only if all trials of their seed ran side by side",
            &format!("--slice {block}, or a multiple of it, takes whole seeds"),
        ))
    }
}

/// Refuses a plan whose variants are run by several programs: only `aura ab` knows where they are.
pub(super) fn refuse_other_programs(plan: &PlanFile) -> Result<(), Failure> {
    if plan.experiment.programs.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(
        format_args!("{} is of two programs", plan.path().display()),
        "`aura ab` runs it, with the same --program-a and --program-b",
    ))
}

/// Reads a duration in whole minutes, rounded up.
fn minutes(text: &str) -> Result<u64, String> {
    let bad = || format!("{text:?} is no time; 90min or 2h, for example");
    let digits = text.find(|letter: char| !letter.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| bad())?;
    let minutes = match unit.trim() {
        "s" => number.div_ceil(60),
        "m" | "min" => number,
        "h" => number.checked_mul(60).ok_or_else(bad)?,
        "d" => number.checked_mul(24 * 60).ok_or_else(bad)?,
        _ => return Err(bad()),
    };
    Some(minutes).filter(|it| *it > 0).ok_or_else(bad)
}

/// Hands the job to the scheduler's command, which prints what it does.
fn submit(scheduler: Scheduler, text: &str) -> CommandResult {
    let (program, arguments): (&str, &[&str]) = match scheduler {
        Scheduler::Slurm => ("sbatch", &["--parsable"]),
        Scheduler::Kubernetes => ("kubectl", &["apply", "-f", "-"]),
        Scheduler::Parallel | Scheduler::Hyperqueue => ("bash", &["-c", text]),
    };
    let missing = |error| {
        Failure::refused(
            format_args!("cannot start {program}: {error}"),
            "-o FILE writes the job, to be submitted on another machine",
        )
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    let mut child = command.spawn().map_err(missing)?;
    if let Some(mut input) = child.stdin.take()
        && program != "bash"
    {
        input.write_all(text.as_bytes()).map_err(missing)?;
    }
    let status = child.wait().map_err(missing)?;
    Ok(if status.success() {
        Exit::Done
    } else {
        Exit::ClaimFailed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_minutes_rounded_up() {
        for (text, expected) in [
            ("90min", 90),
            ("2h", 120),
            ("61s", 2),
            ("5m", 5),
            ("1d", 1440),
        ] {
            assert_eq!(minutes(text), Ok(expected), "{text}");
        }
        for bad in ["", "h", "2", "2 weeks", "0h", "-1h", "1.5h"] {
            assert!(minutes(bad).is_err(), "{bad}");
        }
    }
}
