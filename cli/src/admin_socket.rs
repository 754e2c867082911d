//! The broker's admin socket: JSON-RPC 2.0, one message a line, over a Unix socket in its data folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use inkwire_client::protocol::app::{Problem, ProblemKind, RpcRequest, RpcResponse};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::exit::{Exit, Failure};

/// The broker answers by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// Longest answer: a list of ten thousand agents.
const MAX_ANSWER_BYTES: u64 = 16 * 1024 * 1024;

/// The socket of a data folder.
pub(crate) fn in_data_dir(data: &Path) -> PathBuf {
    data.join("admin.sock")
}

/// Asks one thing.
pub(crate) async fn call(socket: &Path, method: &str, params: Value) -> Result<Value, Failure> {
    let answered = tokio::time::timeout(ANSWER_WITHIN, ask(socket, method, params)).await;
    let response = answered.map_err(|_| {
        Failure::new(
            Exit::Unreachable,
            anyhow::anyhow!("the broker did not answer `{method}` within {ANSWER_WITHIN:?}"),
        )
    })??;
    match response.error {
        Some(error) => Err(refused(error.data)),
        None => Ok(response.result.unwrap_or_default()),
    }
}

fn refused(problem: Problem) -> Failure {
    let exit = if problem.kind() == Some(ProblemKind::Internal) { Exit::Failed } else { Exit::Refused };
    Failure::new(exit, problem)
}

async fn ask(socket: &Path, method: &str, params: Value) -> Result<RpcResponse, Failure> {
    let stream = UnixStream::connect(socket)
        .await
        .with_context(|| {
            format!(
                "cannot reach a broker at {}: does it run, with this data folder, as this user?",
                socket.display()
            )
        })
        .map_err(|error| Failure::new(Exit::Unreachable, error))?;
    let (read, mut write) = stream.into_split();
    let request = RpcRequest {
        jsonrpc: "2.0".to_owned(),
        id: Some(Value::from(1)),
        method: method.to_owned(),
        params: Some(params),
    };
    let mut text = serde_json::to_string(&request).map_err(anyhow::Error::from)?;
    text.push('\n');
    write.write_all(text.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(read.take(MAX_ANSWER_BYTES)).read_line(&mut line).await?;
    let response = serde_json::from_str(&line).with_context(|| {
        format!("the answer to `{method}` was not understood: is the broker of another version?")
    })?;
    Ok(response)
}
