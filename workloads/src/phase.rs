//! A workload with every setting decided: what a trial runs.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::{ScanConfig, Until, ValueConfig};
use crate::distributions::{Distribution, KeyChooser, KeyNumbers};
use crate::keys::KeySpace;
use crate::keyset::FileKeys;
use crate::mix::Mix;
use crate::op::OpKind;
use crate::pacing::{Load, Schedule};
use crate::preset::Preset;
use crate::replay::{Lane, Replay, Speed};
use crate::seed::Seed;
use crate::step::Step;

/// A resolved workload: a load phase, then phases of operations.
///
/// ```
/// use aura_workloads::{Mix, PhaseConfig, PhaseKind, Preset, WorkloadConfig};
///
/// // Reads, then a phase of writes on the same database.
/// let writes = PhaseConfig {
///     name: "writes".to_owned(),
///     operations: Some(500),
///     mix: Some(Mix { update: 1.0, ..Mix::default() }),
///     ..PhaseConfig::default()
/// };
/// let config = WorkloadConfig {
///     preset: Some(Preset::YcsbC),
///     records: Some(10_000),
///     warm_up_operations: 100,
///     phases: vec![PhaseConfig { name: "reads".to_owned(), ..PhaseConfig::default() }, writes],
///     ..WorkloadConfig::default()
/// };
/// let workload = config.resolve()?;
/// assert_eq!(workload.load.operations, 10_000);
/// let names: Vec<&str> = workload.phases.iter().map(|phase| &*phase.name).collect();
/// assert_eq!(names, ["warm-up", "reads", "writes"]);
/// assert_eq!(workload.phases[0].kind, PhaseKind::WarmUp);
/// assert_eq!(workload.phases[2].mix.update, 1.0);
/// # Ok::<(), aura_workloads::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Workload {
    /// The preset it began with.
    pub preset: Option<Preset>,
    /// Records that the load phase inserts.
    pub records: u64,
    /// Clients of the load, and of each phase without roles.
    pub clients: u32,
    /// Inserts every record once, in the order of key numbers.
    pub load: Phase,
    /// The phases after it, in order: the warm-up if there is one, then the measured phases.
    pub phases: Vec<Phase>,
}

/// What a phase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseKind {
    /// Fills the database: inserts each record number, without a distribution.
    Load,
    /// Does the operations of the first phase, but is not measured.
    WarmUp,
    /// Is measured.
    Run,
    /// Does this instead of operations.
    Step(Step),
}

/// One resolved phase, or one role in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// Its name in metrics and in the seed tree.
    pub name: String,
    /// What it is for.
    pub kind: PhaseKind,
    /// The role's name, of a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Operations of all clients together; [`Phase::ENDLESS`] if only something else ends them.
    pub operations: u64,
    /// When clients stop, at the latest, counted from the start; how long a step waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// What else ends its clients, of a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// Clients that share the operations.
    pub clients: u32,
    /// Shares of the kinds of operation; their sum is positive.
    pub mix: Mix,
    /// Which keys are requested.
    pub distribution: Distribution,
    /// How long scans are, and in which direction they go.
    pub scan: ScanConfig,
    /// Size and compressibility of values.
    pub value: ValueConfig,
    /// When operations start.
    pub load: Load,
    /// How keys are spelt.
    pub key: KeySpace,
    /// The keys of the file that `key` names.
    #[serde(skip)]
    pub keys: Option<Arc<FileKeys>>,
    /// The part of a trace that it replays; most of the fields above then mean nothing.
    #[serde(skip)]
    pub replay: Option<Replay>,
    /// Records loaded before the phases.
    pub records: u64,
    /// Key numbers that the zipfian distributions draw from: the records, and room for twice the
    /// inserts expected in all phases. The number is fixed, so that inserts do not move the hot
    /// keys; numbers not yet acknowledged are drawn again. This is YCSB's rule. Inserts of a closed
    /// loop that only time bounds are not expected.
    pub key_range: u64,
    /// More than the number of any record: twice the range that the distributions draw from, and
    /// some, for inserts may be more than expected.
    pub numbers: u64,
    /// Its roles, each with clients of its own; empty if all clients do the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Self>,
}

impl Phase {
    /// Operations that are not counted: time ends them, or the end of other roles.
    pub const ENDLESS: u64 = u64::MAX;

    /// Whether operations begin at times of their own, and not when the last has ended.
    pub fn is_open_loop(&self) -> bool {
        match &self.replay {
            Some(replay) => matches!(replay.speed, Speed::Times(_)),
            None => !matches!(self.load, Load::Closed {}),
        }
    }

    /// Whether its operations are not counted.
    pub fn is_endless(&self) -> bool {
        self.operations == Self::ENDLESS
    }

    /// The step that it is; `None` of a phase with operations.
    pub fn step(&self) -> Option<Step> {
        match self.kind {
            PhaseKind::Step(step) => Some(step),
            PhaseKind::Load | PhaseKind::WarmUp | PhaseKind::Run => None,
        }
    }

    /// Its roles; the phase itself if all clients do the same; nothing of a step.
    pub fn parts(&self) -> &[Self] {
        match self.kind {
            PhaseKind::Step(_) => &[],
            _ if self.roles.is_empty() => std::slice::from_ref(self),
            _ => &self.roles,
        }
    }

    /// Changes the phase and each of its roles.
    pub(crate) fn change_all(&mut self, change: impl Fn(&mut Self)) {
        change(self);
        self.roles.iter_mut().for_each(change);
    }

    /// Whether clients do operations of `kind`.
    pub fn does(&self, kind: OpKind) -> bool {
        self.parts().iter().any(|part| part.mix.share(kind) > 0.0)
    }

    /// Operations of `client`; 0 for a client that does not exist.
    pub fn operations_of(&self, client: u32) -> u64 {
        let clients = u64::from(self.clients.max(1));
        let extra = u64::from(u64::from(client) < self.operations % clients);
        if client >= self.clients {
            0
        } else if let Some(replay) = &self.replay {
            replay.lane(client).len() as u64
        } else if self.is_endless() {
            Self::ENDLESS
        } else {
            self.operations / clients + extra
        }
    }

    /// The first record that `client` loads. Its records are contiguous; those of the next client
    /// follow.
    pub(crate) fn load_start(&self, client: u32) -> u64 {
        let clients = u64::from(self.clients.max(1));
        let before = u64::from(client);
        before * (self.operations / clients) + before.min(self.operations % clients)
    }

    /// Chooses the keys of `client`, counted from 0.
    pub fn key_chooser(&self, client: u32, root: Seed) -> KeyChooser {
        let keys = KeyNumbers {
            records: self.records,
            key_range: self.key_range,
            clients: self.clients,
        };
        KeyChooser::new(self.distribution, keys, client, root)
    }

    /// When the operations of `client` are meant to start, in nanoseconds since the phase began;
    /// `None` in a closed loop.
    pub fn schedule(&self, client: u32, root: Seed) -> Option<Schedule> {
        if let Some(replay) = &self.replay {
            let lane = Lane::new(replay, client);
            return self.is_open_loop().then(|| Schedule::recorded(lane));
        }
        let seed = self.client_seed(client, root).child("arrival");
        let operations = (!self.is_endless()).then_some(self.operations);
        let rate = self.load.rates()?.in_phase(self.duration, operations);
        Schedule::new(self.load.at(rate), client, self.clients, seed)
    }

    /// The node of the seed tree above all seeds of one client.
    pub(crate) fn client_seed(&self, client: u32, root: Seed) -> Seed {
        let mut seed = root.child("phase").child(&self.name);
        if let Some(role) = &self.role {
            seed = seed.child("role").child(role);
        }
        seed.child("client").numbered(u64::from(client))
    }
}
