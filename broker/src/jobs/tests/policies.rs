//! What people set and ask: priorities, policies, reprints, options.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inkwire_protocol::app::{Content, Job, JobReprint, PrinterUpdate, ProblemKind};
use inkwire_protocol::ids::{JobId, PrinterId};
use inkwire_protocol::job::State;
use inkwire_protocol::message::Fact;
use inkwire_protocol::printer::{Delivery, JobOptions, OnReturn, OnUncertain};
use serde_json::json;

use super::desk::{Agent, Desk, completed, document, request};
use crate::clock::now_ms;
use crate::jobs::on_return::AWAY_AT_LEAST_MS;
use crate::jobs::retention::give_up_uploads;
use crate::limits::UPLOAD_KEPT;
use crate::store::Change;
use crate::store::fixtures::hello;
use crate::store::traits::*;

impl Desk {
    async fn printer(&self) -> PrinterId {
        self.house.store.printers_meant(self.house.account, "labels").await.unwrap()[0].id
    }

    async fn set(&self, change: serde_json::Value) {
        let mut update = json!({ "printer": self.printer().await });
        update.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let update: PrinterUpdate = serde_json::from_value(update).unwrap();
        let change =
            Change::UpdatePrinter { account: self.house.account, update: Box::new(update), at_ms: now_ms() };
        self.house.store.commit(vec![change]).await.unwrap();
        self.jobs.printers_changed(self.house.agent).await;
    }

    /// Its session has ended, and so long after it begins another one.
    async fn away(&mut self, agent: Agent, for_ms: u64) -> Agent {
        let (account, id, epoch) = (self.house.account, self.house.agent, agent.epoch);
        let at_ms = 5000;
        let end = Change::EndSession { account, agent: id, epoch, at_ms, reason: "silent".into() };
        self.house.store.commit(vec![end]).await.unwrap();
        self.offline(agent).await;
        // What is accepted in the very millisecond of the return came after it.
        let before = now_ms();
        while now_ms() == before {
            tokio::task::yield_now().await;
        }
        self.online_as(vec![], |begin| crate::store::BeginSession { at_ms: at_ms + for_ms, ..begin }).await
    }

    async fn labels(&self, count: usize) -> Vec<JobId> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.label(|_| {}).await.id);
        }
        ids
    }

    /// An agent that has been there, and three labels that wait for it.
    async fn left_alone(on_return: OnReturn) -> (Self, Agent, Vec<JobId>) {
        let mut desk = Self::new().await;
        desk.set(json!({ "on_return": on_return })).await;
        let mut agent = desk.online(vec![]).await;
        // Something before them is done: not everything is new to the agent.
        let first = desk.label(|_| {}).await;
        let open = agent.open().await;
        assert_eq!(open.open.job, first.id);
        desk.acked(&mut agent, &open, 1, completed()).await;
        let (account, id, epoch) = (desk.house.account, desk.house.agent, agent.epoch);
        let end = Change::EndSession { account, agent: id, epoch, at_ms: 5000, reason: "silent".into() };
        desk.house.store.commit(vec![end]).await.unwrap();
        desk.offline_and_wait(&mut agent).await;
        let waiting = desk.labels(3).await;
        (desk, agent, waiting)
    }

    async fn states(&self, jobs: &[JobId]) -> Vec<(State, Option<String>)> {
        let mut states = Vec::new();
        for job in jobs {
            let Job { state, reason, .. } =
                self.house.store.job(self.house.account, *job).await.unwrap().unwrap().job;
            states.push((state, reason.map(|reason| reason.code)));
        }
        states
    }
}

#[tokio::test]
async fn the_newest_of_those_that_waited_is_printed() {
    let (mut desk, agent, waiting) = Desk::left_alone(OnReturn::NewestOnly).await;
    let mut agent = desk.away(agent, AWAY_AT_LEAST_MS).await;
    assert_eq!(agent.open().await.open.job, waiting[2], "and nothing was sent before");
    let canceled = (State::Canceled, Some("superseded".to_owned()));
    assert_eq!(desk.states(&waiting[..2]).await, [canceled.clone(), canceled]);
    let kinds = desk.kinds(waiting[0]).await;
    assert_eq!(kinds, ["job.accepted", "job.canceled"]);
    let after = desk.label(|_| {}).await;
    assert_eq!(agent.open().await.open.job, after.id, "what comes afterwards is sent as ever");
}

#[tokio::test]
async fn those_that_waited_are_held_and_those_that_come_after_are_not() {
    let (mut desk, agent, waiting) = Desk::left_alone(OnReturn::Hold).await;
    let mut agent = desk.away(agent, AWAY_AT_LEAST_MS).await;
    for job in &waiting {
        desk.until(*job, State::Held).await;
    }
    let after = desk.label(|_| {}).await;
    assert_eq!(agent.open().await.open.job, after.id);
    desk.jobs.release(desk.house.account, waiting[1]).await.unwrap();
    assert_eq!(agent.open().await.open.job, waiting[1]);
}

#[tokio::test]
async fn a_cut_and_an_absence_of_unknown_length_change_nothing() {
    let (mut desk, agent, waiting) = Desk::left_alone(OnReturn::NewestOnly).await;
    let mut agent = desk.away(agent, AWAY_AT_LEAST_MS - 1).await;
    for job in &waiting {
        assert_eq!(agent.open().await.open.job, *job);
    }
    // The broker did not see the last session end.
    let mut desk = Desk::new().await;
    desk.set(json!({ "on_return": { "policy": "newest-only" } })).await;
    let waiting = desk.labels(2).await;
    let mut agent =
        desk.online_as(vec![], |begin| crate::store::BeginSession { at_ms: 1 << 40, ..begin }).await;
    assert_eq!(agent.open().await.open.job, waiting[0]);
}

#[tokio::test]
async fn a_job_gets_another_place_in_the_queue_until_it_has_left_it() {
    let mut desk = Desk::new().await;
    let account = desk.house.account;
    let waiting = desk.labels(3).await;
    let job = desk.jobs.set_priority(account, waiting[2], 90).await.unwrap();
    assert_eq!((job.priority, job.state), (90, State::Pending));
    let event = desk.until_kind(waiting[2], "job.priority").await;
    assert_eq!(event.data["priority"], 90);
    let rev = job.rev;
    assert_eq!(desk.jobs.set_priority(account, waiting[2], 90).await.unwrap().rev, rev, "already so");
    let wrong = desk.jobs.set_priority(account, waiting[2], 0).await.unwrap_err();
    assert_eq!(wrong.pointer.as_deref(), Some("/priority"));
    let mut agent = desk.online(vec![]).await;
    let first = agent.open().await;
    assert_eq!(first.open.job, waiting[2]);
    let late = desk.jobs.set_priority(account, waiting[2], 1).await.unwrap_err();
    assert_eq!((late.kind(), late.state), (Some(ProblemKind::Conflict), Some(State::Sending)));
}

#[tokio::test]
async fn the_queue_in_memory_moves_with_the_priority() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let account = desk.house.account;
    // As many as may be ahead, and some that wait in memory.
    let ahead = inkwire_protocol::limits::MAX_JOBS_AHEAD;
    let jobs = desk.labels(ahead + 4).await;
    let mut first = None;
    for _ in 0..ahead {
        first.get_or_insert(agent.open().await);
    }
    desk.jobs.set_priority(account, jobs[ahead + 3], 99).await.unwrap();
    desk.acked(&mut agent, &first.unwrap(), 1, Fact::Printing).await;
    assert_eq!(agent.open().await.open.job, jobs[ahead + 3]);
}

#[tokio::test]
async fn a_reprint_is_a_job_of_its_own_with_a_document_of_its_own() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let account = desk.house.account;
    for large in [false, true] {
        let (first, bytes) = match large {
            true => (desk.large().await, document()),
            false => (desk.label(|_| {}).await, b"^XA^XZ".to_vec()),
        };
        let open = agent.open().await;
        desk.acked(&mut agent, &open, 1, completed()).await;
        let wish: JobReprint =
            serde_json::from_value(json!({ "job": first.id, "qty": 2, "idempotency_key": first.id }))
                .unwrap();
        let again = desk.jobs.reprint(account, wish.clone()).await.unwrap();
        assert!(again.is_new() && !again.wants_document);
        let job = again.answer.job;
        assert_eq!(
            (job.reprint_of, job.qty, job.sha256),
            (Some(first.id), 2, desk.job(first.id).await.sha256)
        );
        let same = desk.jobs.reprint(account, wish).await.unwrap();
        assert_eq!((same.is_new(), same.answer.job.id), (false, job.id));
        // The first one's document leaves; the second one's does not.
        let row = desk.house.store.job(account, first.id).await.unwrap().unwrap();
        let copy = desk.house.store.job(account, job.id).await.unwrap().unwrap();
        assert_ne!(row.document, copy.document);
        let sweep =
            Change::Sweep { documents_before_ms: u64::MAX >> 1, jobs_before_ms: 0, now_ms: 1, limit: 100 };
        let swept = desk.house.store.commit(vec![sweep]).await.unwrap();
        if let crate::store::Outcome::Swept { files, .. } = &swept[0] {
            desk.jobs.documents.remove(files.clone()).await;
        }
        let open = agent.open_at_last().await;
        assert_eq!(open.open.job, job.id);
        assert_eq!(open.source.read(0, bytes.len() as u32).await.unwrap(), bytes);
        assert_eq!(desk.jobs.document(account, job.id).await.unwrap().bytes, bytes.len() as u64);
        let gone = desk.jobs.document(account, first.id).await.unwrap_err();
        assert_eq!(gone.kind(), Some(ProblemKind::NotFound));
        assert!(gone.detail.contains("retention"), "{}", gone.detail);
        let wish = serde_json::from_value(json!({ "job": first.id })).unwrap();
        assert_eq!(desk.jobs.reprint(account, wish).await.unwrap_err().kind(), Some(ProblemKind::NotFound));
        desk.acked(&mut agent, &open, 1, completed()).await;
    }
}

#[tokio::test]
async fn what_is_set_for_a_printer_holds_for_jobs_that_do_not_say_otherwise() {
    let mut desk = Desk::new().await;
    let account = desk.house.account;
    desk.set(json!({ "options": { "copies": 3 }, "on_uncertain": "drop", "pacing_bytes_s": 9600 })).await;
    let job = desk.label(|_| {}).await;
    assert_eq!((job.options.copies, job.on_uncertain), (Some(3), OnUncertain::Drop));
    assert!(job.warnings[0].contains("copies"), "a raw printer: {:?}", job.warnings);
    let own = desk
        .label(|request| {
            request.options = JobOptions { copies: Some(1), ..JobOptions::default() };
            request.on_uncertain = Some(OnUncertain::Hold);
        })
        .await;
    assert_eq!((own.options.copies, own.on_uncertain), (Some(1), OnUncertain::Hold));
    let mut agent = desk.online(vec![]).await;
    assert_eq!(agent.open().await.open.pacing_bytes_s, Some(9600));
    let event =
        desk.house.store.events_after(account, inkwire_protocol::ids::EventOffset(0), 500).await.unwrap();
    let updated = event.iter().find(|event| event.kind == "printer.updated").unwrap();
    assert_eq!(updated.data["settings"]["pacing_bytes_s"], 9600);

    desk.set(json!({ "accepting": false, "pacing_bytes_s": 0 })).await;
    let refused = desk.jobs.create(account, request(&Content::Inline("eA==".into()))).await.unwrap_err();
    assert_eq!((refused.kind(), refused.pointer.as_deref()), (Some(ProblemKind::Conflict), Some("/printer")));
    let row = desk.house.store.printer(account, desk.printer().await).await.unwrap().unwrap();
    assert_eq!((row.settings.pacing_bytes_s, row.settings.options.copies), (None, Some(3)));
}

#[tokio::test]
async fn a_stream_to_what_takes_whole_documents_only_falls_back_with_a_warning() {
    let mut desk = Desk::new().await;
    for (backend, streams, expected) in [
        ("ipp", false, Delivery::Spool),
        ("ipp", true, Delivery::Stream),
        ("directory", false, Delivery::Spool),
        ("socket", false, Delivery::Stream),
    ] {
        let mut info = crate::store::fixtures::printer_info(1, "labels");
        info.backend = serde_json::from_value(json!(backend)).unwrap();
        info.streams = streams;
        desk.online_as(vec![], |begin| crate::store::BeginSession { printers: vec![info], ..begin }).await;
        let job = desk.label(|request| request.delivery = Delivery::Stream).await;
        assert_eq!(job.delivery, expected, "{backend}");
        assert_eq!(job.warnings.len(), usize::from(expected == Delivery::Spool), "{:?}", job.warnings);
    }
    assert_eq!(hello(desk.house.agent, 1).printers.len(), 2);
}

#[tokio::test]
async fn one_key_is_one_job_fifty_times_at_once_and_after_a_restart() {
    let mut desk = Desk::new().await;
    let account = desk.house.account;
    let keyed = |text: &str| {
        let mut request = request(&Content::Inline(STANDARD.encode(text)));
        request.idempotency_key = Some("order-8".into());
        request
    };
    let asked = (0..50).map(|_| {
        let (jobs, request) = (desk.jobs.clone(), keyed("a"));
        tokio::spawn(async move { jobs.create(account, request).await.unwrap() })
    });
    let mut made = Vec::new();
    for task in asked.collect::<Vec<_>>() {
        made.push(task.await.unwrap());
    }
    assert_eq!(made.iter().filter(|made| made.is_new()).count(), 1);
    let id = made[0].answer.job.id;
    assert!(made.iter().all(|made| made.answer.job.id == id));
    desk.restart().await;
    let again = desk.jobs.create(account, keyed("a")).await.unwrap();
    assert_eq!((again.is_new(), again.answer.job.id), (false, id));
    let other = desk.jobs.create(account, keyed("b")).await.unwrap_err();
    assert_eq!(other.kind(), Some(ProblemKind::IdempotencyConflict));
    let all = desk.house.store.jobs(account, &Default::default()).await.unwrap();
    assert_eq!(all.rows.len(), 1);
}

#[tokio::test]
async fn an_upload_that_nobody_takes_up_is_given_up_after_a_day() {
    let desk = Desk::new().await;
    let account = desk.house.account;
    let content = Content::Transfer { bytes: 100_000, sha256: None, packet_bytes: None };
    let job = desk.jobs.create(account, request(&content)).await.unwrap().answer.job;
    let upload = desk.jobs.resume_upload(account, job.id).await.unwrap();
    let store: crate::store::SharedStore = desk.house.store.clone();
    let kept = UPLOAD_KEPT.as_millis() as u64;
    give_up_uploads(&store, &desk.jobs.documents, now_ms() + kept - 60_000).await;
    assert_eq!(desk.job(job.id).await.state, State::Incoming, "not before its time");
    drop(upload);
    give_up_uploads(&store, &desk.jobs.documents, now_ms() + kept + 60_000).await;
    let job = desk.job(job.id).await;
    assert_eq!((job.state, job.reason.unwrap().code.as_str()), (State::Aborted, "upload-abandoned"));
    let late = desk.jobs.resume_upload(account, job.id).await.unwrap_err();
    assert_eq!(late.state, Some(State::Aborted));
}
