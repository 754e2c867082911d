//! The conversation on `/v1/pair`.

use std::net::SocketAddr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::limits::{HELLO_WITHIN, MAX_NAME_CHARS, PAIRING_LIFETIME, SEND_WITHIN};
use inkwire_protocol::message::{FromPairing, ToPairing, pairing_proof};
use inkwire_transport::{Ready, Socket, SocketConfig};
use rand::Rng as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::book::{Applicant, Full};
use super::code::Code;
use super::{Pairings, paired};
use crate::auth::keys;
use crate::clock::now_ms;
use crate::limits::PAIR_PING_EVERY;
use crate::store::CommitError;

/// Strangers get small buffers: a key, a proof and three names.
pub(crate) const SOCKET: SocketConfig = SocketConfig {
    max_text_bytes: 8 * 1024,
    max_binary_bytes: 0,
    max_queued_bytes: 8 * 1024,
    send_within: SEND_WITHIN,
};

/// How the conversation ends.
type End = (CloseCode, &'static str);

/// A request with its proof checked.
struct Asked {
    applicant: Applicant,
    enrolment: Option<String>,
}

impl Pairings {
    /// Talks to a PC until it is an agent, is refused, or goes away.
    pub(crate) async fn serve<S>(
        &self,
        mut socket: Socket<S>,
        observed: SocketAddr,
        closing: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let talked = tokio::select! {
            talked = self.talk(&mut socket, observed) => talked,
            () = closing.cancelled() => Err((CloseCode::Draining, "the broker is restarting")),
        };
        let (code, reason) = talked.err().unwrap_or((CloseCode::Normal, ""));
        tracing::debug!(endpoint = %observed, code = code.name(), reason, "pairing connection ended");
        socket.close(code, reason).await;
    }

    async fn talk<S>(&self, socket: &mut Socket<S>, observed: SocketAddr) -> Result<(), End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut random = [0; 32];
        rand::rng().fill_bytes(&mut random);
        let nonce = URL_SAFE_NO_PAD.encode(random);
        say(socket, &FromPairing::Challenge { nonce: nonce.clone() })?;
        let text = tokio::time::timeout(HELLO_WITHIN, next_text(socket)).await;
        let text = text.map_err(|_| (CloseCode::HelloTimeout, "no `pair` came in time"))??;
        let asked = match check(&text, &nonce, observed) {
            Ok(asked) => asked,
            Err(reason) => return refuse(socket, reason).await,
        };
        match asked.enrolment {
            Some(token) => self.enrol(socket, &token, &asked.applicant).await,
            None => self.wait_for_approval(socket, asked.applicant).await,
        }
    }

    async fn enrol<S>(&self, socket: &mut Socket<S>, token: &str, applicant: &Applicant) -> Result<(), End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        const NOT_VALID: &str =
            "the enrolment token is not valid, was used or has expired: have a new one made";
        let Some(hash) = keys::digest(keys::Kind::Enrolment, token) else {
            return refuse(socket, NOT_VALID).await;
        };
        match self.make_agent((None, Some(hash)), applicant, applicant.hostname.clone(), None).await {
            Ok(row) => {
                let account = self.store.account(row.account).await.ok().flatten();
                tracing::info!(agent = %row.id, name = row.name, endpoint = %applicant.observed, "agent enrolled");
                finish(socket, &paired(&row, &account.map_or_else(String::new, |account| account.name))).await
            }
            Err(CommitError::NotFound(_)) => refuse(socket, NOT_VALID).await,
            Err(error) => {
                tracing::error!(%error, "an enrolled agent could not be stored");
                refuse(socket, "the broker could not store the agent: try again").await
            }
        }
    }

    async fn wait_for_approval<S>(&self, socket: &mut Socket<S>, applicant: Applicant) -> Result<(), End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (sender, answer) = oneshot::channel();
        let observed_endpoint = applicant.observed;
        let waiting = match self.begin(applicant, sender) {
            Ok(waiting) => waiting,
            Err(full) => return refuse(socket, &full.to_string()).await,
        };
        let expires_in_s = PAIRING_LIFETIME.as_secs();
        say(socket, &FromPairing::Code { code: waiting.code.to_string(), expires_in_s, observed_endpoint })?;
        tokio::select! {
            answer = answer => match answer {
                Ok(answer) => finish(socket, &answer).await,
                Err(_) => refuse(socket, "the code has expired: ask for another").await,
            },
            () = tokio::time::sleep(PAIRING_LIFETIME) => refuse(socket, "the code has expired: ask for another").await,
            end = keep_alive(socket) => Err(end),
        }
    }

    fn begin(&self, applicant: Applicant, answer: oneshot::Sender<FromPairing>) -> Result<Waiting<'_>, Full> {
        let mut book = self.book();
        let mut random = [0; 5];
        rand::rng().fill_bytes(&mut random);
        let code = Code::from_random(random);
        book.begin(code, applicant, answer, now_ms())?;
        Ok(Waiting { pairings: self, code })
    }
}

/// Somebody who waits; forgotten when its connection ends.
struct Waiting<'a> {
    pairings: &'a Pairings,
    code: Code,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pairings.book().forget(self.code);
    }
}

/// Reads a request; the proof shows that it comes from who holds the private key, and is meant for this connection.
fn check(text: &str, nonce: &str, observed: SocketAddr) -> Result<Asked, &'static str> {
    let message =
        serde_json::from_str(text).map_err(|_| "the request was not understood: update the agent")?;
    let ToPairing::Pair { public_key, proof, hostname, os, version, enrolment } = message else {
        return Err("the request was not understood: update the agent");
    };
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let key = decode(&public_key).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let (Some(key), Some(signature)) = (key, decode(&proof)) else {
        return Err("key or proof is not base64url of the right length");
    };
    let signed = pairing_proof(nonce, &public_key);
    if UnparsedPublicKey::new(&ED25519, &key).verify(&signed, &signature).is_err() {
        return Err("the proof is not a signature of the challenge by this key");
    }
    if [&hostname, &os, &version].iter().any(|name| name.chars().count() > MAX_NAME_CHARS) {
        return Err("host name, system or version is too long");
    }
    Ok(Asked { applicant: Applicant { public_key: key, hostname, os, version, observed }, enrolment })
}

async fn next_text<S>(socket: &mut Socket<S>) -> Result<String, End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match socket.ready(false).await {
            Ready::Text(text) => return Ok(text),
            Ready::Binary(_) => return Err((CloseCode::ProtocolViolation, "pairing has no packets")),
            Ready::Closed(closed) => return Err((closed.code(), "")),
            Ready::Pong { .. } | Ready::Writable => {}
        }
    }
}

/// Nothing more is expected of the PC: pings keep the path open, whatever it says is too much.
async fn keep_alive<S>(socket: &mut Socket<S>) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match tokio::time::timeout(PAIR_PING_EVERY, next_text(socket)).await {
            Ok(Ok(_)) => return (CloseCode::ProtocolViolation, "nothing is expected before the approval"),
            Ok(Err(end)) => return end,
            Err(_) if socket.last_read().elapsed() > PAIR_PING_EVERY * 3 => return (CloseCode::Silent, ""),
            Err(_) => socket.queue_ping(),
        }
    }
}

fn say<S>(socket: &mut Socket<S>, message: &FromPairing) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let text = serde_json::to_string(message).unwrap_or_default();
    socket.queue_text(text).map_err(|_| (CloseCode::Slow, ""))
}

async fn finish<S>(socket: &mut Socket<S>, message: &FromPairing) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    say(socket, message)?;
    socket.flush().await.map_err(|closed| (closed.code(), ""))
}

async fn refuse<S>(socket: &mut Socket<S>, reason: &str) -> Result<(), End>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    finish(socket, &FromPairing::Refused { reason: reason.to_owned() }).await
}
