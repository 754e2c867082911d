//! What the broker says in a session, handed on as events.

use std::time::{Duration, Instant};

use bytes::Bytes;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::limits::MAX_REPORT_INTERVAL;
use inkwire_protocol::message::{ReportOk, ToAgent, decode};
use inkwire_protocol::packet::{Header, PacketError};

use super::Session;
use crate::link::LinkEvent;
use crate::spool::JobKey;

impl Session {
    /// A text message. The error is what the broker did wrong.
    pub(super) fn hear(&mut self, text: &str) -> Result<(), (CloseCode, String)> {
        let message: ToAgent = decode(text).map_err(|error| (error.close_code(), error.to_string()))?;
        let event = match message {
            ToAgent::Welcome(_) => return Err((CloseCode::ProtocolViolation, "a second `welcome`".into())),
            ToAgent::ReportOk(answer) => {
                self.on_report_ok(answer);
                return Ok(());
            }
            ToAgent::Open(open) => LinkEvent::Open(open),
            ToAgent::Blocked { transfer, reason } => {
                tracing::trace!(%transfer, ?reason, "the sender waits");
                LinkEvent::Blocked(transfer, true)
            }
            ToAgent::Unblocked { transfer } => LinkEvent::Blocked(transfer, false),
            ToAgent::Drop { job, attempt, reason } => LinkEvent::Drop(JobKey::new(job, attempt), reason),
            ToAgent::Request { job, attempt, request } => {
                LinkEvent::Request(JobKey::new(job, attempt), request)
            }
            ToAgent::FactAck { job, attempt, fact_seq, facts_acked, receipt } => {
                self.facts_out = self.facts_out.saturating_sub(1);
                LinkEvent::FactAck { key: JobKey::new(job, attempt), fact_seq, facts_acked, receipt }
            }
            ToAgent::Drain { retry_after_ms } => {
                tracing::info!(retry_after_ms, "the broker is stopping");
                self.retry_after = Some(Duration::from_millis(retry_after_ms));
                return Ok(());
            }
            ToAgent::Unknown => {
                tracing::debug!("the broker says something that this version does not know");
                return Ok(());
            }
        };
        self.pending.push_back(event);
        Ok(())
    }

    fn on_report_ok(&mut self, answer: ReportOk) {
        let now = Instant::now();
        if answer.seq == self.report_seq {
            self.liveness.on_report_answered(now);
            self.note_rtt();
        }
        if let Some(ms) = answer.report_interval_ms {
            let interval = Duration::from_millis(ms.max(1)).min(MAX_REPORT_INTERVAL);
            self.liveness.set_report_interval(now, interval);
        }
        self.shared.clock.correct(answer.broker_time_ms);
    }

    /// A packet. Its data is copied: the message may share the socket's read buffer.
    pub(super) fn packet(&mut self, message: &[u8]) -> Result<(), (CloseCode, String)> {
        let (header, data) = Header::decode(message).map_err(|error| (code_of(&error), error.to_string()))?;
        self.pending.push_back(LinkEvent::Packet(header, Bytes::copy_from_slice(data)));
        Ok(())
    }
}

const fn code_of(error: &PacketError) -> CloseCode {
    match error {
        PacketError::Checksum { .. } => CloseCode::PacketDamaged,
        PacketError::Long(_) => CloseCode::TooLarge,
        PacketError::Short(_) | PacketError::Kind(_) | PacketError::Flags(_) => CloseCode::ProtocolViolation,
    }
}
