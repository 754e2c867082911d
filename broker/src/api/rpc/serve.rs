//! The life of an app's WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use inkwire_protocol::app::{Problem, ProblemKind, RpcError, RpcRequest, RpcResponse, method};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::limits::HELLO_WITHIN;
use inkwire_transport::{Ready, Socket};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::CancellationToken;

use super::Connection;
use super::outgoing::Outgoing;
use super::standing::Standing;
use crate::api::Api;
use crate::api::table::{self, Context};
use crate::auth::{Caller, Place};
use crate::limits::{APP_PING_AFTER, APP_REQUESTS, APP_WRITE_BYTES};

/// How a connection ends.
pub(super) type End = (CloseCode, String);

struct App<S> {
    api: Arc<Api>,
    socket: Socket<S>,
    standing: Standing,
    connection: Arc<Connection>,
    outgoing: mpsc::UnboundedReceiver<Utf8Bytes>,
    /// Taken from `outgoing`, waits for the socket.
    next: Option<Utf8Bytes>,
    running: Arc<AtomicUsize>,
    peer: SocketAddr,
    began: Instant,
    pinged: bool,
}

/// Serves an app until one side ends it. `caller` is known where the upgrade carried a key.
pub(crate) async fn serve<S>(
    api: Arc<Api>,
    socket: Socket<S>,
    caller: Option<(Caller, Place)>,
    peer: SocketAddr,
    closing: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (out, outgoing) = Outgoing::new();
    let ended = CancellationToken::new();
    let _ends_all = ended.clone().drop_guard();
    let mut app = App {
        standing: Standing::new(api.auth.clone(), caller),
        connection: Arc::new(Connection::new(Arc::new(out), ended)),
        api,
        socket,
        peer,
        outgoing,
        next: None,
        running: Arc::default(),
        began: Instant::now(),
        pinged: false,
    };
    app.api.sessions.counters.apps.fetch_add(1, Ordering::Relaxed);
    let (code, detail) = app.live(closing).await;
    app.api.sessions.counters.apps.fetch_sub(1, Ordering::Relaxed);
    app.api.sessions.counters.closed(code);
    if crate::sessions::counters::is_violation(code) {
        let who = app.standing.caller().map(|caller| caller.principal.label());
        tracing::warn!(who, code = code.name(), detail, "app connection ended by a mistake of the app");
    }
    app.last_words();
    app.socket.close(code, &detail).await;
}

impl<S: AsyncRead + AsyncWrite + Unpin> App<S> {
    async fn live(&mut self, closing: CancellationToken) -> End {
        let overflow = self.connection.out.overflow.clone();
        loop {
            let deadline = self.deadline();
            let step = tokio::select! {
                biased;
                () = closing.cancelled() => Err((CloseCode::Draining, "the broker is restarting".to_owned())),
                () = overflow.cancelled() => Err((CloseCode::Slow, self.connection.out.why())),
                news = self.standing.news() => self.standing.hear(news).await,
                Some(message) = self.outgoing.recv(), if self.next.is_none() => {
                    self.next = Some(message);
                    Ok(())
                }
                ready = self.socket.ready(self.next.is_some()) => self.on_socket(ready).await,
                () = tokio::time::sleep_until(deadline) => self.on_clock().await,
            };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn on_socket(&mut self, ready: Ready) -> Result<(), End> {
        match ready {
            Ready::Text(text) => self.on_text(&text).await,
            Ready::Binary(message) => {
                if self.standing.caller().is_none() {
                    return Err((
                        CloseCode::ProtocolViolation,
                        "a packet came before authenticate".to_owned(),
                    ));
                }
                let taken = self.connection.uploads.packet(&message, &self.connection.out).await;
                taken.map_err(|fault| (fault.close_code(), fault.to_string()))
            }
            Ready::Writable => self.write(),
            Ready::Pong { .. } => Ok(()),
            Ready::Closed(closed) => Err((closed.code(), closed.to_string())),
        }
    }

    /// Answers that are ready go before the close, as far as they fit.
    fn last_words(&mut self) {
        while let Some(message) = self.next.take().or_else(|| self.outgoing.try_recv().ok()) {
            if self.socket.queue_text(message).is_err() {
                return;
            }
        }
    }

    /// Gives the socket some of what waits, so that small answers share a write.
    fn write(&mut self) -> Result<(), End> {
        let mut written = 0;
        while let Some(message) = self.next.take().or_else(|| self.outgoing.try_recv().ok()) {
            let bytes = message.len();
            if written > 0 && written + bytes > APP_WRITE_BYTES {
                self.next = Some(message);
                break;
            }
            written += bytes;
            self.connection.out.taken(bytes);
            let queued = self.socket.queue_text(message);
            queued.map_err(|_| (CloseCode::Slow, "an answer did not fit the socket's queue".to_owned()))?;
        }
        Ok(())
    }

    async fn on_text(&mut self, text: &str) -> Result<(), End> {
        let request: RpcRequest = match read_request(text) {
            Ok(request) => request,
            Err(problem) => {
                self.respond(Value::Null, Err(problem));
                return Ok(());
            }
        };
        let id = request.id;
        if request.method == method::AUTHENTICATE {
            let answered = self.standing.authenticate(request.params.unwrap_or(Value::Null)).await;
            let refused = answered.as_ref().err().cloned();
            self.respond(id.unwrap_or(Value::Null), answered);
            // A stranger gets one try a connection.
            return match refused {
                Some(_) if self.standing.caller().is_some() => Ok(()),
                Some(problem) if problem.kind() == Some(ProblemKind::Unauthenticated) => {
                    Err((CloseCode::Unauthenticated, problem.detail))
                }
                Some(problem) => Err((CloseCode::Busy, problem.detail)),
                None => Ok(()),
            };
        }
        let Some(caller) = self.standing.caller().cloned() else {
            let problem = ProblemKind::Unauthenticated
                .because("the first message must be `authenticate` with an API key");
            self.respond(id.unwrap_or(Value::Null), Err(problem.clone()));
            return Err((CloseCode::Unauthenticated, problem.detail));
        };
        if let Err(problem) = self.standing.take(request.method != method::PING).await {
            let problem = self.api.turned_away("websocket", problem);
            self.respond(id.unwrap_or(Value::Null), Err(problem));
            return Ok(());
        }
        if self.running.load(Ordering::Relaxed) >= APP_REQUESTS {
            let detail = format!("{APP_REQUESTS} requests of this connection are not answered yet");
            self.respond(id.unwrap_or(Value::Null), Err(ProblemKind::Busy.because(detail)));
            return Ok(());
        }
        let connection = Some(self.connection.clone());
        let context = Context { api: self.api.clone(), caller, connection, peer: self.peer };
        self.running.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(run(context, id, request.method, request.params, self.running.clone()));
        Ok(())
    }

    fn respond(&self, id: Value, answered: Result<Value, Problem>) {
        self.connection.out.push(response(id, answered));
    }

    /// When the clock matters next: the first message, a ping, a silent app, an expired key.
    fn deadline(&self) -> Instant {
        if self.standing.caller().is_none() {
            return self.began + HELLO_WITHIN;
        }
        let quiet = if self.pinged { APP_PING_AFTER * 2 } else { APP_PING_AFTER };
        let quiet = self.socket.last_read() + quiet;
        self.standing.ends_at().map_or(quiet, |end| end.min(quiet))
    }

    async fn on_clock(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.standing.caller().is_none() {
            return match now >= self.began + HELLO_WITHIN {
                true => Err((CloseCode::HelloTimeout, "`authenticate` did not come in time".to_owned())),
                false => Ok(()),
            };
        }
        self.standing.on_clock().await?;
        let quiet = now.duration_since(self.socket.last_read());
        if quiet >= APP_PING_AFTER * 2 {
            return Err((CloseCode::Silent, "the app did not answer a ping".to_owned()));
        }
        self.pinged = quiet >= APP_PING_AFTER;
        if self.pinged {
            self.socket.queue_ping();
        }
        Ok(())
    }
}

/// Runs one request. Not ended with the connection: what was begun is finished, and may be asked for again.
async fn run(
    context: Context,
    id: Option<Value>,
    name: String,
    params: Option<Value>,
    running: Arc<AtomicUsize>,
) {
    let connection = context.connection.clone();
    let answered = table::call(context, &name, params.unwrap_or(Value::Null)).await;
    running.fetch_sub(1, Ordering::Relaxed);
    let Some(connection) = connection else { return };
    if let Some(id) = id {
        connection.out.push(response(id, answered));
    }
    connection.answered();
}

fn response(id: Value, answered: Result<Value, Problem>) -> String {
    let (result, error) = match answered {
        Ok(result) => (Some(result), None),
        Err(data) => {
            let code = data.kind().unwrap_or(ProblemKind::Internal).rpc_code();
            (None, Some(RpcError { code, message: data.to_string(), data }))
        }
    };
    let response = RpcResponse { jsonrpc: "2.0".to_owned(), id, result, error };
    serde_json::to_string(&response).unwrap_or_default()
}

/// Reads a JSON-RPC 2.0 request.
fn read_request(text: &str) -> Result<RpcRequest, Problem> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| ProblemKind::Parse.because(error.to_string()))?;
    if value.is_array() {
        let detail = "batches are not taken: send each request as a message of its own";
        return Err(ProblemKind::InvalidRequest.because(detail));
    }
    let request: RpcRequest = serde_json::from_value(value)
        .map_err(|error| ProblemKind::InvalidRequest.because(error.to_string()))?;
    let plain_id = request.id.as_ref().is_none_or(|id| id.is_number() || id.is_string());
    if request.jsonrpc != "2.0" || !plain_id {
        let detail = "`jsonrpc` must be \"2.0\", and `id` a number or a string";
        return Err(ProblemKind::InvalidRequest.because(detail));
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_json_rpc_or_say_what_is_wrong() {
        let kind = |text: &str| read_request(text).unwrap_err().kind();
        assert!(read_request(r#"{"jsonrpc":"2.0","id":1,"method":"me"}"#).is_ok());
        assert!(read_request(r#"{"jsonrpc":"2.0","method":"me","params":{}}"#).is_ok());
        assert_eq!(kind("{"), Some(ProblemKind::Parse));
        for text in [
            "[]",
            "{}",
            r#"{"jsonrpc":"1.0","id":1,"method":"me"}"#,
            r#"{"jsonrpc":"2.0","id":[],"method":"me"}"#,
        ] {
            assert_eq!(kind(text), Some(ProblemKind::InvalidRequest), "{text}");
        }
    }

    #[test]
    fn an_error_carries_its_code_and_problem() {
        let text = response(Value::from(7), Err(ProblemKind::NotFound.because("x")));
        let response: RpcResponse = serde_json::from_str(&text).unwrap();
        let error = response.error.unwrap();
        assert_eq!((response.id, error.code, error.data.status), (Value::from(7), -32404, 404));
    }
}
