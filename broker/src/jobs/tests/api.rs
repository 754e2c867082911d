use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use inkwire_protocol::app::{Content, ProblemKind};
use inkwire_protocol::job::State;

use super::desk::{Desk, request};
use crate::sessions::link::What;
use crate::store::fixtures::account_id;

fn inline(text: &str) -> Content {
    Content::Inline(STANDARD.encode(text))
}

#[tokio::test]
async fn one_key_is_one_job_also_at_once_and_other_content_is_refused() {
    let desk = Desk::new().await;
    let account = desk.house.account;
    let keyed = |text: &str| {
        let mut request = request(&inline(text));
        request.idempotency_key = Some("order-7".into());
        request
    };
    let (a, b) = tokio::join!(desk.jobs.create(account, keyed("a")), desk.jobs.create(account, keyed("a")));
    let (a, b) = (a.unwrap().answer, b.unwrap().answer);
    assert_eq!(a.job.id, b.job.id);
    assert!(a.duplicate != b.duplicate);
    let problem = desk.jobs.create(account, keyed("b")).await.unwrap_err();
    assert_eq!(problem.kind(), Some(ProblemKind::IdempotencyConflict));
}

#[tokio::test]
async fn a_foreign_and_an_unknown_id_are_answered_alike() {
    let desk = Desk::new().await;
    desk.house.add_account(2).await;
    let job = desk.label(|_| {}).await;
    let foreign = account_id(2);
    let unknown = inkwire_protocol::ids::JobId::from_uuid(uuid::Uuid::nil());
    assert_eq!(
        desk.jobs.cancel(foreign, job.id).await.unwrap_err(),
        desk.jobs.cancel(desk.house.account, unknown).await.unwrap_err(),
    );
    assert_eq!(desk.job(job.id).await.state, State::Pending);
    let mut by_id = request(&inline("a"));
    by_id.printer = job.printer.to_string();
    let problem = desk.jobs.create(foreign, by_id).await.unwrap_err();
    assert_eq!(problem.kind(), Some(ProblemKind::NotFound));
}

#[tokio::test]
async fn hold_and_release_act_at_once_while_the_broker_owns_the_job() {
    let mut desk = Desk::new().await;
    let account = desk.house.account;
    let job = desk.label(|request| request.hold = true).await;
    assert_eq!(job.state, State::Held);
    let mut agent = desk.online(vec![]).await;
    let other = desk.label(|_| {}).await;
    assert_eq!(agent.open().await.open.job, other.id, "a held job is not sent");
    assert_eq!(desk.jobs.release(account, job.id).await.unwrap().state, State::Pending);
    assert_eq!(agent.open().await.open.job, job.id);
}

#[tokio::test]
async fn an_upload_is_resumed_by_its_job_and_finished_once() {
    let desk = Desk::new().await;
    let account = desk.house.account;
    let job = desk.large().await;
    let problem = desk.jobs.resume_upload(account, job.id).await.unwrap_err();
    assert_eq!(problem.state, Some(State::Pending));
    let content = Content::Transfer { bytes: 5, sha256: None, packet_bytes: None };
    let created = desk.jobs.create(account, request(&content)).await.unwrap();
    assert!(created.wants_document);
    let upload = desk.jobs.resume_upload(account, created.answer.job.id).await.unwrap();
    let missing = desk.jobs.finish_upload(account, created.answer.job.id, upload, 5, None).await.unwrap_err();
    assert_eq!(missing.kind(), Some(ProblemKind::Conflict));
    assert_eq!(desk.job(created.answer.job.id).await.state, State::Incoming, "nobody was promised anything");
}

#[tokio::test]
async fn below_the_space_that_must_stay_free_documents_are_refused_and_outcomes_still_commit() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    desk.label(|_| {}).await;
    let open = agent.open().await;
    desk.min_free_bytes = u64::MAX / 2;
    desk.restart().await;
    let mut agent = desk.online(vec![]).await;
    for content in [inline("a"), Content::Transfer { bytes: 5, sha256: None, packet_bytes: None }] {
        let problem = desk.jobs.create(desk.house.account, request(&content)).await.unwrap_err();
        assert_eq!(problem.kind(), Some(ProblemKind::StorageFull));
        assert!(problem.retry_after_s.is_some());
    }
    desk.tell(agent.epoch, What::Reconciled).await;
    agent.open().await;
    desk.acked(&mut agent, &open, 1, super::desk::completed()).await;
    desk.until(open.open.job, State::Completed).await;
}
