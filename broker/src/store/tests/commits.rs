use inkwire_protocol::ids::{EventOffset, FactSeq, PrinterId, Sha256Digest};
use inkwire_protocol::job::State;

use crate::store::fixtures::{House, account_id, event, hello, job_of, label};
use crate::store::traits::*;
use crate::store::{
    AcceptFact, Change, CommitError, DocumentContent, Idempotency, NewJob, Outcome, UpdateJob,
};

async fn printer(house: &House) -> PrinterId {
    house.started(hello(house.agent, 1)).await;
    house.store.printers(house.account).await.unwrap()[0].id
}

fn keyed(mut new: NewJob, key: &str, request: &[u8]) -> NewJob {
    new.idempotency =
        Some(Idempotency { key: key.into(), request: Sha256Digest::of(request), expires_ms: 100_000 });
    new
}

#[tokio::test]
async fn a_job_comes_back_as_it_was_stored() {
    let house = House::new().await;
    let new = label(house.account, printer(&house).await, b"^XA^XZ");
    let stored = house.create(new.clone()).await;
    let mut expected = new.row;
    expected.job.number = 1;
    expected.job.rev = 1;
    assert_eq!(stored, expected);
    assert_eq!(house.store.job(house.account, stored.job.id).await.unwrap(), Some(expected.clone()));
    assert_eq!(house.store.job(account_id(2), stored.job.id).await.unwrap(), None, "a foreign id is unknown");
    let heads = house.store.pending_heads(stored.job.printer, 10).await.unwrap();
    assert_eq!(heads, [(expected, DocumentContent::Inline((&b"^XA^XZ"[..]).into()))]);
    let history = house.store.job_events(house.account, stored.job.id).await.unwrap();
    assert_eq!(history.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>(), ["job.accepted"]);
}

#[tokio::test]
async fn a_conflict_says_how_the_job_stands_and_spoils_nobody_else() {
    let house = House::new().await;
    let printer = printer(&house).await;
    let stored = house.create(label(house.account, printer, b"a")).await;
    let update = |state| {
        let mut row = stored.clone();
        row.job.state = state;
        house.store.commit(vec![
            Change::Event { account: house.account, event: event("job.test") },
            Change::UpdateJob(Box::new(UpdateJob { row, events: vec![] })),
        ])
    };
    let before = house.store.event_bounds(house.account).await.unwrap().newest;
    let (first, second, other) = tokio::join!(
        update(State::Held),
        update(State::Canceled),
        house.store.commit(vec![Change::CreateJob(Box::new(label(house.account, printer, b"b")))]),
    );
    assert_eq!(job_of(first.unwrap()).job.rev, 2);
    let Err(CommitError::Conflict(current)) = second else { panic!() };
    assert_eq!((current.job.state, current.job.rev), (State::Held, 2));
    other.unwrap();
    // The event of the caller that failed was rolled back with it, without leaving a gap.
    let after = house.store.events_after(house.account, before, 10).await.unwrap();
    assert_eq!(after.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>(), ["job.test", "job.accepted"]);
    assert_eq!(after.iter().map(|e| e.offset.0).collect::<Vec<_>>(), [before.0 + 1, before.0 + 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_have_no_gaps_and_keep_the_order_of_each_caller() {
    let house = House::new().await;
    let printer = printer(&house).await;
    let before = house.store.event_bounds(house.account).await.unwrap().newest;
    let mut wakeups = house.store.wakeups();
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let (store, account) = (house.store.clone(), house.account);
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for n in 0..20 {
                    let mut new = label(account, printer, b"x");
                    if n % 5 == 4 {
                        new.row.job.id = mine[0];
                        new.idempotency = None;
                        assert!(store.commit(vec![Change::CreateJob(Box::new(new))]).await.is_err());
                    } else {
                        mine.push(
                            job_of(store.commit(vec![Change::CreateJob(Box::new(new))]).await.unwrap())
                                .job
                                .id,
                        );
                    }
                }
                mine
            })
        })
        .collect();
    let mut jobs = Vec::new();
    for caller in callers {
        jobs.push(caller.await.unwrap());
    }
    let events = house.store.events_after(house.account, before, 1000).await.unwrap();
    assert_eq!(events.len(), 16 * 16);
    assert!(events.iter().zip(before.0 + 1..).all(|(event, offset)| event.offset.0 == offset));
    for mine in jobs {
        let logged: Vec<_> = events.iter().filter_map(|e| e.job).filter(|id| mine.contains(id)).collect();
        assert_eq!(logged, mine);
    }
    assert_eq!(wakeups.recv().await.unwrap(), house.account);
    let bounds = house.store.event_bounds(house.account).await.unwrap();
    assert_eq!((bounds.oldest, bounds.newest.0), (EventOffset(1), before.0 + 256));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_requests_with_one_key_one_makes_the_job() {
    let house = House::new().await;
    let printer = printer(&house).await;
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let new = keyed(label(house.account, printer, b"a"), "order-7", b"a");
            let store = house.store.clone();
            tokio::spawn(async move { store.commit(vec![Change::CreateJob(Box::new(new))]).await })
        })
        .collect();
    let mut made = Vec::new();
    let mut found = Vec::new();
    for caller in callers {
        match caller.await.unwrap() {
            Ok(outcomes) => made.push(job_of(outcomes).job.id),
            Err(CommitError::Duplicate(row)) => found.push(row.job.id),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((made.len(), found.len()), (1, 19));
    assert!(found.iter().all(|id| *id == made[0]));

    let other = keyed(label(house.account, printer, b"b"), "order-7", b"b");
    let error = house.store.commit(vec![Change::CreateJob(Box::new(other))]).await.unwrap_err();
    assert!(matches!(error, CommitError::OtherRequest(job) if job == made[0]), "{error:?}");

    let mut late = keyed(label(house.account, printer, b"b"), "order-7", b"b");
    late.row.job.created_ms = 100_000;
    assert_ne!(house.create(late).await.job.id, made[0], "after its time the key is free again");
}

#[tokio::test]
async fn a_fact_counts_once() {
    let house = House::new().await;
    let stored = house.create(label(house.account, printer(&house).await, b"a")).await;
    let fact = |job, seq| AcceptFact {
        agent: house.agent,
        job,
        attempt: inkwire_protocol::ids::Attempt(1),
        fact_seq: FactSeq(seq),
        ledger_seq: 7,
    };
    let commit = async |fact| match house.store.commit(vec![Change::AcceptFact(fact)]).await.unwrap()[0] {
        Outcome::Fact { facts_acked, news, .. } => (facts_acked, news),
        ref other => panic!("{other:?}"),
    };
    assert_eq!(commit(fact(stored.job.id, 1)).await, (1, true));
    assert_eq!(commit(fact(stored.job.id, 1)).await, (1, false));
    assert_eq!(commit(fact(stored.job.id, 2)).await, (2, true));
    let unknown = inkwire_protocol::ids::JobId::from_uuid(uuid::Uuid::nil());
    assert_eq!(commit(fact(unknown, 1)).await, (3, true), "a fact of an unknown job only counts");
    let agent = house.store.agent(house.account, house.agent).await.unwrap().unwrap();
    assert_eq!((agent.facts_acked, agent.ledger_seq), (3, 7));
}
