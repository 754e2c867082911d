use inkwire_protocol::app::JobList;
use inkwire_protocol::ids::PrinterId;
use inkwire_protocol::job::State;
use uuid::Uuid;

use crate::limits::PAGE_LOOKS_AT;
use crate::store::fixtures::{House, account_id, hello, label};
use crate::store::traits::*;
use crate::store::{Change, UpdateJob};

struct Desk {
    house: House,
    printers: Vec<PrinterId>,
}

/// Ten jobs: odd numbers for the first printer, even ones for the second; 3, 6, 9 held; 4 and 8 completed; created 100 ms apart.
async fn desk() -> Desk {
    let house = House::new().await;
    house.started(hello(house.agent, 1)).await;
    house.add_account(2).await;
    let printers: Vec<_> =
        house.store.printers(house.account).await.unwrap().iter().map(|row| row.id).collect();
    for number in 1..=10_u64 {
        let mut new = label(house.account, printers[1 - number as usize % 2], b"a");
        new.row.job.created_ms = number * 100;
        new.row.job.title = format!("Rechnung Nr. {number} f\u{fc}r Ä");
        new.row.job.tags = vec![if number < 4 { "early".into() } else { "late".into() }];
        new.row.job.idempotency_key = (number == 7).then(|| "key-7".to_owned());
        let mut row = house.create(new).await;
        row.job.state = match number {
            3 | 6 | 9 => State::Held,
            4 | 8 => State::Completed,
            _ => continue,
        };
        row.job.ended_ms = row.job.state.is_terminal().then_some(number * 100 + 50);
        let update = UpdateJob { row, events: vec![] };
        house.store.commit(vec![Change::UpdateJob(Box::new(update))]).await.unwrap();
    }
    Desk { house, printers }
}

impl Desk {
    async fn list(&self, filter: &JobList) -> (Vec<u64>, Option<u64>, Option<u64>) {
        let page = self.house.store.jobs(self.house.account, filter).await.unwrap();
        (page.rows.iter().map(|row| row.job.number).collect(), page.next, page.previous)
    }
}

#[tokio::test]
async fn pages_go_both_ways_and_meet() {
    let desk = desk().await;
    let page = JobList { limit: Some(4), ..JobList::default() };
    assert_eq!(desk.list(&page).await, (vec![10, 9, 8, 7], Some(7), None));
    let older = JobList { before: Some(7), ..page.clone() };
    assert_eq!(desk.list(&older).await, (vec![6, 5, 4, 3], Some(3), Some(6)));
    let last = JobList { before: Some(3), ..page.clone() };
    assert_eq!(desk.list(&last).await, (vec![2, 1], None, Some(2)));
    let back = JobList { after: Some(2), ..page.clone() };
    assert_eq!(desk.list(&back).await, (vec![6, 5, 4, 3], Some(3), Some(6)));
    let newest = JobList { after: Some(6), ..page.clone() };
    assert_eq!(desk.list(&newest).await, (vec![10, 9, 8, 7], Some(7), None));
    let beyond = JobList { after: Some(10), ..page.clone() };
    assert_eq!(desk.list(&beyond).await, (vec![], Some(11), None));
    let exactly = JobList { before: Some(5), ..page };
    assert_eq!(desk.list(&exactly).await, (vec![4, 3, 2, 1], None, Some(4)));
}

#[tokio::test]
async fn each_filter_finds_its_jobs_alone_and_with_others() {
    let desk = desk().await;
    let agent = Some(desk.house.agent);
    let all = JobList::default;
    let printer = |n: usize| Some(desk.printers[n]);
    for (filter, expected) in [
        (JobList { printer: printer(0), ..all() }, vec![9, 7, 5, 3, 1]),
        (JobList { agent, ..all() }, (1..=10).rev().collect()),
        (JobList { states: vec![State::Held], ..all() }, vec![9, 6, 3]),
        (JobList { states: vec![State::Held, State::Completed, State::Held], ..all() }, vec![9, 8, 6, 4, 3]),
        (JobList { tag: Some("early".into()), ..all() }, vec![3, 2, 1]),
        (JobList { tag: Some("late".into()), printer: printer(1), ..all() }, vec![10, 8, 6, 4]),
        (JobList { idempotency_key: Some("key-7".into()), ..all() }, vec![7]),
        (JobList { idempotency_key: Some("key-7".into()), tag: Some("early".into()), ..all() }, vec![]),
        (JobList { idempotency_key: Some("key-8".into()), ..all() }, vec![]),
        (JobList { search: Some("nr. 1".into()), ..all() }, vec![10, 1]),
        (JobList { search: Some("FÜR ä".into()), states: vec![State::Completed], ..all() }, vec![8, 4]),
        (JobList { created_from_ms: Some(900), ..all() }, vec![10, 9]),
        (JobList { created_from_ms: Some(300), created_to_ms: Some(500), ..all() }, vec![4, 3]),
        (JobList { ended_from_ms: Some(0), ..all() }, vec![8, 4]),
        (JobList { ended_from_ms: Some(451), ended_to_ms: Some(850), ..all() }, vec![]),
        (JobList { ended_to_ms: Some(851), printer: printer(1), ..all() }, vec![8, 4]),
        (JobList { printer: printer(0), states: vec![State::Held], agent, ..all() }, vec![9, 3]),
    ] {
        assert_eq!(desk.list(&filter).await.0, expected, "{filter:?}");
        // And one by one, backwards and forwards.
        let (mut walked, mut before) = (Vec::new(), None);
        loop {
            let page = desk.list(&JobList { before, limit: Some(1), ..filter.clone() }).await;
            walked.extend(page.0);
            before = page.1;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(walked, expected, "{filter:?}");
        let (mut walked, mut after) = (Vec::new(), Some(0));
        while after.is_some() {
            let page = desk.list(&JobList { after, limit: Some(2), ..filter.clone() }).await;
            walked.splice(0..0, page.0);
            after = page.2;
        }
        assert_eq!(walked, expected, "{filter:?}");
    }
    let foreign = desk.house.store.jobs(account_id(2), &JobList { printer: printer(0), ..all() }).await;
    assert!(foreign.unwrap().rows.is_empty(), "a foreign printer has no jobs");
}

#[tokio::test]
async fn a_filter_that_hides_much_stops_and_says_where_to_go_on() {
    let desk = desk().await;
    let house = &desk.house;
    // Rows as they would stand there after a year, without going through each life.
    let count = u64::from(PAGE_LOOKS_AT) + 500;
    let path = house.path().join("store.sqlite3");
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(&format!(
        "WITH RECURSIVE n(at) AS (SELECT 11 UNION ALL SELECT at + 1 FROM n WHERE at < {})
         INSERT INTO jobs (id, account, number, agent, printer, printer_number, document, spec, priority, hold, created_ms,
             expires_ms, bytes, sha256, state, attempt, may_print, received, delivered, packet_bytes, corrupt, rev)
         SELECT randomblob(16), j.account, n.at, j.agent, j.printer, 1, randomblob(16), j.spec, 50, 0, n.at * 100, 1, 1, j.sha256,
             'pending', 0, 0, 0, 0, 0, 0, 1 FROM n, jobs j WHERE j.number = 5;
         UPDATE accounts SET last_job = {};",
        10 + count,
        10 + count
    ))
    .unwrap();
    let filter = JobList { search: Some("nr. 3".into()), limit: Some(10), ..JobList::default() };
    let (found, next, _) = desk.list(&filter).await;
    assert_eq!((found, next), (vec![], Some(511)), "it stopped, and says where");
    let (found, next, _) = desk.list(&JobList { before: next, ..filter }).await;
    assert_eq!((found, next), (vec![3], None));
    // By time it begins where the time is, and not at the end.
    let early = JobList { created_to_ms: Some(400), ..JobList::default() };
    assert_eq!(desk.list(&early).await.0, [3, 2, 1]);
    assert_eq!(house.store.jobs_numbered(house.account, vec![2, 999_999, 3]).await.unwrap().len(), 2);
    assert!(house.store.jobs_numbered(account_id(2), vec![2]).await.unwrap().is_empty());
    assert_ne!(Uuid::nil(), house.account.uuid());
}
