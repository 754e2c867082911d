//! `hello` and `welcome`.

use std::sync::Arc;
use std::time::Duration;

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::InstanceId;
use inkwire_protocol::limits::PROTOCOL_VERSION;
use inkwire_protocol::message::{Hello, ToAgent, ToBroker, Welcome, decode};
use inkwire_protocol::printer::PrinterInfo;
use inkwire_protocol::session::reconcile::accept_version;
use inkwire_transport::{Closed, Dialled, Ready};

use crate::identity;
use crate::limits::WELCOME_WITHIN;
use crate::shared::Shared;

/// A connection on which the session has begun.
pub(super) struct Greeted {
    pub(super) dialled: Dialled,
    pub(super) welcome: Welcome,
    /// The printers as `hello` told them.
    pub(super) printers: Arc<Vec<PrinterInfo>>,
}

/// Why no session began on a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotGreeted {
    #[error("{0}")]
    Closed(Closed),
    #[error("no `welcome` within {0:?}")]
    TimedOut(Duration),
    #[error("{detail}")]
    Refused { code: CloseCode, detail: String },
}

/// Says `hello` and waits for `welcome`.
pub(super) async fn greet(
    mut dialled: Dialled,
    shared: Arc<Shared>,
    instance: InstanceId,
    session: Option<inkwire_protocol::ids::SessionToken>,
) -> Result<Greeted, NotGreeted> {
    let printers = Arc::clone(&shared.printers.borrow());
    let ledger = &shared.ledger;
    let (facts_acked, receipt) = ledger.facts_acked();
    let hello = Hello {
        protocol: PROTOCOL_VERSION,
        version: env!("CARGO_PKG_VERSION").into(),
        instance,
        spool: ledger.spool(),
        ledger_seq: ledger.seq_to_tell(),
        facts_acked,
        receipt,
        session,
        hostname: identity::hostname(),
        os: identity::os(),
        local_endpoint: Some(dialled.local),
        printers: printers.as_ref().clone(),
        transfers: shared.held(),
        clock_offset_ms: shared.clock.notable_offset_ms(),
    };
    let wrong = |code, detail: String| NotGreeted::Refused { code, detail };
    let text = serde_json::to_string(&ToBroker::Hello(Box::new(hello)))
        .map_err(|error| wrong(CloseCode::ProtocolViolation, error.to_string()))?;
    dialled.socket.queue_text(text).map_err(|full| wrong(CloseCode::TooLarge, full.to_string()))?;
    let heard = tokio::time::timeout(WELCOME_WITHIN, hear(&mut dialled)).await;
    let welcome = heard.map_err(|_| NotGreeted::TimedOut(WELCOME_WITHIN))??;
    if let Err(error) = check(&dialled, &welcome) {
        dialled.socket.close(CloseCode::Incompatible, &error).await;
        return Err(wrong(CloseCode::Incompatible, error));
    }
    shared.ledger.welcomed();
    Ok(Greeted { dialled, welcome, printers })
}

async fn hear(dialled: &mut Dialled) -> Result<Welcome, NotGreeted> {
    loop {
        match dialled.socket.ready(false).await {
            Ready::Text(text) => match decode(&text) {
                Ok(ToAgent::Welcome(welcome)) => return Ok(*welcome),
                Ok(_) | Err(_) => {
                    let detail = "something else came before `welcome`".to_owned();
                    return Err(NotGreeted::Refused { code: CloseCode::ProtocolViolation, detail });
                }
            },
            Ready::Closed(closed) => return Err(NotGreeted::Closed(closed)),
            Ready::Binary(_) => {
                let detail = "a packet came before `welcome`".to_owned();
                return Err(NotGreeted::Refused { code: CloseCode::ProtocolViolation, detail });
            }
            Ready::Pong { .. } | Ready::Writable => {}
        }
    }
}

fn check(dialled: &Dialled, welcome: &Welcome) -> Result<(), String> {
    accept_version(welcome.protocol).map_err(|error| error.to_string())?;
    if dialled.clock_doubtful {
        // The PC's clock could not judge the certificate; the broker's, which its key vouches for, can.
        let now = Duration::from_millis(welcome.broker_time_ms);
        dialled.certificates.check_validity(now).map_err(|error| error.to_string())?;
    }
    Ok(())
}
