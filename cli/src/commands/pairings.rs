//! `inkwire pairings`.

use std::io::{BufRead as _, IsTerminal as _};

use clap::Subcommand;
use inkwire_client::protocol::app::PendingPairing;

use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{self, clean};

/// Approve an agent that shows a pairing code
///
///   inkwire pairings approve ABCD-EFGH
///   inkwire pairings approve ABCD-EFGH --name till-3 --yes
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Approve(Approve),
}

/// Show who asks under this code, and approve exactly that key
#[derive(Debug, clap::Args)]
struct Approve {
    /// The code that the agent shows
    code: String,
    /// A name for the agent; its host's unless said
    #[arg(long)]
    name: Option<String>,
    /// Do not ask: the fingerprint was compared already
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    connection: Connection,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let Command::Approve(args) = args.command;
    let client = args.connection.open().await?;
    let pending = client.pairing(&args.code).await?;
    if !args.yes && !asked(&pending)? {
        return Err(Failure::new(Exit::Refused, anyhow::anyhow!("not approved; the agent stays outside")));
    }
    let agent = client.approve(&args.code, pending.fingerprint, args.name).await?;
    if args.json {
        output::json(&agent)?;
    } else {
        output::line(&format!("paired: {} ({})", clean(&agent.name), agent.id))?;
    }
    Ok(Exit::Done)
}

fn asked(pending: &PendingPairing) -> Result<bool, Failure> {
    output::note(&format!("host         {} ({})", clean(&pending.hostname), clean(&pending.os)));
    output::note(&format!("seen at      {}", pending.observed_endpoint));
    output::note(&format!("fingerprint  {}", pending.fingerprint));
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nobody can be asked here: compare the fingerprint and add --yes"));
    }
    output::note("Does the agent show the same fingerprint? Type `yes` to approve:");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().eq_ignore_ascii_case("yes"))
}
