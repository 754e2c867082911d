//! What must hold of the whole, whatever happened: looked at after every step, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use inkwire_protocol::ids::{EventOffset, JobId};
use inkwire_protocol::job::State;
use inkwire_protocol::message::Witness;
use rusqlite::OptionalExtension as _;

use super::{Accepted, World, account};
use crate::device::Sheet;
use crate::watch::breach;

impl World {
    /// After every step.
    pub(super) async fn look(&mut self) {
        self.steps += 1;
        self.nothing_is_lost();
        self.log_has_no_gaps().await;
        self.paper_is_right(false).await;
    }

    /// I1: what was accepted is on stable storage.
    fn nothing_is_lost(&self) {
        let Some(db) = self.broker_disk.look("store.sqlite3") else { return };
        for job in self.accepted.values() {
            let sql = "SELECT documents.kind FROM jobs JOIN documents ON documents.id = jobs.document WHERE jobs.id = ?1";
            let kind: Option<u8> =
                db.query_row(sql, [job.id.uuid()], |row| row.get(0)).optional().ok().flatten();
            if !matches!(kind, Some(1 | 2)) {
                breach("I1", format!("job {} was accepted and is not stored", job.id));
            }
        }
    }

    /// I7: a subscriber that comes back again and again misses nothing. I8: and sees nothing of others.
    async fn log_has_no_gaps(&mut self) {
        let Some(broker) = &self.broker else { return };
        for number in 0..2 {
            let account = account(number);
            let read = self.read.entry(account).or_default();
            let Some(Ok(events)) = broker.ask(broker.store.events_after(account, *read, 500)).await else {
                return;
            };
            for event in events {
                if event.offset.0 != read.0 + 1 {
                    breach("I7", format!("event {} comes after {}", event.offset, read));
                }
                *read = EventOffset(event.offset.0);
                let foreign =
                    |job: &JobId| self.accepted.values().any(|of| of.id == *job && of.account != account);
                if event.job.is_some_and(|job| foreign(&job)) {
                    breach("I8", format!("event {} is of another account's job", event.offset));
                }
            }
        }
    }

    fn sheets(&self) -> BTreeMap<JobId, Vec<Sheet>> {
        let mut sheets: BTreeMap<JobId, Vec<Sheet>> = BTreeMap::new();
        for pc in &self.pcs {
            let twin = pc.twins.iter().flat_map(|twin| &twin.devices);
            for sheet in pc.devices.iter().chain(twin).flat_map(|device| device.sheets()) {
                sheets.entry(sheet.job).or_default().push(sheet);
            }
        }
        sheets
    }

    /// I4: what is on paper is what was submitted, as often as was asked for, or the job says `uncertain`.
    async fn paper_is_right(&self, at_rest: bool) {
        let Some(broker) = &self.broker else { return };
        let sheets = self.sheets();
        for job in self.accepted.values() {
            let sheets = sheets.get(&job.id).map(Vec::as_slice).unwrap_or_default();
            for sheet in sheets {
                let right = if sheet.whole {
                    sheet.bytes == job.document
                } else {
                    job.document.starts_with(&sheet.bytes)
                };
                if !right {
                    breach(
                        "I4",
                        format!("job {}: other bytes went to the device than were submitted", job.id),
                    );
                }
            }
            let whole = sheets.iter().filter(|sheet| sheet.whole).count() as u32;
            if whole <= job.qty && !at_rest {
                continue;
            }
            let Some(Ok(events)) = broker.ask(broker.store.job_events(job.account, job.id)).await else {
                return;
            };
            // A state before the decision to print again, or what a person or policy decided.
            let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
            let again =
                kinds.windows(2).filter(|two| two == &["job.uncertain", "job.pending"]).count() as u32;
            let doubt = self.doubtful.contains(&job.id);
            if whole > job.qty * (1 + again) && !doubt {
                breach("I4", format!("job {}: {whole} copies came out, {} were asked for", job.id, job.qty));
            }
            if at_rest && !doubt {
                self.ended_right(job, sheets, &kinds, again).await;
            }
        }
    }

    /// The last word of a job against its paper.
    async fn ended_right(&self, job: &Accepted, sheets: &[Sheet], kinds: &[&str], again: u32) {
        let Some(broker) = &self.broker else { return };
        let Some(Ok(Some(row))) = broker.ask(broker.store.job(job.account, job.id)).await else { return };
        let whole =
            sheets.iter().filter(|sheet| sheet.whole && sheet.attempt == row.job.attempt).count() as u32;
        let was_uncertain = kinds.contains(&"job.uncertain");
        let given: usize = sheets.iter().map(|sheet| sheet.bytes.len()).sum();
        match row.job.state {
            State::Completed if row.job.witness != Some(Witness::Human) && again == 0 && whole != job.qty => {
                let (qty, witness) = (job.qty, row.job.witness);
                breach(
                    "I4",
                    format!("job {} is completed ({witness:?}), {whole} of {qty} copies came out", job.id),
                );
            }
            State::Canceled | State::Aborted | State::Expired
                if !was_uncertain && (given > 0 && whole > 0) =>
            {
                breach("I4", format!("job {} is {} and {whole} copies came out", job.id, row.job.state));
            }
            _ => {}
        }
    }

    /// At the end: I6 and what only shows when nothing moves any more.
    pub(super) async fn look_at_rest(&mut self) {
        self.look().await;
        self.paper_is_right(true).await;
        let Some(broker) = &self.broker else { return };
        for job in self.accepted.values() {
            if let Some(Ok(Some(row))) = broker.ask(broker.store.job(job.account, job.id)).await
                && !row.job.state.is_terminal()
            {
                let shown = broker.jobs.present(row);
                let why = shown.reason.map(|reason| reason.code);
                breach("I6", format!("job {} is {} for ever ({why:?})", job.id, shown.state));
            }
            let other = account(usize::from(job.account == account(0)));
            if !matches!(broker.ask(broker.store.job(other, job.id)).await, Some(Ok(None)) | None) {
                breach("I8", format!("job {} is seen by another account", job.id));
            }
        }
    }

    /// Jobs that have not ended.
    pub(super) async fn open_jobs(&self) -> Vec<(usize, State)> {
        let Some(broker) = &self.broker else { return vec![(0, State::Pending)] };
        let mut open = Vec::new();
        for (number, job) in &self.accepted {
            match broker.ask(broker.store.job(job.account, job.id)).await {
                Some(Ok(Some(row))) if row.job.state.is_terminal() => {}
                Some(Ok(Some(row))) => open.push((*number, row.job.state)),
                Some(Ok(None) | Err(_)) | None => open.push((*number, State::Incoming)),
            }
        }
        open
    }

    /// Jobs of an agent that have not ended: another copy of its disk may print them, too.
    pub(super) async fn undecided_of(&self, agent: usize) -> BTreeSet<JobId> {
        let open = self.open_jobs().await;
        let of =
            |number: &usize| self.accepted.get(number).filter(|job| job.agent == agent).map(|job| job.id);
        open.iter().filter_map(|(number, _)| of(number)).collect()
    }
}
