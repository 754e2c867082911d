//! What to do when the broker asks something of a job whose outcome is the agent's. Pure.

use inkwire_protocol::job::Request;

use crate::book::Job;

/// How the job stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Here {
    /// Never heard of, or thrown away.
    Unknown,
    /// Decided.
    Ended,
    /// Its document is partly here.
    Arriving,
    /// Waits for its printer.
    Ready,
    /// Held.
    Held,
    /// A worker has it and nothing was given to the device yet.
    Claimed,
    /// Something may have been given to the device.
    Begun,
}

impl Here {
    /// How an undecided job stands.
    pub(crate) fn of(job: &Job) -> Self {
        match () {
            () if job.has_begun() => Self::Begun,
            () if job.claimed => Self::Claimed,
            () if !job.whole => Self::Arriving,
            () if job.held => Self::Held,
            () => Self::Ready,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Do {
    /// It ends here, with certainty: `canceled` or `expired`.
    End,
    /// Tell its worker to stop as soon as it is certain what happened; the outcome answers.
    Stop,
    /// Hold it and say so.
    Hold,
    /// Hold it as soon as that can be said for certain.
    HoldLater,
    /// Let it go on and say so.
    Release,
    /// Say again how it stands.
    Repeat,
    /// Say that it prints.
    SayPrinting,
    /// Keep it until the job is offered.
    Remember,
}

/// Decides.
pub(crate) const fn act(here: Here, request: Request) -> Do {
    match (request, here) {
        (_, Here::Ended) => Do::Repeat,
        (Request::Cancel | Request::Expire, Here::Claimed | Here::Begun) => Do::Stop,
        (Request::Cancel | Request::Expire, Here::Unknown | Here::Arriving | Here::Ready | Here::Held) => {
            Do::End
        }
        (Request::Hold | Request::Release, Here::Unknown) => Do::Remember,
        (Request::Hold, Here::Ready) => Do::Hold,
        (Request::Hold, Here::Held) | (Request::Release, Here::Ready | Here::Claimed | Here::Begun) => {
            Do::Repeat
        }
        (Request::Hold, Here::Arriving | Here::Claimed) => Do::HoldLater,
        (Request::Hold, Here::Begun) => Do::SayPrinting,
        (Request::Release, Here::Held | Here::Arriving) => Do::Release,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_may_have_begun_is_ended_or_held_here() {
        for request in [Request::Cancel, Request::Expire, Request::Hold, Request::Release] {
            let acted = act(Here::Begun, request);
            assert!(matches!(acted, Do::Stop | Do::SayPrinting | Do::Repeat), "{request:?}: {acted:?}");
        }
    }

    #[test]
    fn what_never_came_is_canceled_with_certainty() {
        assert_eq!(act(Here::Unknown, Request::Cancel), Do::End);
        assert_eq!(act(Here::Arriving, Request::Expire), Do::End);
        assert_eq!(act(Here::Ended, Request::Cancel), Do::Repeat);
    }
}
