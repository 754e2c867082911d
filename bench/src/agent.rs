//! One agent of thousands, after its `welcome`: it reports at the broker's interval, and takes documents by the rules
//! (`open`, packets, acks, facts), without spool and printer.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use inkwire_protocol::ids::{Attempt, FactSeq, JobId, TransferId};
use inkwire_protocol::message::{Ack, Fact, FactMessage, Open, Report, ToAgent, ToBroker, Welcome, Witness};
use inkwire_protocol::packet::Header;
use inkwire_transport::{DialIo, Ready, Socket};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What a receiver grants: more than the documents of these scenarios have packets.
const CREDIT: u32 = 64;

/// A live session.
#[derive(Debug)]
pub(crate) struct Session {
    socket: Socket<DialIo>,
    interval: Duration,
    due: Instant,
    reports: u32,
    ledger_seq: u64,
    taking: Option<Taking>,
    taken: mpsc::Sender<()>,
}

/// The document on its way.
#[derive(Debug)]
struct Taking {
    transfer: TransferId,
    job: JobId,
    attempt: Attempt,
    bytes: u64,
    came: u64,
}

impl Session {
    /// `first_after`: the first report. `taken` is told of every document that came whole.
    ///
    /// # Errors
    /// Where the broker takes nothing.
    pub(crate) fn new(
        socket: Socket<DialIo>,
        welcome: &Welcome,
        first_after: Duration,
        taken: mpsc::Sender<()>,
    ) -> Result<Self> {
        let interval = Duration::from_millis(welcome.report_interval_ms);
        let due = Instant::now() + first_after;
        let mut this = Self { socket, interval, due, reports: 0, ledger_seq: 1, taking: None, taken };
        // There is no fact to repeat, and without this word nothing would be opened.
        this.say(&ToBroker::Reconciled { store_epoch: welcome.store_epoch })?;
        Ok(this)
    }

    /// Lives until the broker ends it, which is an error.
    pub(crate) async fn live(mut self) -> Result<()> {
        loop {
            tokio::select! {
                ready = self.socket.ready(false) => match ready {
                    Ready::Closed(closed) => bail!("the broker ended a session: {closed:?}"),
                    Ready::Text(text) => self.text(&text)?,
                    Ready::Binary(packet) => self.packet(&packet).await?,
                    Ready::Pong { .. } | Ready::Writable => {}
                },
                () = tokio::time::sleep_until(self.due) => self.report()?,
            }
        }
    }

    fn report(&mut self) -> Result<()> {
        self.reports += 1;
        self.due += self.interval;
        let seq = self.reports;
        self.say(&ToBroker::Report(Report { seq, local_endpoint: None, rtt_ms: Some(1), printers: None }))
    }

    fn text(&mut self, text: &str) -> Result<()> {
        match serde_json::from_str(text).context("the broker's message")? {
            ToAgent::Open(open) => self.open(&open),
            ToAgent::Welcome(_)
            | ToAgent::ReportOk(_)
            | ToAgent::Blocked { .. }
            | ToAgent::Unblocked { .. }
            | ToAgent::Drop { .. }
            | ToAgent::Request { .. }
            | ToAgent::FactAck { .. }
            | ToAgent::Drain { .. }
            | ToAgent::Unknown => Ok(()),
        }
    }

    fn open(&mut self, open: &Open) -> Result<()> {
        ensure!(open.next_seq == 0, "a document goes on in the middle");
        let Open { transfer, job, attempt, bytes, .. } = *open;
        self.taking = Some(Taking { transfer, job, attempt, bytes, came: 0 });
        self.say(&ToBroker::Ack(Ack { transfer, next_seq: 0, credit: CREDIT }))
    }

    async fn packet(&mut self, message: &[u8]) -> Result<()> {
        let (header, data) = Header::decode(message).context("a packet")?;
        let taking = self.taking.as_mut().filter(|taking| taking.transfer == header.transfer);
        let taking = taking.context("a packet of nothing")?;
        taking.came += data.len() as u64;
        let ack = Ack { transfer: header.transfer, next_seq: header.seq + 1, credit: CREDIT };
        self.say(&ToBroker::Ack(ack))?;
        if !header.last {
            return Ok(());
        }
        let taking = self.taking.take().context("a transfer")?;
        ensure!(taking.came == taking.bytes, "{} bytes came of {}", taking.came, taking.bytes);
        self.facts(&taking)?;
        self.taken.send(()).await.context("nobody counts documents")
    }

    /// What a printer on a TCP port gives.
    fn facts(&mut self, taking: &Taking) -> Result<()> {
        let completed = Fact::Completed {
            witness: Witness::HandedOver,
            delivered_bytes: taking.bytes,
            sha256: None,
            detail: None,
        };
        for (number, fact) in (1..).zip([Fact::Spooled, Fact::Printing, completed]) {
            self.ledger_seq += 1;
            self.say(&ToBroker::Fact(FactMessage {
                job: taking.job,
                attempt: taking.attempt,
                fact_seq: FactSeq(number),
                ledger_seq: self.ledger_seq,
                at_ms: 0,
                fact,
            }))?;
        }
        Ok(())
    }

    fn say(&mut self, message: &ToBroker) -> Result<()> {
        let text = serde_json::to_string(message).context("a message as JSON")?;
        ensure!(self.socket.queue_text(text).is_ok(), "the broker takes nothing");
        Ok(())
    }
}
