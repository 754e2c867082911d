use std::net::SocketAddr;

use inkwire_protocol::ids::Epoch;

use crate::store::fixtures::{House, hello, instance, printer_info, spool};
use crate::store::traits::*;
use crate::store::{AcceptFact, BeginSession, Begun, Change, Outcome};

async fn kinds(house: &House) -> Vec<String> {
    let events =
        house.store.events_after(house.account, inkwire_protocol::ids::EventOffset(0), 100).await.unwrap();
    events.into_iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_dial_counts_once_and_only_upwards() {
    let house = House::new().await;
    assert_eq!(house.started(hello(house.agent, 5)).await.agent.epoch, Epoch(1));
    for n in [5, 4, 1] {
        assert!(matches!(house.begin(hello(house.agent, n)).await, Begun::Replayed), "n = {n}");
    }
    assert_eq!(house.started(hello(house.agent, 6)).await.agent.epoch, Epoch(2));
}

#[tokio::test]
async fn the_endpoint_and_its_history_are_kept() {
    let house = House::new().await;
    let at = |last, n| BeginSession {
        observed_endpoint: SocketAddr::from(([203, 0, 113, last], 40_000)),
        ..hello(house.agent, n)
    };
    for begin in [at(1, 1), at(1, 2), at(2, 3)] {
        house.started(begin).await;
    }
    let changes = house.store.endpoint_changes(house.account, house.agent, 10).await.unwrap();
    let seen: Vec<_> = changes.iter().map(|c| (c.epoch.0, c.to)).collect();
    assert_eq!(seen, [(3, at(2, 0).observed_endpoint), (1, at(1, 0).observed_endpoint)]);
    assert_eq!(changes[0].from, Some(at(1, 0).observed_endpoint));
    assert_eq!(kinds(&house).await.iter().filter(|kind| *kind == "agent.endpoint").count(), 2);
}

#[tokio::test]
async fn a_token_is_resumed_only_where_it_is_the_last_one() {
    let house = House::new().await;
    let first = hello(house.agent, 1);
    let token = first.token;
    assert!(!house.started(first).await.resumed);
    let again = BeginSession { presented: Some(token), token, ..hello(house.agent, 2) };
    assert!(house.started(again).await.resumed);
    let other = BeginSession { presented: Some(hello(house.agent, 9).token), ..hello(house.agent, 3) };
    assert!(!house.started(other).await.resumed);
}

#[tokio::test]
async fn a_printer_keeps_its_id_while_number_and_name_stay_together() {
    let house = House::new().await;
    house.started(hello(house.agent, 1)).await;
    let before = house.store.printers(house.account).await.unwrap();
    let ids = |rows: &[crate::store::PrinterRow]| {
        rows.iter().filter(|row| row.present).map(|row| (row.info.number.0, row.id)).collect::<Vec<_>>()
    };
    let mut second = hello(house.agent, 2);
    second.printers = vec![printer_info(1, "labels"), printer_info(2, "another")];
    house.started(second).await;
    let after = house.store.printers(house.account).await.unwrap();
    assert_eq!(after.len(), 3, "the old one stays as a row, for its jobs");
    assert_eq!(ids(&after)[0], ids(&before)[0]);
    assert_ne!(ids(&after)[1].1, ids(&before)[1].1);
    house.started(hello(house.agent, 3)).await;
    assert_eq!(ids(&house.store.printers(house.account).await.unwrap()), ids(&before), "and comes back");
    let change = Change::UpdatePrinters {
        account: house.account,
        agent: house.agent,
        epoch: Epoch(2),
        printers: vec![],
        at_ms: 9,
    };
    let outcomes = house.store.commit(vec![change]).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Printers { changed: false }), "an older epoch changes nothing");
}

#[tokio::test]
async fn two_pcs_with_one_identity_are_kept_out_until_one_is_released() {
    let house = House::new().await;
    let pc = |n, dial| BeginSession { instance: instance(n), ..hello(house.agent, dial) };
    house.started(pc(1, 1)).await;
    house.started(pc(2, 2)).await;
    assert!(matches!(house.begin(pc(1, 3)).await, Begun::Clone));
    assert!(matches!(house.begin(pc(2, 4)).await, Begun::Clone), "the other one too");
    assert!(matches!(house.begin(pc(7, 5)).await, Begun::Clone), "and a restart does not help");
    assert_eq!(kinds(&house).await.iter().filter(|kind| *kind == "agent.clone").count(), 1);
    let release = Change::ReleaseAgent { account: house.account, agent: house.agent, at_ms: 9 };
    house.store.commit(vec![release]).await.unwrap();
    assert!(house.started(pc(1, 6)).await.spool_lost, "the other one may have printed what this one holds");
}

#[tokio::test]
async fn releasing_an_agent_that_is_not_kept_out_forgets_nothing() {
    let house = House::new().await;
    let pc = |n, dial| BeginSession { instance: instance(n), ..hello(house.agent, dial) };
    house.started(pc(1, 1)).await;
    house.started(pc(2, 2)).await;
    let release = Change::ReleaseAgent { account: house.account, agent: house.agent, at_ms: 9 };
    house.store.commit(vec![release]).await.unwrap();
    assert!(!kinds(&house).await.iter().any(|kind| kind == "agent.released"));
    assert!(matches!(house.begin(pc(1, 3)).await, Begun::Clone), "the other PC is still found out");
}

#[tokio::test]
async fn a_lost_spool_is_remembered_until_its_jobs_are_sorted_out() {
    let house = House::new().await;
    let with = |s, ledger_seq, dial| BeginSession { spool: spool(s), ledger_seq, ..hello(house.agent, dial) };
    assert!(!house.started(with(1, 10, 1)).await.spool_lost);
    assert!(!house.started(with(1, 12, 2)).await.spool_lost);
    assert!(house.started(with(1, 11, 3)).await.spool_lost, "older than last seen");
    assert!(house.started(with(1, 11, 4)).await.spool_lost, "still, after a crash in between");
    let handled = |epoch| Change::SpoolLossHandled { agent: house.agent, epoch: Epoch(epoch) };
    house.store.commit(vec![handled(3)]).await.unwrap();
    assert!(house.started(with(1, 11, 5)).await.spool_lost, "an older session's word does not count");
    house.store.commit(vec![handled(5)]).await.unwrap();
    assert!(!house.started(with(1, 11, 6)).await.spool_lost);
    assert!(house.started(with(2, 99, 7)).await.spool_lost, "another one");
}

#[tokio::test]
async fn an_agent_that_remembers_more_makes_a_new_incarnation_for_all() {
    let house = House::new().await;
    house.add_agent(1, 2).await;
    let first = house.started(hello(house.agent, 1)).await;
    assert!(first.reconciling, "a ledger is reconciled once in each incarnation");
    house.reconcile().await;
    assert!(!house.started(hello(house.agent, 2)).await.reconciling);

    let other = crate::store::fixtures::agent_id(2);
    let knows_more = house.remembering(3, hello(other, 1)).await;
    let second = house.started(knows_more.clone()).await;
    assert_ne!(second.store_epoch, first.store_epoch);
    assert_eq!(house.store.store_epoch(), second.store_epoch);
    assert!(house.started(hello(house.agent, 3)).await.reconciling, "everybody's ledger must be repeated");
    let again = house.started(BeginSession { dial_n: 2, ..knows_more }).await;
    assert_eq!(again.store_epoch, second.store_epoch, "but only one incarnation is made of it");
}

#[tokio::test]
async fn a_number_that_nobody_signed_shows_nothing() {
    let house = House::new().await;
    house.add_agent(1, 2).await;
    let first = house.started(hello(house.agent, 1)).await;
    let other = crate::store::fixtures::agent_id(2);
    let honest = house.remembering(3, hello(other, 1)).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = crate::store::SqliteStore::open(elsewhere.path()).unwrap();
    let forged = stranger.receipt(house.agent, first.store_epoch, u64::MAX).await;
    let claims = [
        (u64::MAX, None),
        (3, honest.receipt),
        (u64::MAX, house.remembering(2, hello(house.agent, 1)).await.receipt),
        (u64::MAX, Some(forged)),
    ];
    for (n, (facts_acked, receipt)) in (2..).zip(claims) {
        let begun = house.started(BeginSession { facts_acked, receipt, ..hello(house.agent, n) }).await;
        assert!(begun.unproven && !begun.store_restored, "claim {n}");
        assert_eq!((begun.store_epoch, begun.agent.facts_acked), (first.store_epoch, 0), "claim {n}");
    }
    assert_eq!(house.store.store_epoch(), first.store_epoch);
}

#[tokio::test]
async fn each_incarnation_is_found_out_once() {
    let house = House::new().await;
    house.add_agent(1, 2).await;
    let other = crate::store::fixtures::agent_id(2);
    let mut n = 0;
    let mut dial = |agent| {
        n += 1;
        hello(agent, n)
    };
    house.started(dial(other)).await;
    // Receipts of the lost time: one of the present incarnation, two of one that began after the copy was made.
    let mine = [house.remembering(5, dial(house.agent)).await, house.remembering(7, dial(house.agent)).await];
    let lost = inkwire_protocol::ids::StoreEpoch::from_uuid(uuid::Uuid::from_u128(99));
    let mut theirs = Vec::new();
    for count in [1, 9] {
        let receipt = house.store.receipt(other, lost, count).await;
        theirs.push(BeginSession { facts_acked: count, receipt: Some(receipt), ..dial(other) });
    }
    let [five, seven] = mine;
    assert!(house.started(five).await.store_restored);
    let second = house.store.store_epoch();
    assert!(!house.started(seven).await.store_restored, "of an incarnation that is over");
    let [one, nine] = <[_; 2]>::try_from(theirs).unwrap();
    assert!(house.started(one).await.store_restored, "of one that nobody had heard of");
    assert!(!house.started(nine).await.store_restored, "and was heard of now");
    assert_ne!(house.store.store_epoch(), second);
}

#[tokio::test]
async fn facts_move_the_ledger_that_was_last_seen() {
    let house = House::new().await;
    house.started(hello(house.agent, 1)).await;
    let fact = AcceptFact {
        agent: house.agent,
        job: inkwire_protocol::ids::JobId::from_uuid(uuid::Uuid::nil()),
        attempt: inkwire_protocol::ids::Attempt(1),
        fact_seq: inkwire_protocol::ids::FactSeq(1),
        ledger_seq: 4,
    };
    house.store.commit(vec![Change::AcceptFact(fact)]).await.unwrap();
    let older = BeginSession { ledger_seq: 3, facts_acked: 0, ..hello(house.agent, 2) };
    assert!(house.started(older).await.spool_lost);
}

#[tokio::test]
async fn a_revoked_agent_begins_nothing() {
    let house = House::new().await;
    house.started(hello(house.agent, 1)).await;
    let revoke = Change::RevokeAgent { account: house.account, agent: house.agent, at_ms: 9 };
    house.store.commit(vec![revoke]).await.unwrap();
    assert!(matches!(house.begin(hello(house.agent, 2)).await, Begun::Revoked));
    assert!(matches!(house.begin(hello(crate::store::fixtures::agent_id(9), 2)).await, Begun::Revoked));
}
