//! The admin socket: JSON-RPC 2.0, a line a message, on a Unix socket in the data folder. Only the broker's own user and
//! root may speak on it: the file's mode says so, and the kernel is asked who is at the other end.

mod methods;
mod people;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inkwire_protocol::app::{Problem, ProblemKind, RpcError, RpcRequest, RpcResponse};
use inkwire_protocol::ids::AccountId;
use inkwire_transport::BrokerUrl;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::clock::now_ms;
use crate::limits::{MAX_ADMIN_CONNECTIONS, MAX_ADMIN_LINE_BYTES};
use crate::store::{Change, NewAudit};

/// The socket that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the admin socket {}: {source}", path.display())]
pub struct AdminError {
    path: PathBuf,
    source: io::Error,
}

/// What admin methods stand on.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) api: Arc<Api>,
    pub(crate) url: BrokerUrl,
    pub(crate) started_ms: u64,
}

impl Admin {
    /// An entry of an account's audit log: whoever may use this socket.
    fn audit(&self, account: AccountId, action: &'static str, target: String, detail: Value) -> Change {
        Change::Audit(Box::new(NewAudit {
            account,
            at_ms: now_ms(),
            who: "admin".to_owned(),
            who_name: "admin socket".to_owned(),
            address: None,
            action,
            target,
            detail,
        }))
    }
}

/// Makes the socket. The caller holds the data folder's lock, so that what is there is a leftover.
pub(crate) fn bind(path: &Path) -> Result<UnixListener, AdminError> {
    let failed = |source| AdminError { path: path.to_owned(), source };
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    let only_us = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path, only_us).map_err(failed)?;
    Ok(listener)
}

/// Serves until `stop`.
pub(crate) async fn serve(admin: Arc<Admin>, listener: UnixListener, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_ADMIN_CONNECTIONS));
    let accepting = async {
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (admin, stop) = (admin.clone(), stop.clone());
                    tokio::spawn(async move {
                        if let Some(Err(error)) = stop.run_until_cancelled(talk(&admin, stream)).await {
                            tracing::debug!(%error, "admin connection ended");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an admin connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    };
    stop.run_until_cancelled(accepting).await;
}

async fn talk(admin: &Admin, mut stream: UnixStream) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (reading, mut writing) = stream.split();
    if uid != 0 && uid != rustix::process::geteuid().as_raw() {
        tracing::warn!(uid, "admin connection refused");
        let problem = ProblemKind::Forbidden.because("only root and the broker's own user may administer it");
        return writing.write_all(response(Value::Null, Err(problem)).as_bytes()).await;
    }
    let mut reading = BufReader::new(reading);
    loop {
        let mut line = Vec::new();
        let most = MAX_ADMIN_LINE_BYTES as u64;
        if (&mut reading).take(most).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let answer = answer(admin, &line).await;
        writing.write_all(answer.as_bytes()).await?;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
    }
}

async fn answer(admin: &Admin, line: &[u8]) -> String {
    match serde_json::from_slice::<RpcRequest>(line) {
        Ok(request) => {
            let params = request.params.unwrap_or(Value::Null);
            response(request.id.unwrap_or(Value::Null), methods::call(admin, &request.method, params).await)
        }
        Err(error) => response(Value::Null, Err(ProblemKind::InvalidRequest.because(error.to_string()))),
    }
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
    serde_json::to_string(&response).unwrap_or_default() + "\n"
}
