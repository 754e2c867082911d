//! The command line as a whole.

use clap::{Parser, Subcommand};

use crate::commands;

/// Push printing over the Internet: broker, agent and command line in one binary
///
/// A document given to the broker comes out of a printer behind NAT, once, whatever the LAN's address does meanwhile.
#[derive(Debug, Parser)]
#[command(
    name = "inkwire",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 refused or not found, 4 broker not reached, 5 outcome uncertain.\n\
                  Try it: inkwire demo"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// End when the process that started this one ends (Linux)
    #[arg(long, global = true, hide = true)]
    pub(crate) end_with_parent: bool,
}

/// All commands, each in its own file.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[cfg(unix)]
    Broker(commands::broker::Args),
    Agent(commands::agent::Args),
    #[cfg(unix)]
    Admin(commands::admin::Args),
    Login(commands::login::Args),
    Print(commands::print::Args),
    Printers(commands::printers::Args),
    Agents(commands::agents::Args),
    Jobs(commands::jobs::Args),
    Job(commands::job::Args),
    Document(commands::document::Args),
    Stats(commands::stats::Args),
    Pairings(commands::pairings::Args),
    Certs(commands::certs::Args),
    #[cfg(unix)]
    Demo(crate::demo::Args),
    #[cfg(unix)]
    #[command(hide = true)]
    DemoRouter(commands::demo_router::Args),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_shows_help_with_an_example() {
        for command in Args::command().get_subcommands_mut().filter(|command| !command.is_hide_set()) {
            let help = command.render_long_help().to_string();
            assert!(help.contains("inkwire "), "`{}` has no example:\n{help}", command.get_name());
        }
    }

    #[test]
    fn what_the_design_names_is_understood() {
        for line in [
            "inkwire broker --data /d --listen 127.0.0.1:0 --name a --name b --ready-file /r",
            "inkwire agent --state /s --config /c",
            "inkwire agent pair https://b/#sha256=x --enrolment T --state /s",
            "inkwire print f.pdf --printer office --watch --qty 2 --stream --json",
            "inkwire print - --printer office --broker https://b --key k",
            "inkwire printers --json",
            "inkwire agents 018f7d2e-0000-7000-8000-000000000000",
            "inkwire jobs --watch",
            "inkwire job 018f7d2e-0000-7000-8000-000000000000 --decide reprint",
            "inkwire job 17 --reprint --watch",
            "inkwire job 17 --priority 90",
            "inkwire jobs --printer office --agent till-3 --tag shop --since 24h --search invoice --before 40",
            "inkwire printers office --json",
            "inkwire printers office --set-option copies=2 --set-on-return drop-older-than=60 --set-pacing 9600",
            "inkwire printers office --test-page",
            "inkwire agents till-3 --rename front",
            "inkwire agents till-3 --sessions --json",
            "inkwire document 17 -o -",
            "inkwire stats --json",
            "inkwire pairings approve ABCD-EFGH --yes",
            "inkwire admin --data /d key create --name till --scope submit --json",
            "inkwire admin --data /d agent release 018f7d2e-0000-7000-8000-000000000000",
            "inkwire demo --once --json --file x.pdf",
            "inkwire demo --json",
            "inkwire certs --out certs --name localhost",
        ] {
            assert!(parse(line).is_ok(), "{line}: {}", parse(line).unwrap_err());
        }
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [
            "inkwire",
            "inkwire print f.pdf",
            "inkwire print f.pdf --printer p --qty 0",
            "inkwire job 018f7d2e-0000-7000-8000-000000000000 --cancel --hold",
            "inkwire job nonsense",
            "inkwire job 17 --priority 0",
            "inkwire job 17 --cancel --reprint",
            "inkwire agents --revoke",
            "inkwire agents a --revoke --release",
            "inkwire printers --set-accepting false",
            "inkwire printers office --test-page --set-pacing 1",
            "inkwire document 17",
            "inkwire admin key create",
        ] {
            assert_eq!(parse(line).err().map(|error| error.exit_code()), Some(2), "{line}");
        }
    }
}
