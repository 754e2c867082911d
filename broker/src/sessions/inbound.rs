//! What an agent says, and what it changes.

use std::sync::atomic::Ordering;

use inkwire_protocol::message::{Fact, Report, ReportOk, ToAgent, ToBroker, decode};
use inkwire_protocol::printer::PrinterInfo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::actor::Actor;
use super::ending::Ending;
use super::link::What;
use super::outbound::Received;
use crate::clock::now_ms;
use crate::store::{Change, Outcome};

impl<S: AsyncRead + AsyncWrite + Unpin> Actor<S> {
    pub(super) async fn on_text(&mut self, text: &str) -> Result<(), Ending> {
        let message = decode(text)?;
        self.live.seen(now_ms());
        match message {
            ToBroker::Report(report) => self.on_report(report).await,
            ToBroker::Ack(ack) => {
                tracing::trace!(
                    transfer = ack.transfer.0,
                    next_seq = ack.next_seq,
                    credit = ack.credit,
                    "ack"
                );
                self.sessions.counters.delivery.ack();
                if let Some(received) = self.outbound.ack(ack)? {
                    self.received(received).await?;
                }
                Ok(())
            }
            ToBroker::Refuse(refuse) => {
                if !self.outbound.refused(&refuse)? {
                    return Ok(());
                }
                let (job, attempt) = (refuse.job, refuse.attempt);
                self.tell(What::Refused { job, attempt, reason: refuse.reason, detail: refuse.detail }).await
            }
            ToBroker::Fact(fact) => {
                if matches!(fact.fact, Fact::Spooled)
                    && let Some(received) = self.outbound.spooled(fact.job, fact.attempt)
                {
                    self.received(received).await?;
                }
                self.tell(What::Fact(Box::new(fact))).await
            }
            ToBroker::Reconciled { store_epoch } if store_epoch == self.store_epoch => {
                self.tell(What::Reconciled).await
            }
            // Of an incarnation that is over: the agent will hear of ours in the next `welcome`.
            ToBroker::Reconciled { .. } => Ok(()),
            ToBroker::Progress { job, attempt, delivered_bytes } => {
                self.mention(What::Delivered { job, attempt, bytes: delivered_bytes });
                Ok(())
            }
            ToBroker::Hello(_) => Err(Ending::violation("a second hello on one connection")),
            ToBroker::Unknown => Err(Ending::violation("a message of a type that this broker does not know")),
        }
    }

    /// What is on the way may be left out when the jobs are behind; the last word of a transfer not.
    async fn received(&mut self, received: Received) -> Result<(), Ending> {
        let Received { job, attempt, bytes, sent, whole } = received;
        let what = What::Received { job, attempt, bytes, sent };
        if whole {
            return self.tell(what).await;
        }
        self.mention(what);
        Ok(())
    }

    async fn on_report(&mut self, report: Report) -> Result<(), Ending> {
        if let Some(rtt_ms) = report.rtt_ms {
            self.live.rtt_ms.store(rtt_ms.max(1), Ordering::Relaxed);
        }
        if let Some(printers) = report.printers {
            Box::pin(self.on_printers(printers)).await?;
        }
        let answer = ReportOk { seq: report.seq, broker_time_ms: now_ms(), report_interval_ms: None };
        self.say(&ToAgent::ReportOk(answer))
    }

    /// The only report that costs a write: printers changed.
    async fn on_printers(&mut self, printers: Vec<PrinterInfo>) -> Result<(), Ending> {
        let change = Change::UpdatePrinters {
            account: self.account,
            agent: self.agent,
            epoch: self.epoch,
            printers: printers.clone(),
            at_ms: now_ms(),
        };
        match self.sessions.store.commit(vec![change]).await.as_deref() {
            Ok([Outcome::Printers { changed: true }]) => self.tell(What::Printers(printers)).await,
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "the agent's printers could not be stored");
                Ok(())
            }
        }
    }
}
