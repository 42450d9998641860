//! Kubernetes: an Indexed Job, a pod for each index.
//!
//! Source: the reference of `batch/v1` Job: `completionMode`, `backoffLimitPerIndex` and
//! `podFailurePolicy` (stable since 1.33, 1.33 and 1.31).
//!
//! A pod that exits with 75 was stopped, and one with the condition `DisruptionTarget` was evicted:
//! neither counts as a failure, and the index gets another pod. Strings are written as JSON, which
//! is YAML.

use serde_json::{Value, json};

use super::{Job, TRIES};

/// Writes the job's YAML.
pub(super) fn job(job: &Job) -> String {
    let mut limits = json!({ "cpu": job.cores.to_string() });
    if let Some(bytes) = job.memory_bytes {
        limits["memory"] = bytes.to_string().into();
    }
    let mut container = json!({
        "name": "aura",
        "image": job.image.as_deref().unwrap_or("aura"),
        "command": job.command(),
        "resources": { "requests": limits, "limits": limits },
    });
    let mut pod = json!({
        "restartPolicy": "Never",
        // `aura` stops within a second.
        "terminationGracePeriodSeconds": 60,
    });
    if let Some(claim) = &job.claim {
        let mount = job.mount.to_string_lossy();
        container["volumeMounts"] = json!([{ "name": "work", "mountPath": mount }]);
        let claim = json!({ "claimName": claim });
        pod["volumes"] = json!([{ "name": "work", "persistentVolumeClaim": claim }]);
    }
    pod["containers"] = json!([container]);
    let stopped = json!({ "containerName": "aura", "operator": "In", "values": [75] });
    let evicted = json!([{ "type": "DisruptionTarget", "status": "True" }]);
    let mut spec = json!({
        "completionMode": "Indexed",
        "completions": job.tasks,
        "parallelism": job.at_once.unwrap_or(job.tasks),
        "backoffLimitPerIndex": TRIES - 1,
        "podFailurePolicy": { "rules": [
            { "action": "Ignore", "onExitCodes": stopped },
            { "action": "Ignore", "onPodConditions": evicted },
        ]},
        "template": { "spec": pod },
    });
    if let Some(minutes) = job.minutes {
        spec["template"]["spec"]["activeDeadlineSeconds"] = (minutes * 60).into();
    }
    let whole = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": job.name() },
        "spec": spec,
    });
    let mut text = String::new();
    write(&mut text, &whole, 0);
    text
}

/// Writes a value in YAML's block style; `depth` is its indentation.
fn write(text: &mut String, value: &Value, depth: usize) {
    let indent = " ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                *text += &format!("{indent}{name}:");
                write_after(text, value, depth + 2);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut lines = String::new();
                write(&mut lines, item, depth + 2);
                // The first line begins with the dash.
                *text += &format!("{indent}- {}", lines.trim_start());
            }
        }
        scalar => *text += &format!("{indent}{scalar}\n"),
    }
}

/// Writes what follows a name: a scalar on its line, the rest below it.
fn write_after(text: &mut String, value: &Value, depth: usize) {
    if value.is_object() || value.is_array() {
        text.push('\n');
        write(text, value, depth);
    } else {
        *text += &format!(" {value}\n");
    }
}
