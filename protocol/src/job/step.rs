//! The transition function, cell by cell what the table in docs/protocol.md says.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "`_` is every other state here, and a test enumerates every cell of the table"
)]

use super::{Decision, Event, FactKind, Ignored, Request, Standing, State, Step};
use crate::ids::Attempt;

/// The transition function.
pub const fn step(job: Standing, event: Event) -> Step {
    if job.state.is_terminal() {
        return Step::Ignore(Ignored::Ended);
    }
    match event {
        Event::Accept { held } => match job.state {
            State::Incoming if held => Step::Next(job.at(State::Held)),
            State::Incoming => Step::Next(job.at(State::Pending)),
            _ => Step::Ignore(Ignored::Already),
        },
        Event::Abort => match job.state {
            State::Incoming | State::Pending | State::Held | State::Sending if !job.may_print => {
                Step::Next(job.ended(State::Aborted))
            }
            _ => Step::Ignore(Ignored::NotNow),
        },
        Event::Cancel => ask_or_act(job, Request::Cancel, State::Canceled),
        Event::Expire => ask_or_act(job, Request::Expire, State::Expired),
        Event::Hold => hold(job),
        Event::Release => release(job),
        Event::Decide(decision) => match (job.state, decision) {
            (State::Uncertain, Decision::Printed) => Step::Next(job.ended(State::Completed)),
            (State::Uncertain, Decision::Drop) => Step::Next(job.ended(State::Canceled)),
            (State::Uncertain, Decision::Reprint) => Step::Next(job.back()),
            _ => Step::Ignore(Ignored::NotNow),
        },
        Event::Send { may_print } => match job.state {
            State::Pending => Step::Next(Standing {
                state: State::Sending,
                attempt: job.attempt.next(),
                may_print,
                request: None,
            }),
            _ => Step::Ignore(Ignored::NotNow),
        },
        Event::Permit { attempt } | Event::Refused { attempt } if attempt.0 != job.attempt.0 => {
            Step::Ignore(Ignored::OldAttempt)
        }
        Event::Permit { .. } => match job.state {
            State::Sending if job.may_print => Step::Ignore(Ignored::Already),
            State::Sending => Step::Next(Standing { may_print: true, ..job }),
            _ => Step::Ignore(Ignored::NotNow),
        },
        Event::Refused { .. } => match job.state {
            // The agent answers `open` itself: what it says it does not have it cannot print.
            State::Sending => taken_away(job),
            _ => Step::Ignore(Ignored::NotNow),
        },
        Event::Fact { attempt, kind } => fact(job, attempt, kind),
        Event::SpoolLost => match job.state {
            State::Sending if !job.may_print => Step::Next(job.back()),
            _ if with_agent(job) => Step::Next(job.ended(State::Uncertain)),
            _ => Step::Ignore(Ignored::NotNow),
        },
        Event::BothLost => match job.state {
            State::Incoming | State::Uncertain => Step::Ignore(Ignored::NotNow),
            _ => Step::Next(job.ended(State::Uncertain)),
        },
        Event::AgentLost => match job.state {
            State::Uncertain => Step::Ignore(Ignored::NotNow),
            _ if with_agent(job) => Step::Next(job.ended(State::Uncertain)),
            _ => Step::Next(job.ended(State::Aborted)),
        },
    }
}

/// Whether the agent may print it: the outcome is the agent's to say.
const fn with_agent(job: Standing) -> bool {
    job.may_print && !matches!(job.state, State::Uncertain)
}

/// Cancel and expire: the broker acts while it owns the job, and asks afterwards.
const fn ask_or_act(job: Standing, request: Request, end: State) -> Step {
    match job.state {
        State::Uncertain => Step::Ignore(Ignored::NotNow),
        _ if !job.may_print => Step::Next(job.ended(end)),
        _ => match (job.request, request) {
            (Some(Request::Cancel), _) | (Some(Request::Expire), Request::Expire) => {
                Step::Ignore(Ignored::Already)
            }
            _ => Step::Next(job.asking(request)),
        },
    }
}

const fn hold(job: Standing) -> Step {
    match job.state {
        State::Held => match job.request {
            Some(Request::Release) => Step::Next(job.asking(Request::Hold)),
            _ => Step::Ignore(Ignored::Already),
        },
        State::Pending | State::Sending if !job.may_print => {
            Step::Next(Standing { state: State::Held, may_print: false, request: None, ..job })
        }
        State::Sending | State::Spooled => match job.request {
            Some(Request::Cancel | Request::Expire) => Step::Ignore(Ignored::NotNow),
            Some(Request::Hold) => Step::Ignore(Ignored::Already),
            Some(Request::Release) | None => Step::Next(job.asking(Request::Hold)),
        },
        _ => Step::Ignore(Ignored::NotNow),
    }
}

const fn release(job: Standing) -> Step {
    match job.state {
        State::Held if !job.may_print => Step::Next(job.at(State::Pending)),
        State::Held | State::Sending | State::Spooled => match job.request {
            Some(Request::Cancel | Request::Expire) => Step::Ignore(Ignored::NotNow),
            Some(Request::Release) => Step::Ignore(Ignored::Already),
            Some(Request::Hold) => Step::Next(job.asking(Request::Release)),
            None => match job.state {
                State::Held => Step::Next(job.asking(Request::Release)),
                _ => Step::Ignore(Ignored::NotNow),
            },
        },
        _ => Step::Ignore(Ignored::NotNow),
    }
}

/// What the agent says; the caller has dropped facts whose `fact_seq` is not larger than the last one of the attempt.
///
/// A later attempt than the broker knows of, or an attempt of a job that is still incoming, means that the broker's store was
/// restored from a backup: the agent's ledger is the truth then.
const fn fact(job: Standing, attempt: Attempt, kind: FactKind) -> Step {
    if attempt.0 == 0 {
        return Step::Violation;
    }
    if attempt.0 < job.attempt.0 {
        return Step::Ignore(Ignored::OldAttempt);
    }
    let taken_back = matches!(job.state, State::Incoming | State::Pending | State::Held) && !job.may_print;
    if taken_back && attempt.0 == job.attempt.0 {
        // Refused, held or left to a new attempt: only a later attempt is news.
        return Step::Ignore(Ignored::OldAttempt);
    }
    let before = job;
    let job = Standing { attempt, may_print: true, ..job };
    match kind {
        FactKind::Completed => Step::Next(job.ended(State::Completed)),
        FactKind::Canceled => Step::Next(job.ended(State::Canceled)),
        FactKind::Aborted => Step::Next(job.ended(State::Aborted)),
        FactKind::Expired => Step::Next(job.ended(State::Expired)),
        FactKind::Uncertain => Step::Next(job.ended(State::Uncertain)),
        FactKind::Corrupt => match before.state {
            // Bytes may have gone to the device: the agent must say `uncertain`.
            State::Printing | State::Uncertain => Step::Violation,
            // The document is not here: there is nothing that a new attempt could send.
            State::Incoming => Step::Ignore(Ignored::NotNow),
            State::Held if !before.may_print => Step::Next(Standing { state: State::Held, ..job.back() }),
            _ => taken_away(job),
        },
        FactKind::Held => match job.request {
            Some(Request::Hold) => Step::Next(job.ended(State::Held)),
            _ => Step::Next(job.at(State::Held)),
        },
        // A release is answered by going on; while sending, the fact may be older than the release.
        FactKind::Spooled => match (before.state, job.request) {
            (State::Held | State::Spooled, Some(Request::Release)) => Step::Next(job.ended(State::Spooled)),
            _ => Step::Next(job.at(State::Spooled)),
        },
        FactKind::Stopped => match job.request {
            Some(Request::Release) => Step::Next(job.ended(State::Stopped)),
            _ => Step::Next(job.at(State::Stopped)),
        },
        // Once it prints, holding and releasing are too late.
        FactKind::Printing => match job.request {
            Some(Request::Hold | Request::Release) => Step::Next(job.ended(State::Printing)),
            _ => Step::Next(job.at(State::Printing)),
        },
    }
}

/// The agent certainly has nothing that it could print: what was asked of it is done by the broker, or the job is tried again.
const fn taken_away(job: Standing) -> Step {
    match job.request {
        Some(Request::Cancel) => Step::Next(job.ended(State::Canceled)),
        Some(Request::Expire) => Step::Next(job.ended(State::Expired)),
        Some(Request::Hold) => Step::Next(Standing { state: State::Held, ..job.back() }),
        Some(Request::Release) | None => Step::Next(job.back()),
    }
}
