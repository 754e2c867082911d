use inkwire_protocol::ids::EventOffset;
use inkwire_protocol::job::State;

use crate::store::fixtures::{House, hello, label};
use crate::store::traits::*;
use crate::store::{Change, DocumentContent, NewDocument, Outcome, UpdateJob};

async fn sweep(house: &House, documents_before_ms: u64, jobs_before_ms: u64) -> usize {
    let change = Change::Sweep { documents_before_ms, jobs_before_ms, now_ms: 1, limit: 100 };
    match &house.store.commit(vec![change]).await.unwrap()[0] {
        Outcome::Swept { files, .. } => files.len(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn documents_leave_first_then_rows_and_what_has_not_ended_stays() {
    let house = House::new().await;
    house.started(hello(house.agent, 1)).await;
    let printer = house.store.printers(house.account).await.unwrap()[0].id;
    let mut rows = Vec::new();
    for (state, document) in [
        (State::Completed, NewDocument::Upload),
        (State::Completed, NewDocument::Inline("x".into())),
        (State::Uncertain, NewDocument::Upload),
    ] {
        let mut new = label(house.account, printer, b"x");
        new.document = document;
        let mut row = house.create(new).await;
        row.job.state = state;
        row.job.ended_ms = state.is_terminal().then_some(100);
        let update = UpdateJob { row: row.clone(), events: vec![] };
        house.store.commit(vec![Change::UpdateJob(Box::new(update))]).await.unwrap();
        rows.push(row);
    }
    let document = async |n: usize| house.store.document(house.account, rows[n].document).await.unwrap();
    let present = async |n: usize| house.store.job(house.account, rows[n].job.id).await.unwrap().is_some();

    assert_eq!(sweep(&house, 100, 100).await, 0, "not before its time");
    assert_eq!(sweep(&house, 101, 100).await, 1, "one file; the other document was in its row");
    assert_eq!((document(0).await, document(1).await), (None, None));
    assert_eq!(document(2).await, Some(DocumentContent::Absent), "nobody knows yet: it stays");
    assert!(present(0).await && present(1).await);

    let oldest = house.store.event_bounds(house.account).await.unwrap().oldest;
    assert_eq!(oldest, EventOffset(2), "only the pairing is older than that");
    sweep(&house, 2000, 2000).await;
    assert!(!present(0).await && !present(1).await && present(2).await);
    let bounds = house.store.event_bounds(house.account).await.unwrap();
    assert_eq!(bounds.oldest.0, bounds.newest.0 + 1, "the whole log is older than its time");
    assert!(house.store.events_after(house.account, EventOffset(0), 10).await.unwrap().is_empty());
    let history = house.store.job_events(house.account, rows[2].job.id).await.unwrap();
    assert_eq!(history.len(), 1, "the history of a job that still stands is kept");
}
