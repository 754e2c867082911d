//! The desk: takes what the broker sends, puts it on stable storage, says so.
//!
//! ```text
//!  open ──▶ offer ──▶ small: gathered in memory, one ledger commit ──▶ ack and `spooled` together
//!                └──▶ large: incoming (files, synced) ──▶ acks, then `spooled`
//!  request ──▶ requests ──▶ a fact, or a word to the worker
//! ```
//!
//! One task owns all of it. Commits run beside it and come back as [`Inner`], so that labels share them.

pub(crate) mod arrival;
mod incoming;
mod large;
mod letting_go;
mod offer;
mod requests;
mod saying;
mod small;
mod transfers;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use inkwire_protocol::ids::TransferId;
use inkwire_protocol::job::Request;
use inkwire_protocol::message::{Fact, Welcome};
use inkwire_protocol::transfer::Layout;
use tokio::sync::mpsc;

use self::incoming::{Arrived, Begin};
use self::requests::{Do, Here, act};
use self::transfers::{Channel, Partly};
use crate::limits::{EARLY_REQUESTS, LINK_EVENTS};
use crate::link::{LinkEvent, SessionNumber};
use crate::shared::Shared;
use crate::spool::part::PartFile;
use crate::spool::{Change, JobKey, LedgerError, Phase};

/// What comes back from work beside the desk.
#[derive(Debug)]
enum Inner {
    /// Something about a large document.
    Arrived(JobKey, Arrived),
    /// A small document's commit is done.
    Stored { key: JobKey, transfer: TransferId, document: Bytes, result: Result<(), LedgerError> },
    /// A large document is whole, and the ledger says so.
    Ready(JobKey),
}

/// The desk.
pub(crate) struct Desk {
    shared: Arc<Shared>,
    /// The session whose messages come in.
    session: Option<SessionNumber>,
    /// Transfers that are open on this connection.
    channels: HashMap<TransferId, Channel>,
    /// The highest channel number seen on this connection.
    highest: TransferId,
    /// Large documents that are arriving, on whatever connection.
    partly: HashMap<JobKey, Partly>,
    /// Requests for jobs that are still to be offered.
    early: VecDeque<(JobKey, Request)>,
    store_epoch: Option<inkwire_protocol::ids::StoreEpoch>,
    /// The last refusal that was logged: a job that is offered again and again is told of once.
    refused: Option<(inkwire_protocol::ids::JobId, inkwire_protocol::message::RefuseReason)>,
    tell: mpsc::Sender<Inner>,
    told: mpsc::Receiver<Inner>,
}

impl Desk {
    /// A desk with what an earlier run left: partial documents go on where they stood.
    pub(crate) fn new(
        shared: Arc<Shared>,
        partial: Vec<(JobKey, Layout, Arc<inkwire_protocol::message::Open>, PartFile)>,
        store_epoch: Option<inkwire_protocol::ids::StoreEpoch>,
    ) -> Self {
        let (tell, told) = mpsc::channel(LINK_EVENTS);
        let mut desk = Self {
            shared,
            session: None,
            channels: HashMap::new(),
            highest: TransferId(0),
            partly: HashMap::new(),
            early: VecDeque::new(),
            store_epoch,
            refused: None,
            tell,
            told,
        };
        for (key, layout, open, part) in partial {
            let next_seq = part.next();
            desk.begin_large(key, layout, open, next_seq, Begin::Partly(Box::new(part)));
        }
        desk
    }

    /// Runs until the connection's events end or the ledger fails.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<LinkEvent>) -> Result<(), LedgerError> {
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event).await?,
                    None => return Ok(()),
                },
                Some(inner) = self.told.recv() => self.on_inner(inner).await?,
            }
            self.shared.expecting.send_if_modified(|expecting| {
                let now = self.channels.values().any(Channel::expects_data);
                std::mem::replace(expecting, now) != now
            });
        }
    }

    async fn on_event(&mut self, event: LinkEvent) -> Result<(), LedgerError> {
        match event {
            LinkEvent::Online(session, welcome) => self.on_online(session, *welcome).await,
            LinkEvent::Offline => {
                self.session = None;
                self.channels.clear();
                self.shared.online.send_replace(None);
                Ok(())
            }
            LinkEvent::Open(open) => self.on_open(*open).await,
            LinkEvent::Packet(header, data) => self.on_packet(&header, data).await,
            LinkEvent::Blocked(transfer, blocked) => {
                if let Some(channel) = self.channels.get_mut(&transfer) {
                    channel.set_blocked(blocked);
                }
                Ok(())
            }
            LinkEvent::Drop(key, reason) => self.on_drop(key, &reason).await,
            LinkEvent::Request(key, request) => self.on_request(key, request).await,
            LinkEvent::FactAck { key, fact_seq, facts_acked, receipt } => {
                self.shared.ledger.lazily(Change::Acked { key, fact_seq, facts_acked, receipt }).await
            }
        }
    }

    async fn on_inner(&mut self, inner: Inner) -> Result<(), LedgerError> {
        match inner {
            Inner::Arrived(key, arrived) => self.on_arrived(key, arrived).await,
            Inner::Stored { key, transfer, document, result } => {
                self.on_stored(key, transfer, document, result).await
            }
            Inner::Ready(key) => self.on_ready(key).await,
        }
    }

    /// Facts follow once the ledger knows with which incarnation of the broker's store it is dealing.
    async fn on_online(&mut self, session: SessionNumber, welcome: Welcome) -> Result<(), LedgerError> {
        self.session = Some(session);
        self.channels.clear();
        self.highest = TransferId(0);
        if welcome.spool_lost {
            self.abandon().await?;
        }
        let ledger = &self.shared.ledger;
        ledger.lazily(Change::Session { token: welcome.session }).await?;
        let epoch = welcome.store_epoch;
        let repeat = inkwire_protocol::session::reconcile::what_to_repeat(self.store_epoch, epoch);
        if repeat == inkwire_protocol::session::reconcile::Repeat::Everything {
            // The last facts become unacknowledged and the epoch known in one commit: a crash repeats them again.
            ledger.insist(|| vec![Change::StoreEpoch { epoch }]).await?;
            self.store_epoch = Some(epoch);
        }
        self.shared.online.send_replace(Some((session, epoch)));
        self.shared.book.open();
        Ok(())
    }

    /// This spool is an old copy or a new one: what it holds and has not ended is the broker's again.
    async fn abandon(&mut self) -> Result<(), LedgerError> {
        let keys = self.shared.book.give_up();
        tracing::warn!(
            jobs = keys.len(),
            "the broker knew another or a newer spool: what is in this one is not printed"
        );
        let at_ms = self.shared.clock.now_ms();
        let abandon = || keys.iter().map(|key| Change::Abandon { key: *key, at_ms }).collect();
        self.shared.ledger.insist(abandon).await?;
        for key in keys {
            self.forget_transfer(key);
            self.remove_files(key).await?;
        }
        Ok(())
    }

    async fn on_request(&mut self, key: JobKey, request: Request) -> Result<(), LedgerError> {
        let here = match self.shared.book.with(key, |job| Here::of(job)) {
            Some(here) => here,
            None if self.is_storing(key) => Here::Unknown,
            None => {
                let known = self.shared.ledger.attempts(key.job).await?;
                let known = known.iter().any(|row| row.attempt >= key.attempt);
                if known { Here::Ended } else { Here::Unknown }
            }
        };
        // A document that is gathered in memory ends like one that never came.
        if here == Here::Unknown
            && matches!(request, Request::Cancel | Request::Expire)
            && self.is_storing(key)
        {
            self.remember(key, request);
            return Ok(());
        }
        self.perform(key, request, act(here, request)).await
    }

    async fn perform(&mut self, key: JobKey, request: Request, what: Do) -> Result<(), LedgerError> {
        let (book, at_ms) = (&self.shared.book, self.shared.clock.now_ms());
        let fact = |fact| Change::Fact { key, fact, at_ms };
        tracing::debug!(job = %key, ?request, ?what, "the broker asks");
        let changes = match what {
            Do::End => {
                let (outcome, told) = match request {
                    Request::Expire => ("expired", Fact::Expired),
                    Request::Cancel | Request::Hold | Request::Release => ("canceled", Fact::Canceled),
                };
                // A worker that takes it up in this moment wins: then it is told to stop.
                let taken = book.with(key, |job| job.claimed || job.has_begun()).unwrap_or(false);
                if taken {
                    return self.stop(key, request);
                }
                book.remove(key);
                self.forget_transfer(key);
                let end = move || {
                    vec![Change::End { key, outcome, at_ms }, Change::Fact { key, fact: told.clone(), at_ms }]
                };
                self.shared.ledger.insist(end).await?;
                return self.remove_files(key).await;
            }
            Do::Stop => return self.stop(key, request),
            Do::Hold => match book.with(key, |job| !std::mem::replace(&mut job.held, true) && !job.claimed) {
                Some(true) => vec![Change::Move { key, phase: Phase::Held }, fact(Fact::Held)],
                Some(false) | None => return Ok(()),
            },
            Do::HoldLater => {
                book.with(key, |job| job.held = true);
                return Ok(());
            }
            Do::Release => {
                let whole = book.with(key, |job| {
                    job.held = false;
                    (job.whole, job.open.printer)
                });
                match whole {
                    Some((true, printer)) => {
                        book.wake(printer);
                        vec![Change::Move { key, phase: Phase::Ready }, fact(Fact::Spooled)]
                    }
                    Some((false, _)) | None => return Ok(()),
                }
            }
            Do::Repeat => vec![Change::Repeat { key }],
            Do::SayPrinting => vec![fact(Fact::Printing)],
            Do::Remember => {
                self.remember(key, request);
                return Ok(());
            }
        };
        self.shared.ledger.commit(changes).await.map(drop).or_else(later)
    }

    fn stop(&self, key: JobKey, request: Request) -> Result<(), LedgerError> {
        self.shared.book.with(key, |job| {
            job.request = Some(request);
            job.cancel.cancel();
        });
        Ok(())
    }

    fn remember(&mut self, key: JobKey, request: Request) {
        if self.early.len() >= EARLY_REQUESTS {
            self.early.pop_front();
        }
        self.early.push_back((key, request));
    }

    /// What was asked of a job before it was here.
    async fn catch_up(&mut self, key: JobKey) -> Result<(), LedgerError> {
        let early = std::mem::take(&mut self.early);
        let (now, rest): (VecDeque<_>, VecDeque<_>) = early.into_iter().partition(|(of, _)| *of == key);
        self.early = rest;
        for (key, request) in now {
            let here = self.shared.book.with(key, |job| Here::of(job)).unwrap_or(Here::Ended);
            self.perform(key, request, act(here, request)).await?;
        }
        Ok(())
    }
}

/// A full disk: the broker asks again after the next `welcome`.
fn later(error: LedgerError) -> Result<(), LedgerError> {
    if error == LedgerError::Full {
        tracing::warn!("the disk is full: a request of the broker waits");
        return Ok(());
    }
    Err(error)
}
