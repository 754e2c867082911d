//! How a command ends. docs/cli.md tells people the same.

use std::fmt;
use std::process::ExitCode;

use inkwire_client::Error;
use inkwire_client::protocol::app::ProblemKind;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Done,
    /// It failed, or the job that was watched was not printed.
    Failed,
    /// The command line is wrong (clap ends with the same code).
    Usage,
    /// The broker refused, or there is no such thing.
    Refused,
    /// The broker could not be reached, or not in time.
    Unreachable,
    /// The job that was watched is uncertain: it may have been printed.
    Uncertain,
    /// Ctrl-C, as shells number it.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::Uncertain => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command has no result: an error with the chain of its causes, and the exit code that it means.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    /// A failure with its code.
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// A wrong command line, as far as clap cannot know.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, anyhow::anyhow!("{message}"))
    }

    /// Its exit code.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Many errors of this house quote their source themselves: a cause that was said already is not said again.
        let mut said = self.error.to_string();
        f.write_str(&said)?;
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            if !said.contains(&cause) {
                write!(f, ": {cause}")?;
            }
            said = cause;
        }
        Ok(())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let exit =
            error.chain().find_map(|cause| cause.downcast_ref::<Error>()).map_or(Exit::Failed, of_client);
        Self { exit, error }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(of_client(&error), error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}

fn of_client(error: &Error) -> Exit {
    match error {
        Error::Refused(problem) => match problem.kind() {
            Some(ProblemKind::Draining | ProblemKind::Busy) => Exit::Unreachable,
            Some(ProblemKind::Internal) => Exit::Failed,
            _ => Exit::Refused,
        },
        Error::Unreachable { .. } | Error::Timeout { .. } | Error::Interrupted { .. } => Exit::Unreachable,
        Error::Document(_) | Error::NotUnderstood { .. } | Error::Closed => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whose_turn_it_is() {
        let refused = |kind: ProblemKind| Failure::from(Error::Refused(kind.because("x"))).exit();
        assert_eq!(refused(ProblemKind::NotFound), Exit::Refused);
        assert_eq!(refused(ProblemKind::Draining), Exit::Unreachable);
        let away = Error::Unreachable { url: "https://b".into(), detail: "refused".into() };
        assert_eq!(Failure::from(away).exit(), Exit::Unreachable);
        assert_eq!(Failure::from(std::io::Error::other("disk")).exit(), Exit::Failed);
    }

    #[test]
    fn a_cause_is_said_once() {
        let inner = std::io::Error::other("no such file");
        let failure = Failure::from(anyhow::Error::from(inner).context("cannot read x: no such file"));
        assert_eq!(failure.to_string(), "cannot read x: no such file");
        let inner = std::io::Error::other("no such file");
        let failure = Failure::from(anyhow::Error::from(inner).context("cannot read x"));
        assert_eq!(failure.to_string(), "cannot read x: no such file");
    }
}
