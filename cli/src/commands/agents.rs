//! `inkwire agents`.

use std::time::SystemTime;

use inkwire_client::protocol::app::Agent;
use inkwire_client::protocol::ids::AgentId;

use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{self, Table, clean};
use crate::words;

/// List the agents, or show one with the history of its endpoints
///
/// The endpoint is the public address and port at which the broker sees the agent: what NAT made of it. The epoch
/// counts its sessions.
///
///   inkwire agents
///   inkwire agents 018f7d2e-5b7a-7000-8000-3f1a5b2c4d6e
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only this agent, with its history
    agent: Option<AgentId>,
    #[command(flatten)]
    connection: Connection,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let client = args.connection.open().await?;
    match args.agent {
        Some(id) => {
            let agent = client.agent(id).await?;
            if args.json { output::json(&agent)? } else { show(&agent)? }
        }
        None => {
            let agents = client.agents().await?;
            if args.json { output::json(&serde_json::json!({ "agents": agents }))? } else { list(&agents)? }
        }
    }
    Ok(Exit::Done)
}

fn list(agents: &[Agent]) -> Result<(), Failure> {
    let now = SystemTime::now();
    let mut table =
        Table::new(&["AGENT", "STATUS", "SESSION", "EPOCH", "ENDPOINT", "LAST SEEN", "VERSION", "ID"]);
    for agent in agents {
        table.row([
            agent.name.clone(),
            words::agent_status(agent.status).to_owned(),
            agent.connected_ms.map_or_else(none, |at| format!("since {}", words::ago(at, now))),
            agent.epoch.to_string(),
            agent.observed_endpoint.map_or_else(none, |endpoint| endpoint.to_string()),
            agent.last_seen_ms.map_or_else(none, |at| words::ago(at, now)),
            agent.version.clone(),
            agent.id.to_string(),
        ]);
    }
    table.print("no agents yet: run `inkwire agent pair` on a PC beside a printer")
}

fn show(agent: &Agent) -> Result<(), Failure> {
    let now = SystemTime::now();
    let or_none = |endpoint: Option<std::net::SocketAddr>| endpoint.map_or_else(none, |at| at.to_string());
    for (name, value) in [
        ("agent", format!("{} ({})", clean(&agent.name), agent.id)),
        ("status", words::agent_status(agent.status).to_owned()),
        (
            "host",
            format!("{}, {}, version {}", clean(&agent.hostname), clean(&agent.os), clean(&agent.version)),
        ),
        ("fingerprint", agent.fingerprint.to_string()),
        ("session", agent.connected_ms.map_or_else(none, |at| format!("since {}", words::ago(at, now)))),
        ("epoch", agent.epoch.to_string()),
        ("endpoint", or_none(agent.observed_endpoint)),
        ("local", or_none(agent.local_endpoint)),
        ("round trip", agent.rtt_ms.map_or_else(none, |rtt| format!("{rtt} ms"))),
    ] {
        output::line(&format!("{name:12} {value}"))?;
    }
    output::line("")?;
    let mut table = Table::new(&["WHEN", "EPOCH", "FROM", "TO"]);
    for change in &agent.endpoints {
        let from = change.from.map_or_else(none, |from| from.to_string());
        table.row([words::ago(change.at_ms, now), change.epoch.to_string(), from, change.to.to_string()]);
    }
    table.print("it has not been seen yet")
}

fn none() -> String {
    "-".to_owned()
}
