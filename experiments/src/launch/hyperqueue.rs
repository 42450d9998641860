//! HyperQueue: a task array.
//!
//! Source: the documentation of HyperQueue 0.27 (task arrays, failed tasks).
//!
//! To HyperQueue, exit code 75 is a failure like any other: the script submits the tasks that
//! failed once more, up to three times in all.

use super::{Job, TRIES};

/// Writes a shell script that calls `hq`.
pub(super) fn script(job: &Job) -> String {
    let last = job.tasks.saturating_sub(1);
    let cores = if job.real {
        "all".to_owned()
    } else {
        job.cores.to_string()
    };
    let minutes = job.minutes.map(|it| format!(" --time-limit={}s", it * 60));
    let memory = job.memory_bytes.map(|it| it.div_ceil(1 << 20));
    let memory = memory.map(|it| format!(" --resource mem={it}"));
    format!(
        "#!/bin/bash\n\
         tasks=0-{last}\n\
         for try in $(seq {TRIES}); do\n    \
         job=$(hq submit --output-mode=quiet --name {} --array \"$tasks\" \\\n        \
         --cpus={cores}{}{} -- \\\n        \
         {}) || exit\n    \
         hq job wait \"$job\"\n    \
         tasks=$(hq job task-ids \"$job\" --filter=failed,canceled)\n    \
         if [ -z \"$tasks\" ]; then exit 0; fi\n\
         done\n\
         echo \"tasks without a result: $tasks\" >&2\n\
         exit 1\n",
        job.name(),
        minutes.unwrap_or_default(),
        memory.unwrap_or_default(),
        job.quoted(),
    )
}
