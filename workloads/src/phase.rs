//! A workload with nothing left open: what the trial loop runs.

use serde::Serialize;

use crate::config::{ScanConfig, ValueConfig};
use crate::distributions::{Distribution, KeyChooser, KeyNumbers};
use crate::keys::KeySpace;
use crate::mix::Mix;
use crate::pacing::{Load, Schedule};
use crate::preset::Preset;
use crate::seed::Seed;

/// A resolved workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Workload {
    /// The preset it began with.
    pub preset: Option<Preset>,
    /// How many records the load phase inserts.
    pub records: u64,
    /// How many clients each phase has.
    pub clients: u32,
    /// Inserts every record once, in the order of key numbers.
    pub load: Phase,
    /// What follows, in order: the warm-up if there is one, then the phases.
    pub phases: Vec<Phase>,
}

/// What a phase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseKind {
    /// Fills the database; a number of each record, no distribution.
    Load,
    /// Like the first phase, but not measured.
    WarmUp,
    /// Measured.
    Run,
}

/// One resolved phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// Its name in metrics and in the seed tree.
    pub name: String,
    /// What it is for.
    pub kind: PhaseKind,
    /// Operations of all clients together.
    pub operations: u64,
    /// How many clients share them.
    pub clients: u32,
    /// Shares of the kinds of operation; their sum is positive.
    pub mix: Mix,
    /// Which keys are asked for.
    pub distribution: Distribution,
    /// How long scans are, and which way they go.
    pub scan: ScanConfig,
    /// What values look like.
    pub value: ValueConfig,
    /// When operations start.
    pub load: Load,
    /// How keys are spelt.
    pub key: KeySpace,
    /// Records loaded before the phases.
    pub records: u64,
    /// Key numbers that the zipfian distributions draw from: the records, and room for twice the inserts
    /// expected in all phases. Fixed, so that inserts do not move the hot keys; numbers not yet
    /// acknowledged are redrawn. (YCSB's rule.)
    pub key_range: u64,
}

impl Phase {
    /// How many operations `client` does; 0 for one that does not exist.
    pub fn operations_of(&self, client: u32) -> u64 {
        let clients = u64::from(self.clients.max(1));
        let extra = u64::from(u64::from(client) < self.operations % clients);
        if client < self.clients {
            self.operations / clients + extra
        } else {
            0
        }
    }

    /// The first record that `client` loads; its records are contiguous, those of the next client follow.
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

    /// When the operations of `client` are meant to start, in nanoseconds since the phase began; `None` in
    /// a closed loop.
    pub fn schedule(&self, client: u32, root: Seed) -> Option<Schedule> {
        let seed = self.client_seed(client, root).child("arrival");
        Schedule::new(self.load, client, self.clients, seed)
    }

    /// The node of the seed tree under which all purposes of one client lie.
    pub(crate) fn client_seed(&self, client: u32, root: Seed) -> Seed {
        root.child("phase")
            .child(&self.name)
            .child("client")
            .numbered(u64::from(client))
    }
}
