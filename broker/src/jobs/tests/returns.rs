use inkwire_protocol::ids::Attempt;
use inkwire_protocol::job::{Decision, Request, State};
use inkwire_protocol::message::{Fact, RefuseReason};
use serde_json::json;

use super::desk::{Desk, FIRST, completed, held, uncertain};
use crate::sessions::link::{Cut, Sent, SessionCommand, What};
use crate::store::fixtures::{agent_id, hello, spool};
use crate::store::traits::*;
use crate::store::{BeginSession, Change};

#[tokio::test]
async fn a_cut_transfer_goes_on_where_it_was_and_an_old_session_changes_nothing() {
    let mut desk = Desk::new().await;
    let mut first = desk.online(vec![]).await;
    let job = desk.large().await;
    let open = first.open().await;
    let mut second = desk.online(vec![held(&open, 3)]).await;
    let again = second.open().await;
    assert_eq!((again.open.job, again.open.attempt, again.open.next_seq), (job.id, FIRST, 3));
    assert_eq!(again.open.packet_bytes, open.open.packet_bytes);
    desk.tell(first.epoch, What::PermitWanted { job: job.id, attempt: FIRST }).await;
    desk.offline(first).await;
    desk.tell(second.epoch, What::PermitWanted { job: job.id, attempt: FIRST }).await;
    assert!(matches!(second.next().await, SessionCommand::Permit { .. }));
    let cut = desk.online(vec![held(&open, 5)]).await;
    drop(cut);
    desk.offline(second).await;
}

#[tokio::test]
async fn a_broker_that_was_restarted_takes_everything_up_from_its_rows() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let large = desk.large().await;
    let open = agent.open().await;
    let label = desk.label(|_| {}).await;
    agent.open().await;
    desk.jobs.cancel(desk.house.account, label.id).await.unwrap();
    desk.restart().await;
    let mut agent = desk.online(vec![held(&open, 2)]).await;
    desk.tell(agent.epoch, What::Reconciled).await;
    let mut seen = (false, false, false);
    for _ in 0..3 {
        match agent.next().await {
            SessionCommand::Open(open) if open.open.job == large.id => {
                assert_eq!((open.open.next_seq, open.open.attempt), (2, FIRST));
                seen.0 = true;
            }
            SessionCommand::Open(open) => {
                assert_eq!((open.open.job, open.open.attempt, open.open.next_seq), (label.id, FIRST, 0));
                assert!(open.permitted, "offered again as the same attempt: the ledger answers for it");
                seen.1 = true;
            }
            SessionCommand::Request { job, request: Request::Cancel, .. } if job == label.id => seen.2 = true,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, (true, true, true));
}

#[tokio::test]
async fn what_the_agent_holds_of_attempts_that_are_over_is_thrown_away() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.large().await;
    let open = agent.open().await;
    desk.offline(agent).await;
    desk.jobs.cancel(desk.house.account, job.id).await.unwrap();
    let mut agent = desk.online(vec![held(&open, 3)]).await;
    assert!(
        matches!(agent.next().await, SessionCommand::Drop { job: dropped, attempt: FIRST, .. } if dropped == job.id)
    );
}

#[tokio::test]
async fn after_a_lost_spool_what_could_be_printed_is_uncertain_and_the_rest_begins_again() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let label = desk.label(|_| {}).await;
    agent.open().await;
    let large = desk.large().await;
    agent.open().await;
    desk.offline(agent).await;
    let lost = |begin| BeginSession { spool: spool(2), ..begin };
    let cut = desk.online_as(vec![], lost).await;
    assert!(cut.spool_lost);
    desk.offline(cut).await;
    // `welcome` did not arrive, as far as anybody knows: it is said again, and nothing is sent before it is heard.
    let mut agent = desk.online_as(vec![], lost).await;
    assert!(agent.spool_lost);
    assert_eq!(desk.job(label.id).await.state, State::Sending);
    desk.tell(agent.epoch, What::Reconciled).await;
    let shown = desk.until(label.id, State::Uncertain).await;
    assert_eq!(shown.reason.unwrap().code, "spool-lost");
    let again = loop {
        if let SessionCommand::Open(open) = agent.next().await {
            break open;
        }
    };
    assert_eq!((again.open.job, again.open.attempt), (large.id, Attempt(2)));
    let row = desk.house.store.agent(desk.house.account, desk.house.agent).await.unwrap().unwrap();
    assert!(!row.spool_lost, "sorted out before anything new was sent");
    desk.offline(agent).await;
    assert!(!desk.online_as(vec![], lost).await.spool_lost);
}

#[tokio::test]
async fn what_a_lost_spool_s_ledger_still_knows_counts() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let label = desk.label(|_| {}).await;
    let open = agent.open().await;
    desk.offline(agent).await;
    let lost = |begin| BeginSession { spool: spool(2), ..begin };
    let mut agent = desk.online_as(vec![], lost).await;
    desk.acked(&mut agent, &open, 3, completed()).await;
    desk.tell(agent.epoch, What::Reconciled).await;
    let next = desk.label(|_| {}).await;
    assert_eq!(agent.open().await.open.job, next.id);
    assert_eq!(desk.job(label.id).await.state, State::Completed);
}

#[tokio::test]
async fn a_store_that_is_restored_and_a_spool_that_looks_lost_repeat_the_ledger_first() {
    let mut desk = Desk::new().await;
    let job = desk.label(|_| {}).await;
    let nine = desk.house.remembering(9, hello(desk.house.agent, 0)).await.receipt;
    let both = |begin| BeginSession { spool: spool(2), facts_acked: 9, receipt: nine, ..begin };
    let mut agent = desk.online_as(vec![], both).await;
    assert!(agent.spool_lost);
    let message = inkwire_protocol::message::FactMessage {
        job: job.id,
        attempt: FIRST,
        fact_seq: inkwire_protocol::ids::FactSeq(3),
        ledger_seq: 20,
        at_ms: 0,
        fact: completed(),
    };
    desk.tell(agent.epoch, What::Fact(Box::new(message))).await;
    assert!(matches!(agent.next().await, SessionCommand::FactAck { facts_acked: 10, .. }));
    desk.tell(agent.epoch, What::Reconciled).await;
    desk.tell(agent.epoch, What::Reconciled).await;
    let next = desk.label(|_| {}).await;
    assert_eq!(agent.open().await.open.job, next.id, "and not the one that is done");
    assert_eq!(desk.job(job.id).await.state, State::Completed);
}

#[tokio::test]
async fn where_store_and_spool_are_both_lost_nothing_of_before_is_printed_by_itself() {
    let mut desk = Desk::new().await;
    let (pending, on_hold) = (desk.label(|_| {}).await, desk.label(|job| job.hold = true).await);
    let told = desk.label(|_| {}).await;
    let nine = desk.house.remembering(9, hello(desk.house.agent, 0)).await.receipt;
    let both = |begin| BeginSession { spool: spool(2), facts_acked: 9, receipt: nine, ..begin };
    // The first session ends before it has repeated anything: both losses are remembered.
    let cut = desk.online_as(vec![], both).await;
    desk.offline(cut).await;
    let mut agent = desk.online_as(vec![], |begin| BeginSession { spool: spool(2), ..begin }).await;
    assert!(agent.spool_lost);
    let made_since = desk.label(|_| {}).await;
    let outcome = inkwire_protocol::message::FactMessage {
        job: told.id,
        attempt: FIRST,
        fact_seq: inkwire_protocol::ids::FactSeq(1),
        ledger_seq: 20,
        at_ms: 0,
        fact: completed(),
    };
    desk.tell(agent.epoch, What::Fact(Box::new(outcome))).await;
    assert!(matches!(agent.next().await, SessionCommand::FactAck { .. }));
    desk.tell(agent.epoch, What::Reconciled).await;
    assert_eq!(agent.open().await.open.job, made_since.id, "what came since is printed");
    assert_eq!(desk.job(told.id).await.state, State::Completed, "what the new spool knows is believed");
    for job in [pending.id, on_hold.id] {
        let reason = desk.until(job, State::Uncertain).await.reason.unwrap();
        assert_eq!(reason.code, "store-and-spool-lost");
        assert!(reason.detail.contains("backup") && reason.detail.contains("spool"), "{reason:?}");
    }
    // It is sorted out: the next session is an ordinary one, and a decision prints.
    desk.offline(agent).await;
    let mut agent = desk.online_as(vec![], |begin| BeginSession { spool: spool(2), ..begin }).await;
    assert!(!agent.spool_lost);
    desk.tell(agent.epoch, What::Reconciled).await;
    assert_eq!(agent.open().await.open.job, made_since.id);
    desk.jobs.decide(desk.house.account, pending.id, Decision::Reprint).await.unwrap();
    assert_eq!(agent.open().await.open.job, pending.id);
}

#[tokio::test]
async fn a_session_of_the_store_before_it_was_restored_gets_nothing() {
    let mut desk = Desk::new().await;
    let mut old = desk.online(vec![]).await;
    let printers = desk.house.store.agent_printers(desk.house.agent).await.unwrap();
    let labels = printers.iter().find(|row| row.info.name == "labels").unwrap().id;
    desk.house.add_agent(1, 2).await;
    let knows_more = desk.house.remembering(3, hello(agent_id(2), 1)).await;
    assert!(desk.house.started(knows_more).await.store_restored);
    let job = desk.label(|request| request.printer = labels.to_string()).await;
    desk.tell(old.epoch, What::Reconciled).await;
    desk.offline_and_wait(&mut old).await;
    let mut agent = desk.online(vec![]).await;
    assert!(agent.is_idle());
    desk.tell(agent.epoch, What::Reconciled).await;
    assert_eq!(agent.open().await.open.job, job.id);
}

#[tokio::test]
async fn after_a_restored_store_nothing_is_sent_before_the_ledger_was_repeated() {
    let mut desk = Desk::new().await;
    let job = desk.label(|_| {}).await;
    let other = desk.label(|_| {}).await;
    let nine = desk.house.remembering(9, hello(desk.house.agent, 0)).await.receipt;
    let remembering = |begin| BeginSession { facts_acked: 9, receipt: nine, ..begin };
    let mut agent = desk.online_as(vec![], remembering).await;
    // The ledger knows that the job is done: attempt 1 of it, which this store never made.
    let message = inkwire_protocol::message::FactMessage {
        job: job.id,
        attempt: FIRST,
        fact_seq: inkwire_protocol::ids::FactSeq(3),
        ledger_seq: 20,
        at_ms: 0,
        fact: completed(),
    };
    desk.tell(agent.epoch, What::Fact(Box::new(message))).await;
    assert!(matches!(agent.next().await, SessionCommand::FactAck { facts_acked: 10, .. }));
    assert_eq!(desk.job(other.id).await.reason.unwrap().code, "agent-reconciling");
    assert!(agent.is_idle());
    desk.tell(agent.epoch, What::Reconciled).await;
    assert_eq!(agent.open().await.open.job, other.id);
    assert_eq!(desk.job(job.id).await.state, State::Completed);
}

#[tokio::test]
async fn what_came_whole_before_the_cut_is_not_sent_again() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let (came, lost) = (desk.label(|_| {}).await, desk.label(|_| {}).await);
    let open = agent.open().await;
    assert_eq!((open.open.job, agent.open().await.open.job), (came.id, lost.id));
    desk.offline(agent).await;
    // Neither is partly there: one came whole, of the other the agent never heard.
    let mut agent = desk.online(vec![]).await;
    desk.fact(&agent, &open, 1, Fact::Spooled).await;
    desk.tell(agent.epoch, What::Reconciled).await;
    let heard = [agent.next().await, agent.next().await];
    let offered = |command: &SessionCommand| match command {
        SessionCommand::Open(open) => Some(open.open.job),
        _ => None,
    };
    assert_eq!(heard.iter().filter_map(offered).collect::<Vec<_>>(), [lost.id], "{heard:?}");
    desk.until(came.id, State::Spooled).await;
    assert!(agent.is_idle(), "nothing else is offered");
}

#[tokio::test]
async fn a_revoked_agent_leaves_no_job_waiting_for_ever() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let sent = desk.label(|_| {}).await;
    let open = agent.open().await;
    desk.acked(&mut agent, &open, 1, Fact::Spooled).await;
    let large = desk.large().await;
    agent.open().await;
    let (account, id) = (desk.house.account, desk.house.agent);
    let revoke = Change::RevokeAgent { account, agent: id, at_ms: 5 };
    desk.house.store.commit(vec![revoke]).await.unwrap();
    desk.jobs.agent_revoked(account, id).await;
    assert_eq!(desk.until(sent.id, State::Uncertain).await.reason.unwrap().code, "agent-lost");
    desk.until(large.id, State::Aborted).await;
    assert!(matches!(agent.next().await, SessionCommand::Close { .. }));
}

#[tokio::test]
async fn a_revocation_that_a_crash_cut_off_is_finished_at_the_next_start() {
    let mut desk = Desk::new().await;
    let job = desk.label(|_| {}).await;
    let revoke = Change::RevokeAgent { account: desk.house.account, agent: desk.house.agent, at_ms: 5 };
    desk.house.store.commit(vec![revoke]).await.unwrap();
    desk.restart().await;
    desk.until(job.id, State::Aborted).await;
}

#[tokio::test]
async fn a_job_expires_at_the_broker_and_is_asked_back_from_the_agent() {
    let mut desk = Desk::new().await;
    let waits = desk.label(|request| request.expires_in_s = Some(1)).await;
    desk.until(waits.id, State::Expired).await;
    let mut agent = desk.online(vec![]).await;
    let sent = desk.label(|request| request.expires_in_s = Some(1)).await;
    let open = agent.open().await;
    assert!(matches!(agent.next().await, SessionCommand::Request { request: Request::Expire, .. }));
    desk.acked(&mut agent, &open, 1, Fact::Expired).await;
    assert_eq!(desk.job(sent.id).await.state, State::Expired);
}

#[tokio::test]
async fn an_unknown_job_s_fact_is_acked_and_counted() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.label(|_| {}).await;
    let mut open = agent.open().await;
    open.open.job = inkwire_protocol::ids::JobId::from_uuid(uuid::Uuid::from_u128(77));
    desk.acked(&mut agent, &open, 1, completed()).await;
    assert_eq!(desk.job(job.id).await.state, State::Sending);
    assert_eq!(desk.counters.all(), [("fact-of-unknown-job", 1)]);
}

#[tokio::test]
async fn a_fact_that_contradicts_what_is_known_is_acked_and_counted() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let job = desk.label(|_| {}).await;
    let open = agent.open().await;
    desk.acked(&mut agent, &open, 1, Fact::Spooled).await;
    desk.acked(&mut agent, &open, 2, Fact::Printing).await;
    assert_eq!(desk.counters.all(), []);
    // Bytes may have gone to the device: it cannot say that none did.
    desk.acked(&mut agent, &open, 3, Fact::Corrupt { detail: "no".into() }).await;
    assert_eq!(desk.job(job.id).await.state, State::Printing);
    assert_eq!(desk.counters.all(), [("fact-contradictory", 1)]);
}

#[tokio::test]
async fn a_cut_is_told_and_what_it_cost_when_the_transfer_goes_on() {
    let mut desk = Desk::new().await;
    let agent = desk.online(vec![]).await;
    let (job, open) = {
        let mut agent = agent;
        let job = desk.large().await;
        let open = agent.open().await;
        let sent = Sent { first: 0, next: 4, window: 4 };
        desk.cut(agent, vec![Cut { job: job.id, attempt: FIRST, sent }]).await;
        (job, open)
    };
    desk.until_kind(job.id, "job.cut").await;
    let waits = desk.job(job.id).await;
    assert_eq!((waits.state, waits.reason.unwrap().code.as_str()), (State::Sending, "link-lost"));
    let mut agent = desk.online(vec![held(&open, 3)]).await;
    assert_eq!(agent.open().await.open.next_seq, 3);
    let resumed = desk.until_kind(job.id, "job.resumed").await;
    assert_eq!((&resumed.data["next_seq"], &resumed.data["sent_twice"]), (&json!(3), &json!(1)));
    assert_eq!(
        (&resumed.data["epoch"], &resumed.data["endpoint"]),
        (&json!(agent.epoch), &json!("203.0.113.1:40000"))
    );
    assert_eq!(desk.job(job.id).await.reason, None);
    let sent = Sent { first: 3, next: 7, window: 4 };
    desk.tell(agent.epoch, What::Received { job: job.id, attempt: FIRST, bytes: 100_000, sent }).await;
    desk.acked(&mut agent, &open, 1, Fact::Spooled).await;
    let spooled = desk.until_kind(job.id, "job.spooled").await;
    let count = |name: &str| spooled.data[name].as_u64().unwrap();
    assert_eq!(
        (count("packets"), count("sent_packets"), count("sent_twice"), count("window_packets")),
        (7, 8, 1, 4)
    );
}

#[tokio::test]
async fn the_outcome_of_an_earlier_attempt_counts_while_the_next_one_waits_for_it() {
    for (outcome, ends) in [(completed(), State::Completed), (Fact::Canceled, State::Sending)] {
        let mut desk = Desk::new().await;
        let mut agent = desk.online(vec![]).await;
        let job = desk.label(|_| {}).await;
        let first = agent.open().await;
        desk.acked(&mut agent, &first, 1, uncertain()).await;
        desk.jobs.decide(desk.house.account, job.id, Decision::Reprint).await.unwrap();
        let second = agent.open().await;
        assert_eq!(second.open.attempt, Attempt(2));
        desk.refused(&agent, &second, RefuseReason::EarlierAttempt).await;
        desk.until_kind(job.id, "job.reason").await;
        let waits = desk.job(job.id).await;
        assert_eq!((waits.state, waits.attempt), (State::Sending, Attempt(2)));
        assert_eq!(waits.reason.unwrap().code, "earlier-attempt");
        desk.acked(&mut agent, &first, 2, Fact::Printing).await;
        assert_eq!(desk.job(job.id).await.state, State::Sending);
        desk.fact(&agent, &first, 3, outcome).await;
        desk.until(job.id, ends).await;
        if ends == State::Sending {
            let third = loop {
                if let SessionCommand::Open(open) = agent.next().await {
                    break open;
                }
            };
            assert_eq!(third.open.attempt, Attempt(3), "certainly not printed: it goes on");
        }
    }
}

#[tokio::test]
async fn a_job_with_nothing_before_it_does_not_say_that_it_waits_for_others() {
    let mut desk = Desk::new().await;
    let mut agent = desk.online(vec![]).await;
    let label = desk.label(|_| {}).await;
    assert_eq!(label.reason, None);
    agent.open().await;
}
