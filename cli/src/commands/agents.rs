//! `inkwire agents`.

use std::time::SystemTime;

use inkwire_client::protocol::app::{Agent, SessionList, Sessions};

use super::find;
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{self, Table, clean};
use crate::words;

/// List the agents, or show one with the history of its endpoints and sessions, or act on it
///
/// The endpoint is the public address and port at which the broker sees the agent: what NAT made of it. The epoch
/// counts its sessions.
///
///   inkwire agents
///   inkwire agents 018f7d2e-5b7a-7000-8000-3f1a5b2c4d6e
///   inkwire agents till-3 --sessions
///   inkwire agents till-3 --rename "till 3, first floor"
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only this agent, by id or name, with its history
    agent: Option<String>,
    #[command(flatten)]
    action: Action,
    #[command(flatten)]
    connection: Connection,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false, requires = "agent")]
struct Action {
    /// Show its sessions, the newest 50
    #[arg(long)]
    sessions: bool,
    /// Give it another name
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    /// Shut it out for good: its jobs end, or become uncertain where it may have printed them
    #[arg(long)]
    revoke: bool,
    /// End its quarantine, after two PCs used its identity
    #[arg(long)]
    release: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let client = args.connection.open().await?;
    match args.agent {
        Some(name) => {
            let id = find::agent(&client, &name).await?;
            let Action { sessions, rename, revoke, release } = args.action;
            if sessions {
                let page = client.sessions(&SessionList { agent: id, before: None, limit: None }).await?;
                if args.json {
                    output::json(&page)?
                } else {
                    show_sessions(&page)?
                }
                return Ok(Exit::Done);
            }
            if let Some(name) = rename {
                client.rename_agent(id, name).await?;
            } else if revoke {
                client.revoke_agent(id).await?;
            } else if release {
                client.release_agent(id).await?;
            }
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

fn show_sessions(page: &Sessions) -> Result<(), Failure> {
    let now = SystemTime::now();
    let mut table = Table::new(&["EPOCH", "BEGAN", "ENDED", "WHY", "ENDPOINT", "VERSION"]);
    for session in &page.sessions {
        let ended = match session.ended_ms {
            Some(at) => words::ago(at, now),
            None if session.live => "live".to_owned(),
            None => "not seen".to_owned(),
        };
        table.row([
            session.epoch.to_string(),
            words::ago(session.began_ms, now),
            ended,
            session.end.clone().unwrap_or_else(none),
            session.observed_endpoint.to_string(),
            session.version.clone(),
        ]);
    }
    table.print("it has not had a session yet")
}

fn none() -> String {
    "-".to_owned()
}
