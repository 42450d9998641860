//! Slurm: a job array, a task for each index.
//!
//! Source: the manual pages of sbatch and scontrol (Slurm 22.05).
//!
//! Slurm asks a task to stop a minute or two before its time is up (`--signal`), and where the site
//! says so, before it is preempted: `aura` then exits with 75, and the task goes back to the queue.
//! Sites name exit codes that do so in `RequeueExit`; where 75 is not among them, the script asks
//! for it.

use super::Job;
use crate::formats::quoted;

/// Writes the script for sbatch.
pub(super) fn script(job: &Job) -> String {
    let last = job.tasks.saturating_sub(1);
    let at_once = job.at_once.map_or_else(String::new, |it| format!("%{it}"));
    let mut options = vec![
        format!("--job-name={}", job.name()),
        format!("--array=0-{last}{at_once}"),
        "--ntasks=1".to_owned(),
        format!("--cpus-per-task={}", job.cores),
        "--requeue".to_owned(),
        "--signal=B:TERM@60".to_owned(),
        "--open-mode=append".to_owned(),
        format!("--output={}-%A_%a.log", job.name()),
    ];
    options.extend(job.minutes.map(|minutes| format!("--time={minutes}")));
    let mebibytes = job.memory_bytes.map(|bytes| bytes.div_ceil(1 << 20));
    options.extend(mebibytes.map(|it| format!("--mem={it}M")));
    let partition = job.partition.as_ref();
    options.extend(partition.map(|it| format!("--partition={}", quoted(it))));
    if job.real {
        options.push("--exclusive".to_owned());
    }
    let mut text = "#!/bin/bash\n".to_owned();
    for option in options {
        text += &format!("#SBATCH {option}\n");
    }
    text + &format!("{BEFORE}{} &\n{AFTER}", job.quoted())
}

/// What comes before the command: it is to stop when the script is.
const BEFORE: &str = r#"
task=
stopped=
trap 'stopped=yes; if [ -n "$task" ]; then kill -TERM "$task" 2>/dev/null; fi' TERM
"#;

/// What follows the command: a task that was stopped goes back to the queue.
const AFTER: &str = r#"task=$!
if [ -n "$stopped" ]; then kill -TERM "$task"; fi
wait "$task"; code=$?
# A signal ends the wait, not the task.
while [ -n "$stopped" ]; do stopped=; wait "$task"; code=$?; done
# 143: it was stopped before it could say so itself.
if [ "$code" -eq 143 ]; then code=75; fi
if [ "$code" -eq 75 ] &&
    ! scontrol show config | grep -Eq '^RequeueExit +=.*(^|[ ,=])75($|[ ,])'; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"#;
