//! One session on one socket, from `welcome` to its end.

mod excuse;
mod hearing;
mod moving;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::message::{Report, ToBroker, encode};
use inkwire_protocol::printer::PrinterInfo;
use inkwire_protocol::session::dial::Lost;
use inkwire_protocol::session::liveness::{Action, Liveness};
use inkwire_protocol::session::rtt::drain_time;
use inkwire_transport::{Closed, Dialled, Ready};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::excuse::Excuse;
use super::greeting::Greeted;
use super::looks::Looks;
use super::network::Watcher;
use super::{LinkCommand, LinkEvent, Say, SessionNumber};
use crate::shared::Shared;

/// More is not queued before this much has left: a fact must not wait behind a minute of others.
const QUEUE_BELOW_BYTES: usize = 32 * 1024;

/// The session's state.
pub(super) struct Session {
    dialled: Dialled,
    number: SessionNumber,
    shared: Arc<Shared>,
    events: mpsc::Sender<LinkEvent>,
    liveness: Liveness,
    /// What could not be handed on yet; nothing is read meanwhile.
    pending: VecDeque<LinkEvent>,
    /// What the socket's queue did not take.
    unsent: VecDeque<String>,
    bytes_read: u64,
    report_seq: u32,
    /// The printers as they were last told.
    told: Arc<Vec<PrinterInfo>>,
    /// Facts that were sent and not acknowledged.
    facts_out: u64,
    retry_after: Option<Duration>,
    began: Instant,
    looks: Looks,
    excuse: Excuse,
}

/// What one round came to.
enum Round {
    Go,
    End(Lost),
}

impl Session {
    pub(super) fn new(
        greeted: Greeted,
        number: SessionNumber,
        before: Option<&Liveness>,
        shared: Arc<Shared>,
        events: mpsc::Sender<LinkEvent>,
    ) -> Self {
        let Greeted { dialled, welcome, printers } = greeted;
        let interval = Duration::from_millis(welcome.report_interval_ms.max(1))
            .min(inkwire_protocol::limits::MAX_REPORT_INTERVAL);
        let (now, jitter) = (Instant::now(), rand::random());
        let liveness = match before {
            Some(before) => before.reconnected(now, interval, jitter),
            None => Liveness::new(now, interval, jitter),
        };
        let bytes_read = dialled.socket.bytes_read();
        let looks = Looks::new(dialled.local.ip());
        let pending = VecDeque::from([LinkEvent::Online(number, Box::new(welcome))]);
        Self {
            dialled,
            number,
            shared,
            events,
            liveness,
            pending,
            unsent: VecDeque::new(),
            bytes_read,
            report_seq: 0,
            told: printers,
            facts_out: 0,
            retry_after: None,
            began: now,
            looks,
            excuse: Excuse::default(),
        }
    }

    /// Runs until the session is over. What the liveness has learnt goes on into the next.
    pub(super) async fn run(
        mut self,
        commands: &mut mpsc::Receiver<LinkCommand>,
        network: &mut Watcher,
        stop: &CancellationToken,
    ) -> (Lost, Liveness) {
        let events = self.events.clone();
        let mut expecting = self.shared.expecting.subscribe();
        let mut printers = self.shared.printers.subscribe();
        loop {
            let now = Instant::now();
            if let Round::End(lost) = self.look_at_route(now) {
                return (lost, self.liveness);
            }
            self.look_at_bytes(now);
            self.liveness.set_expecting(now, *expecting.borrow_and_update() || self.facts_out > 0);
            if !Arc::ptr_eq(&printers.borrow_and_update(), &self.told) {
                self.liveness.report_now(now);
            }
            let until = match self.liveness.poll(now) {
                Action::Dead => return (Lost::PathDead, self.liveness),
                Action::SendProbe => {
                    self.dialled.socket.queue_ping();
                    self.liveness.on_probe_sent(now, self.queued());
                    continue;
                }
                Action::SendReport => {
                    self.report(now);
                    continue;
                }
                Action::Nothing { until } => until,
            };
            let until = self.looks.due().map_or(until, |due| until.min(due));
            self.requeue();
            let may_take = self.unsent.is_empty() && self.dialled.socket.queued_bytes() < QUEUE_BELOW_BYTES;
            let round = tokio::select! {
                () = stop.cancelled() => {
                    self.dialled.socket.close(CloseCode::Normal, "the agent is stopping").await;
                    Round::End(Lost::Closed { code: CloseCode::Normal, retry_after: None })
                }
                moved = move_socket(&mut self.dialled, self.pending.is_empty()) => match moved {
                    Some(ready) => self.on_ready(ready).await,
                    None => Round::Go,
                },
                permit = events.reserve(), if !self.pending.is_empty() => match (permit, self.pending.pop_front()) {
                    (Ok(permit), Some(event)) => {
                        permit.send(event);
                        Round::Go
                    }
                    (Ok(_), None) => Round::Go,
                    (Err(_), _) => Round::End(Lost::Closed { code: CloseCode::Normal, retry_after: None }),
                },
                Some(command) = commands.recv(), if may_take => self.on_command(command).await,
                Ok(()) = expecting.changed() => Round::Go,
                Ok(()) = printers.changed() => Round::Go,
                () = network.changed() => {
                    self.looks.on_notice(Instant::now());
                    Round::Go
                }
                () = tokio::time::sleep_until(until.into()) => Round::Go,
            };
            if let Round::End(lost) = round {
                return (lost, self.liveness);
            }
        }
    }

    /// Liveness is bytes. While nothing is read because the agent cannot take more, nothing can be missed.
    fn look_at_bytes(&mut self, now: Instant) {
        let excused = self.excuse.holds(now, !self.pending.is_empty());
        let read = self.dialled.socket.bytes_read();
        if read != self.bytes_read {
            self.bytes_read = read;
            self.liveness.on_bytes(self.dialled.socket.last_read().into_std());
        } else if excused {
            self.liveness.on_bytes(now);
        }
    }

    async fn on_ready(&mut self, ready: Ready) -> Round {
        match ready {
            Ready::Text(text) => match self.hear(&text) {
                Ok(()) => Round::Go,
                Err((code, detail)) => self.close(code, &detail).await,
            },
            Ready::Binary(message) => match self.packet(&message) {
                Ok(()) => Round::Go,
                Err((code, detail)) => self.close(code, &detail).await,
            },
            Ready::Pong { rtt: _ } => {
                self.liveness.on_pong(Instant::now());
                self.note_rtt();
                Round::Go
            }
            Ready::Writable => Round::Go,
            Ready::Closed(Closed::Said { code, reason, by_us: _ }) => {
                tracing::debug!(code = code.name(), reason, "closed");
                Round::End(Lost::Closed { code, retry_after: self.retry_after })
            }
            Ready::Closed(Closed::Lost(kind)) => {
                tracing::debug!(%kind, "lost");
                Round::End(match self.retry_after {
                    Some(_) => Lost::Closed { code: CloseCode::Draining, retry_after: self.retry_after },
                    None => Lost::Broken,
                })
            }
        }
    }

    async fn on_command(&mut self, command: LinkCommand) -> Round {
        if command.session != self.number {
            return Round::Go;
        }
        let message = match command.what {
            Say::Ack(ack) => ToBroker::Ack(ack),
            Say::Refuse(refuse) => ToBroker::Refuse(*refuse),
            Say::Fact(fact) => {
                self.facts_out += 1;
                ToBroker::Fact(*fact)
            }
            Say::Reconciled(store_epoch) => ToBroker::Reconciled { store_epoch },
            Say::Progress { job, attempt, delivered_bytes } => {
                ToBroker::Progress { job, attempt, delivered_bytes }
            }
            Say::Close { code, detail } => return self.close(code, &detail).await,
        };
        self.queue(&message);
        Round::Go
    }

    fn report(&mut self, now: Instant) {
        self.report_seq = self.report_seq.wrapping_add(1);
        let printers = Arc::clone(&self.shared.printers.borrow());
        let changed = printers != self.told;
        self.told = printers;
        let rtt = self.liveness.round_trip().smoothed();
        let report = Report {
            seq: self.report_seq,
            local_endpoint: Some(self.dialled.local),
            rtt_ms: rtt.map(|rtt| u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX)),
            printers: changed.then(|| self.told.as_ref().clone()),
        };
        let queued = self.queued();
        self.queue(&ToBroker::Report(report));
        self.liveness.on_report_sent(now, queued, rand::random());
    }

    fn queue(&mut self, message: &ToBroker) {
        match encode(message) {
            Ok(text) => self.unsent.push_back(text),
            Err(error) => tracing::error!(%error, "a message cannot be written"),
        }
        self.requeue();
    }

    /// Hands on what the socket's queue did not take before.
    fn requeue(&mut self) {
        while let Some(text) = self.unsent.pop_front() {
            let room = self.dialled.socket.queued_bytes() < QUEUE_BELOW_BYTES;
            if !room {
                self.unsent.push_front(text);
                return;
            }
            if let Err(full) = self.dialled.socket.queue_text(text) {
                tracing::error!(%full, "the socket's queue refuses what it has room for");
            }
        }
    }

    /// How long what is queued takes to leave, by the mean rate of this session.
    fn queued(&self) -> Duration {
        let socket = &self.dialled.socket;
        let seconds = self.began.elapsed().as_secs_f64();
        let rate = (seconds > 1.0).then(|| socket.bytes_written() as f64 / seconds);
        let bytes = socket.queued_bytes() as u64;
        // A quiet session says nothing about the path's rate.
        rate.filter(|rate| *rate > 1000.0).map_or(Duration::ZERO, |rate| drain_time(bytes, Some(rate)))
    }

    fn note_rtt(&self) {
        if let Some(rtt) = self.liveness.round_trip().smoothed() {
            let us = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
            self.shared.rtt_us.store(us, Ordering::Relaxed);
        }
    }

    async fn close(&mut self, code: CloseCode, detail: &str) -> Round {
        tracing::warn!(code = code.name(), detail, "the session is closed: the broker broke the protocol");
        self.dialled.socket.close(code, detail).await;
        Round::End(Lost::Closed { code, retry_after: None })
    }
}

/// Reads and writes, or only writes where nothing more can be taken. Cancel safe.
async fn move_socket(dialled: &mut Dialled, read: bool) -> Option<Ready> {
    if read {
        return Some(dialled.socket.ready(false).await);
    }
    if dialled.socket.queued_bytes() == 0 {
        return std::future::pending().await;
    }
    dialled.socket.flush().await.err().map(Ready::Closed)
}
