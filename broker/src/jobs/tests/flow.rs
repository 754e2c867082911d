use inkwire_protocol::ids::Attempt;
use inkwire_protocol::job::{Request, State};
use inkwire_protocol::limits::MAX_JOBS_AHEAD;
use inkwire_protocol::message::{Fact, RefuseReason, Witness};
use inkwire_protocol::printer::OnUncertain;

use super::desk::{Desk, FIRST, completed, document, uncertain};
use crate::sessions::link::{SessionCommand, What};
use crate::store::traits::*;

#[tokio::test]
async fn a_label_goes_out_at_once_and_is_followed_to_its_end() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.label(|_| {}).await;
    assert_eq!(job.number, 1);
    let open = agent.open().await;
    assert!(open.permitted, "one packet: the permit was committed with `sending`");
    assert_eq!((open.open.job, open.open.attempt, open.open.next_seq), (job.id, FIRST, 0));
    assert_eq!(open.source.read(0, 6).await.unwrap(), "^XA^XZ");
    assert!(desk.job(job.id).await.may_print, "committed before it left");
    for (seq, fact) in [Fact::Spooled, Fact::Printing, completed()].into_iter().enumerate() {
        desk.acked(&mut agent, &open, seq as u32 + 1, fact).await;
    }
    let job = desk.job(job.id).await;
    assert_eq!((job.state, job.witness), (State::Completed, Some(Witness::HandedOver)));
    assert_eq!((job.received_bytes, job.delivered_bytes), (6, 6));
    let kinds = desk.kinds(job.id).await;
    assert_eq!(kinds, ["job.accepted", "job.sending", "job.spooled", "job.printing", "job.completed"]);
    desk.acked(&mut agent, &open, 3, completed()).await;
    assert_eq!(desk.kinds(job.id).await, kinds, "a repeated fact is acked again and changes nothing");
}

#[tokio::test]
async fn a_label_costs_the_store_two_commits() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    // Whatever the session's beginning wrote is written by then.
    let first = desk.label(|_| {}).await;
    let open = agent.open().await;
    desk.acked(&mut agent, &open, 1, uncertain()).await;
    desk.until(first.id, State::Uncertain).await;
    let before = desk.commits();

    let job = desk.label(|_| {}).await;
    let open = agent.open().await;
    assert_eq!(desk.commits(), before + 1, "accepted and sent");
    for (seq, fact) in [Fact::Spooled, Fact::Printing, completed()].into_iter().enumerate() {
        desk.fact(&agent, &open, seq as u32 + 1, fact).await;
    }
    for seq in 1..=3 {
        let SessionCommand::FactAck { fact_seq, .. } = agent.next().await else { panic!("not acknowledged") };
        assert_eq!(fact_seq.0, seq);
    }
    assert_eq!(desk.commits(), before + 2, "what came together is one commit");
    let ended = desk.job(job.id).await;
    assert_eq!((ended.state, ended.rev), (State::Completed, 5));
    let events = desk.house.store.job_events(desk.house.account, job.id).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.data["rev"].as_u64())).collect();
    let kinds = ["job.accepted", "job.sending", "job.spooled", "job.printing", "job.completed"];
    assert_eq!(told, kinds.into_iter().zip((1..).map(Some)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_fact_without_a_successor_is_committed_all_the_same() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.label(|_| {}).await;
    let open = agent.open().await;
    desk.acked(&mut agent, &open, 1, Fact::Spooled).await;
    assert_eq!(desk.job(job.id).await.state, State::Spooled);
}

#[tokio::test]
async fn whoever_would_overtake_waits_in_the_queue() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    // The dispatcher may not have looked at the agent's queues when the first one comes.
    desk.label(|_| {}).await;
    let mut opened = vec![agent.open().await];
    for _ in 1..MAX_JOBS_AHEAD {
        assert_eq!(desk.label(|_| {}).await.state, State::Sending);
        opened.push(agent.open().await);
    }
    let (second, first) = (desk.label(|_| {}).await, desk.label(|request| request.priority = 90).await);
    assert_eq!((second.state, first.state), (State::Pending, State::Pending));
    desk.acked(&mut agent, &opened[0], 1, completed()).await;
    assert_eq!(agent.open().await.open.job, first.id);
    // One place is free again, and somebody waits for it: a newcomer goes behind.
    assert_eq!(desk.label(|_| {}).await.state, State::Pending);
    desk.acked(&mut agent, &opened[1], 1, completed()).await;
    assert_eq!(agent.open().await.open.job, second.id);
}

#[tokio::test]
async fn a_large_document_gets_its_permit_only_after_the_commit() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.large().await;
    assert_eq!(job.state, State::Pending);
    let open = agent.open().await;
    assert!(!open.permitted && !desk.job(job.id).await.may_print);
    assert_eq!(open.source.read(0, 100_000).await.unwrap(), document());
    desk.tell(agent.epoch, What::PermitWanted { job: job.id, attempt: FIRST }).await;
    assert!(matches!(agent.next().await, SessionCommand::Permit { attempt: FIRST, .. }));
    assert!(desk.job(job.id).await.may_print);
}

#[tokio::test]
async fn cancel_acts_before_the_permit_and_asks_after_it() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let account = desk.house.account;
    let first = desk.large().await;
    agent.open().await;
    assert_eq!(desk.jobs.cancel(account, first.id).await.unwrap().state, State::Canceled);
    assert!(matches!(agent.next().await, SessionCommand::Drop { job, .. } if job == first.id));

    let second = desk.label(|_| {}).await;
    let open = agent.open().await;
    let asked = desk.jobs.cancel(account, second.id).await.unwrap();
    assert_eq!((asked.state, asked.request), (State::Sending, Some(Request::Cancel)));
    assert!(matches!(agent.next().await, SessionCommand::Request { request: Request::Cancel, .. }));
    desk.acked(&mut agent, &open, 1, Fact::Canceled).await;
    let conflict = desk.jobs.cancel(account, second.id).await.unwrap_err();
    assert_eq!(conflict.state, Some(State::Canceled));
}

#[tokio::test]
async fn the_queue_goes_by_priority_then_acceptance_and_runs_ahead_only_so_far() {
    let mut desk = Desk::new().await;
    let mut expected = Vec::new();
    for n in 0..MAX_JOBS_AHEAD + 8 {
        expected.push(desk.label(|_| {}).await.id);
        if n == 5 {
            expected.insert(0, desk.label(|request| request.priority = 90).await.id);
        }
    }
    let reason = desk.job(expected[0]).await.reason.unwrap();
    assert_eq!(reason.code, "agent-offline");
    let mut agent = desk.online(vec![]).await;
    let mut opened = Vec::new();
    for _ in 0..MAX_JOBS_AHEAD {
        opened.push(agent.open().await);
    }
    assert_eq!(desk.job(expected[MAX_JOBS_AHEAD]).await.reason.unwrap().code, "queued");
    assert!(agent.is_idle());
    desk.acked(&mut agent, &opened[0], 1, Fact::Printing).await;
    opened.push(agent.open().await);
    let order: Vec<_> = opened.iter().map(|open| open.open.job).collect();
    assert_eq!(order, expected[..=MAX_JOBS_AHEAD]);
}

#[tokio::test]
async fn every_one_of_many_labels_gets_through_memory_that_holds_only_heads() {
    let mut desk = Desk::new().await;
    for _ in 0..50 {
        desk.label(|_| {}).await;
    }
    let mut agent = desk.online(vec![]).await;
    for _ in 0..150 {
        desk.label(|_| {}).await;
    }
    for _ in 0..200 {
        let open = loop {
            match agent.next().await {
                SessionCommand::Open(open) => break open,
                SessionCommand::FactAck { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        desk.fact(&agent, &open, 1, completed()).await;
    }
    let states = inkwire_protocol::app::JobList { limit: Some(500), ..Default::default() };
    let jobs = desk.house.store.jobs(desk.house.account, &states).await.unwrap();
    assert_eq!(jobs.rows.len(), 200);
    desk.until(jobs.rows[0].job.id, State::Completed).await;
}

#[tokio::test]
async fn a_refusal_waits_and_a_final_one_ends() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.large().await;
    let open = agent.open().await;
    desk.refused(&agent, &open, RefuseReason::DiskFull).await;
    let waiting = desk.until(job.id, State::Pending).await;
    assert_eq!(waiting.reason.unwrap().code, "disk-full");
    assert!(matches!(agent.next().await, SessionCommand::Drop { .. }));
    let again = agent.open().await;
    assert_eq!(again.open.attempt, Attempt(2), "after a while it is tried again");
    desk.refused(&agent, &open, RefuseReason::DiskFull).await;
    desk.refused(&agent, &again, RefuseReason::Format).await;
    let ended = desk.until(job.id, State::Aborted).await;
    assert_eq!(ended.reason.unwrap().code, "document-format-error");
}

#[tokio::test]
async fn a_job_waits_for_a_printer_that_its_agent_does_not_find() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.label(|_| {}).await;
    let open = agent.open().await;
    desk.refused(&agent, &open, RefuseReason::NoSuchPrinter).await;
    let waits = desk.until(job.id, State::Pending).await;
    assert_eq!(waits.reason.unwrap().code, "printer-gone");
    assert_eq!(agent.open().await.open.attempt, Attempt(2), "it is offered again");
    desk.until(job.id, State::Sending).await;
    assert_eq!(desk.job(job.id).await.reason, None);
}

#[tokio::test]
async fn what_arrives_damaged_three_times_is_given_up() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.label(|_| {}).await;
    for attempt in 1..=3 {
        let open = loop {
            if let SessionCommand::Open(open) = agent.next().await {
                break open;
            }
        };
        assert_eq!(open.open.attempt, Attempt(attempt));
        desk.fact(&agent, &open, 1, Fact::Corrupt { detail: "digest".into() }).await;
    }
    let ended = desk.until(job.id, State::Aborted).await;
    assert_eq!(ended.reason.unwrap().code, "document-damaged");
}

#[tokio::test]
async fn an_uncertain_outcome_waits_or_follows_its_policy() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let waits = desk.label(|_| {}).await;
    let open = agent.open().await;
    desk.acked(&mut agent, &open, 1, uncertain()).await;
    let shown = desk.until(waits.id, State::Uncertain).await;
    assert_eq!((shown.reason.unwrap().code.as_str(), shown.delivered_bytes), ("agent-restarted", 3));
    let decided = desk
        .jobs
        .decide(desk.house.account, waits.id, inkwire_protocol::job::Decision::Printed)
        .await
        .unwrap();
    assert_eq!((decided.state, decided.witness), (State::Completed, Some(Witness::Human)));

    let dropped = desk.label(|request| request.on_uncertain = Some(OnUncertain::Drop)).await;
    let open = agent.open().await;
    desk.acked(&mut agent, &open, 1, uncertain()).await;
    desk.until(dropped.id, State::Canceled).await;

    let again = desk.label(|request| request.on_uncertain = Some(OnUncertain::Reprint)).await;
    for attempt in 1..=3 {
        let open = agent.open().await;
        assert_eq!((open.open.job, open.open.attempt), (again.id, Attempt(attempt)));
        desk.acked(&mut agent, &open, 1, uncertain()).await;
    }
    desk.until(again.id, State::Uncertain).await;
}

#[tokio::test]
async fn a_document_that_cannot_be_read_ends_its_job() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.large().await;
    agent.open().await;
    let failed = What::SourceFailed { job: job.id, attempt: FIRST, error: "damaged".into() };
    desk.tell(agent.epoch, failed).await;
    let ended = desk.until(job.id, State::Aborted).await;
    assert_eq!(ended.reason.unwrap().code, "document-unreadable");
}
