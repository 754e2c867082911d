//! Numbers and states in words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inkwire_client::protocol::app::{AgentStatus, Job};
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::message::{Fact, Witness};
use inkwire_client::protocol::printer::PrinterState;

/// A size as people say it.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// How long ago, as people say it.
pub(crate) fn ago(at_ms: u64, now: SystemTime) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at_ms);
    let seconds = now.duration_since(at).unwrap_or_default().as_secs();
    match seconds {
        0..2 => "now".to_owned(),
        2..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// An instant as people say it, before or after now.
pub(crate) fn moment(at_ms: u64, now: SystemTime) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at_ms);
    match at.duration_since(now).unwrap_or_default().as_secs() {
        0..2 => ago(at_ms, now),
        seconds @ 2..120 => format!("in {seconds} s"),
        seconds @ 120..7200 => format!("in {} min", seconds / 60),
        seconds @ 7200..172_800 => format!("in {} h", seconds / 3600),
        seconds => format!("in {} days", seconds / 86_400),
    }
}

/// Who says that a job is printed.
pub(crate) const fn witness(witness: Witness) -> &'static str {
    match witness {
        Witness::Device => "the printer confirmed it",
        Witness::Queue => "the print queue took it",
        Witness::HandedOver => "the device took every byte",
        Witness::Sent => "every byte was sent to the device",
        Witness::Program => "the program ended well",
        Witness::Stored => "the file is stored",
        Witness::Human => "somebody decided so",
    }
}

/// What became of a job at its agent.
pub(crate) const fn fact(fact: &Fact) -> &'static str {
    match fact {
        Fact::Spooled => "is here, whole",
        Fact::Corrupt { .. } => "arrived damaged",
        Fact::Printing => "is being printed",
        Fact::Stopped { .. } => "waits for the printer",
        Fact::Held => "is held",
        Fact::Completed { witness, .. } => self::witness(*witness),
        Fact::Canceled => "was canceled",
        Fact::Aborted { .. } => "cannot be printed",
        Fact::Expired => "has expired",
        Fact::Uncertain { .. } => "may or may not have been printed",
    }
}

/// The witness's keyword, as in JSON.
pub(crate) const fn witness_keyword(witness: Witness) -> &'static str {
    match witness {
        Witness::Device => "device",
        Witness::Queue => "queue",
        Witness::HandedOver => "handed_over",
        Witness::Sent => "sent",
        Witness::Program => "program",
        Witness::Stored => "stored",
        Witness::Human => "human",
    }
}

/// Where a job stands, and why.
pub(crate) fn standing(job: &Job) -> String {
    let state = match job.state {
        State::Incoming => "on its way to the broker",
        State::Pending => "waits",
        State::Held => "held",
        State::Sending => "on its way to the agent",
        State::Spooled => "at the agent",
        State::Printing => "printing",
        State::Stopped => "the printer wants a human",
        State::Uncertain => "uncertain: it may or may not have been printed",
        State::Completed => "printed",
        State::Canceled => "canceled",
        State::Aborted => "cannot be printed",
        State::Expired => "expired before it was printed",
    };
    match (job.witness, &job.reason) {
        (Some(by), _) => format!("{state}: {}", witness(by)),
        (None, Some(reason)) => format!("{state}: {}", reason.detail),
        (None, None) => state.to_owned(),
    }
}

pub(crate) const fn agent_status(status: AgentStatus) -> &'static str {
    match status {
        AgentStatus::Online => "online",
        AgentStatus::Silent => "silent",
        AgentStatus::Offline => "offline",
        AgentStatus::Clone => "clone",
        AgentStatus::Revoked => "revoked",
    }
}

pub(crate) const fn printer_state(state: PrinterState) -> &'static str {
    match state {
        PrinterState::Idle => "idle",
        PrinterState::Processing => "printing",
        PrinterState::Stopped => "stopped",
        PrinterState::Unreachable => "unreachable",
        PrinterState::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500), "1.5 kB");
        assert_eq!(bytes(33_900_000), "33.9 MB");
        let now = UNIX_EPOCH + Duration::from_secs(10_000);
        assert_eq!(ago(9_999_500, now), "now");
        assert_eq!(ago(9_000_000, now), "16 min ago");
        assert_eq!(ago(11_000_000, now), "now", "a clock that is behind");
        assert_eq!(moment(9_000_000, now), "16 min ago");
        assert_eq!(moment(10_900_000, now), "in 15 min");
        assert_eq!(moment(1_000_000_000, now), "in 11 days");
    }
}
