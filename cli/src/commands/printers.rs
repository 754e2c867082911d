//! `inkwire printers`.

use inkwire_client::protocol::app::{Printer, PrinterUpdate};
use inkwire_client::protocol::printer::{OnReturn, OnUncertain};

use super::{find, print};
use crate::connection::Connection;
use crate::exit::{Exit, Failure};
use crate::output::{self, Table, clean};
use crate::words;

/// List the printers, or show one, set it up, or print a test page
///
///   inkwire printers
///   inkwire printers office
///   inkwire printers office --set-option sides=two-sided-long-edge --set-on-uncertain reprint
///   inkwire printers kitchen --set-on-return drop-older-than=600 --set-pacing 9600
///   inkwire printers office --test-page
///   inkwire printers --json | jq -r '.printers[] | select(.info.state == "stopped") | .name'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only this printer, by name or id
    printer: Option<String>,
    #[command(flatten)]
    set: Set,
    /// Print a test page in a format that it takes
    #[arg(long, requires = "printer", conflicts_with = "Set")]
    test_page: bool,
    #[command(flatten)]
    connection: Connection,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(multiple = true, requires = "printer")]
struct Set {
    /// Another name
    #[arg(long, value_name = "NAME")]
    set_name: Option<String>,
    /// Options of jobs that do not say otherwise, NAME=VALUE, several times; replaces all that were set
    #[arg(long, value_name = "NAME=VALUE")]
    set_option: Vec<String>,
    /// No options of its own any more
    #[arg(long, conflicts_with = "set_option")]
    unset_options: bool,
    /// What happens when the outcome of a job is not known: hold, reprint or drop
    #[arg(long, value_name = "POLICY", value_parser = on_uncertain)]
    set_on_uncertain: Option<OnUncertain>,
    /// What becomes of jobs that waited while the agent was away: print-all, newest-only, hold or drop-older-than=SECONDS
    #[arg(long, value_name = "POLICY", value_parser = on_return)]
    set_on_return: Option<OnReturn>,
    /// Bytes in a second towards the device; 0: as fast as it takes them
    #[arg(long, value_name = "BYTES")]
    set_pacing: Option<u64>,
    /// Whether new jobs are taken
    #[arg(long, value_name = "BOOL")]
    set_accepting: Option<bool>,
}

fn on_uncertain(text: &str) -> Result<OnUncertain, String> {
    serde_json::from_value(text.into()).map_err(|_| "not one of hold, reprint, drop".to_owned())
}

fn on_return(text: &str) -> Result<OnReturn, String> {
    let policy = match text.split_once('=') {
        None => serde_json::json!({ "policy": text }),
        Some((policy, seconds)) => {
            let wrong = |_| format!("`{seconds}` is not a number of seconds");
            serde_json::json!({ "policy": policy, "seconds": seconds.parse::<u64>().map_err(wrong)? })
        }
    };
    serde_json::from_value(policy)
        .map_err(|_| "not one of print-all, newest-only, hold, drop-older-than=SECONDS".to_owned())
}

impl Set {
    /// What is to be changed; none where nothing is.
    fn update(self, printer: &Printer) -> Result<Option<PrinterUpdate>, Failure> {
        let options = match (self.set_option.is_empty(), self.unset_options) {
            (true, false) => None,
            (true, true) => Some(Default::default()),
            (false, _) => Some(print::options(&self.set_option)?),
        };
        let update = PrinterUpdate {
            printer: printer.id,
            name: self.set_name,
            options,
            on_uncertain: self.set_on_uncertain,
            on_return: self.set_on_return,
            pacing_bytes_s: self.set_pacing,
            accepting: self.set_accepting,
        };
        let nothing = PrinterUpdate {
            printer: printer.id,
            name: None,
            options: None,
            on_uncertain: None,
            on_return: None,
            pacing_bytes_s: None,
            accepting: None,
        };
        Ok((update != nothing).then_some(update))
    }
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let client = args.connection.open().await?;
    let Some(name) = &args.printer else {
        let printers = client.printers().await?;
        if args.json {
            output::json(&serde_json::json!({ "printers": printers }))?;
        } else {
            list(&printers)?;
        }
        return Ok(Exit::Done);
    };
    let mut printer = find::printer(&client, name).await?;
    if args.test_page {
        let job = client.test_page(printer.id).await?;
        if args.json {
            output::json(&job)?;
        } else {
            output::line(&format!("job {} ({}): {}", job.number, job.id, words::standing(&job)))?;
        }
        return Ok(Exit::Done);
    }
    if let Some(update) = args.set.update(&printer)? {
        printer = client.update_printer(&update).await?;
    }
    if args.json {
        output::json(&printer)?
    } else {
        show(&printer)?
    }
    Ok(Exit::Done)
}

fn list(printers: &[Printer]) -> Result<(), Failure> {
    let mut table = Table::new(&["PRINTER", "AGENT", "NO", "STATE", "QUEUED", "FORMATS", "ID"]);
    for printer in printers {
        let (number, queued) = (printer.info.number.to_string(), printer.queued_jobs.to_string());
        let formats = printer.info.formats.join(" ");
        let name = printer.name.clone();
        table.row([name, agent(printer), number, state(printer), queued, formats, printer.id.to_string()]);
    }
    table.print("no printers yet: configure some at an agent, or let it discover its CUPS queues")
}

fn state(printer: &Printer) -> String {
    let state = words::printer_state(printer.info.state);
    match printer.info.state_reasons.is_empty() {
        true => state.to_owned(),
        false => format!("{state} ({})", printer.info.state_reasons.join(", ")),
    }
}

fn agent(printer: &Printer) -> String {
    format!("{} ({})", printer.agent_name, words::agent_status(printer.agent_status))
}

fn show(printer: &Printer) -> Result<(), Failure> {
    let (info, settings) = (&printer.info, &printer.settings);
    let json = |value: serde_json::Result<String>| value.unwrap_or_default();
    let markers: Vec<_> = info
        .markers
        .iter()
        .map(|marker| match marker.level_percent {
            Some(level) => format!("{} {level} %", marker.name),
            None => marker.name.clone(),
        })
        .collect();
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    for (name, value) in [
        ("printer", format!("{} ({})", printer.name, printer.id)),
        ("agent", agent(printer)),
        ("model", or_none(&info.make_and_model)),
        ("location", or_none(&info.location)),
        ("state", state(printer)),
        ("message", or_none(&info.state_message)),
        ("markers", if markers.is_empty() { "-".to_owned() } else { markers.join(", ") }),
        ("queued", printer.queued_jobs.to_string()),
        ("formats", info.formats.join(" ")),
        ("can", json(serde_json::to_string(&info.capabilities))),
        ("options", json(serde_json::to_string(&settings.options))),
        ("uncertain", json(serde_json::to_string(&settings.on_uncertain))),
        ("on return", json(serde_json::to_string(&settings.on_return))),
        (
            "pacing",
            settings.pacing_bytes_s.map_or_else(|| "-".to_owned(), |rate| format!("{rate} bytes a second")),
        ),
        ("accepting", settings.accepting.to_string()),
    ] {
        output::line(&format!("{name:10} {}", clean(&value)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_as_they_are_said() {
        assert_eq!(on_return("newest-only"), Ok(OnReturn::NewestOnly));
        assert_eq!(on_return("drop-older-than=600"), Ok(OnReturn::DropOlderThan { seconds: 600 }));
        for bad in ["drop-older-than", "drop-older-than=", "oldest", "hold=5"] {
            assert!(on_return(bad).is_err(), "{bad}");
        }
        // Never taken for 0 seconds, which would cancel everything that waits.
        assert!(on_return("drop-older-than=7d").unwrap_err().contains("`7d`"));
        assert_eq!(on_uncertain("drop"), Ok(OnUncertain::Drop));
        assert!(on_uncertain("wait").is_err());
    }
}
