//! An agent is back after it was away: what its printers' policies make of the jobs that waited meanwhile.
//!
//! "Away" is a minute or longer without a session, seen from the end of the last one; where the broker did not live to see that end,
//! nobody knows, and everything is printed. "Waited" is `pending`, accepted before the agent was back: what the agent may have
//! something of, and what is held, is not touched. Nothing is sent to the printer until its policy is applied.

use inkwire_protocol::app::Reason;
use inkwire_protocol::ids::{AccountId, PrinterId};
use inkwire_protocol::job::{Event, State};
use inkwire_protocol::printer::OnReturn;

use super::transition::{Moved, Note, advance, reason};
use crate::clock::now_ms;
use crate::store::{Change, CommitError, JobRow, ReadError, SharedStore, UpdateJob, Waiting};

/// A shorter gap is a cut, and no absence.
pub(super) const AWAY_AT_LEAST_MS: u64 = 60_000;
/// Jobs of one commit.
const RUN: usize = 200;

/// Whether anything is to be done for an agent that was away for so long.
pub(super) fn applies(policy: OnReturn, absent_ms: Option<u64>) -> bool {
    policy != OnReturn::PrintAll && absent_ms.is_some_and(|absent| absent >= AWAY_AT_LEAST_MS)
}

/// What becomes of those jobs that are not simply printed, and why.
fn verdict(policy: OnReturn) -> Option<(Event, Reason)> {
    match policy {
        OnReturn::PrintAll => None,
        OnReturn::NewestOnly => {
            Some((Event::Cancel, reason("superseded", "a newer job waited when the agent came back")))
        }
        OnReturn::Hold => {
            Some((Event::Hold, reason("held-on-return", "it waited while the agent was away: release it")))
        }
        OnReturn::DropOlderThan { seconds } => {
            let detail = format!("it waited for more than {seconds} s while the agent was away");
            Some((Event::Cancel, reason("too-old-on-return", &detail)))
        }
    }
}

/// The numbers of the jobs that the policy does not let pass, of an agent that came back at `back_ms`.
fn caught(policy: OnReturn, waiting: &[Waiting], back_ms: u64) -> Vec<u64> {
    let newest = waiting.iter().max_by_key(|job| (job.accepted_ms, job.number)).map(|job| job.number);
    let is_caught = |job: &&Waiting| match policy {
        OnReturn::PrintAll => false,
        OnReturn::NewestOnly => Some(job.number) != newest,
        OnReturn::Hold => true,
        OnReturn::DropOlderThan { seconds } => {
            job.accepted_ms < back_ms.saturating_sub(seconds.saturating_mul(1000))
        }
    };
    let mut numbers: Vec<u64> = waiting.iter().filter(is_caught).map(|job| job.number).collect();
    numbers.sort_unstable();
    numbers
}

/// Applies the policy. Where it cannot be applied the jobs are printed: that is said in the log.
pub(super) async fn apply(
    store: &SharedStore,
    account: AccountId,
    printer: PrinterId,
    policy: OnReturn,
    back_ms: u64,
) {
    match run(store, account, printer, policy, back_ms).await {
        Ok(0) => {}
        Ok(jobs) => {
            tracing::info!(%printer, jobs, ?policy, "jobs that waited while the agent was away are not printed")
        }
        Err(error) => {
            tracing::error!(%printer, %error, ?policy, "the policy for returning agents is not applied")
        }
    }
}

async fn run(
    store: &SharedStore,
    account: AccountId,
    printer: PrinterId,
    policy: OnReturn,
    back_ms: u64,
) -> Result<usize, ReadError> {
    let Some((event, why)) = verdict(policy) else { return Ok(0) };
    let note = Note { reason: Some(why), ..Note::default() };
    let mut moved = 0;
    for numbers in caught(policy, &store.waiting(printer, back_ms).await?, back_ms).chunks(RUN) {
        let rows = store.jobs_numbered(account, numbers.to_vec()).await?;
        let changes: Vec<Change> = rows.iter().filter_map(|row| change(row, event, &note)).collect();
        let count = changes.len();
        match store.commit(changes).await {
            Ok(_) => moved += count,
            // Somebody acts on one of them at this very moment: one by one, then.
            Err(CommitError::Conflict(_)) => {
                for row in rows {
                    moved += usize::from(one(store, row, event, &note).await?);
                }
            }
            Err(error) => return Err(ReadError(error.to_string())),
        }
    }
    Ok(moved)
}

async fn one(store: &SharedStore, mut row: JobRow, event: Event, note: &Note) -> Result<bool, ReadError> {
    while let Some(change) = change(&row, event, note) {
        match store.commit(vec![change]).await {
            Ok(_) => return Ok(true),
            Err(CommitError::Conflict(current)) => row = *current,
            Err(error) => return Err(ReadError(error.to_string())),
        }
    }
    Ok(false)
}

fn change(row: &JobRow, event: Event, note: &Note) -> Option<Change> {
    if row.job.state != State::Pending {
        return None;
    }
    match advance(row, &[event], note, now_ms()) {
        Moved::To(row, events) => Some(Change::UpdateJob(Box::new(UpdateJob { row: *row, events }))),
        Moved::Ignored(_) | Moved::Violation => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_catches_its_own() {
        let waiting = [(7, 500), (3, 100), (5, 900), (4, 900)]
            .map(|(number, accepted_ms)| Waiting { number, accepted_ms });
        let caught = |policy| caught(policy, &waiting, 10_500);
        assert_eq!(caught(OnReturn::PrintAll), [0; 0]);
        assert_eq!(
            caught(OnReturn::NewestOnly),
            [3, 4, 7],
            "of two accepted at once the later number is newer"
        );
        assert_eq!(caught(OnReturn::Hold), [3, 4, 5, 7]);
        assert_eq!(caught(OnReturn::DropOlderThan { seconds: 10 }), [3], "500 is exactly ten seconds old");
        assert_eq!(caught(OnReturn::DropOlderThan { seconds: u64::MAX }), [0; 0]);
        assert!(super::caught(OnReturn::NewestOnly, &[], 0).is_empty());
    }

    #[test]
    fn a_cut_is_no_absence() {
        assert!(applies(OnReturn::Hold, Some(60_000)));
        assert!(!applies(OnReturn::Hold, Some(59_999)));
        assert!(!applies(OnReturn::Hold, None));
        assert!(!applies(OnReturn::PrintAll, Some(u64::MAX)));
    }
}
