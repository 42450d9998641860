//! Ending a run early without leaving half of anything.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attempts::{Claim, Outcome};
use crate::exit::Exit;
use crate::files;
use crate::folders::RunFolder;

/// What must be cleaned up when the process is asked to stop.
#[derive(Default)]
pub(super) struct State {
    /// The experiment whose trials run.
    pub(super) folder: Option<RunFolder>,
    /// The trials that run, by their ids.
    pub(super) claims: BTreeMap<String, Claim>,
    /// The process of the trial that runs.
    pub(super) child: Option<Child>,
    /// The database of that trial.
    pub(super) database: Option<PathBuf>,
    /// How to go on, if not by the same command.
    pub(super) resumed_by: Option<&'static str>,
}

/// Ends a run early. The trials that are running are given up; finished ones stay.
#[derive(Clone, Default)]
pub struct Interrupt {
    state: Arc<Mutex<State>>,
}

impl Interrupt {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes this database, too, if the process is asked to stop.
    pub fn with_database(&self, database: PathBuf) {
        self.state().database = Some(database);
    }

    /// Writes files; the process is not asked to stop meanwhile.
    pub fn while_writing<T>(&self, write: impl FnOnce() -> T) -> T {
        let _writing = self.state();
        write()
    }

    /// Says in other words how to go on, if the process is asked to stop.
    pub fn resumed_by(&self, words: &'static str) {
        self.state().resumed_by = Some(words);
    }

    /// Ends the process once no file is half written.
    pub fn stop(&self) -> ! {
        let mut state = self.state();
        if let Some(mut child) = state.child.take() {
            drop(child.kill().and_then(|()| child.wait()));
        }
        if let Some(database) = state.database.take() {
            drop(files::remove_folder(&database));
        }
        if let Some(folder) = state.folder.take() {
            // Other processes may write trials of their own there.
            for (id, claim) in std::mem::take(&mut state.claims) {
                drop(files::remove_folder(folder.unfinished_trial(&id).path()));
                drop(claim.end(Outcome::Interrupted, None));
            }
        }
        let words = "finished trials are kept; run the same command to resume";
        let words = state.resumed_by.unwrap_or(words);
        drop(writeln!(io::stderr(), "interrupted: {words}"));
        Exit::Interrupted.now()
    }
}
