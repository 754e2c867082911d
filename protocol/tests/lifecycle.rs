//! The table of docs/protocol.md against `job::step`: every cell, and what must hold of every life.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use inkwire_protocol::ids::Attempt;
use inkwire_protocol::job::{Decision, Event, FactKind, Ignored, Request, Standing, State, Step, step};
use proptest::prelude::*;

const SPECIFICATION: &str = include_str!("../../docs/protocol.md");
const REQUESTS: [Option<Request>; 5] =
    [None, Some(Request::Cancel), Some(Request::Hold), Some(Request::Release), Some(Request::Expire)];
const NOW: u32 = 3;

/// One row of the table: the first one that fits decides.
#[derive(Debug)]
struct Row {
    line: usize,
    event: Vec<String>,
    attempt: Vec<String>,
    state: Vec<String>,
    may_print: Vec<String>,
    request: Vec<String>,
    then: String,
}

fn rows() -> Vec<Row> {
    let from = SPECIFICATION.find("<!-- lifecycle begins -->").expect("the table's begin mark");
    let to = SPECIFICATION.find("<!-- lifecycle ends -->").expect("the table's end mark");
    let first_line = SPECIFICATION[..from].lines().count();
    SPECIFICATION[from..to]
        .lines()
        .enumerate()
        .filter(|(_, text)| text.starts_with('|') && !text.starts_with("|-") && !text.starts_with("| event"))
        .map(|(at, text)| {
            let cells: Vec<&str> = text.trim_matches('|').split('|').map(str::trim).collect();
            let [event, attempt, state, may_print, request, then] = cells[..] else {
                panic!("line {}: six columns expected: {text}", first_line + at)
            };
            let list = |cell: &str| cell.split(',').map(|word| word.trim().to_owned()).collect();
            Row {
                line: first_line + at,
                event: list(event),
                attempt: list(attempt),
                state: list(state),
                may_print: list(may_print),
                request: list(request),
                then: then.to_owned(),
            }
        })
        .collect()
}

fn request_word(request: Option<Request>) -> &'static str {
    match request {
        None => "none",
        Some(Request::Cancel) => "cancel",
        Some(Request::Hold) => "hold",
        Some(Request::Release) => "release",
        Some(Request::Expire) => "expire",
    }
}

fn fact_word(kind: FactKind) -> &'static str {
    match kind {
        FactKind::Spooled => "spooled",
        FactKind::Corrupt => "corrupt",
        FactKind::Printing => "printing",
        FactKind::Stopped => "stopped",
        FactKind::Held => "held",
        FactKind::Completed => "completed",
        FactKind::Canceled => "canceled",
        FactKind::Aborted => "aborted",
        FactKind::Expired => "expired",
        FactKind::Uncertain => "uncertain",
    }
}

fn event_words(event: Event) -> String {
    match event {
        Event::Accept { held: false } => "accept".into(),
        Event::Accept { held: true } => "accept held".into(),
        Event::Abort => "abort".into(),
        Event::Cancel => "cancel".into(),
        Event::Hold => "hold".into(),
        Event::Release => "release".into(),
        Event::Expire => "expire".into(),
        Event::Decide(Decision::Printed) => "decide printed".into(),
        Event::Decide(Decision::Reprint) => "decide reprint".into(),
        Event::Decide(Decision::Drop) => "decide drop".into(),
        Event::Send { may_print: false } => "send".into(),
        Event::Send { may_print: true } => "send permitted".into(),
        Event::Permit { .. } => "permit".into(),
        Event::Refused { .. } => "refused".into(),
        Event::Fact { kind, .. } => format!("fact {}", fact_word(kind)),
        Event::SpoolLost => "spool-lost".into(),
        Event::BothLost => "both-lost".into(),
        Event::AgentLost => "agent-lost".into(),
    }
}

fn attempt_of(event: Event) -> Option<Attempt> {
    match event {
        Event::Permit { attempt } | Event::Refused { attempt } | Event::Fact { attempt, .. } => Some(attempt),
        Event::Accept { .. }
        | Event::Abort
        | Event::Cancel
        | Event::Hold
        | Event::Release
        | Event::Expire
        | Event::Decide(_)
        | Event::Send { .. }
        | Event::SpoolLost
        | Event::BothLost
        | Event::AgentLost => None,
    }
}

fn attempt_word(job: Standing, event: Event) -> &'static str {
    match attempt_of(event) {
        None => "none",
        Some(Attempt(0)) => "0",
        Some(attempt) if attempt < job.attempt => "older",
        Some(attempt) if attempt == job.attempt => "same",
        Some(_) => "newer",
    }
}

impl Row {
    /// Whether the event is named: in full, by its first word and a star, or by a star alone.
    fn names(&self, event: Event) -> bool {
        let words = event_words(event);
        let first = words.split(' ').next().unwrap();
        self.event.iter().any(|have| have == "*" || *have == words || *have == format!("{first} *"))
    }

    fn decides(&self, job: Standing, event: Event) -> bool {
        let any = |list: &[String], word: &str| list.iter().any(|have| have == "*" || have == word);
        self.names(event)
            && any(&self.attempt, attempt_word(job, event))
            && (any(&self.state, job.state.keyword())
                || job.state.is_terminal() && self.state.iter().any(|word| word == "terminal"))
            && any(&self.may_print, if job.may_print { "yes" } else { "no" })
            && any(&self.request, request_word(job.request))
    }

    /// What the row says happens; for a fact, its attempt and "may print: yes" go without saying.
    fn outcome(&self, job: Standing, event: Event) -> Step {
        let mut words = self.then.split(';').map(str::trim);
        let first = words.next().unwrap();
        let mut next = job;
        if let Event::Fact { attempt, .. } = event {
            next.attempt = attempt;
            next.may_print = true;
        }
        match first {
            "violation" => return Step::Violation,
            "ignore ended" => return Step::Ignore(Ignored::Ended),
            "ignore old-attempt" => return Step::Ignore(Ignored::OldAttempt),
            "ignore already" => return Step::Ignore(Ignored::Already),
            "ignore not-now" => return Step::Ignore(Ignored::NotNow),
            "stays" => {}
            state => {
                next.state = State::from_keyword(state)
                    .unwrap_or_else(|| panic!("line {}: `{state}` is no state", self.line));
            }
        }
        for word in words {
            match word {
                "may print yes" => next.may_print = true,
                "may print no" => next.may_print = false,
                "attempt +1" => next.attempt = next.attempt.next(),
                asks => {
                    next.request = *REQUESTS
                        .iter()
                        .find(|request| asks == format!("request {}", request_word(**request)))
                        .unwrap_or_else(|| panic!("line {}: `{asks}` says nothing", self.line));
                }
            }
        }
        Step::Next(next)
    }
}

fn events() -> Vec<Event> {
    let mut all = vec![
        Event::Accept { held: false },
        Event::Accept { held: true },
        Event::Abort,
        Event::Cancel,
        Event::Hold,
        Event::Release,
        Event::Expire,
        Event::Decide(Decision::Printed),
        Event::Decide(Decision::Reprint),
        Event::Decide(Decision::Drop),
        Event::Send { may_print: false },
        Event::Send { may_print: true },
        Event::SpoolLost,
        Event::BothLost,
        Event::AgentLost,
    ];
    for attempt in [0, NOW - 1, NOW, NOW + 1].map(Attempt) {
        all.extend([Event::Permit { attempt }, Event::Refused { attempt }]);
        all.extend(FactKind::ALL.map(|kind| Event::Fact { attempt, kind }));
    }
    all
}

fn standings() -> impl Iterator<Item = Standing> {
    State::ALL.into_iter().flat_map(|state| {
        [false, true].into_iter().flat_map(move |may_print| {
            REQUESTS.into_iter().map(move |request| Standing {
                state,
                attempt: Attempt(NOW),
                may_print,
                request,
            })
        })
    })
}

#[test]
fn every_cell_of_the_table_is_what_the_code_does() {
    let rows = rows();
    let mut used = BTreeSet::new();
    let mut cells = 0;
    for job in standings() {
        for event in events() {
            let row = rows
                .iter()
                .find(|row| row.decides(job, event))
                .unwrap_or_else(|| panic!("no row decides {event:?} of {job:?}"));
            used.insert(row.line);
            let said = row.outcome(job, event);
            assert_eq!(step(job, event), said, "docs/protocol.md line {}: {event:?} of {job:?}", row.line);
            cells += 1;
        }
    }
    assert_eq!(cells, 12 * 2 * 5 * (15 + 4 * 12));
    let idle: Vec<_> = rows.iter().filter(|row| !used.contains(&row.line)).map(|row| row.line).collect();
    assert!(idle.is_empty(), "rows that decide nothing, by line: {idle:?}");
}

#[test]
fn what_can_be_reached_makes_sense() {
    let mut reached = vec![Standing { attempt: Attempt(NOW - 1), ..Standing::INCOMING }];
    let mut at = 0;
    while at < reached.len() {
        let job = reached[at];
        at += 1;
        for event in events() {
            if let Step::Next(next) = step(job, event)
                && !reached.contains(&next)
                && next.attempt.0 <= NOW + 2
            {
                reached.push(next);
            }
        }
    }
    for job in &reached {
        match job.state {
            State::Incoming | State::Pending => assert!(!job.may_print, "{job:?}"),
            State::Spooled | State::Printing | State::Stopped => assert!(job.may_print, "{job:?}"),
            State::Uncertain => assert!(job.request.is_none(), "{job:?}"),
            State::Held | State::Sending => {}
            State::Completed | State::Canceled | State::Aborted | State::Expired => {
                assert!(job.request.is_none(), "{job:?}");
            }
        }
        assert!(job.may_print || job.request.is_none(), "asked of an agent that has nothing: {job:?}");
    }
    for state in State::ALL {
        assert!(reached.iter().any(|job| job.state == state), "{state} is never reached");
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<bool>().prop_map(|held| Event::Accept { held }),
        prop::sample::select(vec![
            Event::Abort,
            Event::Cancel,
            Event::Hold,
            Event::Release,
            Event::Expire,
            Event::Decide(Decision::Printed),
            Event::Decide(Decision::Reprint),
            Event::Decide(Decision::Drop),
            Event::SpoolLost,
            Event::BothLost,
            Event::AgentLost,
        ]),
        any::<bool>().prop_map(|may_print| Event::Send { may_print }),
        (0..6u32).prop_map(|attempt| Event::Permit { attempt: Attempt(attempt) }),
        (0..6u32).prop_map(|attempt| Event::Refused { attempt: Attempt(attempt) }),
        (0..6u32, prop::sample::select(FactKind::ALL.to_vec()))
            .prop_map(|(attempt, kind)| Event::Fact { attempt: Attempt(attempt), kind }),
    ]
}

proptest! {
    #[test]
    fn a_life_keeps_its_promises(life in prop::collection::vec(any_event(), 0..60)) {
        let mut job = Standing::INCOMING;
        for event in life {
            let Step::Next(next) = step(job, event) else { continue };
            prop_assert!(!job.state.is_terminal(), "{job:?} was left by {event:?}");
            prop_assert!(next.attempt >= job.attempt, "an attempt is never taken back");
            if job.may_print && !next.may_print {
                // The permit is only given up together with the attempt: what comes next is a new one.
                prop_assert!(matches!(next.state, State::Pending | State::Held), "{event:?}: {job:?} to {next:?}");
            }
            if next.may_print && !job.may_print {
                let by_broker = matches!(event, Event::Permit { .. } | Event::Send { may_print: true });
                prop_assert!(by_broker || matches!(event, Event::Fact { .. }), "{event:?}");
            }
            if next.attempt > job.attempt {
                prop_assert!(matches!(event, Event::Send { .. } | Event::Fact { .. }), "{event:?}");
            }
            if job.may_print && next.state.is_terminal() && job.state != State::Uncertain {
                let answered = matches!(event, Event::Fact { .. } | Event::Refused { .. });
                prop_assert!(answered, "{event:?} ended a job that the agent owns: {job:?}");
            }
            job = next;
        }
    }

    #[test]
    fn a_repeated_fact_changes_nothing(life in prop::collection::vec(any_event(), 0..40), kind in prop::sample::select(FactKind::ALL.to_vec())) {
        let mut job = Standing::INCOMING;
        for event in life {
            if let Step::Next(next) = step(job, event) { job = next; }
        }
        let fact = Event::Fact { attempt: job.attempt, kind };
        if let Step::Next(once) = step(job, fact)
            && let Step::Next(twice) = step(once, fact)
        {
            prop_assert_eq!(once.state, twice.state);
            prop_assert_eq!(once.attempt, twice.attempt);
            prop_assert_eq!(once.may_print, twice.may_print);
        }
    }
}
