//! Things as people name them: by id, or by a name that only one of them has.

use inkwire_client::Client;
use inkwire_client::protocol::app::Printer;
use inkwire_client::protocol::ids::{AgentId, PrinterId};

use crate::exit::{Exit, Failure};

/// The printer of this id or name.
pub(crate) async fn printer(client: &Client, wanted: &str) -> Result<Printer, Failure> {
    if let Ok(id) = wanted.parse::<PrinterId>() {
        return Ok(client.printer(id).await?);
    }
    let mut found = client.printers().await?;
    found.retain(|printer| printer.name == wanted);
    // One that is gone gives way to one that is there.
    if found.iter().any(|printer| printer.present) {
        found.retain(|printer| printer.present);
    }
    one(found, "printer", wanted)
}

/// The agent of this id or name.
pub(crate) async fn agent(client: &Client, wanted: &str) -> Result<AgentId, Failure> {
    if let Ok(id) = wanted.parse() {
        return Ok(id);
    }
    let mut found = client.agents().await?;
    found.retain(|agent| agent.name == wanted);
    Ok(one(found, "agent", wanted)?.id)
}

fn one<T>(mut found: Vec<T>, what: &str, wanted: &str) -> Result<T, Failure> {
    let refused = |why: String| Failure::new(Exit::Refused, anyhow::anyhow!(why));
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(refused(format!("several {what}s are called `{wanted}`: use the id"))),
        (None, _) => Err(refused(format!("there is no {what} `{wanted}`: see `inkwire {what}s`"))),
    }
}
