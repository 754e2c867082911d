//! `inkwire agent status`: one screen about the agent of this PC.

use std::path::PathBuf;
use std::time::SystemTime;

use inkwire_agent::status;
use inkwire_agent::status::{Connection, LastJob, Status};

use crate::exit::{Exit, Failure};
use crate::output;
use crate::words;

/// Show what the agent of this PC is doing
///
/// Whether it runs and is connected, to which broker and from which endpoint, its printers and its last job. Asks nobody: it
/// reads the agent's state folder. Exit code 0: connected. 4: running, not connected. 1: not running.
///
///   inkwire agent status
///   inkwire agent status --state /var/lib/inkwire/agent --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The folder that holds identity, ledger and spool
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<Exit, Failure> {
    let state_dir = super::state_dir(args.state)?;
    let status = status::status(&state_dir).map_err(anyhow::Error::from)?;
    if args.json {
        output::json(&status)?;
    } else {
        lines(&status, SystemTime::now()).iter().try_for_each(|line| output::line(line))?;
    }
    Ok(match status.running.map(|running| running.connection) {
        Some(Connection::Connected { .. }) => Exit::Done,
        Some(Connection::Trying { .. }) => Exit::Unreachable,
        None => Exit::Failed,
    })
}

fn lines(status: &Status, now: SystemTime) -> Vec<String> {
    let mut lines = vec![
        format!("agent       {} ({})", output::clean(&status.name), status.agent),
        format!("account     {}", output::clean(&status.account)),
        format!("broker      {}", output::clean(&status.broker)),
    ];
    match &status.running {
        None => lines
            .push("running     no: start it with `systemctl start inkwire-agent` or `inkwire agent`".into()),
        Some(running) => {
            lines.push(format!("running     version {}, process {}", running.version, running.pid));
            lines.push(match &running.connection {
                Connection::Connected { since_ms, observed_endpoint, epoch } => format!(
                    "connected   {}, seen at {observed_endpoint}, session {epoch}",
                    words::ago(*since_ms, now)
                ),
                Connection::Trying { since_ms, trouble } => format!(
                    "connected   no ({}): {}",
                    words::ago(*since_ms, now),
                    output::clean(trouble.as_deref().unwrap_or("dialling"))
                ),
            });
            for printer in &running.printers {
                let reasons = if printer.state_reasons.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", printer.state_reasons.join(", "))
                };
                let state = words::printer_state(printer.state);
                lines.push(output::clean(&format!(
                    "printer {:<3} {}: {state}{reasons}",
                    printer.number.0, printer.name
                )));
            }
        }
    }
    lines.push(match &status.last_job {
        Some(LastJob { job, at_ms, fact }) => {
            format!("last job    {job}: {}, {}", words::fact(fact), words::ago(*at_ms, now))
        }
        None => "last job    none yet".into(),
    });
    lines.push(format!("waiting     {}", status.waiting_jobs));
    lines
}
