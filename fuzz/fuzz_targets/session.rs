//! Jobs, sessions and dialling: any sequence of what may happen to them.
#![no_main]

use std::time::{Duration, Instant};

use inkwire_fuzz::Feed;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{Attempt, InstanceId};
use inkwire_protocol::job::{Decision, Event, FactKind, Standing, State, Step, step};
use inkwire_protocol::limits::{MAX_PROBE_DEADLINE, URGENT_DIAL_EVERY};
use inkwire_protocol::session::clone::Instances;
use inkwire_protocol::session::dial::{Dialler, Failure, Lost, When};
use inkwire_protocol::session::liveness::{Action, Liveness};
use inkwire_protocol::session::silence::{Silence, Watch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut feed = Feed(bytes);
    match feed.byte() % 4 {
        0 => job(&mut feed),
        1 => dialler(&mut feed),
        2 => liveness(&mut feed),
        _ => instances(&mut feed),
    }
});

fn job(feed: &mut Feed<'_>) {
    let mut job = Standing::INCOMING;
    while !feed.is_empty() {
        let attempt = Attempt(feed.small());
        let event = match feed.byte() % 14 {
            0 => Event::Accept { held: feed.byte() & 1 == 1 },
            1 => Event::Abort,
            2 => Event::Cancel,
            3 => Event::Hold,
            4 => Event::Release,
            5 => Event::Expire,
            6 => Event::Decide([Decision::Printed, Decision::Reprint, Decision::Drop][feed.byte() as usize % 3]),
            7 => Event::Send { may_print: feed.byte() & 1 == 1 },
            8 => Event::Permit { attempt },
            9 => Event::Refused { attempt },
            10 => Event::Fact { attempt, kind: FactKind::ALL[feed.byte() as usize % FactKind::ALL.len()] },
            11 => Event::SpoolLost,
            12 => Event::BothLost,
            _ => Event::AgentLost,
        };
        if let Step::Next(next) = step(job, event) {
            assert!(!job.state.is_terminal(), "{:?} left {} for {}", event, job.state, next.state);
            assert!(next.attempt >= job.attempt, "an attempt comes again");
            assert!(!next.state.is_terminal() || next.request.is_none(), "something is asked of what has ended");
            let taken_back = job.may_print && !next.may_print && !next.state.is_terminal();
            let by_agent = matches!(event, Event::Fact { .. } | Event::Refused { .. } | Event::Decide(_));
            assert!(!taken_back || by_agent, "{event:?} takes back what the agent may print");
            assert!(next.state != State::Printing || next.may_print, "it prints without a permit");
            job = next;
        }
    }
}

fn dialler(feed: &mut Feed<'_>) {
    let start = Instant::now();
    let mut now = start;
    let mut dialler = Dialler::new(now);
    let mut last: Option<Instant> = None;
    while !feed.is_empty() {
        now += Duration::from_millis(u64::from(feed.small()) * 20 % 100_000_000);
        let wait = Some(Duration::from_secs(u64::from(feed.byte())));
        match feed.byte() % 6 {
            0 => dialler.on_connected(now),
            1 => dialler.on_failure(now, Failure::Unreachable),
            2 => dialler.on_failure(now, Failure::Unavailable { retry_after: wait }),
            3 => dialler.on_lost(now, Lost::PathDead),
            4 => {
                let code = CloseCode::from(u16::from(feed.byte()) * 20);
                dialler.on_lost(now, Lost::Closed { code, retry_after: wait });
            }
            _ => dialler.on_hope(now),
        }
        let random = f64::from(feed.byte()) / 255.0;
        match dialler.next(now, feed.byte() & 1 == 1, random) {
            When::Now => {
                assert!(last.is_none_or(|last| now >= last + URGENT_DIAL_EVERY), "two dials within a second");
                last = Some(now);
                dialler.on_attempt(now);
            }
            When::At(at) => assert!(at > now),
            When::Wait => {}
        }
    }
}

fn liveness(feed: &mut Feed<'_>) {
    let mut now = Instant::now();
    let interval = Duration::from_millis(1 + u64::from(feed.number() % 50_000));
    let mut liveness = Liveness::new(now, interval, f64::from(feed.byte()) / 255.0);
    let mut silence = Silence::new(now, interval);
    while !feed.is_empty() {
        now += Duration::from_millis(u64::from(feed.small()) % 3_600_000);
        match feed.byte() % 6 {
            0 => {
                liveness.on_bytes(now);
                silence.on_bytes(now);
            }
            1 => liveness.on_pong(now),
            2 => liveness.set_expecting(now, feed.byte() & 1 == 1),
            3 => silence.set_waiting(now, feed.byte() & 1 == 1),
            4 => liveness.probe_now(),
            _ => liveness.on_report_answered(now),
        }
        let queued = Duration::from_millis(u64::from(feed.byte()));
        for round in 0.. {
            assert!(round < 4, "liveness never comes to rest");
            match liveness.poll(now) {
                Action::Nothing { until } => {
                    assert!(until > now && until <= now + interval.max(MAX_PROBE_DEADLINE));
                    break;
                }
                Action::SendProbe => liveness.on_probe_sent(now, queued),
                Action::SendReport => liveness.on_report_sent(now, queued, 0.5),
                Action::Dead => return,
            }
        }
        for round in 0.. {
            assert!(round < 4, "silence never comes to rest");
            match silence.poll(now) {
                Watch::Nothing { until } => {
                    assert!(until > now);
                    break;
                }
                Watch::SendProbe => silence.on_probe_sent(),
                Watch::MarkSilent => {}
                Watch::Gone => return,
            }
        }
    }
}

fn instances(feed: &mut Feed<'_>) {
    let mut seen = Instances::default();
    while !feed.is_empty() {
        let number = u128::from(feed.byte());
        let mut text = format!("{number:032x}");
        text.truncate(32);
        if let Ok(instance) = text.parse::<InstanceId>() {
            let _seen = seen.see(instance);
        }
    }
    let text = serde_json::to_string(&seen).expect("it has a form");
    assert!(text.len() < 400);
}
