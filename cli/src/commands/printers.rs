//! `inkwire printers`.

use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{self, Table};
use crate::words;

/// List the printers
///
///   inkwire printers
///   inkwire printers --json | jq -r '.printers[] | select(.info.state == "stopped") | .name'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let printers = args.connection.open().await?.printers().await?;
    if args.json {
        output::json(&serde_json::json!({ "printers": printers }))?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["PRINTER", "AGENT", "NO", "STATE", "QUEUED", "FORMATS", "ID"]);
    for printer in printers {
        let mut state = words::printer_state(printer.info.state).to_owned();
        if !printer.info.state_reasons.is_empty() {
            state = format!("{state} ({})", printer.info.state_reasons.join(", "));
        }
        let agent = format!("{} ({})", printer.agent_name, words::agent_status(printer.agent_status));
        let (number, queued) = (printer.info.number.to_string(), printer.queued_jobs.to_string());
        let formats = printer.info.formats.join(" ");
        table.row([printer.name, agent, number, state, queued, formats, printer.id.to_string()]);
    }
    table.print("no printers yet: configure some at an agent, or let it discover its CUPS queues")?;
    Ok(Exit::Done)
}
