//! The queues of a CUPS server, each as a printer.

use ipp::model::{DelimiterTag, Operation};
use url::Url;

use super::client::{AskError, Client};
use super::connect::ConnectError;
use super::queue;
use super::server::CupsServer;
use super::trust::Pins;
use super::values::text;
use crate::printers::config::PrinterConfig;

/// The local CUPS server is there but its queues cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the CUPS server at {server} does not list its queues: {problem}")]
pub struct DiscoverError {
    server: String,
    problem: String,
}

/// The queues of the local CUPS server, each as an `ipp` printer by the queue's name. Without a CUPS server: none.
///
/// # Errors
/// A CUPS server is there but does not answer as one.
pub async fn discover() -> Result<Vec<PrinterConfig>, DiscoverError> {
    list(&CupsServer::system()).await
}

/// The same for a server elsewhere: `host:port` or the path of a Unix socket.
///
/// # Errors
/// As [`discover`], and where `server` is neither.
pub async fn discover_at(server: &str) -> Result<Vec<PrinterConfig>, DiscoverError> {
    let parsed = server.parse().map_err(|problem| DiscoverError { server: server.to_owned(), problem })?;
    list(&parsed).await
}

async fn list(server: &CupsServer) -> Result<Vec<PrinterConfig>, DiscoverError> {
    match ask(server).await {
        Ok(list) => Ok(list),
        Err(AskError::Connect(ConnectError::Away(why))) => {
            tracing::debug!(why, "no CUPS server");
            Ok(Vec::new())
        }
        Err(error) => Err(DiscoverError { server: server.to_string(), problem: error.to_string() }),
    }
}

async fn ask(server: &CupsServer) -> Result<Vec<PrinterConfig>, AskError> {
    let address = server.queue_uri("");
    let uri = Url::parse(&address).map_err(|error| AskError::Unsayable(format!("{address}: {error}")))?;
    // Plain addresses: no certificate is ever looked at.
    let client = Client::new(&uri, None, Some(server.clone()), &Pins::new(std::path::Path::new("")))?;
    let request = client.request(Operation::CupsGetPrinters)?.user();
    let answer =
        client.ask(request.asks(&["printer-name", "printer-location", "printer-make-and-model"])).await?;
    // CUPS says "not found" where it has no queue at all.
    if !answer.is_ok() && !super::status::is_gone(answer.status) {
        return Err(AskError::Refused(answer.message()));
    }
    let queues = answer.groups(DelimiterTag::PrinterAttributes).filter_map(|group| {
        let name = text(group, "printer-name").filter(|name| !name.starts_with(queue::PREFIX))?;
        Some(PrinterConfig {
            uri: server.queue_uri(&name),
            name,
            make_and_model: text(group, "printer-make-and-model"),
            location: text(group, "printer-location"),
            cups_server: Some(server.to_string()),
            ..PrinterConfig::default()
        })
    });
    Ok(queues.collect())
}
