//! Why a command stopped: the message for people, and the exit code.

use std::fmt;
use std::io;

use miette::{MietteHandlerOpts, Report, miette};

use crate::ab::SidesError;
use crate::config::ConfigError;
use crate::exit::Exit;
use crate::files::FileError;
use crate::folders::trial_around;
use crate::plan::PlanError;
use crate::plan_file::PlanFileError;
use crate::plot::PlotError;
use crate::report::ReportError;
use crate::run::RunError;
use crate::store::StoreError;

/// Columns that messages are wrapped at.
const WIDTH: usize = 120;

/// Why a command stopped.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) report: Report,
}

/// How a command ends.
pub(super) type CommandResult = Result<Exit, Failure>;

impl Failure {
    /// An error with its message and no advice.
    pub(super) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            report: miette!("{message}"),
        }
    }

    fn with_help(exit: Exit, message: impl fmt::Display, help: &str) -> Self {
        Self {
            exit,
            report: miette!(help = help, "{message}"),
        }
    }

    /// Bad usage, with advice.
    pub(super) fn usage(message: impl fmt::Display, help: &str) -> Self {
        Self::with_help(Exit::Usage, message, help)
    }

    /// An environment in which the command cannot work, with advice.
    pub(super) fn refused(message: impl fmt::Display, help: &str) -> Self {
        Self::with_help(Exit::Environment, message, help)
    }

    /// An environment in which the command cannot work.
    pub(super) fn environment(message: impl fmt::Display) -> Self {
        Self::new(Exit::Environment, message)
    }
}

/// Sets how errors look: with the place quoted, in colour unless `plain`.
pub(super) fn set_look(plain: bool) {
    let hooked = miette::set_hook(Box::new(move |_| {
        let mut options = MietteHandlerOpts::new().force_graphical(true).width(WIDTH);
        if plain {
            options = options.color(false);
        }
        Box::new(options.build())
    }));
    hooked.expect("the hook is set once, before the first error");
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self {
            exit: Exit::Usage,
            report: error.into(),
        }
    }
}

impl From<SidesError> for Failure {
    fn from(error: SidesError) -> Self {
        let help = match error {
            SidesError::Config(error) => return error.into(),
            SidesError::NoVariant { .. } => "--variant-a and --variant-b name variants",
            SidesError::NoSecondSide { .. } => {
                "name one with --variant-b, set something with -b KEY=VALUE, or name another config"
            }
            SidesError::ManyPoints { .. } => "set the key that it sweeps over: -s KEY=VALUE",
            SidesError::Same => "--aa compares A with itself; --program-b names another build",
        };
        Self::usage(error, help)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Results(_) => Self::with_help(
                Exit::Environment,
                error,
                "no trial was run; name another folder with --results",
            ),
            RunError::Busy(_) | RunError::OtherPlan(_) => Self::with_help(
                Exit::Environment,
                error,
                "`aura status RUN` says what is running; --results names another folder",
            ),
            RunError::Plan(error) => error.into(),
            RunError::Place(_) => Self::environment(error),
        }
    }
}

impl From<aura_engine::Error> for Failure {
    fn from(error: aura_engine::Error) -> Self {
        use aura_engine::Error;
        match error {
            Error::Locked { .. } => Self::with_help(
                Exit::Environment,
                error,
                "wait until the other process closes it; `aura verify` and `aura index-inspect` \
                 read beside it",
            ),
            Error::NoDatabase { .. } => Self::usage(error, "name a database's directory"),
            Error::Corruption { .. } => Self::with_help(
                Exit::ClaimFailed,
                error,
                "`aura repair DIR --dry-run` says what can be saved",
            ),
            Error::Format { .. } => Self::usage(error, "a newer `aura` reads it"),
            Error::Unfinished { .. } => Self::usage(
                error,
                "take the checkpoint again, in another directory or after removing this one",
            ),
            Error::Target { .. } => Self::usage(
                error,
                "name a directory that is absent or empty, outside the database's own",
            ),
            _ => Self::environment(error),
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::usage(error, "name a run's folder, or its name below --results")
    }
}

impl From<PlanFileError> for Failure {
    fn from(error: PlanFileError) -> Self {
        Self::usage(
            error,
            "`aura plan CONFIG -o FILE` writes a plan; a run's folder has one, too",
        )
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::environment(format_args!("cannot write to standard output: {error}"))
    }
}

/// Errors that mean that the environment is refused.
macro_rules! environment {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::environment(error)
            }
        })+
    };
}

environment!(FileError, PlotError, ReportError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let path = match &error {
            StoreError::Damaged { path, .. } => Some(path),
            StoreError::File(FileError { path, .. }) => Some(path),
            _ => None,
        };
        match path.and_then(|path| trial_around(path)) {
            Some(trial) => Self::refused(
                &error,
                &format!(
                    "remove the folder {} and run the same command again: only its trial is run",
                    trial.display()
                ),
            ),
            None => Self::environment(error),
        }
    }
}
