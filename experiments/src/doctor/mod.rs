//! The state of this machine: what disturbs measurements here, what follows from it, and what to
//! do.
//!
//! [`Sample`] and [`Readings`] are what the system says, as it says it; [`judge()`] makes facts of
//! it and touches no file. What the system does not say is unknown, never guessed. Times need two
//! looks: of the processor and the processes there is a sample before and one after.

mod judge;
mod processes;
mod readings;

use serde::{Deserialize, Serialize};

use crate::names::named_enum;

pub use judge::judge;
pub use processes::{Busy, Sample, Spent};
pub(crate) use processes::{cpu_ticks, own_processes};
pub use readings::{Readings, file_system, governor, is_in_memory, load, text, turbo};

named_enum! {
    /// What a fact means for measurements.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum Health {
        /// Nothing follows from it.
        Ok = "ok",
        /// The system does not say.
        Unknown = "unknown",
        /// A reader of the results should know it.
        Note = "note",
        /// It makes times doubtful.
        Warning = "warning",
    }
}

/// One thing about this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is, such as `governor`.
    pub name: String,
    /// Its value with its unit; `unknown` if the system does not say.
    pub value: String,
    /// What it means.
    pub health: Health,
    /// What follows for measurements; empty if nothing does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub consequence: String,
    /// What helps; empty if nothing needs to be done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

impl Fact {
    /// A fact from which nothing follows.
    fn ok(name: &str, value: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
            health: Health::Ok,
            consequence: String::new(),
            fix: String::new(),
        }
    }

    /// A fact that the system does not state.
    fn unknown(name: &str) -> Self {
        Self {
            health: Health::Unknown,
            ..Self::ok(name, Health::Unknown.name())
        }
    }

    /// The fact with what follows from it, and what helps.
    fn but(self, health: Health, consequence: &str, fix: &str) -> Self {
        Self {
            health,
            consequence: consequence.to_owned(),
            fix: fix.to_owned(),
            ..self
        }
    }
}
