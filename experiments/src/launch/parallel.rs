//! GNU parallel: the slices on the cores of this machine.
//!
//! Source: the manual page of parallel (2022-11-22).
//!
//! A log of jobs would only do harm: by it, parallel passes over the numbers of an earlier plan,
//! and `aura run` knows by itself what is finished.
//!
//! Paths reach the tasks by the environment: in the command, parallel would replace `{}` and its
//! like, and the shell would read the rest once more.

use super::{Job, TRIES};
use crate::formats::quoted;

/// Writes a shell script.
pub(super) fn script(job: &Job) -> String {
    let last = job.tasks.saturating_sub(1);
    let jobs = job.at_once.map(|jobs| format!(" --jobs {jobs}"));
    let variables = ["AURA_PROGRAM", "AURA_PLAN", "AURA_RESULTS"];
    let call = job.command_with(variables.map(|name| format!("\"${name}\"")));
    let mut text = "#!/bin/bash\n\
        # The same command goes on where it ended: what is finished is not run again.\n"
        .to_owned();
    let paths = [&job.program, &job.plan, &job.results];
    for (name, path) in variables.iter().zip(paths) {
        text += &format!("export {name}={}\n", quoted(&path.to_string_lossy()));
    }
    text + &format!(
        "seq 0 {last} | parallel{} --retries {TRIES} \\\n    \
         'AURA_INDEX={{}} {}'\n",
        jobs.unwrap_or_default(),
        call.join(" "),
    )
}
