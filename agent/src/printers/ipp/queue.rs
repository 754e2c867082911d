//! A CUPS queue on this PC, made when it is first needed, for a printer that takes only raster: CUPS and its filters
//! render the PDF. The witness is then the queue, not the printer.

use std::fmt::Write as _;
use std::process::Stdio;

use inkwire_protocol::ids::Sha256Digest;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::client::{AskError, Client};
use super::connect::ConnectError;
use super::info::Told;
use super::server::CupsServer;
use super::trust::Pins;
use crate::printers::limits::{POLL_FIRST, QUEUE_WITHIN};

/// What CUPS and cups-filters render; the same on every installation.
pub(super) const RENDERED: [&str; 3] = ["application/pdf", "image/jpeg", "image/png"];
/// Begins the name of every queue that we make: discovery leaves them out.
pub(super) const PREFIX: &str = "inkwire-";
const MISSING: &str = "the printer takes only raster, so CUPS must render this document: install the packages `cups` and \
                       `cups-filters` on the agent's PC and start CUPS, or send image/urf or image/pwg-raster";

/// Why there is no queue. Nothing was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueueError {
    #[error("{MISSING} ({0})")]
    NoCups(String),
    #[error("CUPS does not make a queue for the printer: {0}")]
    Refused(String),
    #[error(transparent)]
    Ask(AskError),
}

impl QueueError {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NoCups(_) => "cups-missing",
            Self::Refused(_) => "cups-queue-failed",
            Self::Ask(error) => error.reason(),
        }
    }
}

/// The name of the queue of a printer: readable, and one for each address.
fn name(printer: &str) -> String {
    let host = Url::parse(printer).ok().and_then(|uri| uri.host_str().map(str::to_owned)).unwrap_or_default();
    let slug: String =
        host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let digest = Sha256Digest::of(printer.as_bytes());
    let mut name = format!("{PREFIX}{slug}-");
    for byte in &digest.as_bytes()[..4] {
        // Writing into a String cannot fail.
        write!(name, "{byte:02x}").unwrap_or_default();
    }
    name
}

/// The queue of a printer, made if it is not there.
pub(super) async fn ensure(server: &CupsServer, printer: &str, pins: &Pins) -> Result<Client, QueueError> {
    let name = name(printer);
    let address = server.queue_uri(&name);
    let uri = Url::parse(&address).map_err(|error| QueueError::Refused(format!("{address}: {error}")))?;
    let client = Client::new(&uri, None, Some(server.clone()), pins).map_err(QueueError::Ask)?;
    match client.printer().await {
        Ok(told)
            if told.device_uri.as_deref().is_none_or(|device| same(device, printer)) && told.renders() =>
        {
            return Ok(client);
        }
        // Not there, for another address, or never finished: made anew.
        Ok(_) | Err(AskError::Refused(_) | AskError::Http(404)) => {}
        Err(AskError::Connect(ConnectError::Away(why))) => return Err(QueueError::NoCups(why)),
        Err(error) => return Err(QueueError::Ask(error)),
    }
    make(server, &name, printer).await?;
    until_rendering(&client).await?;
    Ok(client)
}

/// `lpadmin` returns before CUPS has made the queue's driver; until then the queue is raw, and would pass the PDF on as it
/// is and call that completed.
async fn until_rendering(client: &Client) -> Result<(), QueueError> {
    let until = Instant::now() + QUEUE_WITHIN;
    while !client.printer().await.map_err(QueueError::Ask)?.renders() {
        if Instant::now() > until {
            return Err(QueueError::Refused("it made no driver for the queue; see CUPS's error_log".into()));
        }
        sleep(POLL_FIRST).await;
    }
    Ok(())
}

impl Told {
    /// A queue of CUPS with a driver.
    fn renders(&self) -> bool {
        self.make_and_model.as_deref().is_some_and(|model| !model.contains("Raw Printer"))
    }
}

fn same(device: &str, printer: &str) -> bool {
    // CUPS hides what looks like a password, and may add options.
    device.split('?').next() == printer.split('?').next()
}

async fn make(server: &CupsServer, name: &str, printer: &str) -> Result<(), QueueError> {
    let mut last = String::from("no lpadmin found");
    for program in ["lpadmin", "/usr/sbin/lpadmin"] {
        let mut command = Command::new(program);
        command.args(["-h", &server.argument(), "-p", name, "-E", "-v", printer, "-m", "everywhere"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        match timeout(QUEUE_WITHIN, command.output()).await {
            Ok(Ok(output)) if output.status.success() => return Ok(()),
            Ok(Ok(output)) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(QueueError::Refused(said));
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                last = format!("{program}: {error}")
            }
            Ok(Err(error)) => return Err(QueueError::Refused(format!("{program}: {error}"))),
            Err(_) => return Err(QueueError::Refused(format!("{program} took too long"))),
        }
    }
    Err(QueueError::NoCups(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_has_one_name_for_each_address() {
        let one = name("ipp://printer.lan:631/ipp/print");
        assert!(one.starts_with("inkwire-printer-lan-"), "{one}");
        assert_eq!(one, name("ipp://printer.lan:631/ipp/print"));
        assert_ne!(one, name("ipp://printer.lan:632/ipp/print"));
        assert!(one.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
    }
}
