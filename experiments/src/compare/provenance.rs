//! What a reader must know of the programs and machines that made the trials, before the numbers.

use std::collections::BTreeSet;

use crate::record::{Host, Manifest};

/// File systems in memory: there is no device under them.
const IN_MEMORY: [&str; 3] = ["tmpfs", "ramfs", "devtmpfs"];

/// Says what is doubtful about trials by the programs and machines that ran them, a sentence each.
pub fn provenance(manifests: &[Manifest]) -> Vec<String> {
    let codes: BTreeSet<&str> = manifests.iter().map(|it| it.code.as_str()).collect();
    let mut doubts = Vec::new();
    if codes.len() > 1 {
        let codes: Vec<&str> = codes.into_iter().collect();
        doubts.push(format!(
            "The trials were run by {} programs ({}): differences may be of the code.",
            codes.len(),
            codes.join(", ")
        ));
    }
    let hosts: Vec<&Host> = manifests.iter().filter_map(|it| it.host.as_ref()).collect();
    doubts.extend(machines(&hosts));
    doubts.extend(memory(&hosts));
    doubts.extend(load(&hosts));
    doubts
}

fn machines(hosts: &[&Host]) -> Option<String> {
    let machine = |host: &&Host| {
        let Host {
            name,
            cpu,
            kernel,
            file_system,
            ..
        } = host;
        format!("{name} ({cpu}, {kernel}, {file_system})")
    };
    let machines: BTreeSet<String> = hosts.iter().map(machine).collect();
    (machines.len() > 1).then(|| {
        let machines: Vec<String> = machines.into_iter().collect();
        format!("Trials ran on different machines: {}.", machines.join("; "))
    })
}

fn memory(hosts: &[&Host]) -> Option<String> {
    let in_memory = |host: &&&Host| IN_MEMORY.contains(&host.file_system.as_str());
    let host = hosts.iter().find(in_memory)?;
    Some(format!(
        "The databases lay on {}: that is memory, no device was measured.",
        host.file_system
    ))
}

fn load(hosts: &[&Host]) -> Option<String> {
    let overload = |host: &&Host| host.load_before / host.cores.max(1) as f64;
    let busiest = hosts
        .iter()
        .copied()
        .max_by(|a, b| overload(a).total_cmp(&overload(b)))?;
    (overload(&busiest) > 1.0).then(|| {
        format!(
            "Before a trial, {:.1} processes ran or waited for {} cores: other work disturbed the \
             times.",
            busiest.load_before, busiest.cores
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample_trial;

    fn on(host: Host) -> Manifest {
        Manifest {
            host: Some(host),
            ..sample_trial("lru", 1, 1).manifest
        }
    }

    fn quiet() -> Host {
        Host {
            name: "bench".to_owned(),
            cores: 2,
            file_system: "ext4".to_owned(),
            load_before: 0.4,
            ..Host::default()
        }
    }

    #[test]
    fn one_program_on_a_quiet_machine_leaves_no_doubt() {
        assert_eq!(
            provenance(&[on(quiet()), on(quiet())]),
            Vec::<String>::new()
        );
        assert_eq!(provenance(&[]), Vec::<String>::new());
    }

    #[test]
    fn programs_machines_memory_and_load_are_named() {
        let mut other = on(Host {
            name: "laptop".to_owned(),
            file_system: "tmpfs".to_owned(),
            load_before: 5.2,
            ..quiet()
        });
        other.code = "fedcba9876543210".to_owned();
        let doubts = provenance(&[on(quiet()), other]);
        let expected = [
            "2 programs (0123456789abcdef, fed",
            "laptop",
            "tmpfs",
            "5.2 processes",
        ];
        assert_eq!(doubts.len(), expected.len(), "{doubts:?}");
        for (doubt, expected) in doubts.iter().zip(expected) {
            assert!(doubt.contains(expected), "{doubt}");
        }
    }
}
