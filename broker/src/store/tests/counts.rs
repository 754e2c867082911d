use inkwire_protocol::app::Counts;
use inkwire_protocol::job::State;

use crate::store::fixtures::{House, account_id, event, hello, label};
use crate::store::traits::*;
use crate::store::{Change, UpdateJob};

const HOUR: u64 = 3_600_000;

#[tokio::test]
async fn what_happens_is_counted_in_its_hour_and_what_waits_is_counted_as_it_stands() {
    let house = House::new().await;
    house.started(hello(house.agent, 1)).await;
    let printer = house.store.printers(house.account).await.unwrap()[0].id;
    for (hour, end) in [
        (1, State::Completed),
        (1, State::Completed),
        (2, State::Uncertain),
        (3, State::Held),
        (30, State::Aborted),
    ] {
        let mut new = label(house.account, printer, b"abc");
        new.events[0].at_ms = hour * HOUR;
        new.events[0].printer = Some(printer);
        let mut row = house.create(new).await;
        row.job.state = end;
        row.job.ended_ms = end.is_terminal().then_some(1);
        let kind = match end {
            State::Completed => "job.completed",
            State::Uncertain => "job.uncertain",
            State::Aborted => "job.aborted",
            _ => "job.held",
        };
        let mut ended = event(kind);
        ended.at_ms = hour * HOUR + HOUR - 1;
        let update = UpdateJob { row, events: vec![ended] };
        house.store.commit(vec![Change::UpdateJob(Box::new(update))]).await.unwrap();
    }
    let counts = house.store.job_counts(house.account, 2, 10).await.unwrap();
    let one = Counts { accepted: 1, bytes: 3, ..Counts::default() };
    let hours = [(2, Counts { uncertain: 1, ..one }), (3, one), (30, Counts { aborted: 1, ..one })];
    assert_eq!(counts.hours, hours);
    assert_eq!((counts.uncertain, counts.held, counts.stopped), (1, 1, 0));
    let printers: Vec<_> =
        counts.printers.iter().map(|of| (of.printer, of.name.as_str(), of.counts)).collect();
    let sum = Counts { accepted: 3, bytes: 9, uncertain: 1, aborted: 1, ..Counts::default() };
    assert_eq!(printers, [(printer, "labels", sum)]);
    let all = house.store.job_counts(house.account, 0, 10).await.unwrap();
    assert_eq!(all.hours[0], (1, Counts { accepted: 2, bytes: 6, completed: 2, ..Counts::default() }));
    house.add_account(2).await;
    assert_eq!(house.store.job_counts(account_id(2), 0, 10).await.unwrap(), Default::default());
    // Retention forgets what no summary shows.
    let sweep = Change::Sweep { documents_before_ms: 0, jobs_before_ms: 0, now_ms: 75 * HOUR, limit: 1 };
    house.store.commit(vec![sweep]).await.unwrap();
    let left = house.store.job_counts(house.account, 0, 10).await.unwrap();
    assert_eq!(left.hours.first().map(|hour| hour.0), Some(3));
}

#[tokio::test]
async fn an_agents_sessions_are_a_history_with_their_ends() {
    let house = House::new().await;
    let (account, agent) = (house.account, house.agent);
    for (dial, at_ms) in [(1, 1000), (2, 5000), (3, 9000)] {
        let mut begin = hello(agent, dial);
        begin.at_ms = at_ms;
        let started = house.started(begin).await;
        let absent = [None, Some(3000), None][dial as usize - 1];
        assert_eq!(started.absent_ms, absent, "dial {dial}");
        let reason = "silent".to_owned();
        let end =
            Change::EndSession { account, agent, epoch: started.agent.epoch, at_ms: at_ms + 1000, reason };
        if dial == 1 {
            house.store.commit(vec![end]).await.unwrap();
        }
    }
    let sessions = house.store.sessions(account, agent, None, 10).await.unwrap();
    let seen: Vec<_> = sessions.iter().map(|s| (s.epoch.0, s.began_ms, s.ended_ms, s.live)).collect();
    assert_eq!(seen, [(3, 9000, None, true), (2, 5000, None, false), (1, 1000, Some(2000), false)]);
    assert_eq!((sessions[2].end.as_deref(), sessions[2].version.as_str()), (Some("silent"), "0.1.0"));
    let older = house.store.sessions(account, agent, Some(3), 1).await.unwrap();
    assert_eq!(older.len(), 1);
    assert_eq!(older[0].epoch.0, 2);
    assert!(house.store.sessions(account_id(2), agent, None, 10).await.unwrap().is_empty());
    // Its session began before this process: it is gone since that began; the longest gap of late was 3 s.
    let gone = house.store.absences(account, 20_000).await.unwrap();
    assert_eq!(gone, [(agent, 20_000, Some(3000))]);
    assert!(house.store.absences(account, 8000).await.unwrap().is_empty(), "its session may be live");
}
