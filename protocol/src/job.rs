//! The life of a job: one transition function for broker, agent and tests.
//!
//! ```text
//!  incoming ─▶ pending ◀──▶ held
//!                 │  ▲        ▲
//!                 ▼  │        │ (asked of the agent once may_print is set)
//!              sending ─▶ spooled ─▶ printing ◀──▶ stopped
//!                            │           │
//!                            ▼           ▼
//!      completed · canceled · aborted · expired        uncertain (waits)
//! ```
//!
//! Until `may_print` is set the broker owns the job: cancel, hold and expire act at once. After it the agent owns
//! the outcome, and they are requests that a fact answers. docs/protocol.md holds the whole table; a test
//! enumerates every cell of it.

mod step;

pub use step::step;

use serde::{Deserialize, Serialize};

use crate::ids::Attempt;

/// Where a job stands (IPP `job-state` where IPP has a word).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The document is still on its way to the broker; nobody was promised anything.
    Incoming,
    /// Accepted: document and job are on the broker's stable storage.
    Pending,
    /// Waits until somebody releases it.
    Held,
    /// On its way to the agent.
    Sending,
    /// Whole and checked on the agent's stable storage.
    Spooled,
    /// Its bytes are going to the device, or are there and the device is at work.
    Printing,
    /// The printer wants a human.
    Stopped,
    /// Nobody knows whether it was printed; waits for evidence, a human or the policy.
    Uncertain,
    /// Printed, as far as the witness says.
    Completed,
    /// Canceled with certainty.
    Canceled,
    /// Cannot be printed.
    Aborted,
    /// Not printed in time.
    Expired,
}

impl State {
    /// All states, in the order of a life.
    pub const ALL: [Self; 12] = [
        Self::Incoming,
        Self::Pending,
        Self::Held,
        Self::Sending,
        Self::Spooled,
        Self::Printing,
        Self::Stopped,
        Self::Uncertain,
        Self::Completed,
        Self::Canceled,
        Self::Aborted,
        Self::Expired,
    ];

    /// Whether the state is never left.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled | Self::Aborted | Self::Expired)
    }

    /// Whether the agent may have the job: sending, or anything after it that is not decided.
    pub const fn is_with_agent(self) -> bool {
        matches!(self, Self::Sending | Self::Spooled | Self::Printing | Self::Stopped)
    }

    /// The keyword, as on the wire and in the store.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Sending => "sending",
            Self::Spooled => "spooled",
            Self::Printing => "printing",
            Self::Stopped => "stopped",
            Self::Uncertain => "uncertain",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::Aborted => "aborted",
            Self::Expired => "expired",
        }
    }

    /// The state of a keyword.
    pub fn from_keyword(keyword: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.keyword() == keyword)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.keyword())
    }
}

/// What is asked of an agent that owns a job's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Do not print; answered by `canceled`, `uncertain` or `completed`.
    Cancel,
    /// Do not begin; answered by `held`, or by `printing` when it is too late.
    Hold,
    /// Go on after `held`.
    Release,
    /// Its time is over; answered like `cancel`, with `expired` when no byte was given.
    Expire,
}

/// A human's or a policy's word on an uncertain job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It came out.
    Printed,
    /// Print it (again).
    Reprint,
    /// Leave it.
    Drop,
}

/// All that a transition depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Where the job stands.
    pub state: State,
    /// The current attempt; 0 before the first.
    pub attempt: Attempt,
    /// Whether the agent may have everything that it needs to print this attempt.
    pub may_print: bool,
    /// What is asked of the agent and not yet answered.
    pub request: Option<Request>,
}

impl Standing {
    /// A job whose document is still to come.
    pub const INCOMING: Self =
        Self { state: State::Incoming, attempt: Attempt(0), may_print: false, request: None };

    const fn at(self, state: State) -> Self {
        Self { state, ..self }
    }

    /// Decided: nothing is asked of anybody any more.
    const fn ended(self, state: State) -> Self {
        Self { state, request: None, ..self }
    }

    /// Back with the broker, to be tried again with a new attempt.
    const fn back(self) -> Self {
        Self { state: State::Pending, may_print: false, request: None, ..self }
    }

    const fn asking(self, request: Request) -> Self {
        Self { request: Some(request), ..self }
    }
}

/// What an agent can say of a job (the kinds of [`crate::message::Fact`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactKind {
    /// Whole and checked on stable storage.
    Spooled,
    /// The bytes are wrong and nothing was given to the device.
    Corrupt,
    /// The intent is on stable storage.
    Printing,
    /// The printer wants a human.
    Stopped,
    /// Held as requested.
    Held,
    /// Printed.
    Completed,
    /// Canceled with certainty.
    Canceled,
    /// Refused for good.
    Aborted,
    /// Expired before the first byte.
    Expired,
    /// Nobody knows.
    Uncertain,
}

impl FactKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Spooled,
        Self::Corrupt,
        Self::Printing,
        Self::Stopped,
        Self::Held,
        Self::Completed,
        Self::Canceled,
        Self::Aborted,
        Self::Expired,
        Self::Uncertain,
    ];
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Document and row are on stable storage.
    Accept {
        /// Whether the printer's policy or the app wants it held.
        held: bool,
    },
    /// It cannot go on: the upload was given up, the document is damaged, its printer is gone.
    Abort,
    /// Somebody cancels.
    Cancel,
    /// Somebody holds.
    Hold,
    /// Somebody releases.
    Release,
    /// Its time is over.
    Expire,
    /// Somebody or the policy decides an uncertain outcome.
    Decide(Decision),
    /// The broker opens a new attempt to the agent.
    Send {
        /// Set at once where the first packet is the last.
        may_print: bool,
    },
    /// The broker is about to send the packet that lets the agent print.
    Permit {
        /// The attempt whose packet it is.
        attempt: Attempt,
    },
    /// The agent does not take it now and has nothing of it that it could print.
    Refused {
        /// The attempt that was opened.
        attempt: Attempt,
    },
    /// The agent says what happened to an attempt.
    Fact {
        /// The attempt it speaks of.
        attempt: Attempt,
        /// What.
        kind: FactKind,
    },
    /// The agent's spool is gone or older than it was.
    SpoolLost,
    /// The broker's store is a restored copy, the agent's spool is lost as well, and the job is older than the restored store's
    /// incarnation: nobody knows what became of it since the copy was made.
    BothLost,
    /// The agent was revoked or is gone for good.
    AgentLost,
}

/// Why an event changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// The job has ended.
    Ended,
    /// The fact is of an attempt that is over.
    OldAttempt,
    /// It already is so, or was already asked.
    Already,
    /// Not possible in this state; who asked is told which state it is.
    NotNow,
}

/// What an event does to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub enum Step {
    /// The job stands differently now.
    Next(Standing),
    /// Nothing changes.
    Ignore(Ignored),
    /// The event contradicts what is known: whoever sent it is at fault, and nothing changes.
    Violation,
}
