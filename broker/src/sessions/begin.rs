//! The beginning of a session: `hello`, the commit of its epoch, `welcome`; then a fresh small task for its life.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{AgentId, SessionToken, Sha256Digest};
use inkwire_protocol::limits::HELLO_WITHIN;
use inkwire_protocol::message::{Hello, ToAgent, ToBroker, Welcome, decode, encode};
use inkwire_transport::{Ready, Socket};
use rand::Rng as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::Instrument as _;

use super::actor::Actor;
use super::ending::Ending;
use super::link::{Online, SessionEvent, What};
use super::mailbox::{Commands, Mailbox, mailbox};
use super::registry::{Entered, Handle, Live};
use super::{Guard, SharedSessions, counters, hello};
use crate::auth::dial::Admitted;
use crate::clock::now_ms;
use crate::limits::SUPERSEDE_WITHIN;
use crate::store::{BeginSession, Begun, Change, Outcome, Started};

/// A dial whose token was found good.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialled {
    /// What the token says.
    pub(crate) admitted: Admitted,
    /// Digest of the session token that the agent was given last, as the store knows it.
    pub(crate) last_token: Option<Sha256Digest>,
    /// Where the broker sees the agent.
    pub(crate) observed: SocketAddr,
}

/// Begins a session on an upgraded connection and hands it to a task of its own. Ends when the session lives, or the
/// connection is closed.
pub(crate) async fn begin<S>(sessions: SharedSessions, mut socket: Socket<S>, dialled: Dialled, guard: Guard)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let agent = dialled.admitted.agent;
    let begun = tokio::select! {
        begun = try_begin(&sessions, &mut socket, dialled) => begun,
        () = sessions.closing.cancelled() => Err(Ending::of(CloseCode::Draining)),
    };
    match begun {
        Ok(new) => {
            sessions.counters.sessions_begun.fetch_add(1, Ordering::Relaxed);
            sessions.counters.endpoint_changes.fetch_add(u64::from(new.started.moved), Ordering::Relaxed);
            let span = tracing::info_span!("session", %agent, epoch = new.handle.epoch.0);
            span.in_scope(|| {
                tracing::info!(endpoint = %dialled.observed, resumed = new.resumed, "session began");
            });
            let actor = Box::new(Actor::new(sessions.clone(), socket, new, guard));
            sessions.tracker.spawn(actor.run().instrument(span));
        }
        Err(ending) => {
            sessions.counters.closed(ending.code);
            if counters::is_violation(ending.code) {
                let (code, detail) = (ending.code.name(), ending.detail.as_ref());
                tracing::warn!(%agent, endpoint = %dialled.observed, code, detail, "session refused");
            }
            socket.close(ending.code, &ending.detail).await;
        }
    }
}

/// A session that is live.
#[derive(Debug)]
pub(super) struct New {
    pub(super) agent: AgentId,
    pub(super) started: Box<Started>,
    pub(super) handle: Handle,
    pub(super) commands: Commands,
    pub(super) resumed: bool,
}

async fn try_begin<S>(
    sessions: &SharedSessions,
    socket: &mut Socket<S>,
    dialled: Dialled,
) -> Result<New, Ending>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let agent = dialled.admitted.agent;
    let hello = first_message(socket).await?;
    let protocol = hello::check(&hello, dialled.admitted.session.as_ref())?;
    let token = choose_token(sessions, &hello, dialled)?;
    let digest = token.digest();
    let started = commit(sessions, &hello, dialled, digest).await?;

    let (sender, commands) = mailbox();
    let live = Arc::new(Live::default());
    live.seen(now_ms());
    let handle = Handle {
        epoch: started.agent.epoch,
        token: digest,
        observed: dialled.observed,
        connected_ms: now_ms(),
        live,
        commands: sender.clone(),
    };
    match sessions.registry.enter(agent, handle.clone()) {
        Entered::Late => return Err(Ending::of(CloseCode::Superseded)),
        Entered::Live { replaced } => supersede(replaced).await,
    }
    if sessions.store.store_epoch() != started.store_epoch {
        // Whoever found out that the store was restored may have looked before this one was there.
        handle.live.end_with(CloseCode::Draining);
    }
    if sessions.closing.is_cancelled() {
        // Whoever closes all sessions may have looked before this one was there.
        handle.live.end_with(CloseCode::Draining);
    }
    let resumed = started.resumed;
    let new = New { agent, started, handle, commands, resumed };
    let welcome = welcome(sessions, &new, protocol, token, dialled.observed);
    if let Err(ending) = welcome_and_tell(sessions, socket, &new, welcome, hello, sender).await {
        sessions.registry.leave(agent, new.handle.epoch);
        return Err(ending);
    }
    Ok(new)
}

async fn first_message<S>(socket: &mut Socket<S>) -> Result<Box<Hello>, Ending>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let wait = async {
        loop {
            match socket.ready(false).await {
                Ready::Text(text) => return Ok(text),
                Ready::Binary(_) => return Err(Ending::violation("a packet came before hello")),
                Ready::Closed(closed) => return Err(Ending::new(closed.code(), closed.to_string())),
                Ready::Pong { .. } | Ready::Writable => {}
            }
        }
    };
    let text =
        tokio::time::timeout(HELLO_WITHIN, wait).await.map_err(|_| Ending::of(CloseCode::HelloTimeout))??;
    if let ToBroker::Hello(hello) = decode(&text)? {
        Ok(hello)
    } else {
        Err(Ending::violation("the first message must be hello"))
    }
}

/// The presented token again where it is the agent's, a new one otherwise.
fn choose_token(sessions: &SharedSessions, hello: &Hello, dialled: Dialled) -> Result<SessionToken, Ending> {
    if let Some(presented) = &hello.session {
        let digest = presented.digest();
        if sessions.registry.agent_of(&digest).is_some_and(|owner| owner != dialled.admitted.agent) {
            return Err(hello::HelloError::ForeignSession.into());
        }
        if dialled.last_token.is_some_and(|last| crate::auth::keys::same(&last, &digest)) {
            return Ok(presented.clone());
        }
    }
    let mut random = zeroize::Zeroizing::new([0; 32]);
    rand::rng().fill_bytes(&mut random[..]);
    Ok(SessionToken::from_bytes(*random))
}

async fn commit(
    sessions: &SharedSessions,
    hello: &Hello,
    dialled: Dialled,
    token: Sha256Digest,
) -> Result<Box<Started>, Ending> {
    let agent = dialled.admitted.agent;
    let begin = BeginSession {
        agent,
        dial_n: dialled.admitted.n,
        instance: hello.instance,
        spool: hello.spool,
        ledger_seq: hello.ledger_seq,
        facts_acked: hello.facts_acked,
        receipt: hello.receipt,
        presented: dialled.admitted.session,
        token,
        hostname: hello.hostname.clone(),
        os: hello.os.clone(),
        version: hello.version.clone(),
        observed_endpoint: dialled.observed,
        local_endpoint: hello.local_endpoint,
        printers: hello.printers.clone(),
        at_ms: now_ms(),
    };
    let outcome = sessions.store.commit(vec![Change::BeginSession(Box::new(begin))]).await;
    let begun = match outcome.map(|mut outcomes| outcomes.pop()) {
        Ok(Some(Outcome::Begun(begun))) => begun,
        other => {
            tracing::error!(%agent, ?other, "the store did not begin a session");
            return Err(Ending::new(CloseCode::Draining, "the broker cannot store the session"));
        }
    };
    match begun {
        Begun::Started(started) => {
            if started.store_restored {
                tracing::warn!(%agent, "the store was restored from a backup: every other session begins anew");
                sessions.send_back(agent);
            }
            if started.unproven {
                sessions.counters.claim_unproven();
                tracing::warn!(%agent, claimed = hello.facts_acked, "more acknowledged facts than it has a receipt for: not believed");
            }
            Ok(started)
        }
        Begun::Replayed => Err(Ending::new(CloseCode::Superseded, "a newer dial was faster")),
        Begun::Revoked => Err(Ending::of(CloseCode::Revoked)),
        Begun::Clone => {
            tracing::warn!(%agent, endpoint = %dialled.observed, "two PCs use this agent's identity: both are kept out");
            sessions.end(agent, CloseCode::Clone);
            Err(Ending::new(
                CloseCode::Clone,
                "two PCs use this identity: pair one of them anew, release the other",
            ))
        }
    }
}

/// The loser stops before the newcomer is welcomed. It only has to notice; its goodbye may take longer.
async fn supersede(replaced: Option<Handle>) {
    if let Some(old) = replaced {
        old.live.end_with(CloseCode::Superseded);
        if tokio::time::timeout(SUPERSEDE_WITHIN, old.live.stopped.closed()).await.is_err() {
            tracing::warn!(epoch = old.epoch.0, "an older session is slow to stop; its epoch is fenced off");
        }
    }
}

fn welcome(
    sessions: &SharedSessions,
    new: &New,
    protocol: u16,
    session: SessionToken,
    observed_endpoint: SocketAddr,
) -> Welcome {
    Welcome {
        protocol,
        version: crate::VERSION.to_owned(),
        session,
        resumed: new.resumed,
        epoch: new.handle.epoch,
        store_epoch: new.started.store_epoch,
        spool_lost: new.started.spool_lost,
        observed_endpoint,
        report_interval_ms: u64::try_from(sessions.report_interval.as_millis()).unwrap_or(u64::MAX),
        broker_time_ms: now_ms(),
        agent_name: new.started.agent.name.clone(),
    }
}

/// `welcome` is queued first, so that it goes before everything that the jobs send on hearing of the session.
async fn welcome_and_tell<S>(
    sessions: &SharedSessions,
    socket: &mut Socket<S>,
    new: &New,
    welcome: Welcome,
    hello: Box<Hello>,
    commands: Mailbox,
) -> Result<(), Ending>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.queue_text(encode(&ToAgent::Welcome(Box::new(welcome)))?)?;
    let online = Online {
        commands,
        held: hello.transfers,
        spool_lost: new.started.spool_lost,
        reconciling: new.started.reconciling,
        restored_jobs: new.started.restored_jobs,
        store_epoch: new.started.store_epoch,
        observed: new.handle.observed,
        absent_ms: new.started.absent_ms,
        printers: hello.printers,
    };
    let event =
        SessionEvent { agent: new.agent, epoch: new.handle.epoch, what: What::Online(Box::new(online)) };
    tokio::select! {
        () = new.handle.live.end.closed() => Err(Ending::of(new.handle.live.end_code())),
        sent = sessions.events.send(event) => sent.map_err(|_| Ending::of(CloseCode::Draining)),
    }
}
