//! What is written for each scheduler, and how odd paths get there.

use std::process::Command;

use super::*;

fn job() -> Job {
    Job {
        program: PathBuf::from("/opt/aura"),
        plan: PathBuf::from("/data/my plans/{} it's.jsonl"),
        results: PathBuf::from("/data/results"),
        experiment: "Quick_start".to_owned(),
        slice: 2,
        tasks: 20,
        at_once: Some(4),
        cores: 1,
        minutes: Some(120),
        memory_bytes: Some(4 << 30),
        partition: Some("low".to_owned()),
        real: false,
        image: Some("registry/aura:1".to_owned()),
        claim: Some("results".to_owned()),
        mount: PathBuf::from("/data"),
    }
}

const RUN: &str = "/opt/aura run --plan '/data/my plans/{} it'\\''s.jsonl' \
    --index-from-env --slice 2 --jobs 1 --results /data/results";

#[test]
fn a_word_is_quoted_for_the_shell_and_reads_back() {
    for word in [
        "",
        "plain-1.2",
        "a b",
        "it's",
        "$HOME",
        "`id`",
        "a\nb",
        "*",
        "\\",
        "\"",
        "{}",
    ] {
        let script = format!("printf %s {}", quoted(word));
        let output = Command::new("sh").args(["-c", &script]).output();
        let output = output.expect("there is a shell").stdout;
        assert_eq!(String::from_utf8_lossy(&output), word);
    }
}

#[test]
fn slurm_gets_an_array_that_is_queued_again_when_stopped() {
    let text = job().text(Scheduler::Slurm);
    let head = "\
#!/bin/bash
#SBATCH --job-name=aura-quick-start
#SBATCH --array=0-19%4
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
#SBATCH --open-mode=append
#SBATCH --output=aura-quick-start-%A_%a.log
#SBATCH --time=120
#SBATCH --mem=4096M
#SBATCH --partition=low

";
    let rest = text.strip_prefix(head).unwrap_or_else(|| panic!("{text}"));
    assert!(rest.contains(&format!("\n{RUN} &\ntask=$!\n")), "{rest}");
    assert!(rest.ends_with("exit \"$code\"\n"), "{rest}");
    let real = Job {
        real: true,
        at_once: None,
        ..job()
    };
    let real = real.text(Scheduler::Slurm);
    assert!(real.contains("#SBATCH --exclusive\n"), "{real}");
    assert!(real.contains("--array=0-19\n"), "{real}");
}

/// Runs the script of a job array with a made-up `aura` and `scontrol`, and returns its exit code
/// and what `scontrol` was asked.
fn array_task(aura: &str, requeue_exit: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        crate::files::write(&path, text.as_bytes()).expect("writable");
        let made = Command::new("chmod").arg("+x").arg(&path).status();
        assert!(made.expect("chmod is there").success());
        path
    };
    let program = write("the aura", aura);
    let config = format!("echo 'RequeueExit             = {requeue_exit}'");
    let asked = "echo \"$@\" >> asked";
    let case = format!("case $1 in show) {config};; *) {asked};; esac");
    write("scontrol", &format!("#!/bin/sh\n{case}\n"));
    let script = write("job.sh", &Job { program, ..job() }.text(Scheduler::Slurm));
    let path = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").expect("a search path")
    );
    let status = Command::new("bash")
        .arg(script)
        .env("PATH", path)
        .env("SLURM_JOB_ID", "17")
        .current_dir(folder.path())
        .status();
    let asked = crate::files::read_to_string(&folder.path().join("asked"));
    let code = status.expect("there is bash").code();
    (code, asked.unwrap_or_default())
}

#[test]
fn a_stopped_task_of_slurm_goes_back_to_the_queue_once() {
    let stopped = "#!/bin/sh\nexit 75\n";
    // Some sites have the code in RequeueExit: there Slurm itself queues the task.
    assert_eq!(
        array_task(stopped, "(null)"),
        (Some(75), "requeue 17\n".to_owned())
    );
    assert_eq!(
        array_task(stopped, "175,7"),
        (Some(75), "requeue 17\n".to_owned())
    );
    assert_eq!(array_task(stopped, "70,75"), (Some(75), String::new()));
    assert_eq!(
        array_task("#!/bin/sh\nexit 1\n", "75"),
        (Some(1), String::new())
    );
    // The script hands its signal on, and waits for the task's own exit code.
    let slow = "#!/bin/bash\ntrap 'exit 75' TERM\nkill -TERM $PPID\nwhile :; do :; done\n";
    assert_eq!(array_task(slow, "75"), (Some(75), String::new()));
}

#[test]
fn parallel_gets_paths_by_the_environment() {
    let expected = r#"#!/bin/bash
# The same command goes on where it ended: what is finished is not run again.
export AURA_PROGRAM=/opt/aura
export AURA_PLAN='/data/my plans/{} it'\''s.jsonl'
export AURA_RESULTS=/data/results
seq 0 19 | parallel --jobs 4 --retries 3 \
"#;
    let call = "    'AURA_INDEX={} \"$AURA_PROGRAM\" run --plan \"$AURA_PLAN\" \
        --index-from-env --slice 2 --jobs 1 --results \"$AURA_RESULTS\"'\n";
    let text = job().text(Scheduler::Parallel);
    assert_eq!(text, format!("{expected}{call}"));
}

#[test]
fn hyperqueue_gets_an_array_whose_failed_tasks_are_submitted_again() {
    let expected = format!(
        r#"#!/bin/bash
tasks=0-19
for try in $(seq 3); do
    job=$(hq submit --output-mode=quiet --name aura-quick-start --array "$tasks" \
        --cpus=1 --time-limit=7200s --resource mem=4096 -- \
        {RUN}) || exit
    hq job wait "$job"
    tasks=$(hq job task-ids "$job" --filter=failed,canceled)
    if [ -z "$tasks" ]; then exit 0; fi
done
echo "tasks without a result: $tasks" >&2
exit 1
"#
    );
    assert_eq!(job().text(Scheduler::Hyperqueue), expected);
}

#[test]
fn kubernetes_gets_an_indexed_job_that_forgives_stopped_pods() {
    let expected = r#"apiVersion: "batch/v1"
kind: "Job"
metadata:
  name: "aura-quick-start"
spec:
  backoffLimitPerIndex: 2
  completionMode: "Indexed"
  completions: 20
  parallelism: 4
  podFailurePolicy:
    rules:
      - action: "Ignore"
        onExitCodes:
          containerName: "aura"
          operator: "In"
          values:
            - 75
      - action: "Ignore"
        onPodConditions:
          - status: "True"
            type: "DisruptionTarget"
  template:
    spec:
      activeDeadlineSeconds: 7200
      containers:
        - command:
            - "/opt/aura"
            - "run"
            - "--plan"
            - "/data/my plans/{} it's.jsonl"
            - "--index-from-env"
            - "--slice"
            - "2"
            - "--jobs"
            - "1"
            - "--results"
            - "/data/results"
          image: "registry/aura:1"
          name: "aura"
          resources:
            limits:
              cpu: "1"
              memory: "4294967296"
            requests:
              cpu: "1"
              memory: "4294967296"
          volumeMounts:
            - mountPath: "/data"
              name: "work"
      restartPolicy: "Never"
      terminationGracePeriodSeconds: 60
      volumes:
        - name: "work"
          persistentVolumeClaim:
            claimName: "results"
"#;
    assert_eq!(job().text(Scheduler::Kubernetes), expected);
}
