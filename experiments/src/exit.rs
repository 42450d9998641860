//! Exit codes of the command `aura`.

/// How the command ends. The value is the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done: everything asked for was carried out, and nothing contradicts it.
    Done = 0,
    /// The claim failed: a trial failed, a repeated trial differs, or a database is damaged.
    ClaimFailed = 1,
    /// Bad usage or config.
    Usage = 2,
    /// The environment is refused: files cannot be read or written, or another process uses them.
    Environment = 3,
    /// Interrupted: the same command goes on where this one ended.
    Interrupted = 75,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Ends this process at once.
    pub fn now(self) -> ! {
        std::process::exit(self.code().into())
    }
}
